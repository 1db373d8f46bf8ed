/**
 * From written to stored: sealing for close, durability for fsync, scheduling, waiting where the mount was told to wait, and the
 * end of the mount. Invariants: close answers success only for content that is sealed, or, with `--commit close`, stored; a
 * local content lives as long as anybody may write to it or it is not stored; nothing of a removed file is stored.
 * Called by filesystem, namespace and renames.
 */
import { SEED_MAX } from "../cache/policy.ts";
import type { Logger } from "../observe/log.ts";
import type { RemoteEntry } from "../seafile/types.ts";
import { KeyedMutex } from "../util/keyed-mutex.ts";
import { splitExtension } from "../util/paths.ts";
import { now } from "../util/timespec.ts";
import type { Backlog } from "../writeback/backlog.ts";
import type { Committer } from "../writeback/committer.ts";
import type { DirtyFile } from "../writeback/dirty-file.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import type { FileStore } from "./file-store.ts";
import { type DirInode, type FileInode, type Inode, isHeldHere, isUnsealed, isUnstored, pathOf } from "./inode.ts";
import type { Locks } from "./locks.ts";
import { type OnConflict, PutTask, placeOf } from "./put-task.ts";
import type { Superblock } from "./superblock.ts";

/** When what was written is sent to the server, and who waits for it. */
export interface WritePolicy {
  /** "close": close(2) waits for the server and returns its errno; "background": it is stored `delayMs` after the last close. */
  readonly commit: "close" | "background";
  /** "server": fsync(2) waits for the server; "local": for the local disk. */
  readonly fsync: "local" | "server";
  readonly delayMs: number;
  readonly onConflict: OnConflict;
}

export interface FileCommitsParts {
  readonly superblock: Superblock;
  readonly directories: Directories;
  readonly files: FileStore;
  readonly backlog: Backlog;
  readonly committer: Committer;
  readonly locks: Locks;
  readonly log: Logger;
  readonly policy: WritePolicy;
  readonly user: string;
}

/** Content that was sealed to be uploaded elsewhere than to the file's own name. */
export interface Upload {
  /** Held for `uploaded`. */
  readonly content: DirtyFile;
  /** The inode's, as of the seal. */
  readonly generation: number;
  /** The server has it under the file's name. */
  readonly wasStored: boolean;
}

export class FileCommits {
  readonly #parts: FileCommitsParts;
  readonly #sealing = new KeyedMutex<number>();

  constructor(parts: FileCommitsParts) {
    this.#parts = parts;
  }

  /** Whether operations wait for the server. */
  get waits(): boolean {
    return this.#parts.policy.commit === "close";
  }

