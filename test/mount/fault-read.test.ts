/** Reading while the server misbehaves: every failure has its errno and a line in the log, and all is well afterwards. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { eventually, ok } from "../support/process.ts";
import { testScope } from "../support/scope.ts";
import { requires } from "../support/transport.ts";
import { fileOf, pattern, sha256 } from "../support/trees.ts";

/** Folders that the mount knows and has not listed: what others put into one is cold, and no mount has to end for that. */
const COLD_FOLDERS = Array.from({ length: 30 }, (_, i) => `/cold-${i}`);
const shared = useMount({
  mount: { args: ["--refresh", "3600", "--timeout", "3"] },
  prepare: ({ store }, libraryId) => {
    for (const path of COLD_FOLDERS) store.mkdir(libraryId, path);
  },
});
const UNREACHABLE = ["EHOSTUNREACH", "ETIMEDOUT", "EIO"];

afterEach(() => {
  shared.server.faults.up();
  shared.server.faults.clear();
});

/** A folder with these files (relative path to content), which the mount has listed, but not what is below it. */
async function coldFolder(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const path = COLD_FOLDERS.shift()!;
  for (const [name, data] of Object.entries(files)) {
    await shared.server.store.writeFile(shared.libraryId, `${path}/${name}`, data, { mkdirs: true });
  }
  const dir = join(shared.mount.dir, path);
  await shared.worker.listdir(dir);
  return dir;
}

/** A file that the server has and the mount has listed, but never read. Its content is like no other: blocks are shared by content. */
async function coldFile(data?: Buffer) {
  const text = `cold content ${COLD_FOLDERS.length}`;
  const dir = await coldFolder({ cold: data ?? text });
  return { dir, file: join(dir, "cold"), text };
}

/** The messages of the warnings and errors that were logged while `work` ran. */
async function warningsDuring(work: () => Promise<unknown>): Promise<string> {
  const before = shared.mount.log().length;
  await work();
  return shared.mount.log().slice(before);
}

describe("the server is down", () => {
  it("reading and listing end with an errno and a line in the log, and work again when the server is back", async () => {
    const scope = testScope();
    const text = `cold content ${COLD_FOLDERS.length}`;
    const dir = await coldFolder({ cold: text, "sub/file": "x" });
    shared.server.faults.down();
    const log = await warningsDuring(async () => {
      const results = await Promise.all([
        outcome(new FsWorker(scope).readFile(join(dir, "cold"))),
        outcome(new FsWorker(scope).listdir(join(dir, "sub"))),
      ]);
      expect(results.filter((result) => !UNREACHABLE.includes(result))).toEqual([]);
    });
    expect(log).toMatch(/"level":(40|50)/);
    expect(log).toContain("cold");
    shared.server.faults.up();
    expect((await shared.worker.readFile(join(dir, "cold"))).toString()).toBe(text);
    expect(await shared.worker.listdir(join(dir, "sub"))).toEqual(["file"]);
  });

  it("what was read before is still read, listed and looked up", async () => {
    const { dir, file, text } = await coldFile();
    expect((await shared.worker.readFile(file)).toString()).toBe(text);
    shared.server.faults.down();
    expect((await shared.worker.readFile(file)).toString()).toBe(text);
    expect((await shared.worker.stat(file)).size).toBe(text.length);
    expect(await shared.worker.listdir(dir)).toEqual(["cold"]);
  });
});

describe("the server answers with errors", () => {
  it.each(["file-link", "download"])("one 500 for %s is tried again and not noticed", async (kind) => {
    const { file, text } = await coldFile();
    shared.server.faults.fail(kind, 500);
    expect((await shared.worker.readFile(file)).toString()).toBe(text);
  });

  it.each(["file-link", "download", "dir"])(
    "500s without end for %s are EIO, and all is well afterwards",
    async (kind) => {
      const text = `cold content ${COLD_FOLDERS.length}`;
      const file = join(await coldFolder({ "sub/cold": text }), "sub/cold");
      shared.server.faults.fail(kind, 500, { times: 1000 });
      const log = await warningsDuring(async () => {
        expect(await outcome(shared.worker.readFile(file))).toBe("EIO");
      });
      expect(log).toMatch(/"level":(40|50)/);
      shared.server.faults.clear();
      expect((await shared.worker.readFile(file)).toString()).toBe(text);
    },
  );

  it("429 with Retry-After is waited for", async () => {
    const { file, text } = await coldFile();
    shared.server.faults.fail("file-link", 429, { times: 1, headers: { "Retry-After": "1" } });
    expect((await shared.worker.readFile(file)).toString()).toBe(text);
  });

  it("a page of HTML instead of JSON is EIO, and no token is in the log", async () => {
    const dir = await coldFolder({ "sub/file": "x" });
    shared.server.faults.fail("dir", 200, {
      times: 1000,
      body: "<html>Welcome</html>",
      headers: { "Content-Type": "text/html" },
    });
    expect(await outcome(shared.worker.listdir(join(dir, "sub")))).toBe("EIO");
    expect(shared.mount.log()).not.toContain(shared.server.token("test@example.com"));
  });
});

