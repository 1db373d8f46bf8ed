import { describe, expect, it } from "vitest";
import { abortReason, deferred } from "../../src/util/abort.ts";
import { SingleFlight } from "../../src/util/single-flight.ts";

/** Work that can be counted, answered and aborted. */
function works() {
  const started: { signal: AbortSignal; answer: (value: string) => void }[] = [];
  const work = (signal: AbortSignal) => {
    const { promise, resolve, reject } = deferred<string>();
    signal.addEventListener("abort", () => reject(abortReason(signal)));
    started.push({ signal, answer: resolve });
    return promise;
  };
  return { started, work };
}

describe("SingleFlight", () => {
  it("shares one piece of work per key", async () => {
    const { started, work } = works();
    const flights = new SingleFlight<string, string>();
    const both = [flights.run("a", work), flights.run("a", work)];
    const other = flights.run("b", work);
    for (const { answer } of started) answer("done");
    expect(await Promise.all([...both, other])).toEqual(["done", "done", "done"]);
    expect(started.length).toBe(2);
  });

  it("goes on for the others when one gives up", async () => {
    const { started, work } = works();
    const flights = new SingleFlight<string, string>();
    const leaver = new AbortController();
    const left = flights.run("a", work, leaver.signal);
    const stays = flights.run("a", work);
    leaver.abort();
    await expect(left).rejects.toMatchObject({ name: "AbortError" });
    expect(started[0]?.signal.aborted).toBe(false);
    started[0]?.answer("done");
    expect(await stays).toBe("done");
  });

  it("is aborted when the last one gives up, and a newcomer starts anew", async () => {
    const { started, work } = works();
    const flights = new SingleFlight<string, string>();
    const leaver = new AbortController();
    const left = flights.run("a", work, leaver.signal);
    leaver.abort();
    await expect(left).rejects.toMatchObject({ name: "AbortError" });
    expect(started[0]?.signal.aborted).toBe(true);
    const anew = flights.run("a", work);
    started[1]?.answer("second");
    expect(await anew).toBe("second");
  });

  it("starts anew after a failure and after success", async () => {
    const flights = new SingleFlight<string, number>();
    await expect(flights.run("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await flights.run("a", async () => 1)).toBe(1);
    expect(await flights.run("a", async () => 2)).toBe(2);
  });
});
