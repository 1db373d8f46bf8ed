/**
 * status, queue and sync as their users see them, against mounts whose control sockets are served by the test itself: what is
 * printed for whom, which change a word means, and which exit code a script gets.
 */
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ControlSocket, startControl } from "../../src/cli/control-socket.ts";
import { type RecordFile, writeRecord } from "../../src/cli/mount-record.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { FakeControl, queueItem } from "./fake-control.ts";
import { runCliOnTerminal, runHere, spawnCli } from "./run-cli.ts";

let home: string;
const running: { readonly record: RecordFile; readonly socket: ControlSocket | undefined }[] = [];

beforeEach(() => {
  vi.stubEnv("TZ", "UTC");
  home = mkdtempSync(join(tmpdir(), "seamount-"));
  vi.stubEnv("XDG_RUNTIME_DIR", home);
});
afterEach(async () => {
  for (const { record, socket } of running.splice(0)) {
    record.finish({ unstored: [] });
    await socket?.close();
  }
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

/** A mount that is recorded and answers; its folder exists and is empty. */
async function mount(name: string): Promise<{ readonly dir: string; readonly control: FakeControl }> {
  const dir = join(home, name);
  mkdirSync(dir);
  const control = new FakeControl(dir);
  const socket = await startControl({ control, mountpoint: dir, log: silentLogger() });
  running.push({ record: writeRecord(dir, socket.path), socket });
  return { dir, control };
}

/** A mount whose process cannot be asked. */
function silentMount(name: string): string {
  const dir = join(home, name);
  mkdirSync(dir);
  running.push({ record: writeRecord(dir, join(home, "nobody.sock")), socket: undefined });
  return dir;
}

const seamount = (...args: string[]) => runHere(args);
const HELD = { state: "held", reason: "quota", because: "The quota is used up.", attempts: 3 } as const;

describe("status", () => {
  it("without a mount says so and is no failure", async () => {
    expect(await seamount("status")).toEqual({ code: 0, stdout: "", stderr: "Nothing is mounted.\n" });
    expect(await seamount("status", "--json")).toEqual({ code: 0, stdout: "[]\n", stderr: "" });
  });

  it("reports all mounts, or the one that a path is in", async () => {
    const [a, b] = [await mount("a"), await mount("b")];
    a.control.items = [queueItem(1, { state: "uploading", sent: 520 }), queueItem(2, HELD)];
    const { code, stdout, stderr } = await seamount("status");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`${a.dir}: me@example.com at https://seafile.example.com\n`);
    expect(stdout).toContain("  uploading   52 % of 1.0 KB  /Work/f1.txt\n");
    expect(stdout).toContain("1 held");
    expect(stdout).toContain(`${b.dir}: `);
    const one = await seamount("status", `${b.dir}/some/file`);
    expect(one.stdout).toContain(`${b.dir}: `);
    expect(one.stdout).not.toContain(`${a.dir}: `);
  });

  it("--json is everything the mounts tell", async () => {
    const { control } = await mount("a");
    control.items = [queueItem(1, HELD)];
    expect(JSON.parse((await seamount("status", "--json")).stdout)).toEqual([control.status()]);
  });

  it("a mount that cannot be asked is exit code 1 and does not hide the others", async () => {
    const dir = silentMount("a");
    const { dir: other } = await mount("b");
    const { code, stdout, stderr } = await seamount("status");
    const sentence = `${dir} (process ${process.pid}) cannot be asked: Nobody listens on its control socket.`;
    expect([code, stderr]).toEqual([1, `seamount: ${sentence}\n`]);
    expect(stdout).toContain(`${other}: `);
    const json = JSON.parse((await seamount("status", "--json")).stdout) as unknown[];
    expect(json[0]).toEqual({ mountpoint: dir, pid: process.pid, error: sentence });
  });

  it("of what is not mounted is exit code 7", async () => {
    await mount("a");
    expect(await seamount("status", `${home}/ab`)).toEqual({
      code: 7,
      stdout: "",
      stderr: `seamount: ${home}/ab is not in a running mount of seamount.\n`,
    });
  });

  it("--watch --json prints one line each time, and ends with its reader", async () => {
    const { control } = await mount("a");
    const child = spawnCli(home, ["status", "--watch", "--json"]);
    let received = "";
    child.stdout.on("data", (chunk: Buffer) => {
      received += chunk.toString();
      control.items = [queueItem(1)];
      if (received.split("\n").length > 2) child.stdout.destroy();
    });
    expect(await once(child, "exit")).toEqual([0, null]);
    const files = received
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)[0].queue.files);
    expect(files.slice(0, 2)).toEqual([0, 1]);
  });

  it("--watch on a terminal draws bars on a second screen and gives the first one back on Ctrl-C, with exit code 0", async () => {
    const { control } = await mount("a");
    control.items = [queueItem(1, { state: "uploading", sent: 500 })];
    const { code, stdout } = await runCliOnTerminal(home, ["status", "--watch"], { prompt: "##", answer: "\u0003" });
    expect(code).toBe(0);
    expect(stdout).toContain("[##########----------]  50 % of 1.0 KB  /Work/f1.txt");
    expect(stdout.indexOf("\u001b[?1049h")).toBeLessThan(stdout.indexOf("[###"));
    expect(stdout.endsWith("\u001b[?7h\u001b[?25h\u001b[?1049l")).toBe(true);
  });
});

