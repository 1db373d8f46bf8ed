/** What extended attributes tell of a file on its way to the server, and that asking for them asks the server nothing. */
import { beforeEach, describe, expect, it } from "vitest";
import { XATTR_NAMES } from "../../src/vfs/xattrs.ts";
import {
  assembled,
  close,
  create,
  DENIED,
  fs,
  id,
  lookup,
  names,
  O_RDWR,
  open,
  restart,
  save,
  server,
  signal,
  stored,
  until,
  useFileSystem,
  write,
} from "./filesystem-harness.ts";

const ALWAYS = { times: Number.POSITIVE_INFINITY };

const HOUR_MS = 3_600_000;

/** All attributes of the path, without the prefix. */
async function xattrs(path: string): Promise<Record<string, string | undefined>> {
  const { ino } = await lookup(path);
  const all = XATTR_NAMES.map((name) => [name.replace("user.seafile.", ""), fs.xattr(ino, name)] as const);
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}

const status = async (path: string) => (await xattrs(path))["status"];

describe("the status of a file that is sent later", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: HOUR_MS });
  beforeEach(() => restart(HOUR_MS));

  it("is waiting from its close on, also while more is being written", async () => {
    await save("a", "content");
    expect(await status("/a")).toBe("waiting");
    const fh = await open("/a", O_RDWR);
    await write(fh, 0, "CONTENT");
    expect(await status("/a")).toBe("waiting");
    await close(fh);
    expect(await status("/a")).toBe("waiting");
    expect(server.requests.count("upload")).toBe(0);
  });

  it("with another time and the same content, is waiting on a server that keeps times", async () => {
    await server.store.writeFile(id, "/a", "content");
    await restart(HOUR_MS);
    const { ino } = await lookup("/a");
    await fs.setattr(ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal);
    expect(await status("/a")).toBe("waiting");
  });
});

describe("the status of a file", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });
  beforeEach(() => restart(HOUR_MS));

  it("is writing while it is open for the first time, uploading while it is sent, then stored", async () => {
    const { fh } = await create("a", "content");
    expect(await status("/a")).toBe("writing");
    server.faults.delay("upload", 300);
    await close(fh);
    await until(async () => (await status("/a")) === "uploading");
    await until(async () => (await status("/a")) === "stored");
    expect(await stored("/a")).toBe("content");
  });

  it("is retrying with the reason while the server is away", async () => {
    server.faults.fail("upload-link", 500, ALWAYS);
    await save("a", "content");
    await until(async () => (await status("/a")) === "retrying");
    expect((await xattrs("/a"))["error"]).toMatch(/\w+.*\.$/);
  });

  it("is held with the reason when the server refuses it, and has no id until it is stored", async () => {
    server.faults.fail("upload", 403, { ...DENIED, ...ALWAYS });
    await save("a", "content");
    await until(async () => (await status("/a")) === "held");
    const held = await xattrs("/a");
    expect(Object.keys(held)).toEqual(["status", "error", "library", "path"]);
    expect(held["error"]).toMatch(/permission/i);
    server.faults.clear();
    await fs.store(await open("/a", O_RDWR), signal);
    assembled.outbox.retry(undefined);
    await until(async () => (await status("/a")) === "stored");
    expect(Object.keys(await xattrs("/a"))).toEqual(["status", "id", "library", "path"]);
  });
});

describe("the facts of an entry", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });
  beforeEach(() => restart(HOUR_MS));

  it("are its object id, its library's id, and its path there", async () => {
    server.store.mkdir(id, "/d");
    await server.store.writeFile(id, "/d/f", "content");
    await restart(HOUR_MS);
    const [d, f] = [server.store.tree(id).get("/d")!, server.store.tree(id).get("/d/f")!];
    expect(await xattrs("/d/f")).toEqual({ status: "stored", id: f.id, library: id, path: "/d/f" });
    expect(await xattrs("/d")).toEqual({ status: "stored", id: d.id, library: id, path: "/d" });
    expect((await xattrs("/"))["path"]).toBe("/");
  });

  it("of a directory have no id when its listing is not known, or was changed here", async () => {
    server.store.mkdir(id, "/d");
    await restart(HOUR_MS);
    expect(await xattrs("/d")).toEqual({ status: "stored", library: id, path: "/d" });
    await lookup("/d");
    await fs.mkdir(1, "e", 0o755, signal);
    expect(Object.keys(await xattrs("/"))).toEqual(["status", "library", "path"]);
  });

  it("of a removed file that is open are none", async () => {
    await save("a", "content");
    await until(async () => (await status("/a")) === "stored");
    const { ino } = await lookup("/a");
    const fh = await open("/a", O_RDWR);
    await fs.unlink(1, "a", signal);
    expect(XATTR_NAMES.filter((name) => fs.xattr(ino, name) !== undefined)).toEqual([]);
    await fs.release(fh);
  });

  // SEMANTICS: "Reading one makes no request, and is answered ENODATA where there is no value."
  it("are asked of nobody", async () => {
    await save("a", "content");
    await until(() => names().includes("a"));
    await until(async () => (await status("/a")) === "stored");
    await restart(0);
    const inodes = [fs.inode(1), await lookup("/a")];
    server.requests.reset();
    const told = inodes.map(({ ino }) => XATTR_NAMES.filter((name) => fs.xattr(ino, name) !== undefined).length);
    expect(told).toEqual([3, 4]);
    expect(server.requests.list()).toEqual([]);
  });
});

describe("the status of a directory", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });
  beforeEach(() => restart(HOUR_MS));

  it("is that of the worst of what waits in it, with the reason, and stored when nothing does", async () => {
    await fs.mkdir(1, "d", 0o755, signal);
    await fs.mkdir(1, "other", 0o755, signal);
    const { ino } = await lookup("/d");
    server.faults.fail("upload", 403, { ...DENIED, ...ALWAYS });
    const made = await fs.create(ino, "f", 0o644, O_RDWR, signal);
    expect([await status("/d"), await status("/"), await status("/other")]).toEqual(["writing", "writing", "stored"]);
    await close(made.open.fh);
    await until(async () => (await status("/d")) === "held");
    expect((await xattrs("/d"))["error"]).toMatch(/^\/d\/f: .*permission/i);
    expect(await status("/other")).toBe("stored");
    server.faults.clear();
    assembled.outbox.retry(undefined);
    await until(async () => (await status("/")) === "stored");
    expect((await xattrs("/d"))["error"]).toBeUndefined();
  });
});
