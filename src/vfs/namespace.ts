/**
 * Names: mkdir, create, unlink, rmdir, rename. Decides what the server is asked now, and what is left to the queue.
 * Invariants: what waits in the queue follows its name; what is removed is gone here at once; a name the server cannot store is
 * refused before any request. Called by filesystem.ts.
 */
import { joinPath } from "../util/paths.ts";
import type { Backlog } from "../writeback/backlog.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import type { FileCommits } from "./file-commits.ts";
import type { FileStore } from "./file-store.ts";
import { type DirInode, expectedOf, type FileInode, type Inode, isOnServer, pathOf, takePlace } from "./inode.ts";
import { NameChanges, type NameChangesParts } from "./name-changes.ts";
import type { Removals } from "./removals.ts";
import { type Place, Renames, type RenamesParts } from "./renames.ts";
import type { Superblock } from "./superblock.ts";
import { assertContentWritable, assertOurs, assertWritable, storableName } from "./writable.ts";

export type { Place } from "./renames.ts";

export type NamespaceParts = NameChangesParts & RenamesParts;

export class Namespace {
  readonly #changes: NameChanges;
  readonly #renames: Renames;
  readonly #superblock: Superblock;
  readonly #directories: Directories;
  readonly #files: FileStore;
  readonly #commits: FileCommits;
  readonly #removals: Removals;
  readonly #backlog: Backlog;

  constructor(parts: NamespaceParts) {
    this.#changes = new NameChanges(parts);
    this.#renames = new Renames(this.#changes, parts);
    this.#superblock = parts.superblock;
    this.#directories = parts.directories;
    this.#files = parts.files;
    this.#commits = parts.commits;
    this.#removals = parts.removals;
    this.#backlog = parts.backlog;
  }

  lookup(dir: DirInode, name: string, signal?: AbortSignal): Promise<Inode> {
    return this.#changes.lookup(dir, name, signal);
  }

  /** A new file, known only here until its first commit. Throws EEXIST. */
  async create(dir: DirInode, wanted: string, signal?: AbortSignal): Promise<FileInode> {
    const name = storableName(dir, wanted);
    const unlocking = assertContentWritable(dir, signal);
    if (unlocking !== undefined) await unlocking;
    return this.#changes.locked("shared", [dir], signal, async () => {
      await this.#assertFree(dir, name, signal);
      const before = await this.#removals.takeOver(dir, name, signal);
      const inode = this.#superblock.createFile(dir, name);
      takePlace(inode, before);
      this.#files.begin(inode);
      this.#directories.touch(dir);
      return inode;
    });
  }

  async mkdir(dir: DirInode, wanted: string, signal?: AbortSignal): Promise<Inode> {
    const name = storableName(dir, wanted);
    return this.#changes.locked("shared", [dir], signal, async () => {
      await this.#assertFree(dir, name, signal);
      await this.#removals.flush(dir, name, signal);
      const entry = await this.#changes.apply(dir, { op: "mkdir", path: joinPath(pathOf(dir), name) }, signal);
      this.#directories.added(dir, entry!);
      const inode = this.#superblock.adopt(dir, entry!);
      if (inode.kind === "dir") this.#directories.made(inode);
      return inode;
    });
  }

  async unlink(dir: DirInode, name: string, signal?: AbortSignal): Promise<void> {
    assertWritable(dir);
    await this.#changes.locked("shared", [dir], signal, async () => {
      const inode = await this.#changes.lookup(dir, name, signal);
      if (inode.kind === "dir") throw new FsError("EISDIR", `${name} is a directory`);
      assertOurs(inode);
      await this.#files.keepReadable(inode, signal);
      const release = await this.#changes.lockedFiles([inode], signal);
      try {
        // Who waits for the answer sees what is there; a removal that is made later is one of what was seen.
        const expects = this.#commits.waits ? undefined : expectedOf(inode);
        const removed = { kind: "file", expects, inner: new Map() } as const;
        if (isOnServer(inode)) await this.#removals.remove(dir, inode.name, removed, signal);
        this.#superblock.unlink(inode);
        this.#directories.touch(dir);
        for (const id of inode.instead.splice(0)) this.#backlog.done(id);
      } finally {
        release();
      }
      await this.#commits.drop(inode);
    });
  }

  async rmdir(dir: DirInode, name: string, signal?: AbortSignal): Promise<void> {
    assertWritable(dir);
    await this.#changes.locked("shared", [dir], signal, async () => {
      const inode = await this.#changes.lookup(dir, name, signal);
      if (inode.kind !== "dir") throw new FsError("ENOTDIR", `${name} is not a directory`);
      await this.#changes.removeEmpty(dir, inode, signal);
    });
  }

  /** rename(2) within one library; across libraries EXDEV, so that mv copies. */
  rename(from: Place, to: Place, noReplace: boolean, signal?: AbortSignal): Promise<void> {
    return this.#renames.rename(from, to, noReplace, signal);
  }

  async #assertFree(dir: DirInode, name: string, signal: AbortSignal | undefined): Promise<void> {
    if ((await this.#directories.find(dir, name, signal)) !== undefined) throw new FsError("EEXIST", `${name} exists`);
  }
}
