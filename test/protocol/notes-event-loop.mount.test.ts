/**
 * What happens to a process that serves a mount and touches it, fills its thread pool, or exits: the proofs of
 * native-notes/node-event-loop.md. Mounts are deadlocked on purpose and let go through fusectl by their scope. For root only.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventually, ok, run } from "../support/process.ts";
import { tempDir, testScope } from "../support/scope.ts";
import { IS_ROOT } from "./identities.ts";
import { type SeenRequest, startSpy } from "./spy-process.ts";

const FOUR_THREADS = { env: { UV_THREADPOOL_SIZE: "4" } };

describe.runIf(IS_ROOT)("a process that touches its own mount", () => {
  it("with a synchronous stat waits for itself for ever", async () => {
    const spy = await startSpy(testScope());
    await spy.mount.ask("stat-own-sync", "touching");
    expect(await spy.isDeadlocked()).toBe(true);
    expect(await readFile(`/proc/${spy.pid}/stack`, "utf8")).toContain("request_wait_answer");
  });

  it("with a spawn whose cwd is in the mount waits for itself for ever", async () => {
    const spy = await startSpy(testScope());
    await spy.mount.ask("spawn-in-own", "touching");
    expect(await spy.isDeadlocked()).toBe(true);
  });

  it("with asynchronous stats deadlocks when they fill the pool and an operation needs the pool, and only then", async () => {
    const spy = await startSpy(testScope(), FOUR_THREADS);
    await spy.mount.ask("stat-own 8", "touching");
    await ok("stat", [spy.dir]);
    await spy.mount.ask("need-the-pool", "needed");
    await spy.mount.ask("stat-own 1", "touching");
    await ok("stat", [spy.dir]);
    await spy.mount.ask("stat-own 8", "touching");
    expect(await spy.isDeadlocked()).toBe(true);
  });

  it("is none of ours: mounting, finding the mount in mountinfo and unmounting send no request", async () => {
    const spy = await startSpy(testScope());
    await ok("ls", ["-l", spy.dir]);
    spy.mount.send("unmount");
    const { requests } = await spy.mount.next("closed");
    const senders = (requests as SeenRequest[]).map(({ pid }) => pid);
    expect(senders.length).toBeGreaterThan(1);
    expect(senders).not.toContain(spy.pid);
  });
});

describe.runIf(IS_ROOT)("libuv's thread pool", () => {
  it("has as many threads as UV_THREADPOOL_SIZE says, four by default", async () => {
    const four = await startSpy(testScope());
    const sixteen = await startSpy(testScope(), { env: { UV_THREADPOOL_SIZE: "16" } });
    expect((await sixteen.threads()).length - (await four.threads()).length).toBe(12);
  });

  it("has four threads also when an ES module sets UV_THREADPOOL_SIZE: its loader has used the pool by then", async () => {
    const program = (load: string) => `process.env.UV_THREADPOOL_SIZE = "16";
      ${load}.then((fs) => fs.stat("/", () => console.log(fs.readdirSync("/proc/self/task").length)))`;
    const dir = await tempDir(testScope());
    const threads = async (name: string, load: string, env = {}) => {
      await writeFile(join(dir, name), program(load));
      return Number(await ok(process.execPath, [join(dir, name)], { env }));
    };
    const inModule = await threads("module.mjs", 'import("node:fs")');
    expect(await threads("module.mjs", 'import("node:fs")', { UV_THREADPOOL_SIZE: "16" })).toBe(inModule + 12);
    expect(await threads("script.cjs", 'Promise.resolve(require("node:fs"))')).toBe(inModule + 12);
  });

  it("is not needed for reading requests: they arrive while jobs fill it", async () => {
    const spy = await startSpy(testScope(), FOUR_THREADS);
    await spy.mount.ask("fill-pool 100", "filled");
    await spy.requests();
    await run("stat", [join(spy.dir, "missing")]);
    const seen = await spy.opcodes();
    expect(seen.slice(0, seen.indexOf("LOOKUP") + 1).filter((op) => op === "JOB").length).toBeLessThan(100);
    expect(seen).toContain("LOOKUP");
  });

  it("answers an operation that needs it only after the jobs that were queued before", async () => {
    const spy = await startSpy(testScope(), FOUR_THREADS);
    await spy.mount.ask("need-the-pool", "needed");
    await spy.mount.ask("fill-pool 12", "filled");
    await run("stat", [spy.dir]);
    const seen = await spy.opcodes();
    expect(seen.filter((op) => op === "JOB").length).toBeGreaterThanOrEqual(9);
  });
});

describe.runIf(IS_ROOT)("a process that exits with a live mount", () => {
  it("ends the mount, if no thread of the pool is in a write(2) to /dev/fuse", async () => {
    const spy = await startSpy(testScope());
    await spy.mount.ask("exit", "exiting");
    expect(await spy.mount.exited).toEqual({ code: 7, signal: null });
    expect((await run("stat", [spy.dir])).stderr).toContain("Transport endpoint is not connected");
  });

  it("hangs while an invalidation waits for a lock of the kernel, until the connection is aborted", async () => {
    const spy = await startSpy(testScope());
    const making = run("mkdir", [join(spy.dir, "held")]);
    await eventually("mkdir has arrived", async () => (await spy.opcodes()).includes("MKDIR"));
    spy.mount.send("invalidate-in-the-pool other");
    await spy.mount.ask("exit", "exiting");
    expect(await spy.isDeadlocked()).toBe(true);
    expect(spy.mount.over).toBe(false);
    await spy.abort();
    expect(await spy.mount.exited).toEqual({ code: 7, signal: null });
    expect((await making).code).toBe(1);
  });
});
