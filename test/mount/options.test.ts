/** What the options of a mount change: read-only, one folder of a library, owners, modes, sizes. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { mountEntries } from "../support/mountinfo.ts";
import { EMAIL, mountLibrary } from "../support/mounts.ts";
import { ok } from "../support/process.ts";
import { fileScope, testScope } from "../support/scope.ts";
import { serverText, serverTree } from "../support/trees.ts";

const OTHER = "other@example.com";
const scope = fileScope();
let server: DevServer;
let worker: FsWorker;
let work: string;
let readable: string;

beforeAll(async () => {
  server = await startServer(scope, {
    users: [
      { email: EMAIL, password: "testpass123" },
      { email: OTHER, password: "testpass456" },
    ],
  });
  work = server.store.createLibrary(EMAIL, "Work");
  await server.store.writeFile(work, "/folder/sub/file", "deep", { mkdirs: true });
  await server.store.writeFile(work, "/file", "content");
  readable = server.store.createLibrary(OTHER, "Readable");
  await server.store.writeFile(readable, "/dir/file", "read me", { mkdirs: true });
  server.store.share(readable, EMAIL, "r");
  const writable = server.store.createLibrary(OTHER, "Writable");
  server.store.share(writable, EMAIL, "rw");
  worker = new FsWorker(scope);
});

/** Every change of a folder with "dir/file" in it, and what it ends with. */
async function changesIn(dir: string): Promise<Record<string, string>> {
  const file = join(dir, "dir/file");
  return {
    create: await outcome(worker.open(join(dir, "new"), "O_WRONLY|O_CREAT")),
    write: await outcome(worker.open(file, "O_WRONLY")),
    "read and write": await outcome(worker.open(file, "O_RDWR")),
    truncate: await outcome(worker.call("truncate", file, 0)),
    mkdir: await outcome(worker.call("mkdir", join(dir, "d"))),
    unlink: await outcome(worker.call("unlink", file)),
    rmdir: await outcome(worker.call("rmdir", join(dir, "dir"))),
    rename: await outcome(worker.rename(file, join(dir, "moved"))),
    chmod: await outcome(worker.call("chmod", file, 0o600)),
    utime: await outcome(worker.call("utime", file, "0", "0")),
  };
}

const allErofs = (changes: Record<string, string>) =>
  expect(changes).toEqual(Object.fromEntries(Object.keys(changes).map((name) => [name, "EROFS"])));

describe("read-only", () => {
  // SEMANTICS: "A read-only library shows no write permission."
  it("a library shared read-only shows no write bits, answers EROFS, and its quota-free content is read", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Readable" });
    expect(await ok("cat", [join(mount.dir, "dir/file")])).toBe("read me");
    expect((await worker.stat(join(mount.dir, "dir/file"))).mode & 0o222).toBe(0);
    expect((await worker.stat(join(mount.dir, "dir"))).mode & 0o222).toBe(0);
    expect((await worker.stat(mount.dir)).mode & 0o222).toBe(0);
    const before = server.store.head(readable);
    allErofs(await changesIn(mount.dir));
    expect(server.store.head(readable)).toBe(before);
  });

  it("--read-only mounts with ro and answers EROFS", async () => {
    const own = testScope();
    await server.store.writeFile(work, "/dir/file", "x", { mkdirs: true });
    const mount = await mountLibrary(own, { server, library: "Work", args: ["--read-only"] });
    const entry = (await mountEntries()).find((candidate) => candidate.mountpoint === mount.dir);
    expect(entry?.options).toContain("ro");
    const before = server.store.head(work);
    allErofs(await changesIn(mount.dir));
    expect(server.store.head(work)).toBe(before);
  });

  it("-o ro is the same", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work", args: ["-o", "ro,noatime"] });
    expect(await outcome(worker.call("mkdir", join(mount.dir, "d")))).toBe("EROFS");
  });

  it("a library shared for writing is written", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Writable" });
    expect((await worker.stat(mount.dir)).mode & 0o200).toBe(0o200);
    await worker.writeFile(join(mount.dir, "new"), "by a guest");
    expect((await worker.readFile(join(mount.dir, "new"))).toString()).toBe("by a guest");
  });
});

describe("one folder of a library", () => {
  it("--library NAME:/path shows and changes only that folder", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work:/folder" });
    expect(await worker.listdir(mount.dir)).toEqual(["sub"]);
    await worker.writeFile(join(mount.dir, "new"), "in the folder");
    await worker.rename(join(mount.dir, "sub/file"), join(mount.dir, "file"));
    expect(await serverText(server, work, "/folder/new")).toBe("in the folder");
    expect(await serverText(server, work, "/folder/file")).toBe("deep");
    expect(Object.keys(await serverTree(server, work, "/folder/sub"))).toEqual([]);
  });

  it("a library is found by its id", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: work });
    expect(await ok("cat", [join(mount.dir, "file")])).toBe("content");
  });
});

describe("owners and modes", () => {
  it("--uid, --gid and --umask say what is shown", async () => {
    const own = testScope();
    const args = ["--uid", "1234", "--gid", "2345", "--umask", "027"];
    const mount = await mountLibrary(own, { server, library: "Work", args });
    expect(await worker.stat(join(mount.dir, "file"))).toMatchObject({ uid: 1234, gid: 2345, mode: 0o640 });
    expect(await worker.stat(join(mount.dir, "folder"))).toMatchObject({ uid: 1234, gid: 2345, mode: 0o750 });
    expect(await worker.stat(mount.dir)).toMatchObject({ uid: 1234, gid: 2345, mode: 0o750 });
  });

  it("files have link count 1, block counts of their size, and inode numbers of their own", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work" });
    await worker.writeFile(join(mount.dir, "sized"), Buffer.alloc(10_000));
    const file = await worker.stat(join(mount.dir, "sized"));
    expect(file).toMatchObject({ size: 10_000, nlink: 1, blocks: Math.ceil(10_000 / 512) });
    const inodes = await Promise.all(["sized", "file", "folder"].map((name) => worker.stat(join(mount.dir, name))));
    expect(new Set(inodes.map((stat) => stat.ino)).size).toBe(3);
    expect(await ok("du", ["-b", join(mount.dir, "sized")])).toMatch(/^10000\s/);
  });
});

describe("sizes", () => {
  // SEMANTICS: "df shows the account's quota in a library of its own."
  it("df shows the quota: total, used and free", async () => {
    const own = testScope();
    const quotaServer = await startServer(own);
    const id = quotaServer.store.createLibrary(EMAIL, "Work");
    await quotaServer.store.writeFile(id, "/file", Buffer.alloc(3_000_000));
    quotaServer.store.setQuota(EMAIL, 10_000_000_000);
    const mount = await mountLibrary(own, { server: quotaServer, library: "Work" });
    const columns = ["--output=size,used,avail", "-B1"];
    const [size, used, avail] = (await ok("df", [...columns, mount.dir])).trim().split("\n")[1]!.trim().split(/\s+/);
    // Whole blocks: within one block of what the server says.
    const near = (value: string | undefined, expected: number) =>
      expect(Math.abs(Number(value) - expected)).toBeLessThanOrEqual(1024 * 1024);
    near(size, 10_000_000_000);
    near(used, 3_000_000);
    near(avail, 9_997_000_000);
  });

  it("without a quota df shows plenty of room, and names may have 255 bytes", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work" });
    const stat = await worker.call<{ frsize: number; bavail: number; namemax: number }>("statvfs", mount.dir);
    expect(stat.frsize * stat.bavail).toBeGreaterThan(2 ** 40);
    expect(stat.namemax).toBe(255);
  });
});
