/**
 * The queue to the server: which change is due when, what goes together in one batch, and what happens after a failure.
 * Invariants: a task is in one batch at a time; one task's failure never holds up another; a task that failed is tried again
 * until it succeeds, is taken back, or the mount ends; who waits for a task learns the outcome of an attempt that began
 * after the wait did. What a task changes, and what its outcome means, is the vfs's business. Called by vfs/*.
 */
import type { Logger } from "../observe/log.ts";
import { type Kind, SeafileError } from "../seafile/errors.ts";
import type { ChangeResult, Library } from "../seafile/library.ts";
import type { Change } from "../seafile/types.ts";
import { abortReason, type Deferred, deferred, raceAbort } from "../util/abort.ts";
import type { Release } from "../util/keyed-mutex.ts";

/** A change that waits to be made, as whoever wants it sees it. */
export interface Task {
  /** Unique in this mount. */
  readonly id: number;
  readonly op: "put" | "remove";
  readonly library: Library;
  /** Where it applies now. */
  readonly path: string;
  /** Bytes to be sent. */
  readonly size: number;
  /** Goes together with others in one request; what may take long does not. */
  readonly isSmall: boolean;
  /** Locks what the attempt needs and says what to send; undefined when there is nothing to do any more. */
  begin(signal: AbortSignal): Promise<Attempt | undefined>;
}

export interface Attempt {
  readonly change: Change;
  /**
   * Called once, whatever came of it (an abort reason as `error`, too): gives the locks back. "done": the task is over; "again":
   * there is more to do, at once. Throws what the task is to be tried again for.
   */
  finish(result: AttemptResult): Promise<"done" | "again">;
}

export type AttemptResult =
  | { readonly ok: true; readonly entry?: Extract<ChangeResult, { ok: true }>["entry"] }
  | { readonly ok: false; readonly error: unknown };

export type HeldReason =
  | "quota"
  | "permission"
  | "name"
  | "encrypted"
  | "too-large"
  | "conflict"
  | "incomplete"
  | "user";

export type TaskState =
  | { readonly state: "waiting"; readonly at: number }
  | { readonly state: "uploading"; readonly sent: number }
  | { readonly state: "retrying"; readonly at: number; readonly because: string }
  | { readonly state: "held"; readonly at: number; readonly reason: HeldReason; readonly because: string };

export interface QueuedTask {
  readonly task: Task;
  readonly since: number;
  readonly attempts: number;
  readonly state: TaskState;
}

export interface CommitterOptions {
  readonly log: Logger;
  /** Batches at the same time. */
  readonly parallel: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** Longest pause before a held task is tried again: its cause may have gone away. */
  readonly heldMs: number;
  readonly batchMax: number;
  readonly batchBytes: number;
  /** Keeps the paths of the library as they are while a batch is under way. */
  readonly guard: (library: Library, signal: AbortSignal) => Promise<Release>;
}

interface Entry {
  readonly task: Task;
  readonly since: number;
  state: TaskState;
  attempts: number;
  failure: unknown;
  /** Waiters for the outcome of the attempt under way, and of the next one. */
  current: Deferred<void>[];
  next: Deferred<void>[];
  batch: AbortController | undefined;
  /** Wanted again after the attempt under way, at this time. */
  rescheduled: number | undefined;
}

const HELD: Partial<Record<Kind, HeldReason>> = {
  quota: "quota",
  forbidden: "permission",
  "read-only": "permission",
  unauthorized: "permission",
  "invalid-name": "name",
  "name-too-long": "name",
  "too-many-files": "name",
  encrypted: "encrypted",
  "too-large": "too-large",
  conflict: "conflict",
  gone: "incomplete",
};