  /** close(2) of a writer: what was written so far is safe when this resolves. */
  async accept(inode: FileInode, signal?: AbortSignal): Promise<void> {
    if (this.#parts.policy.commit === "close") return this.commit(inode, signal);
    await this.seal(inode);
    this.schedule(inode);
  }

  /** fsync(2). */
  async persist(inode: FileInode, signal?: AbortSignal): Promise<void> {
    if (this.#parts.policy.fsync === "server") return this.commit(inode, signal);
    if (inode.dirty !== undefined && !inode.unlinked) await this.#parts.backlog.persist(inode.dirty);
  }

  /** Stores what was written so far; resolves when the server has it (or the file was removed). Rejects with the reason, and then
   * goes on trying in the background: the content stays readable here. */
  async commit(inode: FileInode, signal?: AbortSignal): Promise<void> {
    await this.seal(inode);
    const { task } = inode;
    if (inode.sealed === undefined || inode.unlinked || task === undefined) {
      if (inode.writers === 0) await this.settle(inode);
      return;
    }
    if (!this.#parts.committer.has(task)) this.#parts.committer.schedule(task, 0);
    await this.#parts.committer.now(task, signal);
  }

  /**
   * Changes a file by its path, which has no close: afterwards that is safe, unless somebody has it open for writing, whose close
   * will do that.
   */
  async change(inode: FileInode, work: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    // Counted as a writer, so that nobody lets go of the content meanwhile.
    inode.writers++;
    try {
      await work();
    } finally {
      inode.writers--;
      if (inode.writers === 0 && !isUnstored(inode)) await this.settle(inode);
    }
    if (inode.writers === 0 && isUnstored(inode)) await this.accept(inode, signal);
  }

  /** The last handle that could write is gone. Pages of a shared mapping may have been written after the last close. */
  async released(inode: FileInode): Promise<void> {
    // Nobody is left to be told of a failure; what failed before is tried again in the background anyway.
    if (isUnsealed(inode.dirty) && !inode.unlinked)
      await this.accept(inode).catch((error: unknown) => this.#sayUnsealed(inode, error));
    else await this.settle(inode);
  }

  /** What was written so far becomes immutable and durable here. Rejects as the local disk does. */
  async seal(inode: FileInode): Promise<void> {
    await this.#sealing.run(inode.ino, "exclusive", undefined, async () => {
      const { dirty } = inode;
      const { backlog } = this.#parts;
      if (inode.unlinked) return;
      const mtime = (inode.mtime ?? now()).sec;
      if (!isUnsealed(dirty)) {
        if (inode.sealed !== undefined) await backlog.retime(inode.sealed, mtime);
        return;
      }
      // It is ours, and what is sealed now shall replace it.
      const attempt = await inode.task?.attempt;
      if (inode.unlinked) return;
      const earlier = inode.sealed;
      const { path, expects, attempted } = inode.task?.place ?? placeOf(inode);
      backlog.placed(dirty, path, expects, attempt ?? attempted);
      const over = [...inode.instead];
      await backlog.seal(dirty, mtime, earlier, over);
      inode.instead.splice(0, inode.instead.length, ...inode.instead.filter((id) => !over.includes(id)));
      // Removed meanwhile: `drop` has seen to all of it.
      if (inode.unlinked) return;
      dirty.retain();
      // `earlier`, unless it has been stored meanwhile.
      const replaced = inode.sealed;
      inode.sealed = dirty;
      inode.task ??= this.#newTask(inode);
      await replaced?.release();
    });
  }

  /** Content that an earlier process sealed. It may have been stored by it, too. */
  async adopt(inode: FileInode): Promise<void> {
    inode.dirty!.retain();
    inode.sealed = inode.dirty;
    inode.perhapsStored = inode.baseId === null;
    inode.task = this.#newTask(inode, true);
    this.schedule(inode, 0);
  }

  /** Puts the file into the queue, due after the delay from now on. */
  schedule(inode: FileInode, delayMs = this.#parts.policy.delayMs): void {
    if (inode.sealed !== undefined && inode.task !== undefined) this.#parts.committer.schedule(inode.task, delayMs);
  }

  /** The name leads elsewhere now: the journal must know before anybody is told. */
  async placed(inode: FileInode): Promise<void> {
    const { backlog } = this.#parts;
    this.#place(inode);
    // Accepted content takes the place of what was removed there; what is still being written does so when it is sealed.
    if (inode.sealed !== undefined) for (const id of inode.instead.splice(0)) backlog.done(id);
    if (inode.sealed !== undefined || inode.dirty !== undefined) await backlog.sync();
  }

  #place(inode: FileInode): void {
    for (const dirty of new Set([inode.sealed, inode.dirty])) {
      if (dirty !== undefined) this.#parts.backlog.placed(dirty, pathOf(inode), inode.baseId, inode.attempted);
    }
  }

  /** The file was removed: nothing of it is stored any more, whoever has it open goes on. */
  async drop(inode: FileInode): Promise<void> {
    const { backlog, committer } = this.#parts;
    if (inode.task !== undefined) committer.cancel(inode.task);
    inode.task = undefined;
    const { sealed, dirty } = inode;
    inode.sealed = undefined;
    for (const content of new Set([sealed, dirty])) if (content !== undefined) await backlog.forget(content);
    // What comes back after a crash would be taken for what somebody wanted.
    if (dirty !== undefined) await backlog.sync();
    await sealed?.release();
    await this.settle(inode);
  }

  /** Lets go of the local content if nobody needs it any more; what was written stays in the block cache for reading back. */
  async settle(inode: FileInode): Promise<void> {
    const { dirty, version } = inode;
    const { backlog, files, superblock } = this.#parts;
    const isFree = () =>
      inode.dirty === dirty &&
      inode.writers === 0 &&
      inode.sealed === undefined &&
      !(inode.handles > 0 && inode.unlinked) &&
      !(isUnsealed(dirty) && !inode.unlinked);
    if (dirty !== undefined && isFree()) {
      if (
        !inode.unlinked &&
        dirty.isSealed &&
        version?.size === dirty.size &&
        dirty.size <= SEED_MAX &&
        !dirty.needsBase
      ) {
        // Somebody may begin to write meanwhile, and let go of it.
        dirty.retain();
        await files.seed(version, dirty).finally(() => dirty.release());
      }
      // Somebody may have begun to write meanwhile.
      if (isFree()) {
        inode.dirty = undefined;
        backlog.done(dirty.id);
        await dirty.release();
      }
    }
    superblock.evictIfUnused(inode);
  }

  /**
   * Uploads the file's content to `path`, where another version is (`there`), for renames that replace a stored file. The caller
   * holds the file's lock and the library's tree, and calls `uploaded` when it knows what came of the rename. Programs may go on
   * writing and closing the file meanwhile: that is no part of this, and waits in the queue.
   */
  async upload(
    inode: FileInode,
    path: string,
    there: Pick<FileInode, "baseId" | "attempted">,
    signal?: AbortSignal,
  ): Promise<Upload & { readonly entry: RemoteEntry }> {
    const wasStored = !isUnstored(inode);
    const before = inode.generation;
    inode.writers++;
    try {
      const dirty = await this.#parts.files.writable(inode);
      dirty.touch();
      await this.seal(inode);
      const content = inode.sealed;
      if (content === undefined) throw new FsError("ESTALE", `${inode.name} was removed or replaced`);
      content.retain();
      const { generation } = inode;
      // Somebody may have written into it before it was sealed.
      const upload = { content, generation, wasStored: wasStored && generation === before };
      try {
        return { ...upload, entry: await this.#put(inode, content, path, there, signal) };
      } catch (error) {
        await this.uploaded(inode, upload, false);
        throw error;
      }
    } finally {
      inode.writers--;
    }
  }

  async #put(
    inode: FileInode,
    sealed: DirtyFile,
    path: string,
    { baseId: base, attempted }: Pick<FileInode, "baseId" | "attempted">,
    signal: AbortSignal | undefined,
  ): Promise<RemoteEntry> {
    const mtime = (inode.mtime ?? now()).sec;
    const content = await sealed.content(signal);
    const [result] = await inode.library.apply([{ op: "put", path, content, mtime, base, attempted }], signal);
    if (result?.ok !== true || result.entry === undefined)
      throw result?.ok === false ? result.error : new Error("no answer");
    return result.entry;
  }

  /**
   * After `upload`: its content needs no commit if that is what the server has for the file now (`isRenamed`: as uploaded, else
   * as before). What was closed since keeps its place in the queue.
   */
  async uploaded(inode: FileInode, { content, generation, wasStored }: Upload, isRenamed: boolean): Promise<void> {
    const { backlog, committer } = this.#parts;
    const isFree = (isRenamed || wasStored) && (await this.#isDetached(inode, content));
    // Another time may have been set meanwhile.
    const isNewest = inode.sealed === content && !(inode.dirty === content && inode.generation !== generation);
    if (isFree && isNewest) {
      inode.sealed = undefined;
      inode.onlyTime = false;
      backlog.done(content.id);
      await content.release();
    }
    await content.release();
    if (inode.task !== undefined && !committer.has(inode.task)) this.schedule(inode);
  }

  /** Whether what goes on from the content can do without it, also after a crash. */
  async #isDetached({ dirty }: FileInode, content: DirtyFile): Promise<boolean> {
    if (dirty === undefined || dirty === content) return true;
    try {
      await dirty.detach();
      await this.#parts.backlog.sync();
      return true;
    } catch (error) {
      this.#parts.log.warn({ err: error }, "the local disk does not take what a stored version is still needed for");
      return false;
    }
  }

  /** The inode is now what the server calls `name`, which another file that is not stored yet may have here: that one makes way. */
  rename(inode: FileInode, dir: DirInode, name: string): void {
    const present = dir.children.get(name);
    if (present !== undefined && present !== inode && isHeldHere(present)) this.#makeWay(dir, present);
    this.#parts.superblock.move(inode, dir, name);
    this.#parts.directories.expire(dir);
  }

  #newTask(inode: FileInode, mayBeStored = false): PutTask {
    const { backlog, directories, locks, log, policy, user } = this.#parts;
    return new PutTask(backlog.number(), inode, mayBeStored, {
      backlog,
      directories,
      locks,
      log,
      user,
      note: (message) => this.#parts.committer.note(message),
      onConflict: policy.onConflict,
      renamed: (file, dir, name) => this.rename(file, dir, name),
      settle: (file) => this.settle(file),
    });
  }

  #sayUnsealed(inode: FileInode, error: unknown): void {
    this.#parts.log.error({ path: pathOf(inode), err: error }, `${inode.name} could not be written to the local disk`);
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
    if (inode.kind !== "file") return;
    inode.baseId = null;
    // Before anything else is noted under the name that it had.
    this.#place(inode);
  }
}
