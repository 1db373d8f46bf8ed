/**
 * What the kernel does with our answers to INIT, with waiting processes and with invalidations: the proofs of
 * native-notes/kernel-protocol.md that need the requests themselves (spy-process.ts). For root only.
 */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { INIT_FLAG } from "../../src/fuse/kernel/abi.ts";
import { mountAt } from "../../src/fuse/system/mountinfo.ts";
import { eventually, ok, python, run } from "../support/process.ts";
import { testScope } from "../support/scope.ts";
import { IS_ROOT } from "./identities.ts";
import { type SeenRequest, type Spy, startSpy } from "./spy-process.ts";

const count = (opcodes: readonly string[], op: string) => opcodes.filter((name) => name === op).length;

describe.runIf(IS_ROOT)("the answer to INIT", () => {
  it("without HANDLE_KILLPRIV_V2 makes every write ask for security.capability", async () => {
    const writes = async (spy: Spy) => {
      await ok("dd", ["if=/dev/zero", `of=${join(spy.dir, "file")}`, "bs=4k", "count=100", "status=none"]);
      return count(await spy.opcodes(), "GETXATTR");
    };
    expect(await writes(await startSpy(testScope(), { clearFlags: INIT_FLAG.HANDLE_KILLPRIV_V2 }))).toBe(100);
    expect(await writes(await startSpy(testScope()))).toBe(1);
  });

  it("without DO_READDIRPLUS makes ls -l look each name up", async () => {
    const lookups = async (spy: Spy) => {
      await spy.mount.ask("make-files 50", "made");
      await ok("ls", ["-l", spy.dir]);
      return count(await spy.opcodes(), "LOOKUP");
    };
    const settings = { ttlMs: 60_000 };
    expect(await lookups(await startSpy(testScope(), { ...settings, clearFlags: INIT_FLAG.DO_READDIRPLUS }))).toBe(50);
    expect(await lookups(await startSpy(testScope(), settings))).toBe(0);
  });

  it("without MAX_PAGES cuts writes to 32 pages", async () => {
    const spy = await startSpy(testScope(), { clearFlags: INIT_FLAG.MAX_PAGES });
    await ok("dd", ["if=/dev/zero", `of=${join(spy.dir, "file")}`, "bs=1M", "count=1", "status=none"]);
    expect(count(await spy.opcodes(), "WRITE")).toBe(8);
  });

  it("without ATOMIC_O_TRUNC empties a file by a SETATTR before the OPEN", async () => {
    const truncations = async (spy: Spy) => {
      await spy.mount.ask("make-files 1", "made");
      await ok("sh", ["-c", ': > "$0"', join(spy.dir, "file0")]);
      return count(await spy.opcodes(), "SETATTR");
    };
    expect(await truncations(await startSpy(testScope(), { clearFlags: INIT_FLAG.ATOMIC_O_TRUNC }))).toBe(1);
    expect(await truncations(await startSpy(testScope()))).toBe(0);
  });

  it("without PARALLEL_DIROPS lets one lookup at a time into a folder", async () => {
    const lookups = async (spy: Spy, atLeast: number) => {
      await spy.mount.ask("hold-lookups", "held");
      const stats = ["one", "two"].map((name) => run("stat", [join(spy.dir, name)]));
      let seen = 0;
      const look = async () => {
        seen += count(await spy.opcodes(), "LOOKUP");
        return seen >= atLeast;
      };
      await eventually("the lookups have arrived", look);
      // What else was on its way has arrived when a whole stat has been answered.
      await ok("stat", [spy.dir]);
      await look();
      spy.mount.send("let-lookups-go");
      await Promise.all(stats);
      return seen;
    };
    expect(await lookups(await startSpy(testScope(), { clearFlags: INIT_FLAG.PARALLEL_DIROPS }), 1)).toBe(1);
    expect(await lookups(await startSpy(testScope()), 2)).toBe(2);
  });

  it("sets the limits of background requests that fusectl shows, and fusectl's abort belongs to who mounted", async () => {
    const spy = await startSpy(testScope());
    expect(await readFile(spy.control("max_background"), "utf8")).toBe("64\n");
    expect(await readFile(spy.control("congestion_threshold"), "utf8")).toBe("48\n");
    expect(await ok("stat", ["-c", "%a %u", spy.control("abort")])).toBe("200 0\n");
  });

  it("with POSIX_LOCKS and FLOCK_LOCKS would bring every lock to us; without them none comes", async () => {
    const lock = async (spy: Spy) => {
      const program =
        "import fcntl, sys\nf = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); fcntl.flock(f, fcntl.LOCK_EX)";
      const result = await run("/usr/bin/python3", ["-c", program, join(spy.dir, "file")]);
      return { code: result.code, asked: (await spy.opcodes()).some((op) => /^(SET|GET)LKW?$/.test(op)) };
    };
    expect(
      await lock(await startSpy(testScope(), { setFlags: INIT_FLAG.POSIX_LOCKS | INIT_FLAG.FLOCK_LOCKS })),
    ).toMatchObject({ asked: true });
    expect(await lock(await startSpy(testScope()))).toEqual({ code: 0, asked: false });
  });
});

