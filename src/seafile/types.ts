/**
 * Seafile's own words as types: what a library, an entry, an object id and a change are. Leaf file, imported by everyone
 * above; it imports nothing but brands. Times are integer Unix seconds (the server keeps no more), sizes are bytes < 2^53.
 */
import type { Brand } from "../util/brand.ts";

/** 36 characters, lower-case hex and dashes. */
export type LibraryId = Brand<string, "LibraryId">;
/** 40 lower-case hex characters (SHA-1): one file version or one directory state. */
export type ObjectId = Brand<string, "ObjectId">;
export type CommitId = Brand<string, "CommitId">;

/** The id of every empty file and every empty directory. */
export const ZERO_ID = "0".repeat(40) as ObjectId;

export interface LibraryInfo {
  readonly id: LibraryId;
  readonly name: string;
  /** Display name of the owner (of the group for group libraries); may be empty. */
  readonly ownerName: string;
  /** Contact e-mail of the owner; may be empty. */
  readonly ownerEmail: string;
  readonly kind: "own" | "shared" | "group" | "public";
  readonly writable: boolean;
  /** A drop box: entries can be made, but nothing that is stored can be read, changed, moved or removed. */
  readonly addOnly?: true;
  readonly encrypted: boolean;
  readonly size: number;
  /** Time of the last commit. */
  readonly mtime: number;
  /** Changes with every commit: the cheapest change marker there is. */
  readonly head: CommitId;
}

/** One line of a listing. The name is untrusted: it may hold "/", ".", ".." or occur twice. */
export interface RemoteEntry {
  readonly name: string;
  readonly kind: "file" | "dir";
  readonly id: ObjectId;
  /** 0 for directories. */
  readonly size: number;
  readonly mtime: number;
  readonly writable: boolean;
}

/** A directory as of one fetch. */
export interface RemoteListing {
  readonly id: ObjectId;
  readonly writable: boolean;
  readonly entries: readonly RemoteEntry[];
}

/** A file version: immutable content plus one path where it is (or was) found. Paths are absolute in the library. */
export interface FileVersion {
  readonly path: string;
  readonly id: ObjectId;
  readonly size: number;
}

/** Bytes to be stored. `open` may be called again (a retry), and then yields the same bytes from the start. */
export interface Content {
  readonly size: number;
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/**
 * One change to a library, in the order it happened. This union is what Library.apply takes.
 * - put: store `content` at `path`. `base` is the version it was made from; null says that the name must be new.
 * - remove: what is not there any more counts as removed.
 * - move: `to` must not exist (replacing is put + remove, decided above).
 */
export type Change =
  | {
      readonly op: "put";
      readonly path: string;
      readonly content: Content;
      readonly mtime: number;
      readonly base: ObjectId | null;
      /** What an earlier upload to the path, whose outcome is not known, may have left there: it may be replaced, too. */
      readonly attempted?: ObjectId | undefined;
      /** Told how many bytes of the content have been handed to the connection; starts again with each attempt. */
      readonly progress?: ((bytesSent: number) => void) | undefined;
    }
  | { readonly op: "mkdir"; readonly path: string }
  | {
      readonly op: "remove";
      readonly path: string;
      readonly kind: "file" | "dir";
      /**
       * The id the entry is believed to have, a folder's being that of its listing. When it has another one by now nothing is
       * removed, and the error has kind "conflict". Null or absent: whatever is there is removed.
       */
      readonly expects?: ObjectId | null | undefined;
    }
  | { readonly op: "move"; readonly from: string; readonly to: string; readonly kind: "file" | "dir" };

export interface Quota {
  readonly used: number;
  /** null: unlimited. */
  readonly total: number | null;
}
