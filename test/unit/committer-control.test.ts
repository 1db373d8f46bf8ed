/** The queue to the server: waiting for a task, taking it back, holding it, and the end of the mount. */
import { describe, expect, it } from "vitest";
import type { AttemptResult } from "../../src/writeback/task.ts";
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

describe("waiting for a task", () => {
  it("ends with the failure of the attempt, and the task stays", async () => {
    server.failures.set("/a", failure("quota"));
    const a = task("/a");
    schedule(a);
    const waiting = outcome(committer.now(a));
    await pass(1);
    expect([waiting(), states()]).toEqual(["it is quota", ["/a held"]]);
  });

  it("is for an attempt that began after the wait did", async () => {
    server.answerMs = 100;
    const a = task("/a");
    schedule(a);
    await pass(DELAY + 50);
    const waiting = outcome(committer.now(a));
    await pass(60);
    expect([server.batches.length, waiting()]).toEqual([2, "waiting"]);
    await pass(100);
    expect([a.begins, waiting(), states()]).toEqual([2, "done", []]);
  });

  it("is not told of a failure of the attempt before", async () => {
    server.answerMs = 100;
    server.failures.set("/a", failure("server"));
    const a = task("/a");
    schedule(a);
    await pass(DELAY + 50);
    const waiting = outcome(committer.now(a));
    await pass(55);
    server.failures.clear();
    await pass(100);
    expect([a.begins, waiting(), states()]).toEqual([2, "done", []]);
  });

  it("joins a removal that is under way, of which there is nothing newer", async () => {
    server.answerMs = 100;
    const a = task("/a", { op: "remove" });
    schedule(a);
    await pass(DELAY + 50);
    const waiting = outcome(committer.now(a));
    await pass(200);
    expect([a.begins, waiting(), states()]).toEqual([1, "done", []]);
  });

  it("that is given up ends the attempt, which is made again", async () => {
    server.hanging.add("/a");
    const a = task("/a");
    schedule(a);
    const wait = new AbortController();
    const waiting = outcome(committer.now(a, wait.signal));
    await pass(10);
    wait.abort(new Error("given up"));
    server.hanging.clear();
    await pass(10);
    expect([waiting(), a.results.map(({ ok }) => ok), states()]).toEqual(["given up", [false, true], []]);
  });

  it("that is given up leaves the attempt to others who wait", async () => {
    server.answerMs = 100;
    const a = task("/a");
    schedule(a);
    const wait = new AbortController();
    const other = outcome(committer.now(a));
    outcome(committer.now(a, wait.signal));
    await pass(10);
    wait.abort(new Error("given up"));
    await pass(100);
    expect([other(), a.begins]).toEqual(["done", 1]);
  });

  it.each([
    ["fails", () => server.failures.set("/a", failure("server")), 2000],
    ["is given up", () => server.hanging.add("/a"), 0],
  ])(
    "under the caller's lock that %s leaves the task to the queue, which tries it again",
    async (_, prepare, pause) => {
      prepare();
      const a = task("/a", { op: "remove" });
      committer.schedule(a, 3_600_000);
      const who = new AbortController();
      const waiting = outcome(committer.nowUnder(a, who.signal));
      await pass(1);
      server.failures.clear();
      server.hanging.clear();
      who.abort(new Error("interrupted"));
      await pass(1);
      expect(waiting()).not.toBe("waiting");
      await pass(pause + 1);
      expect([a.begins, states()]).toEqual([2, []]);
    },
  );

  it("for what is not in the queue ends at once", async () => {
    expect(await committer.now(task("/a"))).toBeUndefined();
  });
});

describe("taking back", () => {
  it("a task that is cancelled before its time is never sent", async () => {
    const [a, b] = [task("/a"), task("/b")];
    schedule(a, b);
    const waiting = outcome(committer.now(a));
    committer.cancel(a);
    await pass(DELAY);
    expect([server.batches, waiting(), committer.has(a)]).toEqual([[["/b"]], "done", false]);
  });

  it("a task that is cancelled while it is sent gives its locks back, and its neighbours are sent again", async () => {
    server.hanging.add("/a");
    const [a, b] = [task("/a"), task("/b")];
    schedule(a, b);
    await pass(DELAY);
    committer.cancel(a);
    await pass(10);
    expect([a.results.length, server.batches.at(-1), states()]).toEqual([1, ["/b"], []]);
  });

  it("an interrupted task is sent again, and that counts as no failure", async () => {
    server.hanging.add("/a");
    const a = task("/a");
    schedule(a);
    await pass(DELAY);
    server.hanging.clear();
    committer.interrupt(a);
    await pass(1);
    expect([a.begins, states(), committer.errors]).toEqual([2, [], []]);
  });

  it("only what takes long is interrupted where paths are to be changed", async () => {
    server.answerMs = 100;
    const [small, large] = [task("/small"), task("/large", { isSmall: false })];
    schedule(small, large);
    await pass(DELAY + 10);
    committer.interruptAll(server.library, "large");
    await pass(300);
    expect([small.begins, large.begins, states()]).toEqual([1, 2, []]);
  });
});

