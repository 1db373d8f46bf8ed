/**
 * The known defects of fuse-native (native-notes/fuse-native.md) and of what it stands on: each is either not reached or has no effect.
 * Runs in the project mount-fuse-native only. "The program" is the built one; MemoryOperations stand behind the transport elsewhere.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { mounted, startMount } from "../protocol/mount-process.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { isMountPoint, mountEntries } from "../support/mountinfo.ts";
import { EMAIL, environment, makeHome, makeMountPoint, mountLibrary, NOBODY } from "../support/mounts.ts";
import { eventually, ok, python, run } from "../support/process.ts";
import { MAIN } from "../support/programs.ts";
import { tempDir, testScope } from "../support/scope.ts";
import { pattern } from "../support/trees.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const TRANSPORT = "dist/fuse/libfuse/libfuse-transport.js";
const isRoot = process.getuid?.() === 0;
const native = { transport: "fuse-native" } as const;

async function world() {
  const scope = testScope();
  const server = await startServer(scope);
  server.store.createLibrary(EMAIL, "Work");
  return { scope, server, mount: { server, library: "Work" } };
}

describe("the addon's JavaScript", () => {
  it("is never loaded: no time-outs, no options string and no shell of its own", async () => {
    const script = `
      import { createRequire } from "node:module";
      const { loadBinding } = await import("./dist/fuse/libfuse/native-binding.js");
      loadBinding();
      const loaded = Object.keys(createRequire(process.cwd() + "/").cache);
      console.log(loaded.filter((file) => file.includes("/fuse-native/")).map((file) => file.split("/fuse-native/")[1]).join());`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: ROOT });
    expect(stdout).toContain("node.napi.node");
    expect(stdout).not.toContain("index.js");
  });

  it("a mount point with a command in its name is mounted and unmounted, and the command is not run", async () => {
    const { scope, mount } = await world();
    const parent = await makeMountPoint(scope);
    const dir = join(parent, "$(touch ran) `touch ran` ; touch ran");
    await mkdir(dir);
    const mounting = await mountLibrary(scope, { ...mount, dir });
    expect(await mounting.unmount()).toEqual({ code: 0, signal: null });
    expect(await isMountPoint(dir)).toBe(false);
    expect(await readdir(parent)).toHaveLength(1);
  });

  it("DEBUG=* in the environment does not make libfuse write every request", async () => {
    const scope = testScope();
    const child = await mounted(scope, { ...native, env: { DEBUG: "*" } });
    await ok("ls", [child.dir]);
    expect(child.log).not.toMatch(/unique:|LOOKUP/);
  });

  it.skipIf(!isRoot)("a mount point on another device than its folder is mounted over", async () => {
    const scope = testScope();
    const dir = await makeMountPoint(scope);
    await ok("mount", ["-t", "tmpfs", "tmpfs", dir]);
    const child = await mounted(scope, { ...native, dir });
    await ok("mkdir", [join(dir, "in-memory")]);
    await child.ask("unmount", "unmounted");
    expect(await readdir(dir)).toEqual([]);
    expect((await mountEntries()).find(({ mountpoint }) => mountpoint === dir)?.type).toBe("tmpfs");
  });
});

describe("requests", () => {
  // SEMANTICS: "The kernel cannot be told what others changed, and shows what it remembers until it forgets it, after a second."
  it("for what somebody else changed come when the lifetime has ended, not when the kernel should be told", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const worker = new FsWorker(scope);
    const file = join(child.dir, "f");
    await worker.writeFile(file, Buffer.from("mine"));
    expect((await worker.stat(file)).size).toBe(4);
    await child.ask("poke f their-longer-content", "poked");
    expect((await worker.stat(file)).size).toBe(4);
  });

  it("for attributes are not repeated within their lifetime", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const worker = new FsWorker(scope);
    await worker.writeFile(join(child.dir, "f"), Buffer.from("x"));
    await worker.stat(join(child.dir, "f"));
    await child.calls();
    for (let i = 0; i < 2; i++) await worker.stat(join(child.dir, "f"));
    expect(await child.calls()).toEqual([]);
  });

  // SEMANTICS: "The kernel keeps no content of a file from one open to the next, and asks for 128 KiB at a time, also when
  // it writes."
  it("are of 128 KiB, for writes too, and are made again after every open", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const file = join(child.dir, "f");
    const requests = async (kind: string) => (await child.calls()).filter((call) => call.startsWith(`${kind} `));
    await ok("dd", ["if=/dev/zero", `of=${file}`, "bs=1M", "count=2"]);
    const writes = await requests("write");
    for (let i = 0; i < 2; i++) {
      await ok("dd", [`if=${file}`, "of=/dev/null", "bs=1M"]);
      const reads = await requests("read");
      for (const calls of [reads, writes]) {
        expect(calls).toHaveLength(16);
        expect(calls.every((call) => call.endsWith(` ${128 * 1024}`))).toBe(true);
      }
    }
  });

  it("of any size and place give the bytes that are there, at the end of the file and beyond it, too", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const worker = new FsWorker(scope);
    const data = pattern(300_001, 9);
    const file = join(child.dir, "f");
    await worker.writeFile(file, data);
    const fd = await worker.open(file, "O_RDONLY");
    for (const [size, offset] of [
      [1, 0],
      [300_001, 0],
      [400_000, 0],
      [131_073, 131_071],
      [10, 300_000],
      [10, 300_001],
      [10, 2 ** 33],
    ] as const) {
      const read = await worker.pread(fd, size, offset);
      expect(read.equals(data.subarray(offset, offset + size))).toBe(true);
    }
    await worker.close(fd);
  });

  it("list a folder whole, however long its listing", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const make = "import os,sys\nfor i in range(1500): open(sys.argv[1] + '/' + str(i).rjust(250, 'n'), 'w').close()";
    await python(make, [child.dir]);
    expect(new Set((await ok("ls", ["-1", child.dir])).split("\n")).size).toBe(1501);
  });

  it("say how long an extended attribute is, give it whole, and answer ERANGE to less room", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const script = `
import ctypes, errno, os, sys
f = sys.argv[1] + '/f'
open(f, 'w').close()
value = bytes(range(256)) * 8
os.setxattr(f, 'user.long', value)
assert os.getxattr(f, 'user.long') == value
assert os.listxattr(f) == ['user.long'], os.listxattr(f)
libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(10)
assert libc.getxattr(f.encode(), b'user.long', None, 0) == len(value)
assert libc.getxattr(f.encode(), b'user.long', room, 10) == -1
print(errno.errorcode[ctypes.get_errno()])
os.removexattr(f, 'user.long')
assert os.listxattr(f) == []`;
    expect(await python(script, [child.dir])).toBe("ERANGE\n");
  });

  it("for the space of an account without a quota, 1 PiB, are not cut to 32 bits", async () => {
    const { scope, mount } = await world();
    const { dir } = await mountLibrary(scope, mount);
    const { frsize, blocks } = await new FsWorker(scope).call<{ frsize: number; blocks: number }>("statvfs", dir);
    expect(frsize * blocks).toBe(2 ** 50);
  });

  it("that fail unexpectedly are answered EIO, and the mount goes on", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const worker = new FsWorker(scope);
    await child.ask("break", "broken");
    expect(await outcome(worker.listdir(child.dir))).toBe("EIO");
    await ok("mkdir", [join(child.dir, "still-there")]);
  });
});

describe("the end of a session", () => {
  it("umount by anybody is noticed, and the process ends by itself", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    await ok(isRoot ? "umount" : "fusermount3", isRoot ? [child.dir] : ["-u", child.dir]);
    expect(await child.next("closed")).toMatchObject({ destroyed: 1 });
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });

  it("a lazy unmount ends the session when the last file is closed", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const worker = new FsWorker(scope);
    const fd = await worker.open(join(child.dir, "f"), "O_RDWR|O_CREAT");
    expect(await child.ask("unmount", "refused")).toMatchObject({ code: "EBUSY" });
    await child.ask("unmount lazy", "unmounted");
    expect(await isMountPoint(child.dir)).toBe(false);
    await worker.pwrite(fd, "still served", 0);
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("still served");
    await worker.close(fd);
    await child.next("closed");
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });

  it.skipIf(!isRoot)("abort() fails running requests and open files, and the process ends", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    const worker = new FsWorker(scope);
    const fd = await worker.open(join(child.dir, "blocked"), "O_RDWR|O_CREAT");
    await worker.pwrite(fd, "x", 0);
    const reading = outcome(new FsWorker(scope).readFile(join(child.dir, "blocked")));
    await eventually("the read waits", async () => (await child.calls()).some((call) => call.startsWith("read ")));
    child.send("abort");
    expect(["ENOTCONN", "ECONNABORTED"]).toContain(await reading);
    expect(await outcome(worker.pwrite(fd, "y", 0))).toMatch(/ENOTCONN|ECONNABORTED/);
    await child.next("closed");
    expect((await child.exited).code).toBe(0);
  });

  it("a process that exits with a live mount does not hang, and the next mount removes what is left", async () => {
    const scope = testScope();
    const child = await mounted(scope, native);
    child.send("exit");
    expect((await child.exited).code).toBe(7);
    const next = await mounted(scope, { ...native, dir: child.dir });
    expect(next.log).toContain("removed the stale mount");
    await ok("ls", [next.dir]);
  });

  it("two mounts in one process end one by one", async () => {
    const scope = testScope();
    const dirs = [await makeMountPoint(scope), await makeMountPoint(scope)];
    const script = `
      import { createLogger } from "./dist/observe/log.js";
      const { libfuseTransport } = await import("./${TRANSPORT}");
      const { Adapter } = await import("./dist/fuse/adapter.js");
      const attr = { ino: 1, size: 0, blocks: 0, mode: 0o40755, nlink: 1, uid: 0, gid: 0, blksize: 4096 };
      for (const name of ["atime", "mtime", "ctime"]) attr[name] = { sec: 0, nsec: 0 };
      const operations = { negativeTtlMs: 0, getattr: async () => ({ attr, attrTtlMs: 0 }), destroy: () => {}, forget: () => {} };
      const log = createLogger({ level: "silent" });
      const plain = { fsname: "x", readOnly: false, allowOther: false, defaultPermissions: false, extraOptions: [], log };
      const sessions = [];
      for (const mountpoint of process.argv.slice(1)) sessions.push(await libfuseTransport(operations, { ...plain, mountpoint }));
      let ended = 0;
      for (const session of sessions) session.closed.then(() => console.log("ended", ++ended));
      await sessions[0].unmount();
      await sessions[0].closed;
      await sessions[1].unmount();
      await sessions[1].closed;`;
    const result = await run(process.execPath, ["--input-type=module", "-e", script, ...dirs], { cwd: ROOT });
    expect(result).toMatchObject({ code: 0, stdout: "ended 1\nended 2\n" });
  });
});

const asNobody = ["setpriv", "--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups"];

/**
 * Runs `seamount mount` after `prepare` in a mount namespace of its own, as an ordinary user if it has nothing but `path` on its PATH.
 * What it leaves mounted is on the standard output.
 */
