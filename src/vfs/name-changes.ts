/**
 * What every change of names needs: looking up, the locks in their order, one change on the server, removing an empty directory.
 * Invariants: whoever waits long for a lock that a commit holds has that commit broken off; after a refusal by the server its
 * listing is read again. Called by namespace and renames.
 */
import { SeafileError } from "../seafile/errors.ts";
import type { Change, RemoteEntry } from "../seafile/types.ts";
import type { Release } from "../util/keyed-mutex.ts";
import type { Committer } from "../writeback/committer.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import type { DirInode, FileInode, Inode } from "./inode.ts";
import type { Locks } from "./locks.ts";
import type { Removals } from "./removals.ts";
import type { Superblock } from "./superblock.ts";

/** So long a program waits for an upload of a file that it removes or renames; then the upload is broken off. */
const PATIENCE_MS = 1000;

export interface NameChangesParts {
  readonly superblock: Superblock;
  readonly directories: Directories;
  readonly removals: Removals;
  readonly committer: Committer;
  readonly locks: Locks;
}

export class NameChanges {
  readonly #superblock: Superblock;
  readonly #directories: Directories;
  readonly #removals: Removals;
  readonly #committer: Committer;
  readonly #locks: Locks;

  constructor(parts: NameChangesParts) {
    this.#superblock = parts.superblock;
    this.#directories = parts.directories;
    this.#removals = parts.removals;
    this.#committer = parts.committer;
    this.#locks = parts.locks;
  }

  async lookup(dir: DirInode, name: string, signal?: AbortSignal): Promise<Inode> {
    if (Buffer.byteLength(name) > 255) throw new FsError("ENAMETOOLONG", "a name has at most 255 bytes");
    const inode = await this.#directories.find(dir, name, signal);
    if (inode === undefined) throw new FsError("ENOENT", `no ${name} in ${dir.name || "/"}`);
    return inode;
  }

  /** Removes a directory that shows nothing. Throws ENOTEMPTY, EPERM for a library. */
  async removeEmpty(dir: DirInode, inode: DirInode, signal: AbortSignal | undefined): Promise<void> {
    if (inode.top !== undefined) throw new FsError("EPERM", "libraries are not removed through the mount");
    const expects = await this.#directories.assertEmpty(inode, signal);
    await this.#removals.remove(dir, inode.name, { kind: "dir", expects, inner: new Map(inode.removed) }, signal);
    inode.removed.clear();
    this.#superblock.unlink(inode);
    this.#directories.touch(dir);
    this.#directories.forget(inode);
  }

  /** Waits for a commit of the files that is under way; one that takes long is broken off. */
  async lockedFiles(inodes: readonly FileInode[], signal: AbortSignal | undefined): Promise<Release> {
    const locking = this.#locks.files(inodes, signal);
    const patience = setTimeout(() => {
      for (const { task } of inodes) if (task !== undefined) this.#committer.interrupt(task);
    }, PATIENCE_MS);
    for (const { task } of inodes) if (task?.isSmall === false) this.#committer.interrupt(task);
    return locking.finally(() => clearTimeout(patience));
  }

  /** One change on the server, of what is in `dir`. Resolves with the entry that it made. */
  async apply(dir: DirInode, change: Change, signal: AbortSignal | undefined): Promise<RemoteEntry | undefined> {
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

  /** Runs the work with the tree of the library and the directories locked. Throws EPERM where libraries are the entries. */
  async locked<T>(
    tree: "shared" | "exclusive",
    dirs: readonly DirInode[],
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const { library } = dirs[0]!;
    if (library === undefined) throw new FsError("EPERM", "libraries are made and removed on the server only");
    if (tree === "exclusive") this.#committer.interruptAll(library, "large");
    const locking = this.#locks.tree(library.id, tree, signal);
    const patience = setTimeout(() => {
      if (tree === "exclusive") this.#committer.interruptAll(library, "all");
    }, PATIENCE_MS);
    const releaseTree = await locking.finally(() => clearTimeout(patience));
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
