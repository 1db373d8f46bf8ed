import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import type { LibraryId } from "../../src/seafile/types.ts";
import { takePidLock, thisHolder } from "../../src/writeback/pid-lock.ts";
import { StateDir, targetName } from "../../src/writeback/state-dir.ts";
import { compiled } from "../support/programs.ts";

const CHILD = compiled(import.meta.dirname, "state-dir-child");
const LIBRARY = "5a1b9d0c-1111-2222-3333-444455556666" as LibraryId;
const PATH = process.env["PATH"];

let stateDir: string;
let options: { stateDir: string; server: string; user: string; target: string; mountpoint: string };
const started: ChildProcess[] = [];
const grandchildren: number[] = [];

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "seamount-unit-"));
  options = {
    stateDir,
    server: "https://seafile.example.com",
    user: "me@example.com",
    target: "all",
    mountpoint: "/mnt/a",
  };
});
afterEach(async () => {
  process.env["PATH"] = PATH;
  for (const child of started.splice(0)) await kill(child);
  for (const pid of grandchildren.splice(0)) process.kill(pid, "SIGKILL");
  await rm(stateDir, { recursive: true, force: true });
});

const open = (changed: Partial<typeof options> = {}) => StateDir.open({ ...options, ...changed, log: silentLogger() });

interface Answer {
  readonly opened: boolean;
  readonly pid: number;
  readonly child: number;
  readonly message: string;
}