async function mountIn(prepare: string, settings: { readonly path?: string; readonly transport?: string } = {}) {
  const { path, transport = "fuse-native" } = settings;
  const uid = path === undefined ? undefined : NOBODY;
  const { scope, server } = await world();
  const [home, dir] = [await makeHome(scope, uid), await makeMountPoint(scope, uid)];
  const become = path === undefined ? [] : [...asNobody, "env", `PATH=${path}`];
  const program = `${prepare}; "$@"; code=$?; grep -F "${dir} " /proc/self/mountinfo; exit $code`;
  const mounting = [process.execPath, MAIN, "mount", dir, "-f", "--verbose", "--transport", transport];
  const args = ["-m", "sh", "-c", program, "sh", ...become, ...mounting];
  return run("unshare", args, { env: environment(home, { server }) });
}

describe("what is missing is named", () => {
  const hide = (path: string) => `mount --bind /dev/null "$(readlink -f ${path})"`;

  it.skipIf(!isRoot)("libfuse.so.2, with the packages that have it", async () => {
    const libraries = (await ok("/sbin/ldconfig", ["-p"])).split("\n");
    const library = libraries.find((line) => line.includes("libfuse.so.2"))!.split(" => ")[1]!;
    const result = await mountIn(hide(library));
    expect(result.code).toBe(5);
    expect(result.stderr).toContain("libfuse2 (Debian, Ubuntu) or fuse-libs (Fedora)");
  });

  it.skipIf(!isRoot)("fuse-native, with how to install it", async () => {
    const result = await mountIn(`mount -t tmpfs tmpfs "${join(ROOT, "node_modules/fuse-native")}"`);
    expect(result.code).toBe(5);
    expect(result.stderr).toContain("npm install fuse-native");
  });

  it.skipIf(!isRoot)("/dev/fuse", async () => {
    const result = await mountIn("mount -t tmpfs tmpfs /dev");
    expect(result.code).toBe(5);
    expect(result.stderr).toContain("/dev/fuse cannot be opened");
  });

  it.skipIf(!isRoot)("the permission to let others in, for an ordinary user", async () => {
    const scope = testScope();
    const child = await startMount(scope, { ...native, uid: NOBODY, options: { allowOther: true } });
    const failure = await child.next("failed");
    expect(failure).toMatchObject({ name: "MountError", message: expect.stringContaining("through libfuse 2 failed") });
    expect(failure["message"]).toContain("user_allow_other");
    expect(await isMountPoint(child.dir)).toBe(false);
  });

  /** A folder with a working fusermount3, and that of the system out of libfuse's reach. */
  const withOwnFusermount = async () => {
    const folder = await tempDir(testScope());
    await chmod(folder, 0o755);
    await ok("cp", ["-p", "/bin/fusermount3", folder]);
    return { folder, prepare: hide("/bin/fusermount3") };
  };

  it.skipIf(!isRoot)("fusermount, which libfuse 2 asks for, to an ordinary user who has fusermount3 only", async () => {
    const { folder, prepare } = await withOwnFusermount();
    const result = await mountIn(prepare, { path: folder });
    expect(result).toMatchObject({ code: 5, stdout: "" });
    expect(result.stderr).toContain("The program fusermount was not found.");
  });

  it.skipIf(!isRoot)("libfuse's own reason when fusermount would mount now, and nothing stays mounted", async () => {
    const { folder, prepare } = await withOwnFusermount();
    const failsForLibfuse = `#!/bin/sh\n[ "$1" != -o ] || [ "$_FUSE_COMMFD" = 3 ] || exit 1\nexec "${folder}/fusermount3" "$@"\n`;
    await writeFile(join(folder, "fusermount"), failsForLibfuse, { mode: 0o755 });
    const result = await mountIn(prepare, { path: folder });
    expect(result).toMatchObject({ code: 5, stdout: "" });
    expect(result.stderr).toContain("through libfuse 2 failed");
    expect(result.stderr).not.toContain("sending file descriptor");
  });

  it.each([
    ["/nowhere", "The mount point /nowhere does not exist."],
    ["/etc/hostname", "The mount point /etc/hostname is not a directory."],
  ])("a folder to mount on, for %s", async (dir, message) => {
    const child = await startMount(testScope(), { ...native, dir });
    expect(await child.next("failed")).toMatchObject({ name: "MountError", reason: "mountpoint", message });
  });

  it("the main thread, to a worker thread, where the addon would not work", async () => {
    const script = `
      const { Worker } = require("node:worker_threads");
      const code = \`import("./${TRANSPORT}").then(({ libfuseTransport }) => libfuseTransport({}, {})).catch((e) => console.log(e.message))\`;
      new Worker(code, { eval: true });`;
    const { stdout } = await run(process.execPath, ["-e", script], { cwd: ROOT });
    expect(stdout).toBe("fuse-native can mount from the main thread only.\n");
  });
});