describe("queue ls and show", () => {
  it("a pipe gets nine exact tab-separated columns per change", async () => {
    const { dir, control } = await mount("a");
    control.items = [queueItem(1, { path: "/a\tb" }), queueItem(22, HELD)];
    expect(await seamount("queue", "ls")).toEqual({
      code: 0,
      stdout: [
        `1\t${dir}\tput\t1000\t2023-11-14T22:13:20.000Z\twaiting\t\tWork\t/a\\u{9}b\n`,
        `22\t${dir}\tput\t1000\t2023-11-14T22:13:20.000Z\theld\tquota\tWork\t/f22.txt\n`,
      ].join(""),
      stderr: "",
    });
  });

  it("a terminal gets a table with the places as a person finds them", async () => {
    const { dir, control } = await mount("a");
    const { location: _, ...elsewhere } = queueItem(22, { ...HELD, library: "Old" });
    control.items = [queueItem(1), elsewhere];
    const { stdout } = await runCliOnTerminal(home, ["queue", "ls"]);
    expect(stdout.split("\n").slice(0, 3)).toEqual([
      "ID  CHANGE    SIZE  SINCE             STATE        PATH",
      ` 1  put     1.0 KB  2023-11-14 22:13  waiting      ${dir}/Work/f1.txt`,
      "22  put     1.0 KB  2023-11-14 22:13  held: quota  Old:/f22.txt",
    ]);
  });

  it("--json is the items with their mount; a folder narrows them", async () => {
    const { dir, control } = await mount("a");
    control.items = [queueItem(1, { path: "/sub/x" }), queueItem(2, { path: "/subway" })];
    const all = JSON.parse((await seamount("queue", "ls", "--json")).stdout) as unknown;
    expect(all).toEqual(control.items.map((item) => ({ mountpoint: dir, ...item })));
    const below = JSON.parse((await seamount("queue", "ls", "--json", `${dir}/Work/sub/`)).stdout) as { id: number }[];
    expect(below.map(({ id }) => id)).toEqual([1]);
  });

  it("show tells why", async () => {
    const { control, dir } = await mount("a");
    control.items = [queueItem(22, HELD)];
    const { stdout } = await seamount("queue", "show", "22");
    expect(stdout.split("\n").map((line) => line.trim())).toEqual([
      `22  ${dir}/Work/f22.txt`,
      "change    put",
      "library   Work",
      "path      /f22.txt",
      "size      1000 bytes",
      "since     2023-11-14 22:13",
      "state     held: quota",
      "attempts  3",
      "because   The quota is used up.",
      "",
    ]);
  });
});

