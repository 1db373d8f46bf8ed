/** The filesystem when close(2) does not wait for the server: what programs see at once, and how little the server is asked. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import type { FileInode } from "../../src/vfs/inode.ts";
import { PutTask } from "../../src/vfs/put-task.ts";
import {
  assembled,
  cat,
  close,
  create,
  fs,
  id,
  lookup,
  names,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  open,
  read,
  rename,
  save,
  server,
  signal,
  spoolFiles,
  stale,
  stored,
  storedAll,
  until,
  useFileSystem,
  within,
  write,
} from "./filesystem-harness.ts";

/** How many requests of each kind `work` costs, aside from links and what the server is, which are asked for once in hours. */
async function cost(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = server.requests.count();
  await work();
  const counts: Record<string, number> = {};
  for (const { kind } of server.requests.list().slice(before)) {
    if (!kind.endsWith("-link") && kind !== "server-info") counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

const sync = () => assembled.outbox.sync();
const isIdle = () => assembled.outbox.items().length === 0;
const unlink = (name: string, parent = 1) => fs.unlink(parent, name, signal);

async function overwrite(path: string, content: string): Promise<void> {
  const fh = await open(path, O_WRONLY | O_TRUNC);
  await write(fh, 0, content);
  await close(fh);
}

describe("writing in the background, some time after the last close", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });

  it("a file is on the server by itself, and nothing of it is left here", async () => {
    await save("a", "content");
    await until(isIdle);
    expect([await storedAll(), await spoolFiles()]).toEqual([["content"], []]);
  });

  it("a file whose batch is broken off before anything is sent is stored by one request all the same", async () => {
    const { inode, fh } = await create("a", "content");
    const { committer } = assembled;
    const begin = PutTask.prototype.begin;
    vi.spyOn(PutTask.prototype, "begin").mockImplementationOnce(async function (this: PutTask, signal) {
      const attempt = await begin.call(this, signal);
      committer.interrupt(this);
      return attempt;
    });
    const kinds = await cost(async () => {
      await close(fh);
      await until(isIdle);
    });
    expect([kinds, (inode as FileInode).attempted, await storedAll()]).toEqual([{ upload: 1 }, undefined, ["content"]]);
  });

  it("a rename of two files does not wait for a batch that waits for the rename", async () => {
    const files = [await create("a", "from a"), await create("b", "from b")];
    let renaming: Promise<unknown> | undefined;
    const begin = PutTask.prototype.begin;
    vi.spyOn(PutTask.prototype, "begin").mockImplementationOnce(async function (this: PutTask, signal) {
      const attempt = await begin.call(this, signal);
      renaming = rename("a", "b");
      await sleep(100);
      return attempt;
    });
    for (const { fh } of files.reverse()) await close(fh);
    await until(() => renaming !== undefined);
    expect(await within(700, renaming!)).not.toBe("not yet");
    await until(isIdle);
    expect([names(), await stored("/b")]).toEqual([["b"], "from a"]);
  });

  it("100 files that are being sent when their folder is moved are few requests", async () => {
    const dir = await fs.mkdir(1, "d", 0o755, signal);
    server.faults.hang("upload", { times: 4 });
    for (let i = 0; i < 100; i++) {
      const { open: opened } = await fs.create(dir.ino, `f${i}`, 0o644, O_RDWR, signal);
      await write(opened.fh, 0, `content ${i}`);
      await close(opened.fh);
    }
    await until(() => server.requests.count("upload") > 0);
    const kinds = await cost(async () => {
      await rename("d", "e");
      server.faults.clear();
      await until(isIdle);
    });
    expect([names("/e").length, await stored("/e/f7")]).toEqual([100, "content 7"]);
    expect((kinds["upload"] ?? 0) + (kinds["dir"] ?? 0)).toBeLessThan(25);
    expect(kinds["detail"] ?? 0).toBeLessThan(5);
  });

  it("a removed name goes by itself", async () => {
    await server.store.writeFile(id, "/a", "x");
    await unlink("a");
    await until(isIdle);
    expect(names()).toEqual([]);
  });

  it("a file that is written again while it uploads is stored again with its last content", async () => {
    await save("a", "version 1");
    server.faults.delay("upload", 300);
    await until(() => server.requests.count("upload") === 1);
    await overwrite("/a", "version 2, longer");
    expect(await cat("/a")).toBe("version 2, longer");
    await until(isIdle);
    expect([names(), await storedAll()]).toEqual([["a"], ["version 2, longer"]]);
  });

  it("a file that is open for writing while it uploads keeps what its program wrote", async () => {
    const { fh } = await create("a", "0123456789");
    await fs.flush(fh, signal);
    server.faults.delay("upload", 200);
    await until(() => server.requests.count("upload") === 1);
    await write(fh, 2, "ab");
    await until(async () => (await stored("/a").catch(() => "")) === "0123456789");
    expect(await read(fh)).toBe("01ab456789");
    await write(fh, 8, "cd");
    await close(fh);
    await until(isIdle);
    expect(await stored("/a")).toBe("01ab4567cd");
  });

  it("a file whose upload hangs can be written, renamed and removed", async () => {
    server.faults.hang("upload", { times: 1 });
    await save("a", "x");
    await until(() => server.requests.count("upload") === 1);
    await overwrite("/a", "y");
    expect(await within(5000, rename("a", "b"))).toBeUndefined();
    expect(await cat("/b")).toBe("y");
    expect(await within(5000, unlink("b"))).toBeUndefined();
    await until(isIdle);
    expect(names()).toEqual([]);
  });

  it("reads back what was written last, whatever is on its way", async () => {
    server.faults.delay("upload", 30, { times: 20 });
    await save("a", "0");
    for (let round = 1; round < 15; round++) {
      const fh = await open("/a", round % 3 === 0 ? O_WRONLY | O_TRUNC : O_RDWR);
      await write(fh, 0, `${round}`);
      await close(fh);
      expect((await cat("/a")).slice(0, `${round}`.length)).toBe(`${round}`);
      await sleep(20);
    }
    const last = await cat("/a");
    await until(isIdle);
    expect([await cat("/a"), await stored("/a")]).toEqual([last, last]);
  });

  it("times that are set after close reach the server, in one upload or two", async () => {
    await save("a", "content");
    const { ino } = await lookup("/a");
    await fs.setattr(ino, { mtime: { sec: 1_000_000_000, nsec: 5 } }, signal);
    expect((await lookup("/a")).mtime).toEqual({ sec: 1_000_000_000, nsec: 5 });
    await until(isIdle);
    expect(server.store.list(id, "/")[0]?.mtime).toBe(1_000_000_000);
  });
});

