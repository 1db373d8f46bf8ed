/**
 * What an inode is: the identity of a file or directory over renames. Names and parents are facts about where it is now;
 * content is an immutable version (or a dirty file), never part of the identity.
 * Invariants: an inode is in `parent.children` under `name` unless it is unlinked; a file has a version, a dirty file, or both;
 * `baseId` is what the server is believed to have at the inode's path (null: nothing).
 * The superblock creates and places inodes; directory, namespace and file-store change the rest.
 */
import type { Library } from "../seafile/library.ts";
import type { ObjectId } from "../seafile/types.ts";
import type { Brand } from "../util/brand.ts";
import { joinPath } from "../util/paths.ts";
import type { Timespec } from "../util/timespec.ts";
import type { DirtyFile } from "../writeback/dirty-file.ts";
import type { PutTask } from "./put-task.ts";
import type { RemovalTask } from "./removal-task.ts";

/** A positive integer below 2^53, never reused while the mount lives. The root is 1, as the kernel has it (FUSE_ROOT_ID). */
export type Ino = Brand<number, "Ino">;
export const ROOT_INO = 1 as Ino;

interface Common {
  readonly ino: Ino;
  parent: DirInode | null;
  name: string;
  /** How many times the kernel was told of the inode and has not yet forgotten it. */
  nlookup: number;
  /** Removed or replaced: reachable through open handles only. */
  unlinked: boolean;
  writable: boolean;
  /** Last modification as the server has it (directories) or had it when the version was stored (files). */
  serverMtime: number;
  /** Set by a program (utimensat, chmod, writing): stands above what the server says for as long as the mount lives. */
  mtime: Timespec | undefined;
  atime: Timespec | undefined;
  ctime: Timespec | undefined;
  /** Permission bits set by chmod; the server keeps none. */
  mode: number | undefined;
}

export interface DirInode extends Common {
  readonly kind: "dir";
  readonly children: Map<string, Inode>;
  /** Numbers promised by readdir for names whose inode does not exist yet. */
  readonly promised: Map<string, Ino>;
  /** undefined: the account's root, whose entries are libraries. */
  readonly library: Library | undefined;
  /** Names that were removed here and that the server may still have: they are not shown. */
  readonly removed: Map<string, RemovalTask>;
  /** While the server is asked to move the directory: settles when it has answered. Its path may lead nowhere meanwhile. */
  moving: Promise<void> | undefined;
  /** For the top directory of a library, and for a detached one: its path there. undefined elsewhere. */
  top: string | undefined;
}

export interface FileVersionState {
  readonly id: ObjectId;
  readonly size: number;
}

export interface FileInode extends Common {
  readonly kind: "file";
  readonly library: Library;
  /** The stored content; null while the file exists only here. */
  version: FileVersionState | null;
  /** Which version the server is expected to have at the path; differs from `version` after renaming a new file onto a stored one. */
  baseId: ObjectId | null;
  /** What the file holds here: being written, or sealed and not stored yet, or kept for a writer. undefined: `version` it is. */
  dirty: DirtyFile | undefined;
  /** The newest content that is sealed and not stored: what is committed next. */
  sealed: DirtyFile | undefined;
  /** The commit in the queue. */
  task: PutTask | undefined;
  /** Numbers of removals that are over once this file's content is sealed: it takes the place of what was removed. */
  readonly instead: number[];
  /** The change is a new time and nothing else. */
  onlyTime: boolean;
  /** Counts changes of content and time, so that a commit knows whether what it stored is still all there is. */
  generation: number;
  /** The content of an upload to the path whose outcome is not known: what the server has may be ours. */
  attempted: ObjectId | undefined;
  /** Open handles, and those of them that may write. */
  handles: number;
  writers: number;
  /** An upload to the path may have happened although no answer says so. */
  perhapsStored: boolean;
}

export type Inode = DirInode | FileInode;

/** Whether the server knows nothing of the inode's name yet. */
function isLocalOnly(inode: Inode): boolean {
  return inode.kind === "file" && inode.version === null && inode.baseId === null;
}

/** Whether content holds changes that close has not accepted yet. */
export function isUnsealed(dirty: DirtyFile | undefined): dirty is DirtyFile {
  return dirty !== undefined && !dirty.isSealed && dirty.isTouched;
}

/** Whether something of the file is not on the server yet. */
export function isUnstored({ dirty, sealed }: FileInode): boolean {
  return sealed !== undefined || isUnsealed(dirty);
}

/** Whether what this mount has of the file must survive what the server says about its name. */
export function isHeldHere(inode: Inode): boolean {
  return inode.kind === "file" && (inode.dirty !== undefined || inode.writers > 0 || isLocalOnly(inode));
}

/** The inode's absolute path in its library. Only for inodes inside a library. */
export function pathOf(inode: Inode): string {
  if (inode.kind === "dir" && inode.top !== undefined) return inode.top;
  if (inode.parent === null) throw new Error(`inode ${inode.ino} is in no library`);
  return joinPath(pathOf(inode.parent), inode.name);
}

/** Whether `dir` is `inode` or lies below it. */
export function isWithin(dir: DirInode, inode: Inode): boolean {
  for (let at: DirInode | null = dir; at !== null; at = at.parent) if (at === inode) return true;
  return false;
}

/** What moves the directory or one above it at the moment, if anything does. */
export function movingAbove(dir: DirInode): Promise<void> | undefined {
  for (let at: DirInode | null = dir; at !== null; at = at.parent) if (at.moving !== undefined) return at.moving;
  return undefined;
}

/** What the server has at the file's path, where that is known for sure. */
export function expectedOf(inode: FileInode): ObjectId | undefined {
  return inode.attempted === undefined && !inode.perhapsStored ? (inode.baseId ?? undefined) : undefined;
}

/** The file takes the place of what was removed there a moment ago. */
export function takePlace(
  inode: FileInode,
  before: { readonly id: number; readonly expects: ObjectId } | undefined,
): void {
  if (before === undefined) return;
  inode.baseId = before.expects;
  inode.instead.push(before.id);
}

/** Whether the server has, or may have, something at the file's path. */
export function isOnServer(inode: FileInode): boolean {
  return inode.baseId !== null || inode.perhapsStored;
}