describe("which changes a command means", () => {
  it.each<[string, string[], unknown[]]>([
    ["a number", ["hold", "2"], ["hold", [2]]],
    ["several numbers", ["release", "3", "1"], ["release", [1, 3]]],
    ["a file", ["hold", "DIR/Work/sub/f1.txt"], ["hold", [1]]],
    ["a folder", ["hold", "DIR/Work/sub"], ["hold", [1, 2]]],
    ["a file through a symbolic link", ["hold", "LINK/Work/f3.txt"], ["hold", [3]]],
    ["the mount point", ["hold", "DIR"], ["hold", [1, 2, 3]]],
    ["the mount point and a number", ["hold", "DIR", "2"], ["hold", [2]]],
    ["nothing: everything", ["retry"], ["retry", undefined]],
    ["the mount point: everything of it", ["retry", "DIR"], ["retry", undefined]],
    ["one to try", ["retry", "2"], ["retry", [2]]],
    ["what to give up", ["discard", "--yes", "2", "3"], ["discard", [2, 3]]],
  ])("%s", async (_, words, call) => {
    const { dir, control } = await mount("a");
    symlinkSync(dir, join(home, "link"));
    control.items = [queueItem(1, { path: "/sub/f1.txt" }), queueItem(2, { path: "/sub/f2.txt" }), queueItem(3)];
    const args = words.map((word) => word.replace("DIR", dir).replace("LINK", join(home, "link")));
    expect(await seamount("queue", ...args)).toMatchObject({ code: 0, stderr: "" });
    expect(control.calls).toEqual([call]);
  });

  it("nothing that is not pending is touched, and neither is the rest", async () => {
    const { dir, control } = await mount("a");
    control.items = [queueItem(1), queueItem(2)];
    expect(await seamount("queue", "discard", "--yes", "1", "9")).toEqual({
      code: 7,
      stdout: "",
      stderr: `seamount: Nothing with the number 9 is pending in ${dir}.\n`,
    });
    expect(await seamount("queue", "discard", "--yes", `${dir}/Work/f`)).toEqual({
      code: 7,
      stdout: "",
      stderr: `seamount: Nothing is pending in ${dir}/Work/f.\n`,
    });
    expect(control.calls).toEqual([]);
  });

  it("of several mounts one must be named, and only one", async () => {
    const [a, b] = [await mount("a"), await mount("b")];
    b.control.items = [queueItem(1)];
    expect(await seamount("queue", "hold", "1")).toEqual({
      code: 2,
      stdout: "",
      stderr: `seamount: Several mounts are running; say which one: ${a.dir}, ${b.dir}.\n`,
    });
    expect(await seamount("queue", "hold", a.dir, b.dir)).toMatchObject({ code: 2 });
    expect(await seamount("queue", "hold", b.dir, "1")).toMatchObject({ code: 0 });
    expect(b.control.calls).toEqual([["hold", [1]]]);
  });
});

describe("queue discard", () => {
  it("without a terminal wants --yes", async () => {
    const { control } = await mount("a");
    control.items = [queueItem(1)];
    const { code, stderr } = await seamount("queue", "discard", "1");
    expect([code, stderr]).toEqual([
      2,
      "seamount: Discarding loses what was written: say --yes when nobody can be asked.\n",
    ]);
    expect(control.items).toHaveLength(1);
  });

  it.each([
    ["y\r", 0, 0],
    ["\r", 1, 1],
    ["n\r", 1, 1],
  ])("on a terminal asks, and %j ends with code %d", async (answer, code, left) => {
    const { dir, control } = await mount("a");
    control.items = [queueItem(1)];
    const shown = await runCliOnTerminal(home, ["queue", "discard", "1"], { prompt: "[y/N]: ", answer });
    expect(shown.stdout).toContain(`${dir}/Work/f1.txt`);
    expect([shown.code, control.items.length]).toEqual([code, left]);
  });
});

