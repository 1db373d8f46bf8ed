/** The queue to the server: what goes together and when, and what becomes of what fails. */
import { describe, expect, it } from "vitest";
import type { Kind } from "../../src/seafile/errors.ts";
import {
  begin,
  committer,
  DELAY,
  failure,
  outcome,
  pass,
  schedule,
  server,
  states,
  task,
  useCommitter,
} from "./committer-stage.ts";

useCommitter();

describe("what is sent when", () => {
  it("nothing before the delay, and everything that is due together in one batch", async () => {
    schedule(task("/a"), task("/b"), task("/c"));
    await pass(DELAY - 1);
    expect(server.batches).toEqual([]);
    await pass(1);
    expect([server.batches, states()]).toEqual([[["/a", "/b", "/c"]], []]);
  });

  it("the delay begins anew with each change of the file", async () => {
    const a = task("/a");
    schedule(a);
    await pass(DELAY - 1);
    schedule(a);
    await pass(DELAY - 1);
    expect(server.batches).toEqual([]);
    await pass(1);
    expect(server.batches).toEqual([["/a"]]);
  });

  it("a batch holds small changes of one library and one kind", async () => {
    server.answerMs = 10;
    const more = { library: server.other };
    schedule(
      task("/a"),
      task("/b", more),
      task("/c", { op: "remove" }),
      task("/d", { isSmall: false }),
      task("/e"),
      task("/f", more),
    );
    await pass(DELAY);
    expect(server.batches.sort()).toEqual([["/a", "/e"], ["/b", "/f"], ["/c"], ["/d"]]);
  });

  it("a batch ends at its number of changes and at its bytes", async () => {
    begin({ batchMax: 2, batchBytes: 100 });
    schedule(task("/a"), task("/b"), task("/c", { size: 99 }), task("/d", { size: 99 }), task("/e"));
    await pass(DELAY);
    expect(server.batches.sort()).toEqual([["/a", "/b"], ["/c", "/d"], ["/e"]]);
  });

  it("so many batches at a time as it is told, and the rest after them", async () => {
    begin({ parallel: 2, batchMax: 1 });
    server.answerMs = 50;
    schedule(...["/a", "/b", "/c", "/d", "/e"].map((path) => task(path)));
    await pass(DELAY + 500);
    expect([server.batches.length, server.mostAtOnce, states()]).toEqual([5, 2, []]);
  });

  it("removals wait as long as somebody goes on removing, but not for ever", async () => {
    for (let i = 0; i < 4; i++) {
      schedule(task(`/${i}`, { op: "remove" }));
      await pass(DELAY / 2);
    }
    expect(server.batches).toEqual([]);
    for (let i = 4; i < 20; i++) {
      schedule(task(`/${i}`, { op: "remove" }));
      await pass(DELAY / 2);
    }
    expect(server.batches[0]?.[0]).toBe("/0");
    await pass(5 * DELAY);
    expect(server.batches.flat()).toHaveLength(20);
  });

  it("many new files go together when no more come, and not each at its own moment", async () => {
    for (let i = 0; i < 50; i++) {
      schedule(task(`/${i}`));
      await pass(DELAY / 100);
    }
    await pass(DELAY);
    expect(server.batches.map((batch) => batch.length)).toEqual([50]);
  });

  // SEMANTICS: "Files of at most 1 MiB wait until no more are closed for so long, to be stored together, and five times as long at most."
  it("while new files go on coming, those that have waited for long go with all that are older than the delay", async () => {
    for (let i = 0; i < 100; i++) {
      schedule(task(`/${i}`));
      await pass(DELAY / 10);
    }
    expect(server.batches[0]).toHaveLength(41);
    await pass(5 * DELAY);
    expect(server.batches.flat()).toHaveLength(100);
    expect(server.batches.length).toBeLessThan(6);
  });

  it("a file that is written again and again is stored now and then", async () => {
    const a = task("/a");
    for (let i = 0; i < 40; i++) {
      committer.schedule(a, DELAY);
      await pass(DELAY / 2);
    }
    expect(server.batches.length).toBeGreaterThan(2);
    expect(server.batches.length).toBeLessThan(6);
  });

  it("so is a large one that is closed more often than every delay", async () => {
    // SEMANTICS: "A larger file that is closed again and again waits five times as long at most, too."
    const a = task("/a", { isSmall: false });
    for (let i = 0; i < 12; i++) {
      schedule(a);
      await pass(DELAY / 2);
    }
    expect(a.begins).toBe(1);
  });

  it("a failing large file that is closed again is tried after the delay, however long it has failed", async () => {
    server.failures.set("/a", failure("quota"));
    const a = task("/a", { isSmall: false });
    schedule(a);
    await pass(10 * DELAY);
    const { begins } = a;
    schedule(a);
    await pass(DELAY - 1);
    expect(a.begins).toBe(begins);
    await pass(1);
    expect(a.begins).toBe(begins + 1);
  });

  it("a large file waits for its own delay only", async () => {
    schedule(task("/large", { isSmall: false }));
    await pass(DELAY / 2);
    schedule(task("/a"));
    await pass(DELAY / 2);
    expect(server.batches).toEqual([["/large"]]);
  });

  it("files do not wait for removals", async () => {
    schedule(task("/a"), task("/r", { op: "remove" }));
    await pass(DELAY / 2);
    schedule(task("/s", { op: "remove" }));
    await pass(DELAY / 2);
    expect(server.batches).toEqual([["/a"]]);
  });

  it("what is wanted now goes now, and what is wanted at the same time goes together", async () => {
    const tasks = ["/a", "/b", "/c", "/d", "/e", "/f"].map((path) => task(path));
    schedule(...tasks);
    const waits = tasks.map((it) => outcome(committer.now(it)));
    await pass(1);
    expect([server.batches, waits.map((said) => said())]).toEqual([
      [["/a", "/b", "/c", "/d", "/e", "/f"]],
      waits.map(() => "done"),
    ]);
  });

  it("a task that has nothing to do any more is over, without a request", async () => {
    const a = task("/a", { begin: async () => undefined });
    schedule(a);
    const waiting = outcome(committer.now(a));
    await pass(1);
    expect([server.batches, states(), waiting()]).toEqual([[], [], "done"]);
  });

  it("a task with more to do goes again at once, and who waits for it waits for that", async () => {
    let rounds = 0;
    const finish = async () => (++rounds < 3 ? ("again" as const) : ("done" as const));
    const a = task("/a", { begin: async () => ({ change: { op: "remove", path: "/a", kind: "file" }, finish }) });
    schedule(a);
    const waiting = outcome(committer.now(a));
    await pass(1);
    expect([server.batches.length, waiting(), states()]).toEqual([3, "done", []]);
  });

  it("the library's paths are kept as they are during a batch, and given back after it, failed or not", async () => {
    let holders = 0;
    begin({
      guard: async () => {
        holders++;
        return () => holders--;
      },
    });
    server.failures.set("/b", failure("quota"));
    schedule(task("/a"), task("/b"), task("/c", { begin: () => Promise.reject(new Error("no")) }));
    server.answerMs = 10;
    await pass(DELAY + 5);
    const during = holders;
    await pass(10);
    expect([during, holders]).toEqual([1, 0]);
  });
});

