/**
 * The records of the journal: what a mount has promised and not yet kept. Invariant: a record that `isJournalRecord` lets
 * pass reads back equal through JSON; everything else is refused, when it is written and when it is read.
 * Times are milliseconds since 1970, sizes and positions bytes. Written by backlog.ts, read by recovery.ts; checked by journal-frame.ts.
 */
import type { LibraryId, ObjectId } from "../seafile/types.ts";

/** Paths are absolute in the library. Ids are positive integers, unique in one journal and never used again. */
export type JournalRecord =
  | {
      readonly t: "opened";
      readonly id: number;
      readonly library: LibraryId;
      readonly path: string;
      /** A file name in the spool folder. */
      readonly spool: string;
      /** What the parts that were never written are read from. */
      readonly base: { readonly id: ObjectId; readonly size: number } | null;
      /** The sealed put that this file was forked from. */
      readonly over?: number;
      /** What the server has at the path as far as known; null: nothing. */
      readonly expects: ObjectId | null;
      readonly created: number;
    }
  /** New coverage [start, end) of a file that has a base. */
  | { readonly t: "wrote"; readonly id: number; readonly start: number; readonly end: number }
  | { readonly t: "truncated"; readonly id: number; readonly size: number }
  /** What close(2) accepted. */
  | {
      readonly t: "sealed";
      readonly id: number;
      readonly size: number;
      readonly mtime: number;
      /** Ranges [start, end) still to come from the base. */
      readonly gaps: readonly (readonly [start: number, end: number])[];
      /** The earlier sealed put of the same file. */
      readonly replaces?: number;
    }
  /** Renamed, or the base on the server is another one now. */
  | {
      readonly t: "placed";
      readonly id: number;
      readonly path: string;
      readonly expects: ObjectId | null;
      readonly attempted?: ObjectId;
    }
  | {
      readonly t: "removing";
      readonly id: number;
      readonly library: LibraryId;
      readonly path: string;
      readonly kind: "file" | "dir";
      readonly expects: ObjectId | null;
    }
  /** Intent of a move that is waited for; ended by "done" (moved) or "void" (not moved). */
  | {
      readonly t: "moving";
      readonly id: number;
      readonly library: LibraryId;
      readonly from: string;
      readonly to: string;
      readonly kind: "file" | "dir";
      /** Of a file: what is moved, as far as known. */
      readonly object?: ObjectId;
    }
  | { readonly t: "held"; readonly id: number; readonly reason: string; readonly because: string }
  | { readonly t: "released"; readonly id: number }
  /** Committed, or discarded: nothing of it is needed any more. */
  | { readonly t: "done"; readonly id: number }
  | { readonly t: "void"; readonly id: number };

type Check = (value: unknown) => boolean;
type Kind = JournalRecord["t"];
type Fields<T extends Kind> = {
  readonly [K in Exclude<keyof Extract<JournalRecord, { t: T }>, "t">]-?: Check;
};

const isText: Check = (value) => typeof value === "string";
const isPath: Check = (value) => typeof value === "string" && value.startsWith("/");
const isFileName: Check = (value) => typeof value === "string" && !/^\.{0,2}$|[/\0]/.test(value);
const isObjectId: Check = (value) => typeof value === "string" && /^[0-9a-f]{40}$/.test(value);
const isLibraryId: Check = (value) => typeof value === "string" && /^[0-9a-f-]{36}$/.test(value);
const isEntryKind: Check = (value) => value === "file" || value === "dir";
const isTime: Check = (value) => Number.isFinite(value);
const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isId: Check = (value) => isSize(value) && value > 0;
const isRange = (value: unknown): boolean => {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [start, end] = value as unknown[];
  return isSize(start) && isSize(end) && start <= end;
};
const isBase: Check = (value) => isObject(value) && isObjectId(value["id"]) && isSize(value["size"]);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

const FIELDS: { readonly [T in Kind]: Fields<T> } = {
  opened: {
    id: isId,
    library: isLibraryId,
    path: isPath,
    spool: isFileName,
    base: orNull(isBase),
    over: optional(isId),
    expects: orNull(isObjectId),
    created: isTime,
  },
  wrote: { id: isId, start: isSize, end: isSize },
  truncated: { id: isId, size: isSize },
  sealed: {
    id: isId,
    size: isSize,
    mtime: isTime,
    gaps: (value) => Array.isArray(value) && value.every(isRange),
    replaces: optional(isId),
  },
  placed: { id: isId, path: isPath, expects: orNull(isObjectId), attempted: optional(isObjectId) },
  removing: { id: isId, library: isLibraryId, path: isPath, kind: isEntryKind, expects: orNull(isObjectId) },
  moving: {
    id: isId,
    library: isLibraryId,
    from: isPath,
    to: isPath,
    kind: isEntryKind,
    object: optional(isObjectId),
  },
  held: { id: isId, reason: isText, because: isText },
  released: { id: isId },
  done: { id: isId },
  void: { id: isId },
};

/** Whether a value is a record with all its fields, each of the right type. Fields that it does not know are let pass. */
export function isJournalRecord(value: unknown): value is JournalRecord {
  if (!isObject(value) || typeof value["t"] !== "string" || !Object.hasOwn(FIELDS, value["t"])) return false;
  return Object.entries<Check>(FIELDS[value["t"] as Kind]).every(([name, check]) => check(value[name]));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
