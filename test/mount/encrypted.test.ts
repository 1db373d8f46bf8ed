/**
 * Encrypted libraries in a mount: locked ones refuse content and nothing else, unlocked ones work as others do, wherever the
 * password came from, and it is found nowhere that it was not put on purpose.
 */
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { MountStatus, QueueItem } from "../../src/control/protocol.ts";
import type { DevServer, DevServerOptions } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import {
  EMAIL,
  environment,
  type MountSettings,
  makeHome,
  makeMountPoint,
  mountArguments,
  mountInBackground,
  mountLibrary,
  seamount,
  servingProcesses,
} from "../support/mounts.ts";
import { eventually, POLL, python } from "../support/process.ts";
import { MAIN } from "../support/programs.ts";
import { tempDir, testScope } from "../support/scope.ts";
import { pattern, serverText } from "../support/trees.ts";

const PASSWORD = "correct horse battery";
/** Its key is gone from the server then, the reaper's minute included. */
const HOUR = 3_660_000;

async function world(options: DevServerOptions = {}) {
  const scope = testScope();
  const server = await startServer(scope, options);
  const id = server.store.createLibrary(EMAIL, "Secret", { password: PASSWORD });
  await server.store.writeFile(id, "/d/file", "sixteen bytes...", { mkdirs: true });
  const folder = await tempDir(scope, "passwords");
  const fileWith = async (text: string) => {
    const file = join(folder, `${(await readdir(folder)).length}`);
    await writeFile(file, `${text}\n`, { mode: 0o600 });
    return file;
  };
  const worker = new FsWorker(scope);
  const mount = (settings: Partial<MountSettings> = {}) => mountLibrary(scope, { server, ...settings });
  const unlocked = async (settings: Partial<MountSettings> = {}) => {
    const args = ["--password-file", await fileWith(PASSWORD), ...(settings.args ?? [])];
    return mount({ library: "Secret", ...settings, args });
  };
  return { scope, server, id, fileWith, worker, mount, unlocked };
}

/** The log is JSON, line by line. */
const sentences = (log: string) => log.replaceAll('\\"', '"');

const count = (server: DevServer, kind: string) => server.requests.list().filter((entry) => entry.kind === kind).length;

async function refusals(worker: FsWorker, dir: string) {
  const file = join(dir, "d/file");
  return {
    reading: await outcome(worker.open(file, "O_RDONLY")),
    "reading and writing": await outcome(worker.open(file, "O_RDWR")),
    writing: await outcome(worker.open(file, "O_WRONLY")),
    truncating: await outcome(worker.open(file, "O_WRONLY|O_TRUNC")),
    creating: await outcome(worker.writeFile(join(dir, "new"), "x")),
    "truncating by path": await outcome(worker.call("truncate", file, 3)),
  };
}

const ALL_REFUSED = {
  reading: "EACCES",
  "reading and writing": "EACCES",
  writing: "EACCES",
  truncating: "EACCES",
  creating: "EACCES",
  "truncating by path": "EACCES",
};

describe("a locked library", () => {
  // SEMANTICS: "An encrypted library is listed, and its folders can be made, renamed and removed, without its password."
  // SEMANTICS: "Without the password, or with a wrong one, opening a file of it is answered EACCES, and the log says why."
  // SEMANTICS: "So is creating a file in it, or changing one."
  it("shows everything and gives out nothing, without any question to the server about it", async () => {
    const { worker, server, id, mount } = await world();
    const mounted = await mount({ library: "Secret" });
    const { dir } = mounted;
    expect(await worker.listdir(join(dir, "d"))).toEqual(["file"]);
    expect((await worker.stat(join(dir, "d/file"))).size).toBe(16);
    expect(await refusals(worker, dir)).toEqual(ALL_REFUSED);
    expect((await worker.stat(join(dir, "d/file"))).size).toBe(16);
    await mkdir(join(dir, "e"));
    await worker.rename(join(dir, "e"), join(dir, "f"));
    await worker.call("rmdir", join(dir, "f"));
    await worker.rename(join(dir, "d/file"), join(dir, "d/other"));
    expect(server.store.list(id, "/d").map(({ name }) => name)).toEqual(["other"]);
    expect(sentences(mounted.log())).toContain(
      'The library "Secret" is encrypted and locked here: give its password with `seamount unlock`.',
    );
    expect([count(server, "repo-operation"), count(server, "file-link"), count(server, "upload-link")]).toEqual([
      0, 0, 0,
    ]);
  });

  it("is what a wrong password leaves, which the server is asked about once", async () => {
    const { worker, server, fileWith, mount } = await world();
    const wrong = await fileWith("not the password");
    const mounted = await mount({ library: "Secret", args: ["--password-file", wrong] });
    const { dir } = mounted;
    expect(await worker.listdir(join(dir, "d"))).toEqual(["file"]);
    expect(await refusals(worker, dir)).toEqual(ALL_REFUSED);
    expect(sentences(mounted.log())).toContain('The password given for the encrypted library "Secret" is wrong');
    expect(mounted.log()).not.toContain("not the password");
    expect(count(server, "repo-operation")).toBe(1);
  });
});

