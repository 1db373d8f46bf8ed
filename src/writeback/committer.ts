/**
 * The queue to the server: which change is due when, what goes together in one batch, and what happens after a failure.
 * Invariants: a task is in one batch at a time; one task's failure never holds up another; a task that failed is tried again
 * until it succeeds, is taken back, or the mount ends; who waits for a task learns the outcome of an attempt that began
 * after the wait did. What a task changes, and what its outcome means, is the vfs's business. Called by vfs/*.
 */
import { setMaxListeners } from "node:events";
import type { Logger } from "../observe/log.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { Library } from "../seafile/library.ts";
import type { Change } from "../seafile/types.ts";
import { type Deferred, deferred, raceAbort } from "../util/abort.ts";
import type { Release } from "../util/keyed-mutex.ts";
import { applyAll } from "./apply-all.ts";
import { Batching, type BatchLimits } from "./batching.ts";
import { type Entry, heldError, newEntry, settled, waitersOf, withdraw } from "./queue-entry.ts";
import {
  type Attempt,
  type AttemptResult,
  HELD_BY_USER,
  heldReason,
  isHeldByUser,
  type Task,
  type TaskState,
} from "./task.ts";

export interface QueuedTask {
  readonly task: Task;
  readonly since: number;
  readonly attempts: number;
  readonly state: TaskState;
}

