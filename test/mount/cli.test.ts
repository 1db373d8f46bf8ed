/**
 * The command line with a server behind it and a kernel under it: background mounts and their true exit codes, unmounting
 * by everybody who can, what is left behind, and where secrets are not.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { isMountPoint, mountEntries } from "../support/mountinfo.ts";
import { EMAIL, environment, makeHome, makeMountPoint, mountLibrary, seamount } from "../support/mounts.ts";
import { eventually, ok, python, run } from "../support/process.ts";
import { MAIN } from "../support/programs.ts";
import { fileScope, type Scope, testScope } from "../support/scope.ts";

const PASSWORD = "testpass123";
const whole = fileScope();
let server: DevServer;
let work: string;

beforeAll(async () => {
  server = await startServer(whole);
  work = server.store.createLibrary(EMAIL, "Work");
  await server.store.writeFile(work, "/hello.txt", Buffer.from("hello\n"));
});

interface Bench {
  readonly home: string;
  readonly dir: string;
  run(args: readonly string[], options?: { input?: string; env?: Record<string, string> }): ReturnType<typeof seamount>;
  /** The process of the background mount on `dir`. */
  pid(): Promise<number>;
}

/** A home and a mount point of their own; a background mount that a failed test leaves is ended. */
async function bench(scope: Scope): Promise<Bench> {
  const home = await makeHome(scope);
  const dir = await makeMountPoint(scope);
  const settings = { server, home };
  const records = join(home, "run/seamount");
  const pids = async () => {
    const names = (await readdir(records)).filter((name) => name.endsWith(".json"));
    const texts = await Promise.all(names.map((name) => readFile(join(records, name), "utf8")));
    return texts.map((text) => (JSON.parse(text) as { pid: number }).pid);
  };
  const pid = async () => (await pids())[0]!;
  scope.defer(async () => {
    if (await isMountPoint(dir)) await seamount(["unmount", "--lazy", dir], settings);
    for (const left of await pids().catch(() => [])) if (isAlive(left)) process.kill(left, "SIGKILL");
  });
  return { home, dir, pid, run: (args, options = {}) => seamount(args, settings, options) };
}