describe.each([{ flavour: "c" }, { flavour: "go" }] as const)("an unlocked library ($flavour)", (options) => {
  it("is written and read back, changed in the middle, and holds on the server what was written", async () => {
    const { worker, server, id, unlocked } = await world(options);
    const { dir } = await unlocked();
    const bytes = pattern(3_000_000);
    await worker.writeFile(join(dir, "new.bin"), bytes);
    expect((await worker.readFile(join(dir, "new.bin"))).equals(bytes)).toBe(true);
    expect((await server.store.readFile(id, "/new.bin")).equals(bytes)).toBe(true);
    const fd = await worker.open(join(dir, "d/file"), "O_RDWR");
    await worker.pwrite(fd, "SIXTEEN", 0);
    expect((await worker.pread(fd, 16, 0)).toString()).toBe("SIXTEEN bytes...");
    await worker.close(fd);
    expect(await serverText(server, id, "/d/file")).toBe("SIXTEEN bytes...");
    await worker.rename(join(dir, "new.bin"), join(dir, "d/file"));
    expect((await server.store.readFile(id, "/d/file")).equals(bytes)).toBe(true);
  });

  it("goes on when the server has forgotten the key, by its clock or by a restart", async () => {
    const { worker, server, id, unlocked } = await world(options);
    for (const name of ["one", "two"]) await server.store.writeFile(id, `/${name}`, `content of ${name}`);
    const { dir } = await unlocked({ args: ["--refresh", "0"] });
    expect((await worker.readFile(join(dir, "one"))).toString()).toBe("content of one");
    server.advanceClock(HOUR);
    expect((await worker.readFile(join(dir, "two"))).toString()).toBe("content of two");
    expect(count(server, "repo-operation")).toBe(2);
    server.faults.lockLibraries();
    await worker.writeFile(join(dir, "three"), "3");
    expect(await serverText(server, id, "/three")).toBe("3");
    server.faults.lockLibraries();
    await worker.writeFile(join(dir, "one"), "over it");
    expect(await serverText(server, id, "/one")).toBe("over it");
    expect(count(server, "repo-operation")).toBe(4);
  });
});

describe("reading an unlocked library", () => {
  // SEMANTICS: "A file of it is fetched as a whole when it is first read, once, and all reads are answered from there."
  it.each([
    ["small", 3_000_000],
    ["large", 40_000_000],
  ])("at random in a %s file costs one download", async (_size, size) => {
    const { worker, server, id, unlocked } = await world();
    const bytes = pattern(size);
    await server.store.writeFile(id, "/big.bin", bytes);
    const { dir } = await unlocked();
    for (const round of [1, 2]) {
      const fd = await worker.open(join(dir, "big.bin"), "O_RDONLY");
      for (let i = 0; i < 40; i++) {
        const at = (i * 7_919_293 * round) % size;
        expect((await worker.pread(fd, 5000, at)).equals(bytes.subarray(at, at + 5000))).toBe(true);
      }
      expect((await worker.pread(fd, 100, size - 40)).equals(bytes.subarray(size - 40))).toBe(true);
      await worker.close(fd);
    }
    expect(count(server, "download")).toBe(1);
  });

  it("answers with the first bytes long before the last ones have come", async () => {
    const { worker, server, id, unlocked } = await world({ bandwidth: 1_000_000 });
    const bytes = pattern(20_000_000);
    await server.store.writeFile(id, "/big.bin", bytes);
    const { dir } = await unlocked();
    const begun = performance.now();
    const fd = await worker.open(join(dir, "big.bin"), "O_RDONLY");
    expect((await worker.pread(fd, 4096, 0)).equals(bytes.subarray(0, 4096))).toBe(true);
    expect((await worker.pread(fd, 4096, 1_000_000)).equals(bytes.subarray(1_000_000, 1_004_096))).toBe(true);
    // The whole of it takes 20 s.
    expect(performance.now() - begun).toBeLessThan(10_000);
    await worker.close(fd);
    expect(count(server, "download")).toBe(1);
  });
});

