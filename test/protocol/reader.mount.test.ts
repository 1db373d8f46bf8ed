/**
 * The two ways of waiting for /dev/fuse with a real kernel: the event loop, and a thread of libuv's pool where Node lacks the handle
 * for that. The other mount tests use the first one only.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { lazyUnmount } from "../support/mountinfo.ts";
import { eventually, ok, run } from "../support/process.ts";
import { fileScope } from "../support/scope.ts";
import { openDevice } from "./identities.ts";
import { type MountProcess, mounted } from "./mount-process.ts";

beforeAll(openDevice);

/** A folder to copy. */
const SOURCES = resolve(import.meta.dirname, "../../src/devserver");
/** No socket connects, and so none gets the handle that eventReader takes. */
const WITHOUT_HANDLE =
  'data:text/javascript,import net from "node:net"; net.Socket.prototype.connect = () => { throw new Error("no handle"); };';
const READERS = [
  { reader: "the event loop", nodeArguments: [], threads: 0 },
  { reader: "a thread of the pool", nodeArguments: ["--import", WITHOUT_HANDLE], threads: 1 },
] as const;

describe.each(READERS)("a mount that is read by $reader", ({ nodeArguments, threads }) => {
  const scope = fileScope();
  let mount: MountProcess;

  beforeAll(async () => {
    mount = await mounted(scope, { nodeArguments });
  });

  it(`has ${threads} threads that wait in read(2) of /dev/fuse`, async () => {
    expect(await threadsInRead(mount.pid)).toBe(threads);
  });

  it("stores and returns a file in pieces of 1 MiB", async () => {
    const path = join(mount.dir, "node");
    await ok("dd", [`if=${process.execPath}`, `of=${path}`, "bs=1M", "status=none"]);
    await ok("cmp", [process.execPath, path]);
    expect(await mount.calls()).toContain(`write ${2 ** 20} ${2 ** 20}`);
  });

  it("answers eight programs at once", async () => {
    const folders = Array.from({ length: 8 }, (_, n) => join(mount.dir, `d${n}`));
    await Promise.all(folders.map((dir) => ok("cp", ["-r", SOURCES, dir])));
    await Promise.all(folders.map((dir) => ok("diff", ["-r", SOURCES, dir])));
  });

  it("hears an INTERRUPT while its READ waits", async () => {
    await mount.ask("poke blocked-direct text", "poked");
    const stop = new AbortController();
    const cat = run("cat", [join(mount.dir, "blocked-direct")], { signal: stop.signal });
    await eventually("the read has arrived", async () =>
      (await mount.calls()).some((call) => call.startsWith("read ")),
    );
    stop.abort();
    expect(await cat).toMatchObject({ signal: "SIGINT", timedOut: false });
  });

  it("uses no processor time while nobody asks for anything", async () => {
    const before = await ticks(mount.pid);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    // A second has 100 ticks.
    expect((await ticks(mount.pid)) - before).toBeLessThan(10);
  });

  it("ends by itself when somebody else unmounts it", async () => {
    await lazyUnmount(mount.dir);
    expect(await mount.next("closed")).toMatchObject({ destroyed: 1 });
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });
});

/** User and system time of the process, in ticks (proc(5), fields 14 and 15 of stat). */
async function ticks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** proc(5): `syscall` shows the number of the system call that a thread is in, and its arguments. */
async function threadsInRead(pid: number): Promise<number> {
  let count = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const [call, fd] = (await readFile(`/proc/${pid}/task/${task}/syscall`, "utf8")).split(" ");
    const target = await readlink(`/proc/${pid}/fd/${Number(fd)}`).catch(() => "");
    if (call === READ && target === "/dev/fuse") count++;
  }
  return count;
}

/** __NR_read of this machine. */
const READ = process.arch === "x64" ? "0" : "63";
