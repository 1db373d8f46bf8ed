/**
 * One task in the committer's queue, with those who wait for it.
 * Invariant: who waits is told exactly once. Used by committer.ts alone.
 */
import { SeafileError } from "../seafile/errors.ts";
import type { Deferred } from "../util/abort.ts";
import { HELD_BY_USER, type Task, type TaskState } from "./task.ts";

export interface Entry {
  readonly task: Task;
  /** When the change that waits was accepted, in milliseconds since 1970. */
  since: number;
  /** When it began to wait for its next attempt, and how long after a change that is to be made, in milliseconds. */
  waitsSince: number;
  delayMs: number;
  state: TaskState;
  attempts: number;
  failure: unknown;
  /** Waiters for the outcome of the attempt under way, and of the next one. */
  current: Deferred<void>[];
  next: Deferred<void>[];
  batch: AbortController | undefined;
  /** The attempt under way has its guard: it ends by itself. */
  isGuarded: boolean;
  /** By the user, once the attempt under way is broken off. */
  isHeld: boolean;
  /** Wanted again after the attempt under way, at this time. */
  rescheduled: number | undefined;
}

/** Due at `at` (milliseconds since 1970). */
export function newEntry(task: Task, at: number): Entry {
  return {
    task,
    since: Date.now(),
    waitsSince: Date.now(),
    delayMs: 0,
    state: { state: "waiting", at },
    attempts: 0,
    failure: undefined,
    current: [],
    next: [],
    batch: undefined,
    isGuarded: false,
    isHeld: false,
    rescheduled: undefined,
  };
}

export function heldError({ path }: Task): SeafileError {
  return new SeafileError("busy", `${path} is held by the user.`);
}

/** What becomes of it after an attempt: the user's wish stands above all else. */
export function settled(entry: Entry, otherwise: TaskState): TaskState {
  const state = entry.isHeld ? HELD_BY_USER : otherwise;
  entry.isHeld = false;
  return state;
}

/** All of them, to be told now and never again. */
export function waitersOf({ current, next }: Entry): Deferred<void>[] {
  return [...current.splice(0), ...next.splice(0)];
}

/** Answers how many still wait. */
export function withdraw({ current, next }: Entry, outcome: Deferred<void>): number {
  for (const waiters of [current, next]) {
    const at = waiters.indexOf(outcome);
    if (at >= 0) waiters.splice(at, 1);
  }
  return current.length + next.length;
}
