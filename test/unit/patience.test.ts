/** How long the end of a mount waits for a server that does not answer. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Patience } from "../../src/util/patience.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("ends after its default when nobody says how long, as SIGTERM does", () => {
  const signal = new Patience(60_000).start();
  vi.advanceTimersByTime(59_999);
  expect(signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(signal.aborted).toBe(true);
});

it("ends after the shortest time that anybody named, whoever came first", () => {
  const patience = new Patience(60_000);
  const signal = patience.start(10_000);
  patience.start();
  vi.advanceTimersByTime(2000);
  patience.start(5000);
  vi.advanceTimersByTime(5000);
  expect(signal.aborted).toBe(true);
});

it("is over at once for who waits for nothing", () => {
  expect(new Patience(60_000).start(0).aborted).toBe(true);
});

it("leaves no timer behind", () => {
  const patience = new Patience(60_000);
  patience.start();
  patience.end();
  expect(vi.getTimerCount()).toBe(0);
});