/** A zombie has ended, whether or not somebody has collected it. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

const isGone = (pid: number) => eventually(`process ${pid} has ended`, () => !isAlive(pid));

describe("mount in the background", () => {
  it("returns when the mount works, says so, and unmount returns when the process has ended", async () => {
    const { dir, home, run, pid } = await bench(testScope());
    expect(await run(["mount", dir, "--library", "Work"])).toMatchObject({
      code: 0,
      stdout: `Work mounted on ${dir}\n`,
      stderr: "",
    });
    expect(await ok("cat", [join(dir, "hello.txt")])).toBe("hello\n");
    const process = await pid();
    expect(await run(["unmount", dir])).toMatchObject({ code: 0, stdout: `${dir} unmounted\n`, stderr: "" });
    expect(isAlive(process)).toBe(false);
    expect(await isMountPoint(dir)).toBe(false);
    expect(await readdir(join(home, "run/seamount"))).toEqual([]);
  });

  it("survives the hang-up of its terminal and belongs to a session of its own", async () => {
    const { dir, run, pid } = await bench(testScope());
    await run(["mount", dir, "--library", "Work"]);
    const served = await pid();
    process.kill(served, "SIGHUP");
    expect(await ok("cat", [join(dir, "hello.txt")])).toBe("hello\n");
    expect((await ok("ps", ["-o", "sid=", "-p", String(served)])).trim()).toBe(String(served));
    expect(await run(["unmount", dir])).toMatchObject({ code: 0 });
  });

  it("keeps the token out of arguments, environment and log, and the log to its user", async () => {
    const { dir, home, run, pid } = await bench(testScope());
    await run(["mount", dir, "--verbose"]);
    await ok("ls", ["-lR", dir]);
    const token = server.token(EMAIL);
    const process = await pid();
    for (const name of ["cmdline", "environ"]) {
      expect(await readFile(`/proc/${process}/${name}`, "latin1"), name).not.toContain(token);
    }
    await run(["unmount", dir]);
    const [name] = await readdir(join(home, "state/seamount"));
    const log = join(home, "state/seamount", name!);
    expect(((await stat(log)).mode & 0o777).toString(8)).toBe("600");
    const logged = await readFile(log, "utf8");
    expect(logged).toContain("is mounted on");
    expect(logged).not.toContain(token);
  });

  it("a mount point that is taken is refused with the process that has it", async () => {
    const { dir, run, pid } = await bench(testScope());
    await run(["mount", dir]);
    const again = await run(["mount", dir]);
    expect(again).toMatchObject({ code: 5, stdout: "" });
    expect(again.stderr).toContain(`${dir} is mounted already, by process ${await pid()}: unmount it first`);
  });

  it("shows every library of the account as a folder without --library", async () => {
    const { dir, run } = await bench(testScope());
    const result = await run(["mount", dir]);
    expect(result.stdout).toBe(`${new URL(server.url).host} mounted on ${dir}\n`);
    expect(await ok("ls", [dir])).toBe("Work\n");
    expect(await ok("cat", [join(dir, "Work/hello.txt")])).toBe("hello\n");
  });

  it("takes -o words as mount(8) does", async () => {
    const { dir, run } = await bench(testScope());
    const words = "ro,noatime,nofail,x-systemd.automount,library=Work";
    expect(await run(["mount", dir, "-o", words, "-o", "uid=12,umask=077"])).toMatchObject({ code: 0 });
    const entry = (await mountEntries()).find(({ mountpoint }) => mountpoint === dir);
    expect(entry?.type).toBe("fuse.seamount");
    for (const option of ["ro", "noatime", "nosuid", "nodev"]) expect(entry?.options).toContain(option);
    expect(await ok("stat", ["-c", "%u %a", join(dir, "hello.txt")])).toBe("12 400\n");
    const refused = await complaintOfWriting(join(dir, "new"));
    expect(refused).toContain("Read-only file system");
  });
});

async function complaintOfWriting(file: string): Promise<string> {
  return (await run("sh", ["-c", 'echo x > "$1"', "sh", file])).stderr;
}

describe("unmount", () => {
  it("finds a mount under another spelling of its path", async () => {
    const { dir, home, run } = await bench(testScope());
    await run(["mount", dir]);
    await ok("ln", ["-s", dir, join(home, "link")]);
    expect(await run(["unmount", `${home}/./link`])).toMatchObject({ code: 0, stdout: `${dir} unmounted\n` });
  });

  it("by fusermount3 ends the process, and its record goes with it", async () => {
    const { dir, home, run, pid } = await bench(testScope());
    await run(["mount", dir]);
    const served = await pid();
    await ok("fusermount3", ["-u", dir]);
    await isGone(served);
    expect(await readdir(join(home, "run/seamount"))).toEqual([]);
  });
});

describe("a folder for records that cannot be used", () => {
  it("is a remark, and mounting and unmounting work", async () => {
    const { dir, home, run } = await bench(testScope());
    const env = { XDG_RUNTIME_DIR: join(home, "odd") };
    await mkdir(join(home, "odd"));
    await writeFile(join(home, "odd/seamount"), "a file where a folder is wanted");
    expect(await run(["mount", dir, "--library", "Work"], { env })).toMatchObject({ code: 0 });
    expect(await ok("cat", [join(dir, "hello.txt")])).toBe("hello\n");
    expect(await run(["unmount", dir], { env })).toMatchObject({ code: 0 });
    const [log] = await readdir(join(home, "state/seamount"));
    expect(await readFile(join(home, "state/seamount", log!), "utf8")).toContain("no record of this mount");
  });
});

describe("mount in the foreground", () => {
  it("unmounts when its terminal is closed, with exit code 0", async () => {
    const mount = await mountLibrary(testScope(), { server, library: "Work" });
    expect(await ok("cat", [join(mount.dir, "hello.txt")])).toBe("hello\n");
    mount.signal("SIGHUP");
    expect(await mount.exited).toEqual({ code: 0, signal: null });
    expect(await isMountPoint(mount.dir)).toBe(false);
    expect(mount.log()).toContain(`Work mounted on ${mount.dir}\n`);
  });

  it("Ctrl-C while a server does not answer ends at once with exit code 5 and leaves no mount", async () => {
    const scope = testScope();
    const slow = await startServer(scope);
    slow.faults.hang("*");
    const home = await makeHome(scope);
    const dir = await makeMountPoint(scope);
    const child = spawn(process.execPath, [MAIN, "mount", dir, "-f"], { env: environment(home, { server: slow }) });
    const stderr = text(child.stderr);
    await eventually("the server was asked", () => slow.requests.count() > 0);
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([5, null]);
    expect(await stderr).toContain("SIGINT: interrupted before the mount was ready.");
    expect(await isMountPoint(dir)).toBe(false);
  });
});

describe("login", () => {
  const noEnv = { SEAMOUNT_SERVER: "", SEAMOUNT_TOKEN: "" };

  it("remembers the token for its user alone, and mount, libraries and logout use it", async () => {
    const { dir, home, run } = await bench(testScope());
    const args = ["login", server.url, "--username", EMAIL, "--password-stdin"];
    const login = await run(args, { env: noEnv, input: `${PASSWORD}\n` });
    expect(login).toMatchObject({ code: 0, stderr: "" });
    expect(login.stdout).toMatch(`Logged in to ${server.url} as `);
    const file = join(home, "config/seamount/credentials.json");
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe("600");
    expect(await readFile(file, "utf8")).not.toContain(PASSWORD);

    const listed = await run(["libraries"], { env: noEnv });
    expect(listed.stdout.trimEnd().split("\t")).toEqual(["Work", "test", "rw", "6", work]);
    expect(await run(["mount", dir, "--library", "Work"], { env: noEnv })).toMatchObject({ code: 0 });
    expect(await ok("cat", [join(dir, "hello.txt")])).toBe("hello\n");
    await run(["unmount", dir], { env: noEnv });

    expect(await run(["logout"], { env: noEnv })).toMatchObject({
      code: 0,
      stdout: `Logged out from ${server.url}.\n`,
    });
    expect(await readFile(file, "utf8")).not.toContain(server.token(EMAIL));
    expect((await run(["libraries"], { env: noEnv })).code).toBe(3);
  });

  it("with a wrong password is exit code 3, and nothing is remembered", async () => {
    const { home, run } = await bench(testScope());
    const args = ["login", server.url, "--username", EMAIL, "--password-stdin"];
    const result = await run(args, { env: noEnv, input: "wrong-secret" });
    expect(result.code).toBe(3);
    expect(result.stderr).not.toContain("wrong-secret");
    expect(await readdir(join(home, "config"))).toEqual([]);
  });

  it("takes the two-factor code from the second line, and says when one is missing", async () => {
    const scope = testScope();
    const strict = await startServer(scope, { users: [{ email: EMAIL, password: PASSWORD, otp: "424242" }] });
    const { run } = await bench(scope);
    const args = ["login", strict.url, "--username", EMAIL, "--password-stdin"];
    expect(await run(args, { env: noEnv, input: PASSWORD })).toMatchObject({ code: 3 });
    expect(await run(args, { env: noEnv, input: `${PASSWORD}\n424242\n` })).toMatchObject({ code: 0 });
  });
});

/** Runs argv on a terminal of its own, answers each prompt as it comes, and prints what the terminal showed and the exit code. */
const TERMINAL = `
import os, pty, sys
prompts = sys.argv[1].split("|")
answers = sys.argv[2].split("|")
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
shown = b""
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    if prompts and prompts[0].encode() in shown:
        os.write(fd, answers.pop(0).encode() + b"\\r")
        prompts.pop(0)
print(shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

const CURSOR_MOVES = new RegExp(`${String.fromCharCode(27)}\\[\\d*[GJ]`, "g");

describe("login at a terminal", () => {
  it("asks for name, password and code, and shows neither the password nor its length", async () => {
    const scope = testScope();
    const strict = await startServer(scope, { users: [{ email: EMAIL, password: PASSWORD, otp: "424242" }] });
    const home = await makeHome(scope);
    const { SEAMOUNT_SERVER: _, SEAMOUNT_TOKEN: __, ...env } = environment(home, { server: strict });
    const prompts = ["User name or e-mail: ", "Password: ", "Two-factor code: "].join("|");
    const answers = [EMAIL, PASSWORD, "424242"].join("|");
    const shown = await python(TERMINAL, [prompts, answers, process.execPath, MAIN, "login", strict.url], { env });
    const lines = shown.replaceAll(CURSOR_MOVES, "").split("\r\n");
    expect(lines.map((line) => line.trimEnd())).toEqual([
      `User name or e-mail: ${EMAIL}`,
      "Password:",
      "Two-factor code: 424242",
      `Logged in to ${strict.url} as test <${EMAIL}>.`,
      " 0",
    ]);
  });

  it("is cancelled by Ctrl-C, and nothing is remembered", async () => {
    const scope = testScope();
    const home = await makeHome(scope);
    const { SEAMOUNT_SERVER: _, SEAMOUNT_TOKEN: __, ...env } = environment(home, { server });
    const args = ["Password: ", "\u0003", process.execPath, MAIN, "login", server.url, "-u", EMAIL];
    const shown = await python(TERMINAL, args, { env });
    expect(shown).toContain("seamount: Cancelled.");
    expect(shown.trimEnd()).toMatch(/ 1$/);
    expect(await readdir(join(home, "config"))).toEqual([]);
  });
});

describe("libraries", () => {
  it("--json has the documented fields", async () => {
    const { run } = await bench(testScope());
    const { stdout } = await run(["libraries", "--json"]);
    expect(JSON.parse(stdout)).toEqual([
      expect.objectContaining({
        id: work,
        name: "Work",
        owner: "test",
        permission: "rw",
        kind: "own",
        encrypted: false,
        size: 6,
      }),
    ]);
  });
});

/** `seamount dev-server --json ...`: what it announced, and the process. */
async function devServer(scope: Scope, args: readonly string[], input = "") {
  const child: ChildProcess = spawn(process.execPath, [MAIN, "dev-server", "--json", ...args]);
  scope.defer(async () => child.kill("SIGKILL"));
  child.stdin?.end(input);
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  await eventually("the development server is ready", () => output.endsWith("}\n") || child.exitCode !== null);
  const said = JSON.parse(output) as { url: string; fileServerUrl: string; username: string; password: string };
  const stop = async () => {
    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number | null];
    return code;
  };
  return { ...said, stop };
}

describe("dev-server", () => {
  it("imports folders, serves them to a login, and keeps them in --data without importing twice", async () => {
    const scope = testScope();
    const { home, dir, run } = await bench(scope);
    const source = join(home, "source");
    await mkdir(join(source, "sub"), { recursive: true });
    await writeFile(join(source, "sub/a.txt"), "from a folder\n");
    const args = ["--data", join(home, "data/server"), "--library", `My Notes=${source}`, "--user", "me@x.org:Me"];
    const first = await devServer(scope, [...args, "--password-stdin"], "my-password\n");
    expect([first.username, first.password]).toEqual(["me@x.org", "my-password"]);
    const noEnv = { SEAMOUNT_SERVER: "", SEAMOUNT_TOKEN: "" };
    const login = (url: string) =>
      run(["login", url, "-u", "me@x.org", "--password-stdin"], { env: noEnv, input: "my-password" });
    expect((await login(first.url)).stdout).toBe(`Logged in to ${first.url} as Me <me@x.org>.\n`);
    await run(["mount", dir], { env: noEnv });
    expect(await ok("cat", [join(dir, "My Notes/sub/a.txt")])).toBe("from a folder\n");
    await ok("sh", ["-c", 'echo added > "$1"', "sh", join(dir, "My Notes/b.txt")]);
    expect(await run(["unmount", dir], { env: noEnv })).toMatchObject({ code: 0 });
    expect(await first.stop()).toBe(0);

    const second = await devServer(scope, [...args, "--password-stdin"], "my-password\n");
    await login(second.url);
    await run(["mount", dir], { env: noEnv });
    expect(await ok("ls", [dir])).toBe("My Notes\n");
    expect(await ok("cat", [join(dir, "My Notes/b.txt")])).toBe("added\n");
    await run(["unmount", dir], { env: noEnv });
    expect(await second.stop()).toBe(0);
  });
});