export interface CommitterOptions extends BatchLimits {
  readonly log: Logger;
  /** Batches at the same time. */
  readonly parallel: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** Longest pause before a held task is tried again: its cause may have gone away. */
  readonly heldMs: number;
  /** Keeps the paths of the library as they are while a batch is under way. */
  readonly guard: (library: Library, signal: AbortSignal) => Promise<Release>;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #entries = new Map<Task, Entry>();
  readonly #batching: Batching;
  #active = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = 0;
  #stopped = false;
  #uploaded = 0;
  readonly #errors: { at: number; message: string }[] = [];

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#batching = new Batching(options);
  }

  /** Puts the task into the queue, or sets anew when it is due: `delayMs` from now. What is held by the user stays held. */
  schedule(task: Task, delayMs: number): void {
    const at = Date.now() + delayMs;
    let entry = this.#entries.get(task);
    if (entry === undefined) {
      entry = newEntry(task, at);
      this.#entries.set(task, entry);
    } else if (entry.state.state === "uploading") entry.rescheduled = Math.min(at, entry.rescheduled ?? at);
    else if (!isHeldByUser(entry.state)) {
      if (entry.state.state !== "waiting") entry.waitsSince = Date.now();
      entry.state = { state: "waiting", at };
    }
    entry.delayMs = delayMs;
    this.#batching.noticed(task, delayMs);
    this.#wakeAt(at);
  }

  isUnderWay(task: Task): boolean {
    return this.#entries.get(task)?.state.state === "uploading";
  }

  /**
   * Attempts the task now and resolves when it is over. Rejects with what the attempt failed for, or as "busy" when the user holds
   * the task; it stays in the queue.
   */
  async now(task: Task, signal?: AbortSignal): Promise<void> {
    const entry = this.#wanted(task);
    if (entry === undefined) return;
    const outcome = deferred<void>();
    if (entry.state.state !== "uploading") this.#expedite(entry);
    else if (task.op === "put") entry.rescheduled = 0;
    // A removal does not change: the attempt under way is as good as the next.
    const isJoined = entry.state.state === "uploading" && task.op === "remove";
    (isJoined ? entry.current : entry.next).push(outcome);
    await this.#outcome(entry, outcome, signal);
  }

  /**
   * As `now`, for a caller that holds what the guard takes, or keeps others from getting it: the attempt is made under the
   * caller's lock, whatever else waits.
   */
  async nowUnder(task: Task, signal?: AbortSignal): Promise<void> {
    const entry = this.#wanted(task);
    if (entry === undefined) return;
    const outcome = deferred<void>();
    const isEnding = () => entry.state.state === "uploading" && entry.isGuarded;
    const isOpen = () => entry.current.includes(outcome) || entry.next.includes(outcome);
    (isEnding() ? entry.current : entry.next).push(outcome);
    const attempt = async () => {
      while (isOpen() && !isEnding() && !this.#stopped) await this.#run([entry], async () => () => {});
    };
    // A failed attempt leaves the task to the queue.
    void attempt()
      .catch((error: unknown) => outcome.reject(error))
      .finally(() => this.#pump());
    await this.#outcome(entry, outcome, signal);
  }

  #wanted(task: Task): Entry | undefined {
    const entry = this.#entries.get(task);
    if (entry === undefined) return undefined;
    if (this.#stopped) throw entry.failure ?? new SeafileError("unreachable", "The mount is ending.");
    if (entry.isHeld || isHeldByUser(entry.state)) throw heldError(task);
    return entry;
  }

  async #outcome(entry: Entry, outcome: Deferred<void>, signal: AbortSignal | undefined): Promise<void> {
    outcome.promise.catch(() => {});
    try {
      await raceAbort(outcome.promise, signal);
    } catch (error) {
      // Who waited has given up: a server that does not answer need not be waited for.
      if (signal?.aborted && withdraw(entry, outcome) === 0) this.interrupt(entry.task);
      throw error;
    }
  }

  /** The task is not wanted any more. An attempt under way is broken off; `finish` of it is still called. */
  cancel(task: Task): void {
    const entry = this.#entries.get(task);
    if (entry === undefined) return;
    this.#over(entry);
    entry.batch?.abort(new DOMException("not wanted any more", "AbortError"));
  }

  /** Breaks off the attempt under way, if there is one, so that its locks are given back; it will be made again. */
  interrupt(task: Task): void {
    const entry = this.#entries.get(task);
    entry?.batch?.abort(new DOMException("interrupted", "AbortError"));
  }

  /** Breaks off what holds the library's paths: what takes long by its size, or all. */
  interruptAll(library: Library, which: "large" | "all"): void {
    for (const { task, batch } of this.#entries.values()) {
      const isMeant = task.library === library && (which === "all" || !task.isSmall);
      if (isMeant) batch?.abort(new DOMException("interrupted", "AbortError"));
    }
  }

  /** undefined: the task is not in the queue. */
  stateOf(task: Task): TaskState | undefined {
    return this.#entries.get(task)?.state;
  }

  has(task: Task): boolean {
    return this.#entries.has(task);
  }

  /** By the user: not tried until released. Who waits for it is told. */
  hold(task: Task): boolean {
    const entry = this.#entries.get(task);
    if (entry === undefined) return false;
    entry.rescheduled = undefined;
    if (entry.state.state === "uploading") {
      entry.isHeld = true;
      entry.batch?.abort(new DOMException("held", "AbortError"));
    } else entry.state = HELD_BY_USER;
    for (const waiter of waitersOf(entry)) waiter.reject(heldError(task));
    return true;
  }

  retryNow(task: Task): boolean {
    const entry = this.#entries.get(task);
    if (entry === undefined || (entry.state.state === "uploading" && !entry.isHeld)) return false;
    // Broken off a moment ago, it is made again as soon as that is over.
    if (entry.isHeld) entry.isHeld = false;
    else this.#expedite(entry);
    return true;
  }

  queue(): QueuedTask[] {
    return [...this.#entries.values()].map(({ task, since, attempts, state, isHeld }) => {
      return { task, since, attempts, state: isHeld ? HELD_BY_USER : state };
    });
  }

  /** Something that whoever asks for the status is to read. */
  note(message: string): void {
    this.#errors.push({ at: Date.now(), message });
    if (this.#errors.length > 20) this.#errors.shift();
  }

  /** The newest failures and notes, oldest first. */
  get errors(): readonly { readonly at: number; readonly message: string }[] {
    return this.#errors;
  }

  /** Bytes sent since the start. */
  get uploaded(): number {
    return this.#uploaded;
  }

  /** No attempts from here on; those under way are broken off. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const entry of this.#entries.values()) {
      entry.batch?.abort(new DOMException("the mount is ending", "AbortError"));
      for (const waiter of waitersOf(entry)) {
        waiter.reject(new SeafileError("unreachable", "The mount is ending."));
      }
    }
  }

  /** Due at once, together with what others want at once. */
  #expedite(entry: Entry): void {
    entry.state = { state: "waiting", at: 0 };
    this.#wakeAt(0);
  }

  /** Many schedule at once: they share one look at the queue. */
  #wakeAt(at: number): void {
    if (this.#stopped || (this.#timer !== undefined && this.#timerAt <= at)) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#pump(), Math.max(0, at - Date.now()));
    this.#timer.unref();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#stopped) return;
    const now = Date.now();
    while (this.#active < this.#options.parallel) {
      const batch = this.#batching.next(this.#entries.values(), now);
      if (batch.length === 0) break;
      this.#active++;
      void this.#run(batch).finally(() => {
        this.#active--;
        this.#pump();
      });
    }
    if (this.#active >= this.#options.parallel) return;
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) next = Math.min(next, this.#batching.dueAt(entry));
    if (Number.isFinite(next)) this.#wakeAt(next);
  }

  async #run(all: readonly Entry[], guard = this.#options.guard): Promise<void> {
    const controller = new AbortController();
    for (const entry of all) {
      entry.batch = controller;
      entry.isGuarded = false;
      entry.state = { state: "uploading", sent: 0 };
      entry.current.push(...entry.next.splice(0));
      entry.attempts++;
    }
    const { signal } = controller;
    // Each task of the batch may wait for something with it.
    setMaxListeners(0, signal);
    const { library } = all[0]!.task;
    // Somebody may have made the attempt under his own lock while this one waited for the guard.
    const own = () => all.filter((entry) => entry.batch === controller);
    const started: { entry: Entry; attempt: Attempt }[] = [];
    let release: Release | undefined;
    try {
      release = await guard(library, signal);
      for (const entry of own().sort((a, b) => a.task.lockOrder - b.task.lockOrder)) {
        entry.isGuarded = true;
        try {
          const attempt = await entry.task.begin(signal);
          if (attempt === undefined) this.#over(entry);
          else started.push({ entry, attempt });
        } catch (error) {
          this.#failed(entry, error);
        }
      }
      // In the order of the queue again, in which neighbours share requests.
      started.sort((a, b) => all.indexOf(a.entry) - all.indexOf(b.entry));
      const changes = started.map(({ entry, attempt }) => this.#watched(entry, attempt.change));
      const results = await applyAll(library, changes, signal);
      for (const [i, { entry, attempt }] of started.entries()) await this.#finish(entry, attempt, results[i]!);
    } catch (error) {
      for (const entry of own()) this.#failed(entry, error);
    } finally {
      release?.();
    }
  }

  #watched(entry: Entry, change: Change): Change {
    if (change.op !== "put") return change;
    let before = 0;
    const progress = (sent: number) => {
      this.#uploaded += Math.max(0, sent - before);
      before = sent;
      if (entry.state.state === "uploading") entry.state = { state: "uploading", sent };
    };
    return { ...change, progress };
  }

  async #finish(entry: Entry, attempt: Attempt, result: AttemptResult): Promise<void> {
    try {
      const outcome = await attempt.finish(result);
      if (this.#entries.get(entry.task) !== entry) return;
      entry.failure = undefined;
      entry.batch = undefined;
      entry.attempts = 0;
      if (outcome === "again" || entry.rescheduled !== undefined) {
        entry.state = settled(entry, { state: "waiting", at: outcome === "again" ? 0 : entry.rescheduled! });
        entry.since = entry.waitsSince = Date.now();
        entry.rescheduled = undefined;
        if (outcome === "again") entry.next.unshift(...entry.current.splice(0));
        else for (const waiter of entry.current.splice(0)) waiter.resolve();
      } else this.#over(entry);
      this.#serverAnswers(entry.task.library);
    } catch (error) {
      this.#failed(entry, error);
    }
  }

  #over(entry: Entry): void {
    this.#entries.delete(entry.task);
    for (const waiter of waitersOf(entry)) waiter.resolve();
  }

  #failed(entry: Entry, error: unknown): void {
    if (this.#entries.get(entry.task) !== entry || entry.state.state !== "uploading") return;
    entry.batch = undefined;
    const wanted = entry.rescheduled;
    entry.rescheduled = undefined;
    if (isAbort(error)) {
      // Broken off by us: nothing was learned of the server.
      entry.state = settled(entry, { state: "waiting", at: 0 });
      entry.next.unshift(...entry.current.splice(0));
      entry.attempts--;
      return;
    }
    entry.failure = error;
    const isWanted = wanted !== undefined && entry.next.length > 0;
    entry.state = settled(entry, isWanted ? { state: "waiting", at: wanted } : this.#afterFailure(entry, error));
    this.#say(entry, error);
    for (const waiter of entry.current.splice(0)) waiter.reject(error);
  }

  #afterFailure({ attempts }: Entry, error: unknown): TaskState {
    const because = error instanceof Error ? error.message : String(error);
    const reason = heldReason(error);
    const longest = reason === undefined ? this.#options.retryMaxMs : this.#options.heldMs;
    const at = Date.now() + Math.min(longest, this.#options.retryFirstMs * 2 ** Math.min(20, attempts - 1));
    return reason === undefined ? { state: "retrying", at, because } : { state: "held", at, reason, because };
  }

  #say({ task, attempts, state }: Entry, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.note(`${task.path}: ${message}`);
    const about = { library: task.library.info.name, path: task.path, attempts, state: state.state };
    const what = task.op === "put" ? "is not stored yet" : "is not removed yet";
    this.#options.log[attempts === 1 ? "warn" : "debug"](
      about,
      `${task.path} ${what} and will be tried again: ${message}`,
    );
  }

  /** The server takes changes again: what waited for that need not wait longer. */
  #serverAnswers(library: Library): void {
    for (const entry of this.#entries.values()) {
      if (entry.state.state !== "retrying" || entry.task.library !== library) continue;
      const { failure } = entry;
      const wasAway = failure instanceof SeafileError && (failure.kind === "unreachable" || failure.kind === "timeout");
      if (wasAway) entry.state = { state: "waiting", at: 0 };
    }
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