describe("writing in the background, in requests", () => {
  // Nothing is sent by itself while a test is going on.
  useFileSystem({ commit: "background", fsync: "local", delayMs: 600_000 });

  it("close and fsync make no request, and the content is there to be read", async () => {
    await lookup("/").then(() => fs.opendir(1, signal));
    const asked = await cost(async () => {
      const { fh } = await create("a", "content");
      await fs.store(fh, signal);
      await close(fh);
    });
    expect([asked["upload"], await cat("/a"), names()]).toEqual([undefined, "content", []]);
  });

  it("a hundred small files of one folder are one upload for each second in which they were written", async () => {
    const numbers = Array.from({ length: 100 }, (_, i) => `${i}`.padStart(2, "0"));
    for (const n of numbers) await save(n, `content ${n}`);
    const asked = await cost(sync);
    // A request carries one time for all its files.
    const seconds = new Set(server.store.list(id, "/").map(({ mtime }) => mtime)).size;
    expect([asked, await storedAll()]).toEqual([{ upload: seconds }, numbers.map((n) => `content ${n}`)]);
  });

  it("a file that is written and removed costs nothing", async () => {
    await save("a", "x");
    await unlink("a");
    expect([await cost(sync), names(), await spoolFiles()]).toEqual([{}, [], []]);
  });

  it("a file that is written and renamed is stored once, under its new name", async () => {
    await save("a", "x");
    await rename("a", "b");
    expect([await cost(sync), await storedAll(), names()]).toEqual([{ upload: 1 }, ["x"], ["b"]]);
  });

  it("a save by rename is one commit of the target, which keeps its history", async () => {
    await server.store.writeFile(id, "/doc", "old");
    const commits = server.store.commits(id).length;
    await save("doc.tmp", "new");
    await rename("doc.tmp", "doc");
    expect(await cat("/doc")).toBe("new");
    const asked = await cost(sync);
    expect([asked["upload"], asked["delete-file"], asked["batch-delete"]]).toEqual([1, undefined, undefined]);
    expect([names(), await stored("/doc"), server.store.commits(id).length - commits]).toEqual([["doc"], "new", 1]);
  });

  it("a save that moves the old version away first keeps both", async () => {
    await server.store.writeFile(id, "/doc", "old");
    await save("doc.tmp", "new");
    await rename("doc", "doc~");
    await rename("doc.tmp", "doc");
    await sync();
    expect([names(), await storedAll()]).toEqual([
      ["doc", "doc~"],
      ["new", "old"],
    ]);
  });

  it("a name that is removed and made anew is one update of what the server has", async () => {
    await server.store.writeFile(id, "/a", "old");
    const commits = server.store.commits(id).length;
    await unlink("a");
    await save("a", "new");
    const asked = await cost(sync);
    expect([asked["upload"], asked["delete-file"], asked["batch-delete"]]).toEqual([1, undefined, undefined]);
    expect([await stored("/a"), server.store.commits(id).length - commits]).toEqual(["new", 1]);
  });

  it("a name that is removed, made anew and removed again is removed", async () => {
    await server.store.writeFile(id, "/a", "old");
    await unlink("a");
    await save("a", "new");
    await unlink("a");
    expect(await fs.lookup(1, "a", signal).catch(({ code }) => code)).toBe("ENOENT");
    await sync();
    expect(names()).toEqual([]);
  });

  it("removing three hundred files in ten folders that nobody else changed is one check and one removal", async () => {
    for (let d = 0; d < 10; d++) {
      server.store.mkdir(id, `/t/d${d}`);
      for (let f = 0; f < 30; f++) await server.store.writeFile(id, `/t/d${d}/f${f}`, "x");
    }
    await stale();
    const top = await lookup("/t");
    const removing = await cost(async () => {
      for (let d = 0; d < 10; d++) {
        const dir = await lookup(`/t/d${d}`);
        for (let f = 0; f < 30; f++) await unlink(`f${f}`, dir.ino);
        await fs.rmdir(top.ino, `d${d}`, signal);
      }
      await fs.rmdir(1, "t", signal);
    });
    const sending = await cost(sync);
    expect(names()).toEqual([]);
    expect(Object.keys(removing)).toEqual(["dir"]);
    const removals = (sending["delete-dir"] ?? 0) + (sending["batch-delete"] ?? 0);
    expect([removals, sending["delete-file"], Object.values(sending).reduce((a, b) => a + b)]).toEqual([
      1,
      undefined,
      2,
    ]);
  });

  it("a folder that got something new from somebody else is kept when it is removed, without what was removed in it", async () => {
    server.store.mkdir(id, "/t");
    await server.store.writeFile(id, "/t/mine", "x");
    const dir = await lookup("/t");
    await unlink("mine", dir.ino);
    await fs.rmdir(1, "t", signal);
    await server.store.writeFile(id, "/t/theirs", "y");
    await sync();
    await stale();
    await sync();
    expect(server.store.list(id, "/t").map(({ name }) => name)).toEqual(["theirs"]);
    expect(await cat("/t/theirs")).toBe("y");
  });

  it("a file that somebody else changed after it was removed here is kept and shows again", async () => {
    await server.store.writeFile(id, "/a", "old");
    await unlink("a");
    await server.store.writeFile(id, "/a", "theirs");
    await sync();
    await stale();
    expect([names(), await cat("/a")]).toEqual([["a"], "theirs"]);
  });

  it("a folder that is moved takes along what waits below it", async () => {
    server.store.mkdir(id, "/d/sub");
    await server.store.writeFile(id, "/d/old", "old");
    const dir = await lookup("/d");
    const { inode, open: opened } = await fs.create(dir.ino, "new", 0o644, O_RDWR, signal);
    await write(opened.fh, 0, "new");
    await close(opened.fh);
    await unlink("old", dir.ino);
    await rename("d", "e");
    expect((await lookup("/e/new")).ino).toBe(inode.ino);
    await sync();
    expect([
      names(),
      server.store
        .list(id, "/e")
        .map(({ name }) => name)
        .sort(),
    ]).toEqual([["e"], ["new", "sub"]]);
    expect(await stored("/e/new")).toBe("new");
  });

  it("a folder can be made where a file was removed, and a file where a folder was", async () => {
    await server.store.writeFile(id, "/a", "x");
    server.store.mkdir(id, "/d");
    await unlink("a");
    await fs.mkdir(1, "a", 0o755, signal);
    await fs.rmdir(1, "d", signal);
    await save("d", "file");
    await sync();
    expect(
      server.store
        .list(id, "/")
        .map(({ name, kind }) => `${name} ${kind}`)
        .sort(),
    ).toEqual(["a dir", "d file"]);
  });

  it("a removed file that is open is read on", async () => {
    await server.store.writeFile(id, "/a", "content");
    const reader = await open("/a", O_RDONLY);
    await unlink("a");
    await sync();
    expect([await read(reader), names()]).toEqual(["content", []]);
    await fs.release(reader);
  });

  it("a removed file that is written on leaves nothing", async () => {
    const { fh } = await create("a", "x");
    await fs.flush(fh, signal);
    await unlink("a");
    await write(fh, 0, "yy");
    expect(await read(fh)).toBe("yy");
    await close(fh);
    expect([await cost(sync), names(), await spoolFiles()]).toEqual([{}, [], []]);
  });

  it("sync waits for what is below a folder only", async () => {
    server.store.mkdir(id, "/d");
    await save("a", "x");
    const dir = await lookup("/d");
    const { open: opened } = await fs.create(dir.ino, "b", 0o644, O_RDWR, signal);
    await write(opened.fh, 0, "y");
    await close(opened.fh);
    await assembled.outbox.sync(dir);
    expect([names(), await stored("/d/b"), assembled.outbox.items().map(({ path }) => path)]).toEqual([
      ["d"],
      "y",
      ["/a"],
    ]);
  });

  it("a file with gaps from its stored version is stored whole", async () => {
    await server.store.writeFile(id, "/a", "0123456789".repeat(100_000));
    const fh = await open("/a", O_RDWR);
    await write(fh, 500_000, "HERE");
    await close(fh);
    await sync();
    const content = await stored("/a");
    expect([content.length, content.slice(499_998, 500_006), content.slice(-3)]).toEqual([
      1_000_000,
      "89HERE45",
      "789",
    ]);
  });

  it("a file that is never closed is not sent, and is when the mount ends", async () => {
    const { fh } = await create("a", "x");
    expect(assembled.outbox.items().map(({ state }) => state.state)).toEqual(["writing"]);
    await assembled.outbox.drain(AbortSignal.timeout(5000));
    expect(await stored("/a")).toBe("x");
    await fs.release(fh);
  });
});