describe("the connection is cut", () => {
  it("a download that is cut again and again is resumed, and the content is right", async () => {
    const data = pattern(2_000_000, 5);
    const { file } = await coldFile(data);
    shared.server.faults.cut("download", 100_000, { times: 3 });
    expect(sha256(await shared.worker.readFile(file))).toBe(sha256(data));
  });

  it("a download that never gets anywhere is an error and never short content", async () => {
    const data = pattern(2_000_000, 6);
    const { file } = await coldFile(data);
    shared.server.faults.cut("download", 0, { times: 1000 });
    expect(UNREACHABLE).toContain(await outcome(shared.worker.readFile(file)));
    shared.server.faults.clear();
    expect(sha256(await shared.worker.readFile(file))).toBe(sha256(data));
  });
});

describe("links expire", () => {
  it("while a file is open: reading goes on with a new link", async () => {
    const data = pattern(3_000_000, 8);
    const { file } = await coldFile(data);
    const fd = await shared.worker.open(file, "O_RDONLY");
    expect(fileOf(await shared.worker.pread(fd, 1000, 0))).toBe(fileOf(data.subarray(0, 1000)));
    shared.server.faults.expireLinks();
    expect(fileOf(await shared.worker.pread(fd, 1000, 2_900_000))).toBe(fileOf(data.subarray(2_900_000, 2_901_000)));
    await shared.worker.close(fd);
  });

  it("by the clock of the server, an hour later", async () => {
    const data = pattern(3_000_000, 9);
    const { file } = await coldFile(data);
    const fd = await shared.worker.open(file, "O_RDONLY");
    expect(fileOf(await shared.worker.pread(fd, 1000, 0))).toBe(fileOf(data.subarray(0, 1000)));
    shared.server.advanceClock(2 * 3_600_000);
    expect(fileOf(await shared.worker.pread(fd, 1000, 2_900_000))).toBe(fileOf(data.subarray(2_900_000, 2_901_000)));
    await shared.worker.close(fd);
  });
});

describe("the server accepts and never answers", () => {
  it.each(["file-link", "download"])(
    "a cat that hangs in %s dies of Ctrl-C, and the next one works",
    requires("interrupts"),
    async (kind) => {
      const { file, text } = await coldFile();
      shared.server.requests.reset();
      shared.server.faults.hang(kind);
      const cat = spawn("cat", [file], { stdio: "ignore" });
      const ended = new Promise<string | null>((resolve) => cat.on("close", (_, signal) => resolve(signal)));
      await eventually(`${kind} was asked`, () => shared.server.requests.count(kind) > 0);
      cat.kill("SIGINT");
      expect(await ended).toBe("SIGINT");
      shared.server.faults.clear();
      expect(await ok("cat", [file])).toBe(text);
    },
  );

  it("an ls that hangs dies of Ctrl-C, and the next one works", requires("interrupts"), async () => {
    const dir = await coldFolder({ "sub/file": "x" });
    shared.server.requests.reset();
    shared.server.faults.hang("dir");
    const ls = spawn("ls", [join(dir, "sub")], { stdio: "ignore" });
    const ended = new Promise<string | null>((resolve) => ls.on("close", (_, signal) => resolve(signal)));
    await eventually("dir was asked", () => shared.server.requests.count("dir") > 0);
    ls.kill("SIGINT");
    expect(await ended).toBe("SIGINT");
    shared.server.faults.clear();
    expect(await ok("ls", [join(dir, "sub")])).toBe("file\n");
  });
});
