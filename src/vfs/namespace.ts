/**
 * Names: mkdir, create, unlink, rmdir, rename. Decides what the server is asked and moves inodes once it has answered.
 * Invariants: the tree here changes only after the server's confirmation; a rename onto an existing file stores the content at the
 * target before it removes the source, so no crash leaves the target missing; a name the server cannot store is refused before
 * any request. Called by filesystem.ts.
 */
import { SeafileError } from "../seafile/errors.ts";
import { checkName, toNfc } from "../seafile/names.ts";
import type { Change, RemoteEntry } from "../seafile/types.ts";
import { deferred } from "../util/abort.ts";
import { joinPath } from "../util/paths.ts";
import { now } from "../util/timespec.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import type { FileCommits } from "./file-commits.ts";
import type { FileStore } from "./file-store.ts";
import { type DirInode, type FileInode, type Inode, isHeldHere, isWithin, pathOf } from "./inode.ts";
import type { Locks } from "./locks.ts";
import type { Superblock } from "./superblock.ts";

export interface Place {
  readonly dir: DirInode;
  readonly name: string;
}

export interface NamespaceParts {
  readonly superblock: Superblock;
  readonly directories: Directories;
  readonly files: FileStore;
  readonly commits: FileCommits;
  readonly locks: Locks;
}

export class Namespace {
  readonly #superblock: Superblock;
  readonly #directories: Directories;
  readonly #files: FileStore;
  readonly #commits: FileCommits;
  readonly #locks: Locks;

  constructor(parts: NamespaceParts) {
    this.#superblock = parts.superblock;
    this.#directories = parts.directories;
    this.#files = parts.files;
    this.#commits = parts.commits;
    this.#locks = parts.locks;
  }

  async lookup(dir: DirInode, name: string, signal?: AbortSignal): Promise<Inode> {
    if (Buffer.byteLength(name) > 255) throw new FsError("ENAMETOOLONG", "a name has at most 255 bytes");
    const inode = await this.#directories.find(dir, name, signal);
    if (inode === undefined) throw new FsError("ENOENT", `no ${name} in ${dir.name || "/"}`);
    return inode;
  }

  /** A new file, known only here until its first commit. Throws EEXIST. */
  async create(dir: DirInode, wanted: string, signal?: AbortSignal): Promise<FileInode> {
    const name = storableName(dir, wanted);
    assertContentWritable(dir);
    const release = await this.#locks.directories([dir], signal);
    try {
      await this.#assertFree(dir, name, signal);
      const inode = this.#superblock.createFile(dir, name);
      try {
        await this.#files.begin(inode);
      } catch (error) {
        this.#superblock.unlink(inode);
        throw error;
      }
      this.#directories.touch(dir);
      return inode;
    } finally {
      release();
    }
  }

