/**
 * Storing what was written: commits for close, fsync and changes by path, background retries, and the end of the mount.
 * Invariants: one commit of a file at a time; a file counts as stored only when the server said so for its newest state; a dirty
 * file lives as long as anybody may write to it or it is not stored; nothing of a removed file is stored.
 * Called by filesystem and namespace.
 */
import { SEED_MAX } from "../cache/policy.ts";
import type { Logger } from "../observe/log.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { ObjectId, RemoteEntry } from "../seafile/types.ts";
import { splitExtension } from "../util/paths.ts";
import { now } from "../util/timespec.ts";
import type { Committer } from "../writeback/committer.ts";
import type { Directories } from "./directory.ts";
import { failureOf } from "./errno.ts";
import type { FileStore } from "./file-store.ts";
import { type DirInode, type FileInode, type Inode, isHeldHere, pathOf } from "./inode.ts";
import type { Locks } from "./locks.ts";
import type { Superblock } from "./superblock.ts";

/** At the end of a mount a commit that failed less than this ago is not tried once more. */
const JUST_NOW_MS = 30_000;
/** How long the end of a mount tries to complete a file that it keeps locally from its base on the server. */
const RECOVER_MS = 5_000;

/** What the server is believed to have at a path: this version (null: none), or the content of an upload of unknown outcome. */
export type Believed = Pick<FileInode, "baseId" | "attempted">;

export interface FileCommitsParts {
  readonly superblock: Superblock;
  readonly directories: Directories;
  readonly files: FileStore;
  readonly committer: Committer;
  readonly locks: Locks;
  readonly log: Logger;
}

export class FileCommits {
  readonly #parts: FileCommitsParts;

  constructor(parts: FileCommitsParts) {
    this.#parts = parts;
  }

  /**
   * Stores what was written so far; resolves when the server has it (or the file was removed). Rejects with the reason, and then
   * goes on trying in the background: the content stays readable here.
   */
  async commit(inode: FileInode, signal?: AbortSignal): Promise<void> {
    try {
      // Only up to now: with a program that writes on and on there would be no end.
      await this.#commitUpTo(inode, inode.generation, signal);
      if (!inode.modified) this.#parts.committer.settled(inode.ino);
    } catch (error) {
      this.#tryLater(inode, error);
      throw error;
    }
    if (inode.writers === 0) await this.settle(inode);
  }

  /**
   * Changes a file by its path, which has no close: afterwards it is stored, unless somebody has it open for writing, whose close
   * will do that.
   */
  async change(inode: FileInode, work: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    // Counted as a writer, so that nobody lets go of the dirty file meanwhile.
    inode.writers++;
    try {
      await work();
    } finally {
      inode.writers--;
      if (inode.writers === 0 && !inode.modified) await this.settle(inode);
    }
    if (inode.writers === 0 && inode.modified) await this.commit(inode, signal);
  }

  /** The last handle that could write is gone. Pages of a shared mapping may have been written after the last close. */
  async released(inode: FileInode): Promise<void> {
    const isNews = inode.modified && !inode.unlinked && inode.failure?.generation !== inode.generation;
    // Nobody is left to be told of a failure; what failed before is tried again in the background anyway.
    if (isNews) await this.commit(inode).catch(() => {});
    else await this.settle(inode);
  }

  /** Lets go of the dirty file if nobody needs it any more; what was written stays in the block cache for reading back. */
  async settle(inode: FileInode): Promise<void> {
    const release = await this.#parts.locks.files([inode]);
    try {
      const { dirty } = inode;
      if (dirty === undefined || inode.writers > 0 || (inode.handles > 0 && inode.unlinked)) return;
      if (inode.modified && !inode.unlinked) return;
      if (!inode.unlinked && inode.version?.size === dirty.size && dirty.size <= SEED_MAX && !dirty.needsBase) {
        await this.#parts.files.seed(inode.version, dirty);
        // Somebody may have begun to write meanwhile.
        if (inode.writers > 0 || inode.modified) return;
      }
      inode.dirty = undefined;
      inode.modified = false;
      await dirty.discard();
    } finally {
      release();
      this.#parts.superblock.evictIfUnused(inode);
    }
  }

