/**
 * What happens in the filesystem when operations overlap, fail half-way, or meet what somebody else did a moment ago; over the
 * real client and the development server, without a kernel. Each test is one order of events in which data or names could get lost.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDevServer, type DevServer } from "../../src/devserver/index.ts";
import { buildFileSystem } from "../../src/mount.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { Account } from "../../src/seafile/account.ts";
import type { Library } from "../../src/seafile/library.ts";
import type { FileSystem } from "../../src/vfs/filesystem.ts";
import type { Inode } from "../../src/vfs/inode.ts";
import { DirtyFile } from "../../src/writeback/dirty-file.ts";
import { Spool, type SpoolFile } from "../../src/writeback/spool.ts";

const OWNER = "test@example.com";
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_TRUNC = 0o1000;
const DENIED = { body: '{"error_msg":"Permission denied."}' };
const signal = new AbortController().signal;

let server: DevServer;
let account: Account;
let spool: Spool;
let stateDir: string;
let id: string;
let library: Library;
let fs: FileSystem;

beforeEach(async () => {
  server = await createDevServer({ compat: 12 });
  id = server.store.createLibrary(OWNER, "Docs");
  stateDir = await mkdtemp(join(tmpdir(), "seamount-unit-"));
  account = new Account({ server: server.url, token: server.token(OWNER), log: silentLogger() });
  library = account.library((await account.libraries()).find((candidate) => candidate.id === id)!);
  spool = await Spool.open(stateDir, silentLogger());
  fs = build(50);
});

afterEach(async () => {
  server.faults.clear();
  await fs.drain(AbortSignal.timeout(3000)).catch(() => {});
  await spool.close();
  await account.close();
  await server.close();
  await rm(stateDir, { recursive: true, force: true });
});

function build(refreshMs: number): FileSystem {
  const log = silentLogger();
  return buildFileSystem({ account, library, path: "/", spool, cacheSize: 2 ** 24, user: OWNER, refreshMs, log });
}

/** Until listings of 50 ms are asked for again. */
const stale = () => sleep(60);
const names = (path = "/") =>
  server.store
    .list(id, path)
    .map((entry) => entry.name)
    .sort();
const stored = async (path: string) => String(await server.store.readFile(id, path));
const storedAll = () => Promise.all(names().map((name) => stored(`/${name}`)));
const write = (fh: number, offset: number, text: string) => fs.write(fh, offset, Buffer.from(text), signal);
const rename = (from: string, to: string) =>
  fs.rename({ parent: 1, name: from }, { parent: 1, name: to }, false, signal);
const within = <T>(ms: number, work: Promise<T>) => Promise.race([work, sleep(ms).then(() => "not yet" as const)]);

async function lookup(path: string): Promise<Inode> {
  let inode = fs.inode(1);
  for (const name of path.split("/")) if (name !== "") inode = await fs.lookup(inode.ino, name, signal);
  return inode;
}

async function create(name: string, content: string): Promise<{ inode: Inode; fh: number }> {
  const { inode, open } = await fs.create(1, name, 0o644, signal);
  if (content !== "") await write(open.fh, 0, content);
  return { inode, fh: open.fh };
}

async function open(path: string, flags: number): Promise<number> {
  return (await fs.open((await lookup(path)).ino, flags, signal)).fh;
}

async function close(fh: number): Promise<void> {
  try {
    await fs.flush(fh, signal);
  } finally {
    await fs.release(fh);
  }
}

async function save(name: string, content: string): Promise<void> {
  await close((await create(name, content)).fh);
}

async function read(fh: number): Promise<string> {
  return Buffer.concat(await fs.read(fh, 0, 1 << 20, signal)).toString();
}

async function cat(path: string): Promise<string> {
  const fh = await open(path, O_RDONLY);
  return read(fh).finally(() => fs.release(fh));
}

/** A store whose upload reaches the server and whose answer does not reach us, because the program was interrupted. */
async function interruptedStore(fh: number, name: string, content?: string): Promise<void> {
  server.faults.hang("upload");
  const interrupt = new AbortController();
  const storing = fs.store(fh, interrupt.signal);
  await sleep(100);
  interrupt.abort();
  await expect(storing).rejects.toThrow();
  if (content !== undefined) await server.store.writeFile(id, `/${name}`, content);
}

