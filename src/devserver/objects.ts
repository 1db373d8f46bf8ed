/**
 * Seafile's immutable objects as bytes: directory, file and commit objects, and their SHA-1 ids.
 * Invariant: an id is the SHA-1 of the raw bytes written here (JSON, sorted keys, ", " and ": "), entries sorted by name,
 * descending bytewise; the empty file and the empty directory are the zero id and have no object (seafile-server fs-mgr.c).
 */
import { createHash } from "node:crypto";
import type { EncryptionRecord } from "./encryption.ts";
import { spacedJson } from "./json-text.ts";

export const ZERO_ID = "0".repeat(40);
/** Size of every block but the last of a file (seafile-server: fixed-size chunking of uploads). */
export const BLOCK_SIZE = 8 * 1024 * 1024;

export const MODE_FILE = 0o100644;
export const MODE_EXECUTABLE = 0o100755;
export const MODE_DIRECTORY = 0o040000;

/** One line of a directory object. `size` and `modifier` mean something for files only (0 and "" for directories). */
export interface Dirent {
  readonly name: string;
  readonly id: string;
  readonly mode: number;
  /** Unix seconds. */
  readonly mtime: number;
  readonly size: number;
  /** Internal user id of who stored this version. */
  readonly modifier: string;
}

export interface FileObject {
  readonly blockIds: readonly string[];
  readonly size: number;
}

export interface Commit {
  readonly id: string;
  readonly libraryId: string;
  readonly rootId: string;
  readonly creatorName: string;
  readonly description: string;
  /** Unix seconds. */
  readonly ctime: number;
  readonly parentId: string | null;
  readonly secondParentId: string | null;
  readonly libraryName: string;
  readonly libraryDescription: string;
  readonly encryption: EncryptionRecord | undefined;
}

export interface Encoded {
  readonly id: string;
  readonly bytes: Buffer;
}

export function isDirectory(entry: Dirent): boolean {
  return (entry.mode & 0o170000) === MODE_DIRECTORY;
}

export function sha1(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

function encoded(text: string): Encoded {
  const bytes = Buffer.from(text, "utf8");
  return { id: sha1(bytes), bytes };
}

/** Order of directory objects: by name, descending bytewise. */
export function storedOrder(entries: readonly Dirent[]): readonly Dirent[] {
  return entries
    .map((entry) => ({ entry, key: Buffer.from(entry.name) }))
    .sort((a, b) => Buffer.compare(b.key, a.key))
    .map(({ entry }) => entry);
}

/** Text of an entry; versions of a directory share most of their entries, so most texts are made already. */
const entryTexts = new WeakMap<Dirent, string>();

function entryText(entry: Dirent): string {
  const known = entryTexts.get(entry);
  if (known !== undefined) return known;
  const { id, mode, modifier, mtime, name, size } = entry;
  const text = spacedJson(isDirectory(entry) ? { id, mode, mtime, name } : { id, mode, modifier, mtime, name, size });
  entryTexts.set(entry, text);
  return text;
}

/** `entries` must not be empty: the empty directory is ZERO_ID and has no object. */
export function encodeDirectory(entries: readonly Dirent[]): Encoded {
  const dirents = storedOrder(entries).map(entryText).join(", ");
  return encoded(`{"dirents": [${dirents}], "type": 3, "version": 1}`);
}

export function decodeDirectory(bytes: Buffer): readonly Dirent[] {
  const { dirents } = JSON.parse(bytes.toString("utf8")) as {
    dirents: { id: string; mode: number; modifier?: string; mtime: number; name: string; size?: number }[];
  };
  return dirents.map(({ id, mode, modifier = "", mtime, name, size = 0 }) => ({
    name,
    id,
    mode,
    mtime,
    size,
    modifier,
  }));
}

/** `file.blockIds` must not be empty: the empty file is ZERO_ID and has no object. */
export function encodeFile(file: FileObject): Encoded {
  return encoded(spacedJson({ block_ids: file.blockIds, size: file.size, type: 1, version: 1 }));
}

export function decodeFile(bytes: Buffer): FileObject {
  const { block_ids, size } = JSON.parse(bytes.toString("utf8")) as { block_ids: string[]; size: number };
  return { blockIds: block_ids, size };
}

/**
 * A commit's id covers root, creator, description and time, as the server's does, and also the parent, because two commits
 * that restore the same root within a second would make history a ring, and the library, because all share one store.
 */
export function commitId(commit: Omit<Commit, "id">): string {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(commit.ctime));
  return createHash("sha1")
    .update(commit.libraryId)
    .update(commit.rootId)
    .update(ZERO_ID)
    .update(commit.creatorName)
    .update(commit.description)
    .update(time)
    .update(commit.parentId ?? "")
    .digest("hex");
}

export function encodeCommit(commit: Commit): Buffer {
  const text = spacedJson({
    commit_id: commit.id,
    root_id: commit.rootId,
    repo_id: commit.libraryId,
    creator_name: commit.creatorName,
    creator: ZERO_ID,
    description: commit.description,
    ctime: commit.ctime,
    parent_id: commit.parentId,
    second_parent_id: commit.secondParentId,
    repo_name: commit.libraryName,
    repo_desc: commit.libraryDescription,
    repo_category: null,
    ...encryptionFields(commit.encryption),
    version: 1,
  });
  return Buffer.from(text, "utf8");
}

/** Salt is there from version 3 on (common/commit-mgr.c). */
function encryptionFields(encryption: EncryptionRecord | undefined) {
  if (encryption === undefined) return {};
  const { version, salt, magic, randomKey } = encryption;
  return { encrypted: "true", enc_version: version, magic, key: randomKey, ...(salt === "" ? {} : { salt }) };
}

function encryptionOf(raw: Record<string, string | number | null>): EncryptionRecord | undefined {
  if (raw["encrypted"] !== "true") return undefined;
  const [magic, randomKey] = [String(raw["magic"]), String(raw["key"])];
  const version = raw["enc_version"] as EncryptionRecord["version"];
  return { version, salt: String(raw["salt"] ?? ""), magic, randomKey };
}

export function decodeCommit(bytes: Buffer): Commit {
  const raw = JSON.parse(bytes.toString("utf8")) as Record<string, string | number | null>;
  return {
    id: String(raw["commit_id"]),
    libraryId: String(raw["repo_id"]),
    rootId: String(raw["root_id"]),
    creatorName: String(raw["creator_name"]),
    description: String(raw["description"]),
    ctime: Number(raw["ctime"]),
    parentId: raw["parent_id"] as string | null,
    secondParentId: raw["second_parent_id"] as string | null,
    libraryName: String(raw["repo_name"]),
    libraryDescription: String(raw["repo_desc"]),
    encryption: encryptionOf(raw),
  };
}