describe("failures", () => {
  it("one task's failure does not hold up the others of its batch", async () => {
    server.failures.set("/b", failure("quota"));
    const c = task("/c", { begin: () => Promise.reject(new Error("the disk is gone")) });
    schedule(task("/a"), task("/b"), c, task("/d"));
    await pass(DELAY);
    expect([server.batches, states()]).toEqual([[["/a", "/b", "/d"]], ["/b held", "/c retrying"]]);
  });

  it("a task that does not answer does not hold up the others", async () => {
    server.hanging.add("/a");
    schedule(task("/a", { isSmall: false }), task("/b"), task("/c"));
    await pass(DELAY);
    expect(states()).toEqual(["/a uploading"]);
  });

  it("pauses grow from the first to the longest, and the task succeeds when it can", async () => {
    server.failures.set("/a", failure("server"));
    schedule(task("/a"));
    await pass(DELAY);
    for (const pause of [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      const before = server.batches.length;
      await pass(pause - 1);
      expect(server.batches.length).toBe(before);
      await pass(1);
      expect(server.batches.length).toBe(before + 1);
    }
    server.failures.clear();
    await pass(60_000);
    expect(states()).toEqual([]);
  });

  it.each<[Kind, string]>([
    ["quota", "quota"],
    ["forbidden", "permission"],
    ["read-only", "permission"],
    ["invalid-name", "name"],
    ["encrypted", "encrypted"],
    ["too-large", "too-large"],
    ["conflict", "conflict"],
    ["gone", "incomplete"],
  ])("what the server refuses as %s is held for the reason %s, and tried again later", async (kind, reason) => {
    server.failures.set("/a", failure(kind));
    schedule(task("/a"));
    await pass(DELAY);
    expect(committer.queue()[0]?.state).toMatchObject({ state: "held", reason, because: `it is ${kind}` });
    server.failures.clear();
    await pass(30_000);
    expect(states()).toEqual([]);
  });

  it("a new change of a failing file is tried after the delay, not after the pause", async () => {
    server.failures.set("/a", failure("quota"));
    const a = task("/a");
    schedule(a);
    await pass(DELAY + 20_000);
    server.failures.clear();
    schedule(a);
    await pass(DELAY);
    expect(states()).toEqual([]);
  });

  it("when the server can be reached again, what waited for that goes at once", async () => {
    for (const path of ["/a", "/b"]) server.failures.set(path, failure("unreachable"));
    schedule(task("/a"), task("/b"));
    await pass(DELAY + 2000 + 4000 + 8000 + 1);
    server.failures.clear();
    schedule(task("/c"));
    await pass(DELAY);
    expect(states()).toEqual([]);
  });

  it("the newest failures are remembered, twenty of them", async () => {
    const paths = Array.from({ length: 25 }, (_, i) => `/${i}`);
    for (const path of paths) server.failures.set(path, failure("quota"));
    schedule(...paths.map((path) => task(path)));
    await pass(DELAY);
    expect(committer.errors.map(({ message }) => message)).toEqual(
      paths.slice(5).map((path) => `${path}: it is quota`),
    );
  });
});