async function spoolFiles(): Promise<readonly string[]> {
  const [own] = await readdir(join(stateDir, "spool"));
  return readdir(join(stateDir, "spool", own!));
}

/** A dirty file over a spool whose disk writes as `write` does. */
async function dirtyOver(
  writes: (real: SpoolFile["handle"], data: Uint8Array, from: number, length: number, at: number) => Promise<unknown>,
  base?: string,
): Promise<DirtyFile> {
  const file = await spool.create();
  const handle = new Proxy(file.handle, {
    get: (target, key) => {
      if (key === "write")
        return (data: Uint8Array, from: number, length: number, at: number) => writes(target, data, from, length, at);
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const disk = { create: async () => ({ path: file.path, handle }), discard: (it: SpoolFile) => spool.discard(it) };
  const content = Buffer.from(base ?? "");
  return DirtyFile.create(disk as unknown as Spool, {
    size: content.length,
    read: async (start, end) => [content.subarray(start, end)],
  });
}

describe("what somebody else does meanwhile", () => {
  it("an unsaved file is not pushed out by another that the server numbered to its name", async () => {
    const ours = await create("a.txt", "ours");
    const other = await create("a (1).txt", "unsaved");
    await server.store.writeFile(id, "/a.txt", "theirs");
    await close(ours.fh);
    await close(other.fh);
    expect((await storedAll()).sort()).toEqual(["ours", "theirs", "unsaved"]);
  });

  it("a file opened for reading and writing while its name got another version is never written into nothing", async () => {
    await server.store.writeFile(id, "/a", "first");
    const inode = await lookup("/a");
    fs.remember(inode);
    const pin = library.pin.bind(library);
    library.pin = async (version, given) => {
      const found = await pin(version, given);
      await sleep(200);
      return found;
    };
    const opening = fs.open(inode.ino, O_RDWR, signal).catch((error: { code: string }) => error.code);
    await stale();
    await server.store.writeFile(id, "/a", "second");
    await stale();
    await lookup("/a");
    const opened = await opening;
    if (typeof opened === "object") {
      await write(opened.fh, 0, "precious");
      await close(opened.fh);
    }
    expect(opened === "ESTALE" || (await storedAll()).some((content) => content.startsWith("precious"))).toBe(true);
  });

  it("rmdir refuses a folder with entries that cannot be shown", async () => {
    await server.store.mkdir(id, "/dir");
    await server.store.writeFile(id, "/dir/x", "theirs");
    const list = library.list.bind(library);
    library.list = async (...args) => {
      const answer = await list(...args);
      if (answer === "unchanged") return answer;
      return { ...answer, entries: answer.entries.map((e) => (e.name === "x" ? { ...e, name: "a/b" } : e)) };
    };
    await expect(fs.rmdir(1, "dir", signal)).rejects.toMatchObject({ code: "ENOTEMPTY" });
    expect(names("/dir")).toEqual(["x"]);
  });

  it("a rename onto a name that somebody made a moment ago replaces it", async () => {
    fs = build(60_000);
    await save("tmp", "new");
    await lookup("/tmp");
    await server.store.writeFile(id, "/doc", "theirs");
    await rename("tmp", "doc");
    expect(names()).toContain("doc");
    expect(names()).not.toContain("tmp");
  });

  it("a file that is open for writing, and was removed by somebody else, can be renamed", async () => {
    await save("a", "content");
    const fh = await open("/a", O_RDWR);
    await write(fh, 0, "CONTENT");
    await server.store.remove(id, "/a");
    await rename("a", "b");
    await close(fh);
    expect([names(), await stored("/b")]).toEqual([["b"], "CONTENT"]);
  });

  it("a file below a folder that somebody removed is stored, and again, and found under its name", async () => {
    await server.store.mkdir(id, "/dir");
    const dir = await lookup("/dir");
    fs.remember(dir);
    const { fh } = (await fs.create(dir.ino, "a", 0o644, signal)).open;
    await write(fh, 0, "content");
    await server.store.remove(id, "/dir");
    await stale();
    await lookup("/dir").catch(() => {});
    await fs.store(fh, signal);
    await write(fh, 7, " more");
    await close(fh);
    await stale();
    expect([names("/dir"), await cat("/dir/a")]).toEqual([["a"], "content more"]);
  });

  it("a touch of a file that somebody else changed a moment ago leaves it readable", async () => {
    fs = build(300);
    await server.store.writeFile(id, "/a", "first");
    const { ino } = await lookup("/a");
    await server.store.writeFile(id, "/a", "second");
    await fs.setattr(ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal).catch(() => {});
    await sleep(310);
    expect(await cat("/a")).toBe("second");
  });

  it("a write without truncation into a version that is gone leaves the file readable", async () => {
    fs = build(300);
    await server.store.writeFile(id, "/a", "first");
    const { ino } = await lookup("/a");
    await server.store.writeFile(id, "/a", "second");
    const patch = async () => {
      const { fh } = await fs.open(ino, O_WRONLY, signal);
      try {
        await write(fh, 0, "X");
      } finally {
        await close(fh);
      }
    };
    await expect(patch()).rejects.toThrow();
    await sleep(310);
    expect(await cat("/a")).toBe("second");
  });

  it("a touch makes no conflict copy", async () => {
    fs = build(60_000);
    await server.store.writeFile(id, "/a", "first");
    await cat("/a");
    await server.store.writeFile(id, "/a", "second");
    const { ino } = await lookup("/a");
    await fs.setattr(ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal).catch(() => {});
    expect(names()).toEqual(["a"]);
  });

  it("a touch of an inode whose name leads to another version by now is ESTALE", async () => {
    await server.store.writeFile(id, "/a", "first");
    const inode = await lookup("/a");
    fs.remember(inode);
    await server.store.writeFile(id, "/a", "second");
    await stale();
    await lookup("/a");
    const touched = fs.setattr(inode.ino, { mtime: { sec: 1, nsec: 0 } }, signal);
    await expect(touched).rejects.toMatchObject({ code: "ESTALE" });
  });
});

describe("an upload whose outcome is open", () => {
  it("is not taken for a numbered file that was there before", async () => {
    await server.store.writeFile(id, "/a (1).txt", "content");
    const { fh } = await create("a.txt", "content");
    server.faults.fail("upload", 502);
    await close(fh);
    expect(names()).toEqual(["a (1).txt", "a.txt"]);
  });

  it("of a new file that is written on afterwards ends under its own name", async () => {
    const { fh } = await create("a", "content");
    await interruptedStore(fh, "a", "content");
    await write(fh, 7, " and more");
    await close(fh);
    expect([names(), await stored("/a")]).toEqual([["a"], "content and more"]);
  });

  it("over a stored file that is written on afterwards makes no conflict copy", async () => {
    await save("a", "base");
    const fh = await open("/a", O_RDWR);
    await write(fh, 0, "content");
    await interruptedStore(fh, "a", "content");
    await write(fh, 7, " and more");
    await close(fh);
    expect([names(), await stored("/a")]).toEqual([["a"], "content and more"]);
  });

  it("of a new file that a rename then replaces leaves one file", async () => {
    const { fh } = await create("x", "content");
    await interruptedStore(fh, "x", "content");
    await save("tmp", "new");
    await rename("tmp", "x");
    await close(fh);
    expect([names(), await stored("/x")]).toEqual([["x"], "new"]);
  });

  it("of a new file that never arrived does not keep it from being renamed", async () => {
    const { fh } = await create("a", "content");
    await interruptedStore(fh, "a");
    await rename("a", "b");
    await close(fh);
    expect([names(), await stored("/b")]).toEqual([["b"], "content"]);
  });

  it("of a conflict copy is not made twice", async () => {
    await save("a", "base");
    const fh = await open("/a", O_RDWR);
    await write(fh, 0, "ours");
    await server.store.writeFile(id, "/a", "theirs");
    server.faults.cut("upload", 0, { answer: true });
    await close(fh);
    expect(names().length).toBe(2);
  });
});

describe("an operation that fails half-way", () => {
  /** The source has unsaved writes; its content reaches the target, and its removal is refused. */
  async function halfRename(): Promise<number> {
    await save("doc", "old target");
    await save("tmp", "version 1");
    const fh = await open("/tmp", O_RDWR);
    await write(fh, 0, "VERSION 2");
    server.faults.fail("delete-file", 403, DENIED);
    await expect(rename("tmp", "doc")).rejects.toMatchObject({ kind: "forbidden" });
    return fh;
  }

  it("a rename whose second half fails keeps what was written to its source", async () => {
    await close(await halfRename());
    expect(await stored("/tmp")).toBe("VERSION 2");
  });

  it("a rename whose second half fails puts no bytes under a version that they are not of", async () => {
    await server.store.writeFile(id, "/same as tmp", "version 1");
    await close(await halfRename());
    await stale();
    expect(await cat("/same as tmp")).toBe("version 1");
  });

  it("a rename whose upload fails leaves its source to the server", async () => {
    await save("doc", "old target");
    await save("tmp", "version 1");
    server.faults.fail("upload", 443);
    await expect(rename("tmp", "doc")).rejects.toMatchObject({ kind: "quota" });
    await server.store.writeFile(id, "/tmp", "by somebody else");
    await stale();
    expect([await cat("/tmp"), await spoolFiles()]).toEqual(["by somebody else", []]);
  });

  it("a truncate that fails leaves the file to the server", async () => {
    await save("a", "version 1");
    await expect(fs.setattr((await lookup("/a")).ino, { size: 2 ** 62 }, signal)).rejects.toThrow();
    await server.store.writeFile(id, "/a", "by somebody else");
    await stale();
    expect([await cat("/a"), await spoolFiles()]).toEqual(["by somebody else", []]);
  });

  it("an unlink that is refused while the file uploads does not keep it from being stored", async () => {
    const { fh } = await create("a", "content");
    server.faults.delay("upload", 200);
    server.faults.fail("delete-file", 403, DENIED);
    const closing = fs.flush(fh, signal);
    await sleep(60);
    await expect(fs.unlink(1, "a", signal)).rejects.toMatchObject({ kind: "forbidden" });
    await closing;
    await fs.release(fh);
    expect(await stored("/a")).toBe("content");
  });

  it("completing a file from its base survives a short write of the local disk", async () => {
    let isFirst = true;
    const dirty = await dirtyOver((real, data, from, length, at) => {
      const most = isFirst ? 4 : length;
      isFirst = false;
      return real.write(data, from, Math.min(length, most), at);
    }, "basedata");
    const parts: Uint8Array[] = [];
    await dirty.commit(async (content) => {
      for await (const part of content.open()) parts.push(part);
    });
    await dirty.discard();
    expect(Buffer.concat(parts).toString()).toBe("basedata");
  });

  it("what a failed write left behind is not seen when the file grows over it", async () => {
    let written = 0;
    const dirty = await dirtyOver((real, data, from, _length, at) => {
      if (written++ > 0) return Promise.reject(Object.assign(new Error("disk full"), { code: "ENOSPC" }));
      return real.write(data, from, 4, at);
    });
    await expect(dirty.write(4, Buffer.from("12345678"))).rejects.toThrow("disk full");
    await dirty.truncate(16);
    const content = Buffer.concat(await dirty.read(0, 16));
    await dirty.discard();
    expect(content.equals(Buffer.alloc(16))).toBe(true);
  });
});

describe("a file that could not be stored", () => {
  it("and was renamed is stored under its new name only", async () => {
    server.store.setQuota(OWNER, 10);
    const { fh } = await create("a", "more than ten bytes");
    await expect(close(fh)).rejects.toMatchObject({ kind: "quota" });
    await rename("a", "b");
    server.store.setQuota(OWNER, null);
    for (let i = 0; i < 400 && names().length === 0; i++) await sleep(25);
    expect([names(), await stored("/b")]).toEqual([["b"], "more than ten bytes"]);
  });

  it("and was replaced is not stored later", async () => {
    await save("a", "base");
    server.faults.fail("upload", 443);
    const fh = await open("/a", O_RDWR);
    await write(fh, 0, "failed");
    await expect(close(fh)).rejects.toMatchObject({ kind: "quota" });
    await save("tmp", "new");
    await rename("tmp", "a");
    // The first retry comes after two seconds.
    await sleep(2500);
    expect([names(), await stored("/a"), await spoolFiles()]).toEqual([["a"], "new", []]);
  });

  it("and cannot be moved to `recovered` is named where it is", async () => {
    await writeFile(join(stateDir, "recovered"), "in the way");
    const { fh } = await create("a", "precious");
    server.faults.fail("upload", 403, { times: Number.POSITIVE_INFINITY, ...DENIED });
    await expect(close(fh)).rejects.toThrow();
    const [place] = await fs.drain(signal);
    expect(await readFile(place!, "utf8")).toBe("precious");
  });

  it("is named where it is, also when there are many of them", async () => {
    await writeFile(join(stateDir, "recovered"), "in the way");
    const files = await Promise.all(Array.from({ length: 50 }, () => spool.create()));
    await Promise.all(files.map(({ handle }, number) => handle.write(`precious ${number}`)));
    const places = await Promise.all(files.map((file) => spool.recover(file, "a")));
    const contents = await Promise.all(places.map((place) => readFile(place, "utf8").catch(() => "not there")));
    expect(contents).toEqual(files.map((_, number) => `precious ${number}`));
  });

  it("because its program was interrupted is stored at the end of the mount", async () => {
    const { fh } = await create("a", "precious");
    await interruptedStore(fh, "a");
    await fs.release(fh);
    expect([await fs.drain(signal), names()]).toEqual([[], ["a"]]);
  });

  it("because its upload hangs does not make the end of the mount wait for it", async () => {
    const { fh } = await create("a", "precious");
    server.faults.hang("upload", { times: Number.POSITIVE_INFINITY });
    const released = fs.release(fh);
    await sleep(100);
    const draining = fs.drain(AbortSignal.timeout(200));
    const kept = await within(5000, draining);
    await account.close();
    await Promise.allSettled([released, draining]);
    expect(kept).toEqual([expect.stringContaining("recovered")]);
  });
});

describe("operations that overlap", () => {
  it("a file opened O_RDONLY|O_TRUNC right after a close is empty", async () => {
    for (let round = 0; round < 10; round++) {
      const { inode, fh } = await create(`${round}`, "content");
      await fs.flush(fh, signal);
      const released = fs.release(fh);
      const again = await fs.open(inode.ino, O_RDONLY | O_TRUNC, signal);
      await released;
      await close(again.fh);
      expect(await stored(`/${round}`)).toBe("");
    }
  });

  it("closing a file that was truncated by O_RDONLY|O_TRUNC stores it", async () => {
    await save("a", "content");
    const fh = await open("/a", O_RDONLY | O_TRUNC);
    await fs.flush(fh, signal);
    expect(await stored("/a")).toBe("");
    await fs.release(fh);
  });

  it("fsync returns although another program goes on writing", async () => {
    const { fh } = await create("log", "x");
    let isStored = false;
    const storing = fs.store(fh, signal).then(() => {
      isStored = true;
    });
    let writes = 0;
    while (!isStored && writes < 100) {
      await write(fh, writes++, "y");
      await sleep(1);
    }
    await storing;
    await close(fh);
    expect(writes).toBeLessThan(100);
  });

  it("a time set while the file uploads reaches the server", async () => {
    const { inode, fh } = await create("a", "content");
    server.faults.delay("upload", 200);
    const closing = fs.flush(fh, signal);
    await sleep(80);
    await fs.setattr(inode.ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal);
    await closing;
    await close(fh);
    expect(server.store.list(id, "/")[0]?.mtime).toBe(1_000_000_000);
  });

  it("a close that waits for its turn can be given up, and its file be removed", async () => {
    server.faults.hang("upload", { times: 4 });
    const others = new AbortController();
    const files = await Promise.all(["a", "b", "c", "d"].map((name) => create(name, "x")));
    const closes = files.map(({ fh }) => fs.store(fh, others.signal));
    await sleep(150);
    const fifth = await create("e", "x");
    const interrupt = new AbortController();
    const waiting = fs.store(fifth.fh, interrupt.signal).catch(() => "given up");
    await sleep(50);
    interrupt.abort();
    const first = await within(2000, waiting);
    const removing = fs.unlink(1, "e", signal).then(() => "removed");
    const second = await within(2000, removing);
    others.abort();
    await Promise.allSettled([...closes, waiting, removing]);
    expect([first, second]).toEqual(["given up", "removed"]);
  });

  it("a reader of a file that is being written reads on after it was removed", async () => {
    await server.store.writeFile(id, "/a", "x".repeat(300_000));
    const writer = await open("/a", O_WRONLY);
    await write(writer, 0, "Y");
    const reader = await open("/a", O_RDONLY);
    await fs.unlink(1, "a", signal);
    expect((await read(reader)).slice(0, 2)).toBe("Yx");
    await fs.release(writer);
    await fs.release(reader);
  });

  it("a folder keeps its own entries when it is moved while they are fetched", async () => {
    for (const [dir, name] of ["a/mine", "c/other"].map((path) => path.split("/"))) {
      await server.store.mkdir(id, `/${dir}`);
      await server.store.writeFile(id, `/${dir}/${name}`, "x");
    }
    const { ino } = await lookup("/a");
    await stale();
    server.faults.delay("dir", 300);
    const found = fs.lookup(ino, "mine", signal).then(({ name }) => name, String);
    await sleep(30);
    await rename("a", "b");
    await rename("c", "a");
    expect(await found).toBe("mine");
  });

  it("a folder is found in between the server's moving it and our hearing of it", async () => {
    await server.store.mkdir(id, "/a");
    await server.store.writeFile(id, "/a/mine", "x");
    const { ino } = await lookup("/a");
    const apply = library.apply.bind(library);
    library.apply = async (...args) => {
      const results = await apply(...args);
      await sleep(200);
      return results;
    };
    const moving = rename("a", "b");
    await sleep(120);
    const found = await fs.lookup(ino, "mine", signal).then(({ name }) => name, String);
    await moving;
    expect(found).toBe("mine");
  });

  it("who has a replaced file open goes on writing and reading it, and nothing of that is stored", async () => {
    await save("a", "base");
    const replaced = await open("/a", O_RDWR);
    await write(replaced, 0, "writer");
    const { fh } = await create("tmp", "from tmp");
    await rename("tmp", "a");
    await write(replaced, 6, " more");
    expect(await read(replaced)).toBe("writer more");
    await Promise.all([close(replaced), close(fh)]);
    expect([names(), await stored("/a"), await spoolFiles()]).toEqual([["a"], "from tmp", []]);
  });

  it("closes, renames between two folders in both directions, and the move of one of them all end", async () => {
    await server.store.mkdir(id, "/p");
    await server.store.mkdir(id, "/q");
    const dirs = [await lookup("/p"), await lookup("/q")] as const;
    const saveElsewhere = async (round: number) => {
      const [from, to] = round % 2 === 0 ? dirs : ([dirs[1], dirs[0]] as const);
      const { fh } = (await fs.create(from.ino, `f${round}`, 0o644, signal)).open;
      await write(fh, 0, `content ${round}`);
      const closing = fs.flush(fh, signal);
      const [source, target] = [`f${round}`, `g${round % 3}`];
      await fs.rename({ parent: from.ino, name: source }, { parent: to.ino, name: target }, false, signal);
      await closing;
      await fs.release(fh);
    };
    await Promise.all([...[0, 1, 2, 3, 4, 5].map(saveElsewhere), rename("p", "r")]);
    expect([names(), names("/q"), names("/r")]).toEqual([
      ["q", "r"],
      ["g0", "g1", "g2"],
      ["g0", "g1", "g2"],
    ]);
  });

  it("positions above 4 GiB are written, read back and cut off again", async () => {
    const { inode, fh } = await create("a", "");
    const end = 5 * 2 ** 30 + 3;
    await write(fh, end, "end");
    expect(fs.sizeOf(inode)).toBe(end + 3);
    expect(Buffer.concat(await fs.read(fh, end - 2, 10, signal)).toString()).toBe("\0\0end");
    await fs.setattr(inode.ino, { size: 2, fh }, signal);
    await close(fh);
    expect(await stored("/a")).toBe("\0\0");
  });
});
