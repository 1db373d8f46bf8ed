/**
 * The kernel transport with a real kernel: MemoryOperations mounted by a child process and used with ordinary tools, by root
 * and by an ordinary user. How mounts begin and end is in mount-lifecycle.mount.test.ts.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { mountEntries } from "../support/mountinfo.ts";
import { eventually, ok, PYTHON, python, run } from "../support/process.ts";
import { fileScope } from "../support/scope.ts";
import { as, IDENTITIES, openDevice } from "./identities.ts";
import { type MountProcess, mounted } from "./mount-process.ts";

beforeAll(openDevice);

const entryOf = async (dir: string) => (await mountEntries()).find((entry) => entry.mountpoint === dir);

describe.each(IDENTITIES)("a mount of $who", ({ uid }) => {
  const scope = fileScope();
  let mount: MountProcess;
  let dir: string;
  const tool = (command: string, ...args: readonly string[]) => ok(command, args, as(uid));

  beforeAll(async () => {
    mount = await mounted(scope, { uid });
    dir = mount.dir;
  });

  it("is a fuse.seamount with nosuid and nodev", async () => {
    const entry = await entryOf(dir);
    expect(entry).toMatchObject({ type: "fuse.seamount", source: "memory" });
    expect(entry!.options).toEqual(expect.arrayContaining(["nosuid", "nodev", `user_id=${uid ?? process.getuid!()}`]));
  });

  it("stores and returns files: cp, cat, cmp, mv, ls, mkdir, rm", async () => {
    await tool("mkdir", "-p", join(dir, "a/b"));
    await tool("cp", process.execPath, join(dir, "a/node"));
    await tool("cmp", process.execPath, join(dir, "a/node"));
    await tool("mv", join(dir, "a/node"), join(dir, "a/b/moved"));
    await tool("cp", "/etc/passwd", join(dir, "a/grün"));
    expect(await tool("cat", join(dir, "a/grün"))).toBe(await ok("cat", ["/etc/passwd"]));
    expect(await tool("ls", "-A", join(dir, "a"))).toBe("b\ngrün\n");
    expect(await tool("find", join(dir, "a"), "-type", "f", "-size", "+1M")).toBe(`${join(dir, "a/b/moved")}\n`);
    await tool("rm", "-r", join(dir, "a"));
    expect(await tool("ls", "-A", dir)).toBe("");
  });

  it("writes and reads 1 MiB at a time", async () => {
    await mount.calls();
    await tool("dd", "if=/dev/zero", `of=${join(dir, "zeros")}`, "bs=1M", "count=4", "status=none");
    const writes = (await mount.calls()).filter((call) => call.startsWith("write"));
    expect(writes).toEqual([0, 1, 2, 3].map((at) => `write ${at * 2 ** 20} ${2 ** 20}`));
    await tool("dd", `if=${join(dir, "zeros")}`, "of=/dev/null", "bs=1M", "iflag=direct", "status=none");
    const reads = (await mount.calls()).filter((call) => call.startsWith("read "));
    expect(reads.slice(0, 4)).toEqual([0, 1, 2, 3].map((at) => `read ${at * 2 ** 20} ${2 ** 20}`));
    await tool("rm", join(dir, "zeros"));
  });

  it("asks for security.capability once per open and not once per write (HANDLE_KILLPRIV_V2)", async () => {
    await mount.calls();
    await tool("dd", "if=/dev/zero", `of=${join(dir, "many-writes")}`, "bs=4k", "count=100", "status=none");
    const calls = await mount.calls();
    expect(calls.filter((call) => call.startsWith("write")).length).toBe(100);
    expect(calls.filter((call) => call === "getxattr security.capability").length).toBeLessThanOrEqual(1);
    await tool("rm", join(dir, "many-writes"));
  });

  it("lists a folder with its attributes in one pass (READDIRPLUS)", async () => {
    await python("import os,sys\nfor n in range(300): open(f'{sys.argv[1]}/{n}','w')", [await folder("full")], as(uid));
    // The kernel knows the files it has just made, until it is told to forget the folder.
    mount.send("drop full");
    await eventually("the files are forgotten", async () =>
      (await mount.calls()).some((call) => call.startsWith("forget")),
    );
    const lines = (await tool("ls", "-l", "--time-style=+", join(dir, "full"))).trim().split("\n");
    expect(lines.length).toBe(301);
    const calls = await mount.calls();
    expect(calls).toContain("readdirplus");
    expect(calls.filter((call) => /^lookup \d/.test(call) || call === "getattr").length).toBeLessThan(10);
    await tool("rm", "-r", join(dir, "full"));
  });

  it("keeps nanoseconds, and times before 1970 and after 2038", async () => {
    const path = join(dir, "times");
    const setTimes = "import os,sys\nos.utime(sys.argv[1], ns=(int(sys.argv[2]), int(sys.argv[3])))";
    await tool("touch", path);
    await python(setTimes, [path, "-1", "9999999999123456789"], as(uid));
    const show = "import os,sys\ns = os.stat(sys.argv[1])\nprint(s.st_atime_ns, s.st_mtime_ns)";
    expect(await python(show, [path], as(uid))).toBe("-1 9999999999123456789\n");
    await tool("rm", path);
  });

  it("follows the size protocol of extended attributes", async () => {
    const path = join(dir, "attributes");
    const value = "v".repeat(1000);
    await tool("touch", path);
    await tool("setfattr", "-n", "user.long", "-v", value, path);
    expect(await tool("getfattr", "--only-values", "-n", "user.long", path)).toBe(value);
    expect(await tool("getfattr", path)).toContain("user.long");
    expect((await run("getfattr", ["-n", "user.none", path], as(uid))).stderr).toContain("No such attribute");
    await tool("rm", path);
  });

  it("refuses to exchange names, and keeps the target of a rename that must not replace", async () => {
    const program = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.path.join(sys.argv[1], n).encode() for n in ('one', 'two'))
for path in (a, b): open(path, 'w')
for flags in (2, 1):
    print(libc.renameat2(-100, a, -100, b, flags), os.strerror(ctypes.get_errno()))
os.unlink(a); os.unlink(b)`;
    expect(await python(program, [dir], as(uid))).toBe("-1 Invalid argument\n-1 File exists\n");
  });

  it("says ENOENT to a name that is not UTF-8, and EINVAL when one is to be made", async () => {
    const program = `
import os, sys
path = sys.argv[1].encode() + b'/\\xff'
for attempt in (lambda: os.stat(path), lambda: os.unlink(path), lambda: os.mkdir(path), lambda: open(path, 'w')):
    try: attempt()
    except OSError as error: print(error.strerror)`;
    const [missing, invalid] = ["No such file or directory", "Invalid argument"];
    expect(await python(program, [dir], as(uid))).toBe(`${[missing, missing, invalid, invalid].join("\n")}\n`);
  });

  it("falls back where the filesystem has no answer: SEEK_DATA, copy_file_range, poll, ioctl, mmap, flock", async () => {
    const program = `
import fcntl, mmap, os, select, sys
a, b = (os.open(os.path.join(sys.argv[1], n), os.O_RDWR | os.O_CREAT) for n in ('from', 'to'))
os.write(a, b'0123456789')
print(os.lseek(a, 0, os.SEEK_DATA), os.copy_file_range(a, b, 4, 0, 0))
p = select.poll(); p.register(a, select.POLLIN); print(p.poll(0) != [])
try: fcntl.ioctl(a, 0x12345678)
except OSError as error: print(error.strerror)
m = mmap.mmap(a, 10); m[0:2] = b'xy'; m.flush(); m.close(); print(os.pread(a, 10, 0))
fcntl.flock(a, fcntl.LOCK_EX); fcntl.lockf(b, fcntl.LOCK_EX)
os.unlink(os.path.join(sys.argv[1], 'from')); os.unlink(os.path.join(sys.argv[1], 'to'))`;
    const expected = ["0 4", "True", "Inappropriate ioctl for device", "b'xy23456789'"];
    expect(await python(program, [dir], as(uid))).toBe(`${expected.join("\n")}\n`);
  });

  it("shows what changed behind the kernel's back after an invalidation, and not before", async () => {
    await mount.ask("poke poked first", "poked");
    expect(await tool("cat", join(dir, "poked"))).toBe("first");
    await mount.ask("poke poked second-and-longer silently", "poked");
    expect(await tool("stat", "-c", "%s", join(dir, "poked"))).toBe("5\n");
    await mount.ask("poke poked second-and-longer", "poked");
    await eventually(
      "the new size is seen",
      async () => (await tool("stat", "-c", "%s", join(dir, "poked"))) === "17\n",
    );
    expect(await tool("cat", join(dir, "poked"))).toBe("second-and-longer");
    await tool("rm", join(dir, "poked"));
  });

  it("serves on while an invalidation waits for the lock of a folder in which a mkdir has not been answered", async () => {
    const making = tool("mkdir", join(dir, "held"));
    await eventually("mkdir has arrived", async () => (await mount.calls()).includes("mkdir held"));
    await mount.ask("poke other text", "poked");
    expect(await tool("df", "--output=fstype", dir)).toContain("fuse.seamount");
    mount.send("let-go");
    await making;
    await tool("rm", join(dir, "other"));
    await tool("rmdir", join(dir, "held"));
  });

  it.each(["blocked", "blocked-direct"])(
    "lets SIGINT end a cat of %s, a file whose read never returns",
    async (name) => {
      await mount.ask(`poke ${name} text`, "poked");
      await mount.calls();
      const stop = new AbortController();
      const cat = run("cat", [join(dir, name)], { ...as(uid), signal: stop.signal });
      await eventually("the read has arrived", async () =>
        (await mount.calls()).some((call) => call.startsWith("read ")),
      );
      stop.abort();
      expect(await cat).toMatchObject({ signal: "SIGINT", timedOut: false });
      if (name === "blocked-direct") expect(await mount.calls()).toContain("aborted");
    },
  );

  it("interrupts the FLUSH of a process that a signal ends", async () => {
    const program = `
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(f, b'written')
signal.pause()`;
    const stop = new AbortController();
    const writer = run(PYTHON, ["-c", program, join(dir, "held-flush")], { ...as(uid), signal: stop.signal });
    await eventually("the data has arrived", async () => (await mount.calls()).includes("write 0 7"));
    stop.abort();
    expect(await writer).toMatchObject({ signal: "SIGINT", timedOut: false });
    expect((await mount.calls()).filter((call) => call === "flush" || call === "aborted")).toEqual([
      "flush",
      "aborted",
    ]);
    await tool("rm", join(dir, "held-flush"));
  });

  async function folder(name: string): Promise<string> {
    await tool("mkdir", join(dir, name));
    return join(dir, name);
  }
});
