/**
 * Removing names: hidden here at once, in the journal before the program is told, and on the server soon after, in batches.
 * Invariants: a name is hidden from its removal until the server has answered; a name that is made anew takes the place of what
 * was removed, so that its history goes on; a folder takes the removals of its entries along. Called by namespace,
 * renames and name-changes.
 */
import type { Logger } from "../observe/log.ts";
import type { Library } from "../seafile/library.ts";
import type { ObjectId } from "../seafile/types.ts";
import { joinPath, splitPath } from "../util/paths.ts";
import type { Backlog } from "../writeback/backlog.ts";
import type { Committer } from "../writeback/committer.ts";
import type { Removal } from "../writeback/records.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import type { WritePolicy } from "./file-commits.ts";
import { type DirInode, pathOf } from "./inode.ts";
import { type RemovalOutcome, RemovalTask, type Removed } from "./removal-task.ts";

export interface RemovalsParts {
  readonly directories: Directories;
  readonly backlog: Backlog;
  readonly committer: Committer;
  readonly policy: WritePolicy;
  readonly log: Logger;
}

/** A removal as the journal knows it. */
export interface Unmade {
  readonly id: number;
  readonly library: Library;
  readonly removal: Removal;
}

export class Removals {
  readonly #parts: RemovalsParts;

  constructor(parts: RemovalsParts) {
    this.#parts = parts;
  }

  /** Notes, durably, that the name is to be removed. Resolves with the number for `remove`. */
  announce(dir: DirInode, name: string, { kind, expects }: Removed): Promise<number> {
    const path = joinPath(pathOf(dir), name);
    return this.#parts.backlog.removing({ library: dir.library!.id, path, kind, expects: expects ?? null });
  }

  /** The name is gone here; with `--commit close` this waits until it is gone on the server, and rejects if it is not. */
  async remove(dir: DirInode, name: string, removed: Removed, signal?: AbortSignal, announced?: number): Promise<void> {
    const { committer, policy } = this.#parts;
    const library = dir.library!;
    const id = announced ?? (await this.announce(dir, name, removed));
    const task = new RemovalTask(id, { library, dir, name }, removed, (it, outcome) => this.#over(it, outcome));
    // Part of this one now; the journal goes on knowing them, for the case that the folder is kept.
    for (const inner of removed.inner.values()) committer.cancel(inner);
    dir.removed.set(name, task);
    // As long as somebody goes on removing, what was removed before waits: the folder above it may be next.
    committer.schedule(task, policy.commit === "close" ? 0 : policy.delayMs);
    if (policy.commit !== "close") return;
    try {
      await committer.nowUnder(task, signal);
      if (task.isKept) throw new FsError("ENOTEMPTY", `${name} is not empty`);
    } catch (error) {
      // The program is told that it is still there.
      this.#drop(task);
      if (dir.removed.get(name) === task) dir.removed.delete(name);
      this.#parts.directories.expire(dir);
      throw error;
    }
  }

  /** Something takes the name again: what the server has there is replaced by it instead of being removed. */
  async takeOver(
    dir: DirInode,
    name: string,
    signal?: AbortSignal,
  ): Promise<{ readonly id: number; readonly expects: ObjectId } | undefined> {
    const task = dir.removed.get(name);
    if (task === undefined) return undefined;
    const { expects, kind } = task.removed;
    if (kind === "dir" || expects === undefined || this.#parts.committer.isUnderWay(task)) {
      await this.flush(dir, name, signal);
      return undefined;
    }
    this.#parts.committer.cancel(task);
    dir.removed.delete(name);
    return { id: task.id, expects };
  }

  /** The server has removed the name, or says why not, when this resolves. The caller holds the library's tree. */
  async flush(dir: DirInode, name: string, signal?: AbortSignal): Promise<void> {
    const task = dir.removed.get(name);
    if (task !== undefined) await this.#parts.committer.nowUnder(task, signal);
  }

  /**
   * Gives the removal up, with those of the folder's entries: what the server has shows again. Throws EBUSY while the server is
   * being asked.
   */
  giveUp(task: RemovalTask): void {
    if (this.#parts.committer.isUnderWay(task)) throw new FsError("EBUSY", `${task.path} is being removed`);
    this.#parts.committer.cancel(task);
    this.#forget(task, "removed");
    const { dir, name } = task.place;
    if (dir.removed.get(name) === task) dir.removed.delete(name);
    this.#parts.directories.expire(dir);
  }

  /**
   * Removals that an earlier process did not live to make, hidden again in the directories that `dirAt` says. That of a folder
   * takes those of its entries along, as it did then.
   */
  resume(pending: readonly Unmade[], dirAt: (library: Library, path: string) => DirInode): void {
    const below = new Map<string, Map<string, RemovalTask>>();
    const keyOf = (library: Library, path: string) => `${library.id} ${path}`;
    for (const { id, library, removal } of [...pending].sort((a, b) => b.removal.path.length - a.removal.path.length)) {
      const { path, kind, expects } = removal;
      const { parent, name } = splitPath(path);
      const inner = below.get(keyOf(library, path)) ?? new Map<string, RemovalTask>();
      below.delete(keyOf(library, path));
      const place = { library, dir: dirAt(library, parent), name };
      const removed = { kind, expects: expects ?? undefined, inner };
      const siblings = below.get(keyOf(library, parent)) ?? new Map<string, RemovalTask>();
      const twice = siblings.get(name);
      if (twice !== undefined) this.#parts.backlog.done(twice.id);
      siblings.set(name, new RemovalTask(id, place, removed, (task, outcome) => this.#over(task, outcome)));
      below.set(keyOf(library, parent), siblings);
    }
    for (const task of [...below.values()].flatMap((tasks) => [...tasks.values()])) {
      task.place.dir.removed.set(task.place.name, task);
      this.#parts.committer.schedule(task, 0);
    }
  }

  #over(task: RemovalTask, outcome: RemovalOutcome): void {
    const { directories, log } = this.#parts;
    const { dir, name } = task.place;
    this.#forget(task, outcome);
    if (dir.removed.get(name) !== task) return;
    dir.removed.delete(name);
    if (outcome === "removed") {
      directories.gone(dir, name);
      return;
    }
    log.warn({ path: task.path }, `${task.path} was changed by somebody else before it was removed; it is kept`);
    directories.expire(dir);
  }

  /** A folder that is kept loses at least what was removed below it. */
  #forget(task: RemovalTask, outcome: RemovalOutcome): void {
    const { backlog, committer } = this.#parts;
    backlog.done(task.id);
    for (const inner of task.removed.inner.values()) {
      if (outcome === "removed") this.#forget(inner, outcome);
      else committer.schedule(inner, 0);
    }
  }

  #drop(task: RemovalTask): void {
    this.#parts.committer.cancel(task);
    this.#parts.backlog.done(task.id);
  }
}
