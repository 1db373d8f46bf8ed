/** How long and how often a failed request is repeated, on a clock that the test moves. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { type Kind, SeafileError, type SeafileErrorOptions } from "../../src/seafile/errors.ts";
import { DEFAULT_RETRY, RetryBudget, retry } from "../../src/seafile/retry.ts";

const log = silentLogger();
const failure = (kind: Kind, options: SeafileErrorOptions = {}) =>
  new SeafileError(kind, "failed", { transient: true, ...options });

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs until the promise settles, and says after how many milliseconds of the moved clock it did. */
async function elapsed(work: Promise<unknown>): Promise<number> {
  const start = performance.now();
  let end: number | undefined;
  const done = work.then(
    () => (end = performance.now()),
    () => (end = performance.now()),
  );
  await vi.runAllTimersAsync();
  await done;
  return end! - start;
}

describe("retry", () => {
  it("pursues an unreachable server for no longer than the deadline, with growing pauses", async () => {
    const times: number[] = [];
    const spent = await elapsed(
      retry({ policy: DEFAULT_RETRY, log, signal: undefined }, async () => {
        times.push(performance.now());
        throw failure("unreachable", { unapplied: true });
      }),
    );
    expect(spent).toBeGreaterThan(DEFAULT_RETRY.deadlineMs - DEFAULT_RETRY.maxDelayMs);
    expect(spent).toBeLessThanOrEqual(DEFAULT_RETRY.deadlineMs);
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    expect(pauses[0]).toBeGreaterThanOrEqual(DEFAULT_RETRY.firstDelayMs / 2 - 1);
    expect(pauses[0]).toBeLessThanOrEqual(DEFAULT_RETRY.firstDelayMs + 1);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(DEFAULT_RETRY.maxDelayMs + 1);
    expect(times.length).toBeLessThan(20);
  });

  it("does not hold the time of bytes that flowed against a request, but that of silence", async () => {
    const slow = async (kind: Kind) => {
      let attempts = 0;
      await elapsed(
        retry({ policy: DEFAULT_RETRY, log, signal: undefined, carriesBytes: true }, async () => {
          await new Promise((resolve) => setTimeout(resolve, 60_000));
          if (attempts++ < 2) throw failure(kind, { unapplied: true });
        }),
      );
      return attempts;
    };
    expect(await slow("unreachable")).toBe(3);
    expect(await slow("timeout")).toBe(1);
  });

  it("waits as long as the server asks, and does not count it", async () => {
    let attempts = 0;
    const spent = await elapsed(
      retry({ policy: DEFAULT_RETRY, log, signal: undefined }, async () => {
        if (attempts++ === 0) throw failure("throttled", { retryAfterMs: 28_000, unapplied: true });
      }),
    );
    expect(attempts).toBe(2);
    expect(spent).toBeGreaterThanOrEqual(28_000);
    expect(spent).toBeLessThan(28_100);
  });

  it("ends a wait on abort with the signal's reason", async () => {
    const controller = new AbortController();
    const work = retry({ policy: DEFAULT_RETRY, log, signal: controller.signal }, async () => {
      throw failure("throttled", { retryAfterMs: 28_000 });
    });
    setTimeout(() => controller.abort(new Error("Ctrl-C")), 100);
    const outcome = expect(work).rejects.toThrow("Ctrl-C");
    expect(await elapsed(work)).toBeLessThanOrEqual(101);
    await outcome;
  });

  it("throws what is not transient, and what is no SeafileError, at once", async () => {
    for (const error of [new SeafileError("forbidden", "no"), new TypeError("bug")]) {
      let attempts = 0;
      const work = retry({ policy: DEFAULT_RETRY, log, signal: undefined }, async () => {
        attempts++;
        throw error;
      });
      await expect(work).rejects.toBe(error);
      expect(attempts).toBe(1);
    }
  });

  it("asks what became of a request before repeating it, but only when it may have been applied", async () => {
    const failures = [failure("busy", { unapplied: true }), failure("unreachable"), failure("timeout")];
    const answers = [undefined, "found"];
    let asked = 0;
    const settle = async () => answers[asked++];
    const work = retry<string>({ policy: DEFAULT_RETRY, log, signal: undefined, settle }, async () => {
      throw failures.shift() ?? new Error("one attempt too many");
    });
    await elapsed(work);
    expect(await work).toBe("found");
    expect(asked).toBe(2);
  });
});

describe("RetryBudget", () => {
  it("has the full patience again after progress", async () => {
    const budget = new RetryBudget({ ...DEFAULT_RETRY, maxServerErrors: 2 }, log);
    for (let i = 0; i < 5; i++) {
      const wait = budget.backOff(failure("server"), undefined);
      await elapsed(wait);
      await wait;
      budget.reset();
    }
    const last = budget.backOff(failure("server"), undefined);
    await elapsed(last);
    await expect(budget.backOff(failure("server"), undefined)).rejects.toMatchObject({ kind: "server" });
  });
});