export class Committer {
  readonly #options: CommitterOptions;
  readonly #entries = new Map<Task, Entry>();
  readonly #lastRemoval = new Map<Library, { readonly at: number; readonly delayMs: number }>();
  #active = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = 0;
  #stopped = false;
  #uploaded = 0;
  readonly #errors: { at: number; message: string }[] = [];

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** Puts the task into the queue, or sets anew when it is due: `delayMs` from now. What is held by the user stays held. */
  schedule(task: Task, delayMs: number): void {
    const at = Date.now() + delayMs;
    let entry = this.#entries.get(task);
    if (entry === undefined) {
      entry = {
        task,
        since: Date.now(),
        state: { state: "waiting", at },
        attempts: 0,
        failure: undefined,
        current: [],
        next: [],
        batch: undefined,
        rescheduled: undefined,
      };
      this.#entries.set(task, entry);
    } else if (entry.state.state === "uploading") entry.rescheduled = Math.min(at, entry.rescheduled ?? at);
    else if (!(entry.state.state === "held" && entry.state.reason === "user")) entry.state = { state: "waiting", at };
    if (task.op === "remove") this.#lastRemoval.set(task.library, { at: Date.now(), delayMs });
    this.#wakeAt(at);
  }

  isUnderWay(task: Task): boolean {
    return this.#entries.get(task)?.state.state === "uploading";
  }

  /** Attempts the task now and resolves when it is over. Rejects with what the attempt failed for; the task stays in the queue. */
  async now(task: Task, signal?: AbortSignal): Promise<void> {
    const entry = this.#entries.get(task);
    if (entry === undefined) return;
    if (this.#stopped) throw entry.failure ?? new SeafileError("unreachable", "The mount is ending.");
    const outcome = deferred<void>();
    outcome.promise.catch(() => {});
    entry.next.push(outcome);
    if (entry.state.state === "uploading") entry.rescheduled = 0;
    else entry.state = { state: "waiting", at: 0 };
    this.#pump();
    try {
      await raceAbort(outcome.promise, signal);
    } catch (error) {
      // Who waited has given up: a server that does not answer need not be waited for.
      if (signal?.aborted && withdraw(entry, outcome) === 0) this.interrupt(task);
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

  /** Breaks off what holds the library's paths for long. */
  interruptLarge(library: Library): void {
    for (const { task, batch } of this.#entries.values()) {
      if (task.library === library && !task.isSmall) batch?.abort(new DOMException("interrupted", "AbortError"));
    }
  }

  /** undefined: the task is not in the queue. */
  stateOf(task: Task): TaskState | undefined {
    return this.#entries.get(task)?.state;
  }

  has(task: Task): boolean {
    return this.#entries.has(task);
  }

  /** By the user: not tried until released. */
  hold(task: Task): boolean {
    const entry = this.#entries.get(task);
    if (entry === undefined) return false;
    entry.batch?.abort(new DOMException("held", "AbortError"));
    entry.rescheduled = undefined;
    entry.state = { state: "held", at: Number.POSITIVE_INFINITY, reason: "user", because: "held by the user" };
    return true;
  }

  retryNow(task: Task): boolean {
    const entry = this.#entries.get(task);
    if (entry === undefined || entry.state.state === "uploading") return false;
    entry.state = { state: "waiting", at: 0 };
    this.#pump();
    return true;
  }

  queue(): QueuedTask[] {
    return [...this.#entries.values()].map(({ task, since, attempts, state }) => ({ task, since, attempts, state }));
  }

  /** The newest failures, oldest first. */
  get errors(): readonly { readonly at: number; readonly message: string }[] {
    return this.#errors;
  }

  /** Bytes sent since the start. */
  get uploaded(): number {
    return this.#uploaded;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** No attempts from here on; those under way are broken off. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const entry of this.#entries.values()) {
      entry.batch?.abort(new DOMException("the mount is ending", "AbortError"));
      for (const waiter of [...entry.current.splice(0), ...entry.next.splice(0)]) {
        waiter.reject(new SeafileError("unreachable", "The mount is ending."));
      }
    }
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
      const batch = this.#nextBatch(now);
      if (batch.length === 0) break;
      this.#active++;
      void this.#run(batch).finally(() => {
        this.#active--;
        this.#pump();
      });
    }
    if (this.#active >= this.#options.parallel) return;
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) next = Math.min(next, this.#dueAt(entry));
    if (Number.isFinite(next)) this.#wakeAt(next);
  }

  /** What is due, the longest waiting first: one large task, or small ones of one library. */
  #nextBatch(now: number): Entry[] {
    const batch: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#entries.values()) {
      if (this.#dueAt(entry) > now) continue;
      const { task } = entry;
      const first = batch[0]?.task;
      if (first !== undefined && (!task.isSmall || task.library !== first.library || task.op !== first.op)) continue;
      batch.push(entry);
      bytes += task.size;
      if (!task.isSmall || batch.length >= this.#options.batchMax || bytes >= this.#options.batchBytes) break;
    }
    return batch;
  }

  /** Removals wait until nothing more was removed for the delay, so that a whole tree goes at once; but not for ever. */
  #dueAt({ state, task, since }: Entry): number {
    if (state.state === "uploading") return Number.POSITIVE_INFINITY;
    const last = task.op === "remove" && state.state === "waiting" ? this.#lastRemoval.get(task.library) : undefined;
    if (last === undefined || state.at === 0) return state.at;
    return Math.min(Math.max(state.at, last.at + last.delayMs), since + 5 * last.delayMs);
  }