describe("several encrypted libraries", () => {
  // SEMANTICS: "Several encrypted libraries in one mount have a password each."
  it("work beside each other and beside a plain one, each with its own password", async () => {
    const { worker, server, id, fileWith, mount } = await world();
    const other = server.store.createLibrary(EMAIL, "Other = one", { password: "another", encVersion: 4 });
    server.store.createLibrary(EMAIL, "Locked", { password: "nobody gives this" });
    server.store.createLibrary(EMAIL, "Plain");
    await server.store.writeFile(other, "/file", "of the other");
    const args = ["--password-file", `Secret=${await fileWith(PASSWORD)}`];
    args.push("-o", `password_file=${other}=${await fileWith("another")}`);
    const { dir } = await mount({ args });
    expect((await worker.readFile(join(dir, "Secret/d/file"))).toString()).toBe("sixteen bytes...");
    expect((await worker.readFile(join(dir, "Other = one/file"))).toString()).toBe("of the other");
    await worker.writeFile(join(dir, "Other = one/new"), "1");
    await worker.writeFile(join(dir, "Secret/new"), "2");
    await worker.writeFile(join(dir, "Plain/new"), "3");
    expect([await serverText(server, other, "/new"), await serverText(server, id, "/new")]).toEqual(["1", "2"]);
    expect(await outcome(worker.writeFile(join(dir, "Locked/new"), "4"))).toBe("EACCES");
  });

  it("make a password without a name a mistake, and so does a name that no library has", async () => {
    const { scope, server, fileWith } = await world();
    server.store.createLibrary(EMAIL, "Other", { password: "another" });
    const home = await makeHome(scope);
    const dir = await makeMountPoint(scope);
    const file = await fileWith(PASSWORD);
    const mountWith = (...args: string[]) => seamount([...mountArguments(dir), ...args], { server, home });
    const bare = await mountWith("--password-file", file);
    expect(bare.stderr).toContain("Several libraries are encrypted: say which one the password is for");
    expect((await mountWith("--password-file", `Nowhere=${file}`)).stderr).toContain('There is no library "Nowhere"');
    const missing = await mountWith("--password-file", `${file}.not`);
    expect([missing.code, missing.stderr]).toEqual([
      2,
      `seamount: The password file ${file}.not cannot be read (ENOENT).\n`,
    ]);
  });
});

describe("the password", () => {
  it("comes from the environment, too, and from there not to the process that serves", async () => {
    const { scope, server, worker } = await world();
    const env = { SEAMOUNT_LIBRARY_PASSWORD: PASSWORD };
    const { dir } = await mountInBackground(scope, { server, library: "Secret", env });
    expect((await worker.readFile(join(dir, "d/file"))).toString()).toBe("sixteen bytes...");
    for (const pid of await servingProcesses(dir)) {
      expect(await readFile(`/proc/${pid}/environ`, "utf8")).not.toContain(PASSWORD);
      expect(await readFile(`/proc/${pid}/cmdline`, "utf8")).not.toContain(PASSWORD);
    }
  });

  // SEMANTICS: "`seamount mount` asks for missing passwords at a terminal, and before it goes to the background."
  it("is asked for at a terminal, again when it is wrong, and the mount goes to the background with it", async () => {
    const { scope, server, worker } = await world();
    const home = await makeHome(scope);
    const dir = await makeMountPoint(scope);
    scope.defer(async () => {
      await seamount(["unmount", dir], { server, home });
    });
    const command = JSON.stringify([process.execPath, MAIN, ...mountArguments(dir, { library: "Secret" })]);
    const shown = await python(TYPE_AT_A_TERMINAL, [command, "not this one", PASSWORD], {
      env: environment(home, { server }),
    });
    expect(shown).toContain('Password of the encrypted library "Secret"');
    expect(shown).toContain("The password is wrong.");
    expect(shown).toContain(`Secret mounted on ${dir}`);
    expect(shown).toContain("ended with 0");
    expect(shown).not.toContain(PASSWORD);
    expect((await worker.readFile(join(dir, "d/file"))).toString()).toBe("sixteen bytes...");
  });
});