describe("--transport auto", () => {
  const fuseNative = /libfuse\.so|node\.napi\.node/;

  /** `seamount mount DIR -f --verbose`, once it is mounted. `wrapper` is a command that becomes it. */
  async function mountVerbose(wrapper: readonly string[], uid?: number) {
    const { scope, server } = await world();
    const [home, dir] = [await makeHome(scope, uid), await makeMountPoint(scope, uid)];
    const [command, ...args] = [...wrapper, process.execPath, MAIN, "mount", dir, "-f", "--verbose"];
    const child = spawn(command!, args, { env: environment(home, { server }), stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const exited = once(child, "exit");
    scope.defer(async () => child.kill("SIGKILL"));
    await eventually("it is mounted", () => said.includes("mounted on") || child.exitCode !== null);
    const end = () => {
      child.kill("SIGTERM");
      return exited;
    };
    return { said, maps: await readFile(`/proc/${child.pid}/maps`, "utf8"), end };
  }

  it("takes the kernel transport where it works, and mount --verbose and the log say so", async () => {
    const { scope, server } = await world();
    const [home, dir] = [await makeHome(scope), await makeMountPoint(scope)];
    const env = environment(home, { server });
    const choice = "transport kernel: this user can mount with it";
    const result = await run(process.execPath, [MAIN, "mount", dir, "--transport", "auto", "--verbose"], { env });
    expect(result).toMatchObject({ code: 0, stderr: `${choice}\n` });
    const files = await readdir(home, { recursive: true });
    const log = files.find((file) => file.endsWith(".log"))!;
    expect(await readFile(join(home, log), "utf8")).toContain(choice);
    expect(await run(process.execPath, [MAIN, "unmount", dir], { env })).toMatchObject({ code: 0 });
  });

  it("loads nothing of fuse-native where it takes the kernel transport", async () => {
    const { said, maps, end } = await mountVerbose([]);
    expect(said).toContain("transport kernel: ");
    expect(maps).not.toMatch(fuseNative);
    expect(await end()).toEqual([0, null]);
  });

  it.skipIf(!isRoot)("takes fuse-native where koffi is missing, says why, and unmounts", async () => {
    const program = `mount -t tmpfs tmpfs "${join(ROOT, "node_modules/koffi")}"; exec ${asNobody.join(" ")} "$@"`;
    const { said, maps, end } = await mountVerbose(["unshare", "-m", "sh", "-c", program, "sh"], NOBODY);
    const why = "the kernel transport cannot mount: the package koffi is not installed";
    expect(said).toContain(`transport fuse-native: ${why}`);
    expect(maps).toMatch(fuseNative);
    expect(await end()).toEqual([0, null]);
  });

  it.skipIf(!isRoot)("takes the kernel transport without /dev/fuse, and names that", async () => {
    const result = await mountIn("mount -t tmpfs tmpfs /dev", { transport: "auto" });
    expect(result.code).toBe(5);
    expect(result.stderr).toContain("transport kernel: ");
    expect(result.stderr).toContain("/dev/fuse cannot be opened");
  });

  it.skipIf(!isRoot)("takes the kernel transport without any fusermount, and names that", async () => {
    const path = await tempDir(testScope());
    await chmod(path, 0o755);
    const result = await mountIn(":", { path, transport: "auto" });
    expect(result.code).toBe(5);
    expect(result.stderr).toContain("transport kernel: ");
    expect(result.stderr).toContain("The program fusermount3 was not found.");
  });
});
