/**
 * What is not on the server yet, for whoever asks or decides about it: the list, waiting for it, giving it up, and the end of
 * the mount. Invariant: giving up is the only way in which accepted content goes without being stored, and only its user does it.
 * Called by mount.ts (end of the mount) and by the control socket through it.
 */
import { setMaxListeners } from "node:events";
import { constants } from "node:fs";
import { open, rm } from "node:fs/promises";
import type { Library } from "../seafile/library.ts";
import type { Backlog } from "../writeback/backlog.ts";
import type { Committer, QueuedTask } from "../writeback/committer.ts";
import type { Task, TaskState } from "../writeback/task.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import type { FileCommits } from "./file-commits.ts";
import { type FileInode, type Inode, isUnsealed, isUnstored, pathOf } from "./inode.ts";
import { PutTask } from "./put-task.ts";
import { RemovalTask } from "./removal-task.ts";
import type { Removals } from "./removals.ts";
import type { Superblock } from "./superblock.ts";

export interface OutboxItem {
  readonly id: number;
  readonly op: "put" | "remove";
  readonly library: Library;
  /** Absolute in the library. */
  readonly path: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** "writing": open, and not accepted by a close yet. */
  readonly state: TaskState | { readonly state: "writing" };
  readonly attempts: number;
}

export interface OutboxParts {
  readonly superblock: Superblock;
  readonly directories: Directories;
  readonly commits: FileCommits;
  readonly removals: Removals;
  readonly backlog: Backlog;
  readonly committer: Committer;
}

