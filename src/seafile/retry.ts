/**
 * When a failed request is made again, and after how long: the only place that decides it. Invariants: every wait ends on
 * abort; a server that stays dead ends the attempts within `deadlineMs`; a request that changes something is repeated
 * only when it is known to have changed nothing (`unapplied`), when repeating is harmless, or after asking the server.
 */
import type { Logger } from "../observe/log.ts";
import { abortReason, sleep } from "../util/abort.ts";
import { SeafileError } from "./errors.ts";

export interface RetryPolicy {
  /** No attempt begins later than this after the first one, milliseconds. Waits that the server asked for do not count. */
  readonly deadlineMs: number;
  /** First pause; doubled each time up to `maxDelayMs`, and shortened at random by up to a half. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Answers like 500 are often there to stay: no more than so many in a row. */
  readonly maxServerErrors: number;
  /** Longest Retry-After that is obeyed; a longer one ends the attempts. */
  readonly maxRetryAfterMs: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  deadlineMs: 20_000,
  firstDelayMs: 200,
  maxDelayMs: 4_000,
  maxServerErrors: 6,
  maxRetryAfterMs: 60_000,
};

/** Attempts, time and server errors spent on one piece of work. */
export class RetryBudget {
  readonly #policy: RetryPolicy;
  readonly #log: Logger;
  #failures = 0;
  #serverErrors = 0;
  #deadline: number;

  constructor(policy: RetryPolicy, log: Logger) {
    this.#policy = policy;
    this.#log = log;
    this.#deadline = performance.now() + policy.deadlineMs;
  }

  /** The work got on: it may fail as often again. */
  reset(): void {
    this.#failures = 0;
    this.#serverErrors = 0;
    this.#deadline = performance.now() + this.#policy.deadlineMs;
  }

  /** So many milliseconds were spent usefully and do not count. */
  forgive(ms: number): void {
    this.#deadline += ms;
  }

  /** Waits as the failure demands. Throws the failure itself when another attempt makes no sense, or the abort reason. */
  async backOff(failure: unknown, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) throw abortReason(signal);
    if (!(failure instanceof SeafileError) || !failure.transient) throw failure;
    const { kind, status, retryAfterMs } = failure;
    if (kind === "server" || kind === "protocol") this.#serverErrors++;
    if (this.#serverErrors >= this.#policy.maxServerErrors) throw failure;
    const delay = retryAfterMs ?? this.#nextDelay();
    if (retryAfterMs === undefined) {
      if (performance.now() + delay > this.#deadline) throw failure;
    } else {
      if (delay > this.#policy.maxRetryAfterMs) throw failure;
      this.#deadline += delay;
    }
    if (performance.now() > this.#deadline) throw failure;
    this.#log.debug({ kind, status, delayMs: Math.round(delay) }, `trying again: ${failure.message}`);
    await sleep(delay, signal);
  }

  #nextDelay(): number {
    const { firstDelayMs, maxDelayMs } = this.#policy;
    const full = Math.min(maxDelayMs, firstDelayMs * 2 ** this.#failures++);
    return full * (1 - Math.random() / 2);
  }
}

export interface RetryOptions<T> {
  readonly policy: RetryPolicy;
  readonly log: Logger;
  readonly signal: AbortSignal | undefined;
  /**
   * For requests that must not be applied twice: called after a failure that leaves open whether the server applied the
   * request; answers with its result if it did, with undefined if it did not. Absent: repeating does no harm.
   */
  readonly settle?: () => Promise<T | undefined>;
  /** The request carries many bytes: the time they took until the connection broke is not held against it. */
  readonly carriesBytes?: boolean;
}

/** Runs a request until it succeeds or another attempt makes no sense. Rejects with the last failure, or the abort reason. */
export async function retry<T>(options: RetryOptions<T>, request: () => Promise<T>): Promise<T> {
  const { policy, log, signal, settle, carriesBytes = false } = options;
  const budget = new RetryBudget(policy, log);
  for (;;) {
    const begun = performance.now();
    try {
      return await request();
    } catch (failure) {
      const isSilence = failure instanceof SeafileError && failure.kind === "timeout";
      if (carriesBytes && !isSilence) budget.forgive(performance.now() - begun);
      const unknown = settle !== undefined && failure instanceof SeafileError && !failure.unapplied;
      await budget.backOff(failure, signal);
      if (!unknown) continue;
      const result = await retry({ policy, log, signal }, settle);
      if (result !== undefined) return result;
    }
  }
}
