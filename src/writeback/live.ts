/**
 * What is alive in the backlog, and the records that say it anew in a journal that is shortened.
 * Invariant: the replay of `historyOf` amounts to what is alive. Used by backlog.ts alone.
 */
import type { LibraryId, ObjectId } from "../seafile/types.ts";
import type { DirtyFile } from "./dirty-file.ts";
import type { JournalRecord } from "./journal-record.ts";
import { placedOf, type Removal } from "./records.ts";

export interface LiveContent {
  readonly kind: "content";
  readonly dirty: DirtyFile;
  readonly base: { readonly id: ObjectId; readonly size: number } | null;
  readonly over: number | undefined;
  readonly created: number;
  readonly library: LibraryId;
  path: string;
  /** Where the server has the base. */
  basePath: string;
  expects: ObjectId | null;
  attempted: ObjectId | undefined;
  mtime: number | undefined;
}

export type Live = LiveContent | { readonly kind: "removal"; removal: Removal };

export function spoolOf(live: Live): string | undefined {
  return live.kind === "content" ? live.dirty.spoolName : undefined;
}

export function destinationOf(live: Live): LiveContent | Removal {
  return live.kind === "content" ? live : live.removal;
}

export function openedRecords(live: LiveContent): JournalRecord[] {
  const { dirty, library, basePath: path, base, over, expects, created } = live;
  const { id, spoolName: spool } = dirty;
  const from = over === undefined ? {} : { over };
  return [{ t: "opened", id, library, path, spool, base, expects, created, ...from }, ...placedOf(id, live)];
}

export function sealedRecord(dirty: DirtyFile, mtime: number, replaces?: DirtyFile): JournalRecord {
  const gaps = dirty.gaps.map(({ start, end }): [number, number] => [start, end]);
  const earlier = replaces === undefined || replaces === dirty ? {} : { replaces: replaces.id };
  return { t: "sealed", id: dirty.id, size: dirty.size, mtime, gaps, ...earlier };
}

/** Everything that a new journal would have to say of it. */
export function historyOf(id: number, live: Live): JournalRecord[] {
  if (live.kind === "removal") return [{ t: "removing", id, ...live.removal }];
  const { dirty, mtime } = live;
  const records = [...openedRecords(live), ...dirty.history().map((entry) => ({ ...entry, id }))];
  return dirty.isSealed && mtime !== undefined ? [...records, sealedRecord(dirty, mtime)] : records;
}