/** Opens the state folder in another process, started through `wrapper`. */
async function openElsewhere(wrapper: readonly string[] = []): Promise<Answer & { process: ChildProcess }> {
  const words = [process.execPath, CHILD, JSON.stringify(options)];
  const [program = "", ...args] = [...wrapper, ...words];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  started.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const answer = JSON.parse(line) as Answer;
  // What a pid namespace numbers for itself ends with the namespace.
  if (answer.opened && wrapper.length === 0) grandchildren.push(answer.child);
  return { ...answer, process: child };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** Whether namespaces can be made here: as root, and not in every container. */
function canUnshare(): boolean {
  try {
    execFileSync("unshare", ["--pid", "--fork", "--mount-proc", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

describe("targetName", () => {
  it("is another one for everything, for each library, and for each folder of it", () => {
    const names = [
      targetName(undefined, "/"),
      targetName(LIBRARY, "/"),
      targetName(LIBRARY, "/a"),
      targetName(LIBRARY, "/b"),
    ];
    expect(new Set(names).size).toBe(4);
    expect(names.slice(0, 2)).toEqual(["all", LIBRARY]);
    expect(names[2]).toMatch(new RegExp(`^${LIBRARY}-[0-9a-f]{8}$`));
  });
});

describe.each([
  ["with flock(1)", true],
  ["without flock(1)", false],
])("StateDir %s", (_, hasFlock) => {
  beforeEach(() => {
    if (!hasFlock) process.env["PATH"] = "/nonexistent";
  });

  it("makes its folders for the owner only", async () => {
    const dir = await open();
    expect(dir.folder).toMatch(new RegExp(`^${stateDir}/accounts/[0-9a-f]{16}/all$`));
    expect(dir.recovered).toBe(join(stateDir, "recovered"));
    for (const path of [join(stateDir, "accounts"), dir.folder, dir.spool]) expect(await modeOf(path)).toBe(0o700);
    for (const name of await readdir(dir.folder)) expect((await modeOf(join(dir.folder, name))) & 0o077).toBe(0);
    await dir.release();
  });

  it("refuses a second one with a sentence that names the process and the mount point of the first", async () => {
    const first = await open();
    await expect(open({ mountpoint: "/mnt/b" })).rejects.toMatchObject({
      code: "EBUSY",
      message: `The local state of this mount, ${first.folder}, is in use by process ${process.pid}, which serves the mount at /mnt/a.`,
    });
    const other = await openElsewhere();
    expect(other).toMatchObject({ opened: false, message: expect.stringContaining(`process ${process.pid}, `) });
    await first.release();
    await (await open()).release();
  });

  it("lets other accounts, servers and targets be mounted at the same time", async () => {
    const changes = [{}, { user: "you@example.com" }, { server: "https://other.example.com" }, { target: LIBRARY }];
    const dirs = await Promise.all(changes.map((change) => open(change)));
    expect(new Set(dirs.map((dir) => dir.folder)).size).toBe(4);
    for (const dir of dirs) await dir.release();
  });

  it("finds the same folder however the server's address is written", async () => {
    const dir = await open();
    await dir.release();
    const again = await open({ server: "HTTPS://Seafile.Example.com/" });
    expect(again.folder).toBe(dir.folder);
    await again.release();
  });

  it("is free again after kill -9 of its holder, although a child of the holder lives on", async () => {
    const holder = await openElsewhere();
    await expect(open()).rejects.toThrow(`process ${holder.pid}, which serves the mount at /mnt/a`);
    await kill(holder.process);
    expect(() => process.kill(holder.child, 0)).not.toThrow();
    await (await open()).release();
  });

  it("takes over what dead mounts of the account left, and nothing that is in use", async () => {
    const other = targetName(LIBRARY, "/docs");
    for (const target of [LIBRARY, other]) await (await open({ target })).release();
    await (await open({ user: "you@example.com", target: LIBRARY })).release();
    const used = await open({ target: other });
    const dir = await open();
    await mkdir(join(dir.folder, "..", "something else"));

    const siblings = await dir.siblings();
    expect(siblings.map(({ target, folder }) => [target, folder])).toEqual([
      [LIBRARY, join(dir.folder, "..", LIBRARY)],
    ]);
    await expect(open({ target: LIBRARY })).rejects.toThrow("serves the mount at /mnt/a");
    for (const one of [...siblings, used, dir]) await one.release();
    await (await open({ target: LIBRARY })).release();
  });

  it("is gone after remove, and can be made anew", async () => {
    const dir = await open();
    await writeFile(join(dir.folder, "journal"), "x");
    await writeFile(join(dir.spool, "file"), "x");
    await dir.remove();
    expect(await readdir(join(dir.folder, ".."))).toEqual([]);
    const again = await open();
    expect(await readdir(again.spool)).toEqual([]);
    await again.release();
  });

  it("is held by one only when many open and remove it at once", async () => {
    let holders = 0;
    let most = 0;
    const rounds = await Promise.allSettled(
      Array.from({ length: 12 }, async () => {
        const dir = await open();
        most = Math.max(most, ++holders);
        // The next one must find a folder that is whole.
        expect(await readdir(dir.spool)).toEqual([]);
        holders--;
        await dir.remove();
      }),
    );
    expect(most).toBe(1);
    expect(rounds.some(({ status }) => status === "fulfilled")).toBe(true);
    for (const round of rounds) if (round.status === "rejected") expect(round.reason).toMatchObject({ code: "EBUSY" });
  });
});

describe("StateDir where flock(1) is missing for one of two", () => {
  it.each([true, false])("still refuses the second one (the first has flock: %s)", async (firstHasFlock) => {
    process.env["PATH"] = firstHasFlock ? PATH : "/nonexistent";
    const first = await open();
    process.env["PATH"] = firstHasFlock ? "/nonexistent" : PATH;
    await expect(open()).rejects.toThrow(`is in use by process ${process.pid}, which serves the mount at /mnt/a.`);
    await first.release();
    await (await open()).release();
  });
});

describe("StateDir in two pid namespaces", () => {
  it.skipIf(!canUnshare())("refuses the second one, too", async () => {
    const first = await openElsewhere(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    expect(first.opened).toBe(true);
    await expect(open()).rejects.toThrow("which serves the mount at /mnt/a");
    await kill(first.process);
    await (await open()).release();
  });
});

describe("takePidLock", () => {
  const lock = () => join(stateDir, "lock.pid");
  const holder = () => thisHolder("/mnt/a");
  /** What is locked while a dead holder's lock of this content is taken over. */
  const guardOf = (content: string) =>
    `${lock()}.after-${createHash("sha256").update(content).digest("hex").slice(0, 16)}`;

  it("takes over from a process that is gone, from an earlier boot, and from an earlier process of the same number", async () => {
    const { pid, started } = await holder();
    const [boot, ticks] = started.split(" ");
    const dead = [
      { pid: 2 ** 22 + 1, started },
      { pid, started: `another-boot ${ticks}` },
      { pid, started: `${boot} ${Number(ticks) - 1}` },
    ];
    for (const content of [...dead.map((one) => JSON.stringify({ ...one, mountpoint: "/mnt/x" })), "", "{", "null"]) {
      await writeFile(lock(), content);
      expect([content, await takePidLock(lock(), await holder())]).toEqual([content, undefined]);
      expect(JSON.parse(await readFile(lock(), "utf8"))).toEqual(await holder());
    }
    expect(await readdir(stateDir)).toEqual(["lock.pid"]);
  });

  it("takes over also when a process died while it was taking over", async () => {
    await writeFile(lock(), "dead");
    await writeFile(guardOf("dead"), "also dead");
    expect(await takePidLock(lock(), await holder())).toBeUndefined();
    expect(await readdir(stateDir)).toEqual(["lock.pid"]);
  });

  it("names who is taking over when another one is", async () => {
    const rival = { ...(await holder()), mountpoint: "/mnt/rival" };
    await writeFile(lock(), "dead");
    await writeFile(guardOf("dead"), JSON.stringify(rival));
    expect(await takePidLock(lock(), await holder())).toEqual(rival);
    expect(await readFile(lock(), "utf8")).toBe("dead");
  });

  it("gives the lock of a dead process to exactly one of many who want it", async () => {
    for (let round = 0; round < 20; round++) {
      await writeFile(lock(), `dead ${round}`);
      const wanting = Array.from({ length: 8 }, async () => takePidLock(lock(), await holder()));
      const results = await Promise.all(wanting);
      expect(results.filter((result) => result === undefined)).toHaveLength(1);
    }
    expect(await readdir(stateDir)).toEqual(["lock.pid"]);
  });
});
