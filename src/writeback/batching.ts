/**
 * Which tasks of the queue are due, and which of them go together. Invariants: nothing waits for company longer than LONGEST_WAIT
 * times its delay; what is wanted now does not wait at all; a large task goes alone. Used by committer.ts alone.
 */
import type { Library } from "../seafile/library.ts";
import type { Entry } from "./queue-entry.ts";
import type { Task } from "./task.ts";

/** So many times the delay a change waits for others at most. */
const LONGEST_WAIT = 5;

export interface BatchLimits {
  readonly batchMax: number;
  readonly batchBytes: number;
}

interface Newest {
  readonly at: number;
  readonly delayMs: number;
}

export class Batching {
  readonly #limits: BatchLimits;
  /** The newest change that can go together with others, per library and kind. */
  readonly #newest = new Map<Library, Map<Task["op"], Newest>>();

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  /** The task was scheduled, due `delayMs` from now. */
  noticed({ library, op, isSmall }: Task, delayMs: number): void {
    if (!isSmall) return;
    const newest = this.#newest.get(library) ?? new Map<Task["op"], Newest>();
    this.#newest.set(library, newest.set(op, { at: Date.now(), delayMs }));
  }

  /**
   * What can go together waits until nothing more came for the delay, so that a whole tree is removed at once and many new files
   * become few requests. Neither that nor further changes of the same file put it off for ever.
   */
  dueAt({ state, task, waitsSince, delayMs }: Entry): number {
    if (state.state === "uploading") return Number.POSITIVE_INFINITY;
    if (state.state !== "waiting" || state.at === 0) return state.at;
    const newest = task.isSmall ? this.#newest.get(task.library)?.get(task.op) : undefined;
    const wanted = newest === undefined ? state.at : Math.max(state.at, newest.at + newest.delayMs);
    return Math.min(wanted, waitsSince + LONGEST_WAIT * delayMs);
  }

  /** What is due, the longest waiting first: one large task, or small ones of one library, with those that only wait for company. */
  next(entries: Iterable<Entry>, now: number): Entry[] {
    const batch: Entry[] = [];
    let bytes = 0;
    for (const entry of entries) {
      const { task, state } = entry;
      const first = batch[0]?.task;
      const isReady = first === undefined ? this.dueAt(entry) <= now : state.state !== "uploading" && state.at <= now;
      if (!isReady) continue;
      if (first !== undefined && (!task.isSmall || task.library !== first.library || task.op !== first.op)) continue;
      batch.push(entry);
      bytes += task.size;
      if (!task.isSmall || batch.length >= this.#limits.batchMax || bytes >= this.#limits.batchBytes) break;
    }
    return batch;
  }
}