  /**
   * Uploads the file's content to `path`, which is where the inode is or is about to be. The caller holds the file's lock and the
   * library's tree, and says what is believed to be at the path. Resolves with what the server stored.
   */
  async upload(inode: FileInode, path: string, there: Believed, signal?: AbortSignal): Promise<RemoteEntry> {
    const controller = new AbortController();
    inode.upload = controller;
    try {
      const dirty = await this.#parts.files.dirtyOf(inode);
      const generation = inode.generation;
      const { library } = inode;
      const { baseId: base, attempted } = there;
      const mtime = (inode.mtime ?? now()).sec;
      const uncertain = (id: ObjectId) => {
        inode.attempted = id;
      };
      const entry = await this.#parts.committer.commit(
        { library, path, dirty, mtime, base, attempted, keepBoth: !inode.onlyTime, uncertain },
        signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]),
      );
      inode.version = { id: entry.id, size: entry.size };
      inode.baseId = entry.id;
      inode.serverMtime = entry.mtime;
      inode.perhapsStored = false;
      inode.attempted = undefined;
      inode.storedGeneration = generation;
      if (inode.generation === generation) inode.modified = false;
      return entry;
    } catch (error) {
      // The answer may have been lost after the server stored the file.
      if (there.baseId === null && !(error instanceof SeafileError && error.unapplied)) inode.perhapsStored = true;
      throw error;
    } finally {
      inode.upload = undefined;
    }
  }

  /** The inode is now what the server calls `name`, which another file that is not stored yet may have here: that one makes way. */
  rename(inode: FileInode, dir: DirInode, name: string): void {
    const present = dir.children.get(name);
    if (present !== undefined && present !== inode && isHeldHere(present)) this.#makeWay(dir, present);
    this.#parts.superblock.move(inode, dir, name);
    this.#parts.directories.expire(dir);
  }

  /** Tries to store everything that is pending; failures are left to drain. */
  async sync(signal?: AbortSignal): Promise<void> {
    await Promise.all(this.#unstored().map((inode) => this.commit(inode, signal).catch(() => {})));
  }

  /** Stores everything that can be stored; what cannot is kept outside the spool, and the places are returned. */
  async drain(signal?: AbortSignal): Promise<string[]> {
    this.#parts.committer.stop();
    const kept = await Promise.all(
      this.#unstored().map(async (inode) => {
        // What failed a moment ago would only fail again, and the mount must end.
        const isHopeless = hasJustFailed(inode);
        if (!isHopeless) await this.#commitUpTo(inode, Number.POSITIVE_INFINITY, signal).catch(() => {});
        return inode.modified && !inode.unlinked ? this.#recover(inode) : [];
      }),
    );
    return kept.flat();
  }

  #unstored(): FileInode[] {
    const files: FileInode[] = [];
    for (const inode of this.#parts.superblock.all()) {
      if (inode.kind === "file" && inode.modified && !inode.unlinked) files.push(inode);
    }
    return files;
  }

  async #recover(inode: FileInode): Promise<string[]> {
    // A background retry that hangs would hold the content.
    inode.upload?.abort();
    const place = await inode.dirty?.recover(inode.name, AbortSignal.timeout(RECOVER_MS));
    inode.modified = false;
    if (place === undefined) return [];
    const about = { path: pathOf(inode), library: inode.library.info.name, kept: place };
    this.#parts.log.error(about, `${inode.name} could not be stored on the server; its content is kept in ${place}`);
    return [place];
  }

  #tryLater(inode: FileInode, error: unknown): void {
    const { committer, log } = this.#parts;
    const about = { path: pathOf(inode), library: inode.library.info.name, code: failureOf(error).code };
    log.warn({ ...about, reason: (error as Error).message }, `${inode.name} is not stored yet and will be tried again`);
    committer.retry(inode.ino, async () => {
      await this.#commitUpTo(inode, Number.POSITIVE_INFINITY, undefined);
      await this.settle(inode);
    });
  }

  async #commitUpTo(inode: FileInode, generation: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      while (inode.modified && !inode.unlinked && inode.storedGeneration < generation) {
        await this.#commitOnce(inode, signal);
      }
      inode.failure = undefined;
    } catch (error) {
      // An interrupted program says nothing of the server.
      if (failureOf(error).code !== "EINTR") inode.failure = { generation: inode.generation, at: performance.now() };
      throw error;
    }
  }

  async #commitOnce(inode: FileInode, signal: AbortSignal | undefined): Promise<void> {
    const { locks, directories } = this.#parts;
    const releaseTree = await locks.tree(inode.library.id, "shared", signal);
    let releaseFile: (() => void) | undefined;
    try {
      releaseFile = await locks.files([inode], signal);
      if (!inode.modified || inode.unlinked) return;
      const dir = inode.parent!;
      const { name } = inode;
      const isNew = inode.baseId === null;
      const entry = await this.upload(inode, pathOf(inode), inode, signal);
      if (entry.name !== name) this.rename(inode, dir, entry.name);
      if (isNew || entry.name !== name) directories.added(dir, entry);
      else directories.replaced(dir, entry);
    } catch (error) {
      // Somebody else has changed the file: the time set here was that of a version which is gone.
      if (inode.onlyTime && error instanceof SeafileError && error.kind === "conflict") {
        inode.modified = false;
        directories.expire(inode.parent!);
        return;
      }
      // An unlink that gave up our upload waits for the file's lock: let it have it, then see what is left to do.
      if (signal?.aborted || !isAbort(error) || this.#parts.committer.isStopped) throw error;
    } finally {
      releaseFile?.();
      releaseTree();
    }
  }

  /** Gives a file that exists only here another name, since the server has used its name for another file. */
  #makeWay(dir: DirInode, inode: Inode): void {
    const [stem, extension] = splitExtension(inode.name);
    let { name } = inode;
    for (let number = 1; dir.children.has(name) || this.#parts.directories.entry(dir, name) !== undefined; number++) {
      name = `${stem} (${number})${extension}`;
    }
    this.#parts.log.warn(
      { path: pathOf(inode), name },
      `${inode.name} exists on the server by now; yours is called ${name}`,
    );
    this.#parts.superblock.move(inode, dir, name);
    if (inode.kind === "file") inode.baseId = null;
  }
}

function hasJustFailed({ failure, generation }: FileInode): boolean {
  return failure?.generation === generation && performance.now() - failure.at < JUST_NOW_MS;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
