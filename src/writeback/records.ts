/**
 * What is pending, as records tell it: shared by backlog.ts, which writes them, and recovery.ts, which reads them back.
 * Invariant: `recordsOf` and the replay of its result amount to the same content.
 */
import type { LibraryId, ObjectId } from "../seafile/types.ts";
import type { ExtentSet } from "../util/extent-set.ts";
import type { JournalRecord } from "./journal-record.ts";

export interface Removal {
  readonly library: LibraryId;
  readonly path: string;
  readonly kind: "file" | "dir";
  /** What the server is believed to have there; null: that is not known. */
  readonly expects: ObjectId | null;
}

export interface Move {
  readonly library: LibraryId;
  readonly from: string;
  readonly to: string;
  readonly kind: "file" | "dir";
  /** Of a file: what is moved, as far as known. */
  readonly object?: ObjectId;
}

export interface PendingContent {
  readonly id: number;
  readonly library: LibraryId;
  path: string;
  /** File name in the spool. */
  readonly spool: string;
  readonly base: { readonly id: ObjectId; readonly size: number } | null;
  /** Where the server has the base: not where content goes that is kept under another name. */
  basePath: string;
  readonly over: number | undefined;
  /** Milliseconds since 1970. */
  readonly created: number;
  expects: ObjectId | null;
  attempted: ObjectId | undefined;
  /** Unix seconds; undefined until sealed. */
  mtime: number | undefined;
  sealed: boolean;
  /** Not just the base as it was, for the sake of a new time or name. */
  changed: boolean;
  size: number;
  baseLimit: number;
  /** What of the base part was written. */
  readonly written: ExtentSet;
}

export interface Pending {
  readonly contents: ReadonlyMap<number, PendingContent>;
  readonly removals: ReadonlyMap<number, Removal>;
  /** Moves of unknown outcome; what belongs below them is still at the old place. */
  readonly moves: ReadonlyMap<number, Move>;
  /** What its user keeps back, of contents and removals. */
  readonly held: ReadonlySet<number>;
  /** Spool files of what is over: who died before removing them left them to be removed. */
  readonly finished: ReadonlySet<string>;
  /** Above every number in the journal. */
  readonly next: number;
}

/** The records that amount to the content. */
export function recordsOf(content: PendingContent): JournalRecord[] {
  const { id, library, spool, base, basePath, over, created, expects, mtime, sealed, size, baseLimit, written } =
    content;
  const from = over === undefined ? {} : { over };
  const records: JournalRecord[] = [
    { t: "opened", id, library, path: basePath, spool, base, expects, created, ...from },
    ...placedOf(id, content),
    { t: "truncated", id, size: baseLimit },
    ...written.extents.map(({ start, end }) => ({ t: "wrote", id, start, end }) as const),
    { t: "truncated", id, size },
  ];
  if (sealed) {
    const gaps = written.gaps(0, baseLimit).map(({ start, end }) => [start, end] as const);
    records.push({ t: "sealed", id, size, mtime: mtime ?? 0, gaps });
  }
  return records;
}

/** What is to be said of where content goes, behind an "opened" with the path of its base. */
export function placedOf(
  id: number,
  { path, basePath, expects, attempted }: Pick<PendingContent, "path" | "basePath" | "expects" | "attempted">,
): JournalRecord[] {
  if (path === basePath && attempted === undefined) return [];
  return [{ t: "placed", id, path, expects, ...(attempted === undefined ? {} : { attempted }) }];
}

export function heldRecord(id: number): JournalRecord {
  return { t: "held", id, reason: "user", because: "held by the user" };
}

export function isAtOrBelow(
  at: { readonly library: LibraryId; readonly path: string },
  library: LibraryId,
  path: string,
): boolean {
  return at.library === library && (at.path === path || at.path.startsWith(`${path}/`));
}

/** `path`, which is at or below `from`, after `from` became `to`. */
export function moved(path: string, from: string, to: string): string {
  return to + path.slice(from.length);
}