describe.runIf(IS_ROOT)("what the kernel asks", () => {
  it("stops asking for what is answered ENOSYS: STATX, LSEEK, POLL and COPY_FILE_RANGE come once", async () => {
    const spy = await startSpy(testScope());
    const program = `
import os, select, sys
a, b = (os.open(os.path.join(sys.argv[1], n), os.O_RDWR | os.O_CREAT) for n in ('from', 'to'))
os.write(a, b'0123456789')
for _ in range(3):
    os.stat(sys.argv[1]); os.lseek(a, 0, os.SEEK_DATA); os.copy_file_range(a, b, 4, 0, 0)
    p = select.poll(); p.register(a, select.POLLIN); p.poll(0)`;
    await python(program, [spy.dir]);
    const seen = await spy.opcodes();
    expect(["LSEEK", "POLL", "COPY_FILE_RANGE", "COPY_FILE_RANGE_64"].map((op) => count(seen, op))).toEqual([
      1, 1, 1, 1,
    ]);
    expect(count(seen, "STATX")).toBeLessThanOrEqual(1);
  });

  it("never sends DESTROY to a mount of this type", async () => {
    const spy = await startSpy(testScope());
    await ok("umount", [spy.dir]);
    const { destroyed, requests } = await spy.mount.next("closed");
    const opcodes = (requests as SeenRequest[]).map(({ op }) => op);
    expect(opcodes).toContain("INIT");
    expect(opcodes).not.toContain("DESTROY");
    expect(destroyed).toBe(1);
  });

  it("reads ahead in pieces of 128 KiB, and of what read_ahead_kb of its bdi says", async () => {
    const spy = await startSpy(testScope(), { ttlMs: 60_000 });
    const file = join(spy.dir, "file");
    await ok("dd", ["if=/dev/zero", `of=${file}`, "bs=1M", "count=8", "status=none"]);
    const readAll = async () => {
      await python("import os, sys\nf = os.open(sys.argv[1], 0); os.posix_fadvise(f, 0, 0, os.POSIX_FADV_DONTNEED)", [
        file,
      ]);
      await spy.requests();
      await ok("dd", [`if=${file}`, "of=/dev/null", "bs=1M", "status=none"]);
      return count(await spy.opcodes(), "READ");
    };
    expect(await readAll()).toBe(64);
    const { device } = (await mountAt(spy.dir))!;
    await writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, "1024");
    expect(await readAll()).toBe(8);
  });
});

describe.runIf(IS_ROOT)("a process that waits for our answer", () => {
  it("is not even ended by SIGKILL before we answer, once we have read its request", async () => {
    const spy = await startSpy(testScope());
    const making = spawn("mkdir", [join(spy.dir, "held")], { stdio: "ignore", cwd: "/" });
    const ended = new Promise((resolve) => making.on("exit", (_, signal) => resolve(signal)));
    await eventually("mkdir has arrived", async () => (await spy.opcodes()).includes("MKDIR"));
    making.kill("SIGKILL");
    await eventually("the kernel tells us", async () => (await spy.opcodes()).includes("INTERRUPT"));
    expect(await stateOf(making.pid!)).toBe("D");
    spy.mount.send("let-go");
    expect(await ended).toBe("SIGKILL");
  });
});

describe.runIf(IS_ROOT)("an invalidation", () => {
  it("written on the main thread while a mkdir in that folder is unanswered hangs the process until the connection is aborted", async () => {
    const spy = await startSpy(testScope());
    const making = run("mkdir", [join(spy.dir, "held")]);
    await eventually("mkdir has arrived", async () => (await spy.opcodes()).includes("MKDIR"));
    await spy.mount.ask("invalidate-name-on-main-thread other", "invalidating");
    await eventually("it hangs", async () =>
      (await readFile(`/proc/${spy.pid}/stack`, "utf8")).includes("fuse_reverse_inval_entry"),
    );
    expect(await spy.isDeadlocked()).toBe(true);
    expect(await stateOf(spy.pid)).toBe("D");
    await spy.abort();
    expect(await spy.mount.next("invalidated")).toMatchObject({ code: "ENOENT" });
    expect((await making).stderr).toContain("Software caused connection abort");
  });

  it("of data, written on the main thread while a READ of that file is unanswered, hangs the process, too", async () => {
    const spy = await startSpy(testScope());
    await spy.mount.ask("make-files 1", "made");
    await spy.mount.ask("hold-reads", "held");
    const reading = run("cat", [join(spy.dir, "file0")]);
    await eventually("the read has arrived", async () => (await spy.opcodes()).includes("READ"));
    await spy.mount.ask("invalidate-data-on-main-thread file0", "invalidating");
    await eventually("it hangs", async () =>
      (await readFile(`/proc/${spy.pid}/stack`, "utf8")).includes("invalidate_inode_pages2"),
    );
    await spy.abort();
    await spy.mount.next("invalidated");
    expect((await reading).code).toBe(1);
  });
});

/** The state of a process as proc(5) has it: "D" waits and cannot be killed. */
async function stateOf(pid: number): Promise<string> {
  return /\) (\S)/.exec(await readFile(`/proc/${pid}/stat`, "utf8"))![1]!;
}