export class Outbox {
  readonly #parts: OutboxParts;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  items(): OutboxItem[] {
    const queued = this.#parts.committer.queue().map(({ task, since, attempts, state }): OutboxItem => {
      const { id, op, path, size } = task;
      return { id, op, library: task.library, path, size, since, state, attempts };
    });
    const open = this.#files()
      .filter((inode) => isUnsealed(inode.dirty) && inode.sealed === undefined)
      .map((inode): OutboxItem => {
        const since = (inode.mtime?.sec ?? 0) * 1000;
        const size = inode.dirty!.size;
        const state = { state: "writing" } as const;
        return {
          id: inode.dirty!.id,
          op: "put",
          library: inode.library,
          path: pathOf(inode),
          size,
          since,
          state,
          attempts: 0,
        };
      });
    return [...queued, ...open];
  }

  /**
   * Seals and sends everything (below `under`) now. Resolves when each has been stored or has failed once more; what is left is in
   * `items`. Rejects with the abort reason only.
   */
  async sync(under?: Inode, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    allowAll(signal);
    const { commits } = this.#parts;
    const isWanted = (path: string, library: Library) => under === undefined || this.isBelow({ path, library }, under);
    const files = this.#files().filter((inode) => isWanted(pathOf(inode), inode.library));
    await Promise.all(files.map((inode) => commits.commit(inode, signal).catch(() => {})));
    // Files were tried just now.
    await this.#send(({ task }) => task.op === "remove" && isWanted(task.path, task.library), signal);
    signal?.throwIfAborted();
  }

  /** Whether the item is the inode or lies below it. */
  isBelow({ path, library }: Pick<OutboxItem, "path" | "library">, under: Inode): boolean {
    if (under.library?.id !== library.id) return under.library === undefined;
    const top = pathOf(under);
    return top === "/" || path === top || path.startsWith(`${top}/`);
  }

  /** How many files have a modification time that their server does not keep over a remount. */
  get timesNotKept(): number {
    let count = 0;
    for (const inode of this.#parts.superblock.all()) {
      if (inode.kind === "file" && inode.mtime !== undefined && !inode.unlinked && !isUnstored(inode)) {
        if (inode.mtime.sec !== inode.serverMtime) count++;
      }
    }
    return count;
  }

  /**
   * The end of a mount: sends what can be sent until the signal aborts, and then no more. What is left is in the journal for the
   * next mount, files that were never closed included. Resolves with it.
   */
  async drain(signal: AbortSignal): Promise<OutboxItem[]> {
    const { committer } = this.#parts;
    allowAll(signal);
    if (signal.aborted) committer.stop();
    await Promise.all(this.#files().map((inode) => this.#parts.commits.seal(inode).catch(() => {})));
    for (const inode of this.#files()) {
      // Sealed just now: it was never closed.
      if (inode.task !== undefined && !committer.has(inode.task)) this.#parts.commits.schedule(inode, 0);
    }
    // What failed a moment ago would only fail again, and the mount must end.
    if (!signal.aborted)
      await this.#send(({ state }) => state.state === "waiting" || state.state === "uploading", signal);
    committer.stop();
    const left = this.items();
    await this.#parts.backlog.sync().catch(() => {});
    return left;
  }

  retry(ids: readonly number[] | undefined): number {
    const { committer, backlog } = this.#parts;
    return this.#each(ids, (task) => {
      backlog.released(journalledAs(task));
      return committer.retryNow(task);
    });
  }

  /** Nothing of these is sent until they are released, also by later mounts. Rejects when the local disk does not note it. */
  async hold(ids: readonly number[]): Promise<number> {
    const { committer, backlog } = this.#parts;
    const held: number[] = [];
    const count = this.#each(ids, (task) => {
      held.push(journalledAs(task));
      return committer.hold(task);
    });
    await backlog.hold(held);
    return count;
  }

  release(ids: readonly number[]): number {
    return this.retry(ids);
  }

  /**
   * Gives up what waits: the server's version shows again. Throws EBUSY for a file that is open for writing, and for a removal that
   * the server is being asked for.
   */
  async discard(ids: readonly number[]): Promise<number> {
    let count = 0;
    const wanted = new Set(ids);
    for (const { task } of this.#parts.committer.queue()) {
      if (!wanted.has(task.id)) continue;
      if (task instanceof PutTask) await this.#discard(task.inode);
      else if (task instanceof RemovalTask) this.#parts.removals.giveUp(task);
      count++;
    }
    return count;
  }

  /** Copies what waits under the number to a new local file, whole or not at all. Throws ENOENT when nothing does. */
  async export(id: number, path: string): Promise<void> {
    const queued = this.#parts.committer.queue().find(({ task }) => task.id === id);
    const content = queued?.task instanceof PutTask ? queued.task.inode.sealed : undefined;
    if (content === undefined) throw new FsError("ENOENT", `nothing with a content waits under the number ${id}`);
    content.retain();
    try {
      await writeNewFile(path, (await content.content()).open());
    } finally {
      await content.release();
    }
  }

  /** Tries each once, and then what was in the queue behind it: a folder that is kept gives the removals below it back. */
  async #send(isWanted: (queued: QueuedTask) => boolean, signal: AbortSignal | undefined): Promise<void> {
    const { backlog, committer } = this.#parts;
    const end = backlog.number();
    const tried = new Set<Task>();
    for (;;) {
      const next = committer.queue().filter((queued) => isWanted(queued) && !tried.has(queued.task));
      const tasks = next.map(({ task }) => task).filter((task) => task.id < end);
      if (tasks.length === 0) return;
      for (const task of tasks) tried.add(task);
      await Promise.all(tasks.map((task) => committer.now(task, signal).catch(() => {})));
    }
  }

  async #discard(inode: FileInode): Promise<void> {
    const { commits, superblock, directories, backlog } = this.#parts;
    if (inode.writers > 0) throw new FsError("EBUSY", `${inode.name} is open for writing`);
    const { parent } = inode;
    for (const removal of inode.instead.splice(0)) backlog.done(removal);
    superblock.unlink(inode);
    await commits.drop(inode);
    if (parent !== null) directories.expire(parent);
  }

  #each(ids: readonly number[] | undefined, work: (task: Task) => boolean): number {
    const wanted = ids && new Set(ids);
    const tasks = this.#parts.committer.queue().filter(({ task }) => wanted?.has(task.id) ?? true);
    return tasks.filter(({ task }) => work(task)).length;
  }

  #files(): FileInode[] {
    const files: FileInode[] = [];
    for (const inode of this.#parts.superblock.all()) {
      if (inode.kind === "file" && isUnstored(inode) && !inode.unlinked) files.push(inode);
    }
    return files;
  }
}

/** The number of what the journal says of the task. */
function journalledAs(task: Task): number {
  return task instanceof PutTask ? (task.inode.sealed?.id ?? task.id) : task.id;
}

/** Readable by the user only, and on the disk when this resolves. Rejects with the disk's error, EEXIST among them. */
async function writeNewFile(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  const file = await open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600);
  try {
    // Not write(), which may take less than it is given.
    for await (const chunk of chunks) await file.appendFile(chunk);
    await file.sync();
    await file.close();
  } catch (error) {
    await file.close().catch(() => {});
    await rm(path, { force: true });
    throw error;
  }
}

/** Everything that waits is waited for with the one signal. */
function allowAll(signal: AbortSignal | undefined): void {
  if (signal !== undefined) setMaxListeners(0, signal);
}