describe("queue export", () => {
  it("copies to a new file, into a folder under the file's name, and nowhere else", async () => {
    const { dir, control } = await mount("a");
    control.items = [queueItem(1), queueItem(2, { op: "remove" })];
    const file = join(home, "rescued");
    expect(await seamount("queue", "export", "1", file)).toEqual({
      code: 0,
      stdout: `Copied to ${file}\n`,
      stderr: "",
    });
    expect(readFileSync(file, "utf8")).toBe("content of 1");
    expect(await seamount("queue", "export", `${dir}/Work/f1.txt`, home)).toMatchObject({ code: 0 });
    expect(existsSync(join(home, "f1.txt"))).toBe(true);

    writeFileSync(file, "mine");
    expect(await seamount("queue", "export", "1", file)).toMatchObject({ code: 2 });
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect(await seamount("queue", "export", "1", join(home, "none/x"))).toMatchObject({ code: 7 });
    expect(await seamount("queue", "export", "2", join(home, "x"))).toMatchObject({ code: 7 });
  });

  it("does not write into a mount, whatever the path is called", async () => {
    const { dir, control } = await mount("a");
    control.items = [queueItem(1)];
    symlinkSync(dir, join(home, "link"));
    for (const file of [join(dir, "x"), join(home, "link/x"), dir])
      expect((await seamount("queue", "export", "1", file)).stderr).toContain(`is in the mount ${dir}`);
    expect(control.calls).toEqual([]);
  });
});

describe("sync", () => {
  it("is exit code 0 when every mount has stored everything", async () => {
    const [a, b] = [await mount("a"), await mount("b")];
    a.control.items = [queueItem(1)];
    expect(await seamount("sync")).toEqual({ code: 0, stdout: "", stderr: "" });
    expect([a.control.calls, b.control.calls]).toEqual([[["sync", undefined]], [["sync", undefined]]]);
  });

  it("of a folder asks its mount for that folder", async () => {
    const { dir, control } = await mount("a");
    await mount("b");
    expect(await seamount("sync", `${dir}/Work/sub`)).toMatchObject({ code: 0 });
    expect(control.calls).toEqual([["sync", "/Work/sub"]]);
  });

  it("is exit code 6 when something is held, or not stored in time", async () => {
    const { dir, control } = await mount("a");
    control.items = [queueItem(1, HELD), queueItem(2)];
    expect(await seamount("sync")).toEqual({
      code: 6,
      stdout: "",
      stderr: `seamount: ${dir}: 1 change is not stored (1 held); \`seamount queue ls ${dir}\` lists them.\n`,
    });
    control.items = [queueItem(1, { state: "uploading" })];
    expect(await seamount("sync", dir, "--timeout", "0.1", "--json")).toMatchObject({
      code: 6,
      stdout: `${JSON.stringify([{ mountpoint: dir, pending: 1, held: 0 }], null, 2)}\n`,
    });
  });

  it("never says that what it could not ask is stored", async () => {
    await mount("b");
    const dir = silentMount("a");
    expect(await seamount("sync")).toMatchObject({ code: 1, stderr: expect.stringContaining(`${dir} (process`) });
    expect(await seamount("sync", join(home, "none"))).toMatchObject({ code: 7 });
  });

  it("without a mount is exit code 7", async () => {
    expect(await seamount("sync")).toEqual({ code: 7, stdout: "", stderr: "seamount: Nothing is mounted.\n" });
  });

  it("shows on a terminal how far it is, and leaves a clean line", async () => {
    const { control } = await mount("a");
    control.items = [queueItem(1, { state: "uploading", sent: 520, path: "/big.iso" })];
    const { code, stdout } = await runCliOnTerminal(home, ["sync", "--timeout", "1.5"]);
    expect(code).toBe(6);
    expect(stdout).toContain("1 change, 1.0 KB to store; big.iso 52 %; 0 B/s");
    expect(stdout).toContain("\r\u001b[Kseamount: ");
  });
});
