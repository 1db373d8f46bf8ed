/** The queue to the server: what goes together and when, and that no task is held up, forgotten or sent twice at a time. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { type Kind, SeafileError } from "../../src/seafile/errors.ts";
import type { Library } from "../../src/seafile/library.ts";
import type { Change } from "../../src/seafile/types.ts";
import { Committer, type CommitterOptions } from "../../src/writeback/committer.ts";
import type { AttemptResult, Task } from "../../src/writeback/task.ts";

const DELAY = 1000;

/** A server that answers batches as told, and counts what it does at the same time. */
class Server {
  readonly batches: string[][] = [];
  readonly library = this.#newLibrary("one");
  readonly other = this.#newLibrary("two");
  readonly failures = new Map<string, SeafileError>();
  readonly hanging = new Set<string>();
  answerMs = 0;
  mostAtOnce = 0;
  #now = 0;

  #newLibrary(name: string): Library {
    const apply = (changes: readonly Change[], signal?: AbortSignal) => this.#apply(changes, signal);
    return { info: { name }, apply } as unknown as Library;
  }

  async #apply(changes: readonly Change[], signal: AbortSignal | undefined): Promise<AttemptResult[]> {
    const paths = changes.map((change) => (change.op === "move" ? change.to : change.path));
    this.batches.push(paths);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#now);
    try {
      const ms = paths.some((path) => this.hanging.has(path)) ? 1e8 : this.answerMs;
      if (ms > 0) await waitFor(ms, signal);
    } finally {
      this.#now--;
    }
    return paths.map((path): AttemptResult => {
      const error = this.failures.get(path);
      return error === undefined ? { ok: true } : { ok: false, error };
    });
  }
}

function waitFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

let server: Server;
let committer: Committer;
let numbers: number;

function begin(options: Partial<CommitterOptions> = {}): void {
  server = new Server();
  numbers = 0;
  committer = new Committer({
    log: silentLogger(),
    parallel: 4,
    retryFirstMs: 2000,
    retryMaxMs: 60_000,
    heldMs: 30_000,
    batchMax: 100,
    batchBytes: 8 * 1024 * 1024,
    guard: async () => () => {},
    ...options,
  });
}

interface TestTask extends Task {
  readonly results: AttemptResult[];
  begins: number;
}

function task(path: string, more: Partial<Pick<Task, "op" | "library" | "size" | "isSmall" | "begin">> = {}): TestTask {
  const results: AttemptResult[] = [];
  const it: TestTask = {
    id: ++numbers,
    op: "put",
    library: server.library,
    path,
    size: 10,
    isSmall: true,
    results,
    begins: 0,
    begin: async () => {
      it.begins++;
      return {
        change: { op: "remove", path, kind: "file" },
        finish: async (result) => {
          results.push(result);
          if (!result.ok) throw result.error;
          return "done";
        },
      };
    },
    ...more,
  };
  return it;
}

const schedule = (...tasks: Task[]) => tasks.forEach((it) => void committer.schedule(it, DELAY));
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const states = () => committer.queue().map(({ task: { path }, state: { state } }) => `${path} ${state}`);
const failure = (kind: Kind) => new SeafileError(kind, `it is ${kind}`);
const outcome = (work: Promise<void>) => {
  let said = "waiting";
  work.then(
    () => (said = "done"),
    (error: Error) => (said = error.message),
  );
  return () => said;
};

beforeEach(() => {
  vi.useFakeTimers();
  begin();
});
afterEach(() => {
  committer.stop();
  vi.useRealTimers();
});

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