describe("seamount unlock", () => {
  // SEMANTICS: "What `seamount unlock` is given works at once in all running mounts of the account."
  it("opens the library in the mounts that run, and remembers nothing", async () => {
    const { scope, server, worker } = await world();
    const one = await mountInBackground(scope, { server });
    const two = await mountInBackground(scope, { server, library: "Secret", home: one.home });
    const files = [join(one.dir, "Secret/d/file"), join(two.dir, "d/file")];
    const run = (input: string, ...args: string[]) => seamount(args, { server, home: one.home }, { input });
    const locked = async () => {
      const statuses = JSON.parse((await run("", "status", "--json")).stdout) as MountStatus[];
      return statuses.map(({ libraries }) => libraries[0]!.locked);
    };
    for (const file of files) expect(await outcome(worker.open(file, "O_RDONLY"))).toBe("EACCES");
    expect(await locked()).toEqual([true, true]);
    const wrong = await run("not it\n", "unlock", "Secret", "--password-stdin");
    expect([wrong.code, wrong.stderr]).toEqual([1, 'seamount: This is not the password of the library "Secret".\n']);
    const right = await run(`${PASSWORD}\n`, "unlock", "Secret", "--password-stdin");
    expect([right.code, right.stderr]).toEqual([0, ""]);
    expect(right.stdout.split("\n").filter(Boolean).sort()).toEqual(
      [one.dir, two.dir].map((dir) => `"Secret" is unlocked in ${dir}.`).sort(),
    );
    for (const file of files) expect((await worker.readFile(file)).toString()).toBe("sixteen bytes...");
    expect(await locked()).toEqual([false, false]);
    expect(await filesWith(PASSWORD, one.home)).toEqual([]);
  });

  it("remembers the password when it is told to, for the owner's eyes only, until it is told to forget", async () => {
    const { scope, server, worker, fileWith } = await world();
    const home = await makeHome(scope);
    const run = (...args: string[]) => seamount(args, { server, home });
    const unlock = await run("unlock", "Secret", "--remember", "--password-file", await fileWith(PASSWORD));
    expect(unlock).toMatchObject({ code: 0, stdout: 'The password of "Secret" is remembered for later mounts.\n' });
    const [file, ...more] = await filesWith(PASSWORD, home);
    expect(more).toEqual([]);
    expect((await stat(file!)).mode & 0o777).toBe(0o600);
    const { dir } = await mountInBackground(scope, { server, home });
    expect((await worker.readFile(join(dir, "Secret/d/file"))).toString()).toBe("sixteen bytes...");
    expect(await run("unlock", "Secret", "--forget")).toMatchObject({ code: 0 });
    expect(await filesWith(PASSWORD, home)).toEqual([]);
  });

  it("refuses what is not encrypted, and what is not there", async () => {
    const { scope, server } = await world();
    server.store.createLibrary(EMAIL, "Plain");
    const home = await makeHome(scope);
    const run = (name: string) => seamount(["unlock", name, "--password-stdin"], { server, home }, { input: "x\n" });
    expect(await run("Plain")).toMatchObject({ code: 2, stderr: 'seamount: The library "Plain" is not encrypted.\n' });
    expect(await run("None")).toMatchObject({ code: 7 });
  });
});

describe("what was accepted while the server could not be asked about the password", () => {
  // SEMANTICS: "Content that was accepted while the server could not be asked about the password is held with the reason `encrypted`
  // when that turns out to be wrong, and stored when the library is unlocked."
  it("is held when the password is wrong, and stored when the library is unlocked", async () => {
    const { scope, server, id, worker, fileWith } = await world();
    const args = ["--password-file", await fileWith("wrong"), "--write-back-delay", "0", "--timeout", "2"];
    const { dir, home } = await mountInBackground(scope, { server, library: "Secret", background: true, args });
    await worker.listdir(dir);
    server.faults.fail("repo-operation", 500, { times: Number.POSITIVE_INFINITY });
    await worker.writeFile(join(dir, "new"), "accepted");
    server.faults.clear();
    const run = (...words: string[]) => seamount(words, { server, home }, { input: `${PASSWORD}\n` });
    await run("queue", "retry");
    await eventually("the file is held", async () => {
      const [item] = JSON.parse((await run("queue", "ls", "--json")).stdout) as QueueItem[];
      return item?.state === "held" && item.reason === "encrypted";
    });
    expect((await worker.readFile(join(dir, "new"))).toString()).toBe("accepted");
    expect((await run("unlock", "Secret", "--password-stdin")).stdout).toContain("1 change that waited for it");
    await expect.poll(() => server.store.list(id, "/").map(({ name }) => name), POLL).toContain("new");
    expect(await serverText(server, id, "/new")).toBe("accepted");
  });
});

/** Paths of files below the folder that hold the text. */
async function filesWith(text: string, folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
  return files.filter((_, i) => contents[i]!.includes(text));
}

/** Runs argv[1] (JSON) at a pseudo terminal, types one of the other arguments at each question, and prints what was shown. */
const TYPE_AT_A_TERMINAL = `
import json, os, pty, sys
command, answers = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown, asked = b"", 0
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    if shown.count(b"leave it locked): ") > asked and asked < len(answers):
        os.write(terminal, answers[asked].encode() + b"\\n")
        asked += 1
print(shown.decode())
print("ended with", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