  async #run(batch: readonly Entry[]): Promise<void> {
    const controller = new AbortController();
    for (const entry of batch) {
      entry.batch = controller;
      entry.state = { state: "uploading", sent: 0 };
      entry.current.push(...entry.next.splice(0));
      entry.attempts++;
    }
    const { signal } = controller;
    const { library } = batch[0]!.task;
    const started: { entry: Entry; attempt: Attempt }[] = [];
    let release: Release | undefined;
    try {
      release = await this.#options.guard(library, signal);
      for (const entry of batch) {
        try {
          const attempt = await entry.task.begin(signal);
          if (attempt === undefined) this.#over(entry);
          else started.push({ entry, attempt });
        } catch (error) {
          this.#failed(entry, error);
        }
      }
      const changes = started.map(({ entry, attempt }) => this.#watched(entry, attempt.change));
      const results = await applyAll(library, changes, signal);
      for (const [i, { entry, attempt }] of started.entries()) await this.#finish(entry, attempt, results[i]!);
    } catch (error) {
      for (const entry of batch) this.#failed(entry, error);
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
        entry.state = { state: "waiting", at: outcome === "again" ? 0 : entry.rescheduled! };
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
    for (const waiter of [...entry.current.splice(0), ...entry.next.splice(0)]) waiter.resolve();
  }

  #failed(entry: Entry, error: unknown): void {
    if (this.#entries.get(entry.task) !== entry || entry.state.state !== "uploading") return;
    entry.batch = undefined;
    const wanted = entry.rescheduled;
    entry.rescheduled = undefined;
    if (isAbort(error)) {
      // Broken off by us: nothing was learned of the server.
      entry.state = { state: "waiting", at: 0 };
      entry.next.unshift(...entry.current.splice(0));
      entry.attempts--;
      return;
    }
    entry.failure = error;
    entry.state = this.#afterFailure(entry, error);
    if (wanted !== undefined && entry.next.length > 0) entry.state = { state: "waiting", at: wanted };
    this.#say(entry, error);
    for (const waiter of entry.current.splice(0)) waiter.reject(error);
  }

  #afterFailure({ attempts }: Entry, error: unknown): TaskState {
    const because = error instanceof Error ? error.message : String(error);
    const reason = error instanceof SeafileError ? HELD[error.kind] : undefined;
    const longest = reason === undefined ? this.#options.retryMaxMs : this.#options.heldMs;
    const at = Date.now() + Math.min(longest, this.#options.retryFirstMs * 2 ** Math.min(20, attempts - 1));
    return reason === undefined ? { state: "retrying", at, because } : { state: "held", at, reason, because };
  }

  #say({ task, attempts, state }: Entry, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#errors.push({ at: Date.now(), message: `${task.path}: ${message}` });
    if (this.#errors.length > 20) this.#errors.shift();
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

/** `apply` rejects as a whole only when it is broken off: then nothing is known of any of the changes. */
async function applyAll(library: Library, changes: readonly Change[], signal: AbortSignal): Promise<AttemptResult[]> {
  if (changes.length === 0) return [];
  try {
    if (signal.aborted) throw abortReason(signal);
    return await library.apply(changes, signal);
  } catch (error) {
    return changes.map(() => ({ ok: false, error }));
  }
}

/** Answers how many still wait. */
function withdraw({ current, next }: Entry, outcome: Deferred<void>): number {
  for (const waiters of [current, next]) {
    const at = waiters.indexOf(outcome);
    if (at >= 0) waiters.splice(at, 1);
  }
  return current.length + next.length;
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