  async mkdir(dir: DirInode, wanted: string, signal?: AbortSignal): Promise<Inode> {
    const name = storableName(dir, wanted);
    return this.#locked("shared", [dir], signal, async () => {
      await this.#assertFree(dir, name, signal);
      const entry = await this.#apply(dir, { op: "mkdir", path: joinPath(pathOf(dir), name) }, signal);
      this.#directories.added(dir, entry!);
      return this.#superblock.adopt(dir, entry!);
    });
  }

  async unlink(dir: DirInode, name: string, signal?: AbortSignal): Promise<void> {
    assertWritable(dir);
    await this.#locked("shared", [dir], signal, async () => {
      const inode = await this.lookup(dir, name, signal);
      if (inode.kind === "dir") throw new FsError("EISDIR", `${name} is a directory`);
      inode.upload?.abort();
      await this.#files.keepReadable(inode, signal);
      const release = await this.#locks.files([inode], signal);
      try {
        if (isOnServer(inode)) await this.#apply(dir, { op: "remove", path: pathOf(inode), kind: "file" }, signal);
        this.#drop(inode);
      } finally {
        release();
      }
      await this.#commits.settle(inode);
    });
  }

  async rmdir(dir: DirInode, name: string, signal?: AbortSignal): Promise<void> {
    assertWritable(dir);
    await this.#locked("shared", [dir], signal, async () => {
      const inode = await this.lookup(dir, name, signal);
      if (inode.kind !== "dir") throw new FsError("ENOTDIR", `${name} is not a directory`);
      await this.#removeEmpty(dir, inode, signal);
    });
  }

  /** rename(2) within one library; across libraries EXDEV, so that mv copies. */
  async rename(from: Place, wanted: Place, noReplace: boolean, signal?: AbortSignal): Promise<void> {
    try {
      await this.#rename(from, wanted, noReplace, signal);
    } catch (error) {
      // Somebody made the target a moment ago: with a new listing it is there to be replaced.
      if (noReplace || !(error instanceof SeafileError) || error.kind !== "exists") throw error;
      this.#directories.expire(wanted.dir);
      await this.#rename(from, wanted, noReplace, signal);
    }
  }

  async #rename(from: Place, wanted: Place, noReplace: boolean, signal: AbortSignal | undefined): Promise<void> {
    assertWritable(from.dir);
    const to = { dir: wanted.dir, name: storableName(wanted.dir, wanted.name) };
    if (from.dir.library !== to.dir.library)
      throw new FsError("EXDEV", "the directories belong to different libraries");
    const { kind } = await this.lookup(from.dir, from.name, signal);
    await this.#locked(kind === "dir" ? "exclusive" : "shared", [from.dir, to.dir], signal, async () => {
      const source = await this.lookup(from.dir, from.name, signal);
      const target = await this.#directories.find(to.dir, to.name, signal);
      if (source.kind !== kind) throw new FsError("ESTALE", `${from.name} was replaced meanwhile`);
      if (source === target) return;
      if (target !== undefined && noReplace) throw new FsError("EEXIST", `${to.name} exists`);
      if (source.kind === "dir") await this.#renameDir(source, to, target, signal);
      else if (target?.kind === "dir") throw new FsError("EISDIR", `${to.name} is a directory`);
      else await this.#renameFile(source, to, target, signal);
      source.ctime = now();
    });
  }

  async #renameDir(
    source: DirInode,
    to: Place,
    target: Inode | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (isWithin(to.dir, source)) throw new FsError("EINVAL", "a directory cannot be moved into itself");
    if (target?.kind === "file") throw new FsError("ENOTDIR", `${to.name} is not a directory`);
    if (target !== undefined) await this.#removeEmpty(to.dir, target, signal);
    await this.#moveOnServer(source, to, signal);
  }

  async #renameFile(
    source: FileInode,
    to: Place,
    target: FileInode | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    target?.upload?.abort();
    if (target !== undefined) await this.#files.keepReadable(target, signal);
    const release = await this.#locks.files(target === undefined ? [source] : [source, target], signal);
    try {
      const replaces = target !== undefined && isOnServer(target);
      if (!isOnServer(source)) this.#retarget(source, to, target);
      else if (replaces) await this.#replace(source, to, target, signal);
      else await this.#moveFile(source, to, target, signal);
    } finally {
      release();
      await this.#commits.settle(source);
      if (target !== undefined) await this.#commits.settle(target);
    }
  }

  /** The server knows nothing of the source yet: its first commit will go to the new place, replacing what is there. */
  #retarget(source: FileInode, to: Place, target: FileInode | undefined): void {
    source.baseId = target?.baseId ?? null;
    source.perhapsStored = target?.perhapsStored ?? false;
    source.attempted = target?.attempted;
    this.#superblock.move(source, to.dir, to.name);
  }

  /**
   * Both names are on the server, which can only move to a free name: the source's content is stored as a new version of the
   * target (one commit, history kept), then the source's name is removed. A crash between leaves both.
   */
  async #replace(source: FileInode, to: Place, target: FileInode, signal: AbortSignal | undefined): Promise<void> {
    const from = { dir: source.parent!, name: source.name, path: pathOf(source) };
    const { version, baseId, modified, serverMtime, storedGeneration } = source;
    const entry = await this.#commits.upload(source, joinPath(pathOf(to.dir), to.name), target, signal);
    this.#directories.added(to.dir, entry);
    try {
      await this.#apply(from.dir, { op: "remove", path: from.path, kind: "file" }, signal);
    } catch (error) {
      // The source is still there, unchanged, and the target has its content: say so, and let both listings be read again.
      Object.assign(source, { version, baseId, modified, serverMtime, storedGeneration });
      this.#superblock.adopt(to.dir, entry);
      this.#directories.expire(from.dir);
      this.#directories.expire(to.dir);
      throw error;
    }
    if (entry.name === to.name) this.#superblock.move(source, to.dir, entry.name);
    else this.#commits.rename(source, to.dir, entry.name);
    this.#directories.removed(from.dir, from.name);
  }

  async #moveFile(
    source: FileInode,
    to: Place,
    target: FileInode | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await this.#moveOnServer(source, to, signal);
    } catch (error) {
      // Gone from the server, or never arrived there; what is here will be stored at the new place.
      if (!(error instanceof SeafileError) || error.kind !== "not-found" || !isHeldHere(source)) throw error;
      this.#retarget(source, to, target);
    }
  }

  async #moveOnServer(source: Inode, to: Place, signal: AbortSignal | undefined): Promise<void> {
    const from = { dir: source.parent!, name: source.name };
    const path = joinPath(pathOf(to.dir), to.name);
    const change: Change = { op: "move", from: pathOf(source), to: path, kind: source.kind };
    const moved = await whileMoving(source, () => this.#apply(from.dir, change, signal));
    const known = this.#directories.entry(from.dir, from.name);
    this.#superblock.move(source, to.dir, to.name);
    this.#directories.removed(from.dir, from.name);
    this.#directories.added(to.dir, moved ?? { ...known!, name: to.name });
  }

  async #removeEmpty(dir: DirInode, inode: DirInode, signal: AbortSignal | undefined): Promise<void> {
    if (inode.top !== undefined) throw new FsError("EPERM", "libraries are not removed through the mount");
    await this.#directories.assertEmpty(inode, signal);
    await this.#apply(dir, { op: "remove", path: pathOf(inode), kind: "dir" }, signal);
    this.#drop(inode);
    this.#directories.forget(inode);
  }

  /** The server has no such name any more (or never had): take it out of the tree. */
  #drop(inode: Inode): void {
    const { parent, name } = inode;
    this.#superblock.unlink(inode);
    this.#directories.removed(parent!, name);
  }

  async #assertFree(dir: DirInode, name: string, signal: AbortSignal | undefined): Promise<void> {
    if ((await this.#directories.find(dir, name, signal)) !== undefined) throw new FsError("EEXIST", `${name} exists`);
  }

  async #apply(dir: DirInode, change: Change, signal: AbortSignal | undefined): Promise<RemoteEntry | undefined> {
    try {
      const [result] = await dir.library!.apply([change], signal);
      if (result?.ok) return result.entry;
      throw result?.error ?? new SeafileError("protocol", "A change was not answered.");
    } catch (error) {
      // The server contradicts the listing, or has perhaps done what it could not say: read the listing before the next decision.
      this.#directories.expire(dir);
      throw error;
    }
  }

  async #locked<T>(
    tree: "shared" | "exclusive",
    dirs: readonly DirInode[],
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const { library } = dirs[0]!;
    if (library === undefined) throw new FsError("EPERM", "libraries are made and removed on the server only");
    const releaseTree = await this.#locks.tree(library.id, tree, signal);
    try {
      const release = await this.#locks.directories(dirs, signal);
      try {
        return await work();
      } finally {
        release();
      }
    } finally {
      releaseTree();
    }
  }
}

