import { describe, expect, it } from "vitest";
import { KeyedMutex } from "../../src/util/keyed-mutex.ts";

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("KeyedMutex", () => {
  it("lets shared holders in together and an exclusive one alone", async () => {
    const mutex = new KeyedMutex<string>();
    const first = await mutex.lock("a", "shared");
    const second = await mutex.lock("a", "shared");
    let exclusive = false;
    const third = mutex.lock("a", "exclusive").then((release) => {
      exclusive = true;
      return release;
    });
    await settle();
    expect(exclusive).toBe(false);
    first();
    await settle();
    expect(exclusive).toBe(false);
    second();
    (await third)();
    expect(exclusive).toBe(true);
  });

  it("does not let later readers overtake a waiting writer", async () => {
    const mutex = new KeyedMutex<string>();
    const order: string[] = [];
    const reader = await mutex.lock("a", "shared");
    const writer = mutex.lock("a", "exclusive").then((release) => {
      order.push("writer");
      release();
    });
    const late = mutex.lock("a", "shared").then((release) => {
      order.push("reader");
      release();
    });
    reader();
    await Promise.all([writer, late]);
    expect(order).toEqual(["writer", "reader"]);
  });

  it("keys do not wait for each other", async () => {
    const mutex = new KeyedMutex<string>();
    await mutex.lock("a");
    await mutex.lock("b");
  });

  it("an aborted waiter leaves the queue and lets those behind it in", async () => {
    const mutex = new KeyedMutex<string>();
    const reader = await mutex.lock("a", "shared");
    const controller = new AbortController();
    const writer = mutex.lock("a", "exclusive", controller.signal);
    const behind = mutex.lock("a", "shared");
    controller.abort();
    await expect(writer).rejects.toMatchObject({ name: "AbortError" });
    (await behind)();
    reader();
    (await mutex.lock("a", "exclusive"))();
  });

  it("releasing twice counts once", async () => {
    const mutex = new KeyedMutex<string>();
    const one = await mutex.lock("a", "shared");
    const two = await mutex.lock("a", "shared");
    one();
    one();
    let exclusive = false;
    const writer = mutex.lock("a").then((release) => {
      exclusive = true;
      release();
    });
    await settle();
    expect(exclusive).toBe(false);
    two();
    await writer;
  });
});