describe("holding", () => {
  it("what the user holds is not sent, whatever is written, until it is released", async () => {
    const a = task("/a");
    schedule(a);
    expect(committer.hold(a)).toBe(true);
    schedule(a);
    await pass(1_000_000);
    expect([server.batches, committer.queue()[0]?.state]).toMatchObject([[], { state: "held", reason: "user" }]);
    await expect(committer.now(a)).rejects.toMatchObject({ kind: "busy" });
    expect(committer.retryNow(a)).toBe(true);
    await pass(1);
    expect([server.batches, states()]).toEqual([[["/a"]], []]);
  });

  it("what is held while it is sent is broken off, and who waits for it is told", async () => {
    server.hanging.add("/a");
    const a = task("/a");
    schedule(a);
    const waiting = outcome(committer.now(a));
    await pass(1);
    committer.hold(a);
    await pass(1_000_000);
    expect([a.begins, states(), waiting()]).toEqual([1, ["/a held"], expect.stringContaining("held")]);
  });

  it("who waits for what is then held is told", async () => {
    begin({ parallel: 1 });
    server.hanging.add("/x");
    schedule(task("/x", { isSmall: false }));
    await pass(DELAY);
    const a = task("/a");
    schedule(a);
    const waiting = outcome(committer.now(a));
    committer.hold(a);
    await pass(1);
    expect(waiting()).toContain("held");
  });

  it("what is held and released while it is broken off is sent once more, not twice at a time", async () => {
    let under = 0;
    let most = 0;
    const a = task("/a", {
      begin: async () => {
        most = Math.max(most, ++under);
        const finish = async (result: AttemptResult) => {
          // Gives its locks back slowly.
          await sleepFake(50);
          under--;
          if (!result.ok) throw result.error;
          return "done" as const;
        };
        return { change: { op: "remove", path: "/a", kind: "file" }, finish };
      },
    });
    server.hanging.add("/a");
    schedule(a);
    await pass(DELAY);
    server.hanging.clear();
    committer.hold(a);
    committer.retryNow(a);
    await pass(200);
    expect([most, states(), server.batches.length]).toEqual([1, [], 2]);
  });

  it("a held task that was stored all the same is over", async () => {
    const a = task("/a", {
      begin: async () => ({
        change: { op: "remove", path: "/a", kind: "file" },
        finish: async () => "done",
      }),
    });
    server.hanging.add("/a");
    schedule(a);
    await pass(DELAY);
    committer.hold(a);
    await pass(1);
    expect(states()).toEqual([]);
  });

  // SEMANTICS: "What is retrying or held is uploading while it is tried again."
  it("what the server refused is under way while it is tried again", async () => {
    server.failures.set("/a", failure("quota"));
    const a = task("/a");
    schedule(a);
    await pass(DELAY);
    server.answerMs = 100;
    committer.retryNow(a);
    await pass(50);
    expect(states()).toEqual(["/a uploading"]);
    await pass(100);
    expect(states()).toEqual(["/a held"]);
  });

  it("what the server refused is tried when the user says so", async () => {
    server.failures.set("/a", failure("quota"));
    const a = task("/a");
    schedule(a);
    await pass(DELAY);
    server.failures.clear();
    committer.retryNow(a);
    await pass(1);
    expect(states()).toEqual([]);
  });

  it("nothing is held or tried that is not in the queue", () => {
    const a = task("/a");
    expect([committer.hold(a), committer.retryNow(a)]).toEqual([false, false]);
  });
});

describe("the end", () => {
  it("breaks off what is under way, tells who waits, and sends nothing more", async () => {
    server.hanging.add("/a");
    const [a, b] = [task("/a"), task("/b", { isSmall: false })];
    schedule(a);
    const waiting = outcome(committer.now(a));
    await pass(1);
    schedule(b);
    committer.stop();
    await pass(1_000_000);
    expect([waiting(), a.results.length, server.batches]).toEqual(["The mount is ending.", 1, [["/a"]]]);
    await expect(committer.now(b)).rejects.toThrow("The mount is ending.");
  });
});

/** Under fake timers. */
function sleepFake(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