/** Lets those wait who list a directory below its old path, until it is known where it is. */
async function whileMoving<T>(inode: Inode, move: () => Promise<T>): Promise<T> {
  if (inode.kind === "file") return move();
  const { promise, resolve } = deferred<void>();
  inode.moving = promise;
  try {
    return await move();
  } finally {
    inode.moving = undefined;
    // After the caller has moved the inode, which it does without waiting for anything.
    setImmediate(resolve);
  }
}

/** Whether the server has, or may have, something at the file's path. */
function isOnServer(inode: FileInode): boolean {
  return inode.baseId !== null || inode.perhapsStored;
}

/** Throws EROFS in a read-only library, EACCES where only this entry is read-only. */
export function assertWritable(inode: Inode): void {
  if (inode.kind === "dir" && inode.library === undefined) {
    throw new FsError("EPERM", "libraries are made and removed on the server only");
  }
  if (inode.library?.info.writable === false) throw new FsError("EROFS", "the library is shared read-only");
  if (!inode.writable) throw new FsError("EACCES", `${inode.name} is read-only`);
}

/** Also refuses what this mount cannot encrypt, before anything is written that could then not be stored. */
export function assertContentWritable(inode: Inode): void {
  assertWritable(inode);
  if (inode.library?.info.encrypted) throw new FsError("EACCES", "files in encrypted libraries cannot be opened yet");
}

function storableName(dir: DirInode, wanted: string): string {
  const problem = checkName(wanted);
  if (problem === "too-long") throw new FsError("ENAMETOOLONG", "a name has at most 255 bytes");
  if (problem !== undefined) throw new FsError("EINVAL", `Seafile cannot store the name ${JSON.stringify(wanted)}`);
  assertWritable(dir);
  return toNfc(wanted);
}
