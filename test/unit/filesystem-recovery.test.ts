/** What the next mount makes of what a dead one promised: everything accepted, exactly, once; nothing that was removed. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { openWriteState } from "../../src/write-state.ts";
import { Journal } from "../../src/writeback/journal.ts";
import {
  assembled,
  cat,
  close,
  crash,
  create,
  DENIED,
  fs,
  id,
  library,
  lookup,
  names,
  O_RDWR,
  open,
  rename,
  save,
  server,
  signal,
  spoolFiles,
  stale,
  state,
  stateDir,
  stored,
  storedAll,
  until,
  useFileSystem,
  write,
} from "./filesystem-harness.ts";

// Nothing is sent by itself; what is recovered is sent at once.
useFileSystem({ commit: "background", fsync: "local", delayMs: 600_000 });

const isIdle = () => assembled.outbox.items().length === 0;
const RECOVERED = /^a \(recovered [-0-9]{19}\)\.txt$/;
const kept = async () => {
  const folder = join(stateDir, "recovered");
  const files = await readdir(folder).catch(() => []);
  return Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
};

describe("after a crash", () => {
  it("what close accepted is stored with its bytes and its time, and shows before that", async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
    const { inode, fh } = await create("a", "");
    await fs.write(fh, 0, bytes, signal);
    await close(fh);
    await fs.setattr(inode.ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal);
    server.faults.delay("upload", 300);
    await crash();
    expect([(await lookup("/a")).mtime?.sec, fs.sizeOf(await lookup("/a"))]).toEqual([1_000_000_000, bytes.length]);
    await until(isIdle);
    expect((await server.store.readFile(id, "/a")).equals(bytes)).toBe(true);
    expect([server.store.list(id, "/")[0]?.mtime, await spoolFiles()]).toEqual([1_000_000_000, []]);
  });

  it.each(["nothing", "some", "all"])(
    "100 recovered files are few requests, when %s of them had arrived",
    async (what) => {
      for (let i = 0; i < 100; i++) await save(`f${i}`, `content ${i}`);
      if (what !== "nothing") {
        const count = what === "some" ? 50 : 100;
        for (let i = 0; i < count; i++) await server.store.writeFile(id, `/f${i}`, `content ${i}`);
      }
      await crash();
      server.requests.reset();
      await until(isIdle);
      // One group for each second in which files were made.
      expect(server.requests.count("upload")).toBeLessThan(what === "all" ? 1 : 10);
      expect(server.requests.count()).toBeLessThan(25);
      expect([names().length, await stored("/f7")]).toEqual([100, "content 7"]);
    },
  );

  it("a change of a part is stored over the version that it was made over", async () => {
    await server.store.writeFile(id, "/a", "0123456789");
    const fh = await open("/a", O_RDWR);
    await write(fh, 3, "abc");
    await close(fh);
    await crash();
    await until(isIdle);
    expect([names(), await stored("/a")]).toEqual([["a"], "012abc6789"]);
  });

  it("what was never closed is kept beside the stored version, under a name that says so, once", async () => {
    await server.store.writeFile(id, "/a.txt", "0123456789");
    const fh = await open("/a.txt", O_RDWR);
    await write(fh, 8, "abcd");
    await state.backlog.sync();
    server.faults.hang("upload", { times: Number.POSITIVE_INFINITY });
    await crash();
    // The one that recovers it may be killed, too.
    await crash();
    server.faults.clear();
    await crash();
    await until(isIdle);
    const [recovered, ...others] = names();
    expect([recovered, others]).toEqual([expect.stringMatching(RECOVERED), ["a.txt"]]);
    expect([await stored(`/${recovered}`), await stored("/a.txt")]).toEqual(["01234567abcd", "0123456789"]);
  });

  it("what was accepted and then written on is stored, and what was written on is kept beside it", async () => {
    const { fh } = await create("a.txt", "accepted");
    await fs.flush(fh, signal);
    await write(fh, 0, "WRITTEN ");
    await state.backlog.sync();
    await crash();
    await until(isIdle);
    expect(names()).toEqual([expect.stringMatching(RECOVERED), "a.txt"]);
    expect(await storedAll()).toEqual(["WRITTEN ", "accepted"]);
  });

  it("an empty file that was never written leaves nothing", async () => {
    await create("a", "");
    await crash();
    await until(isIdle);
    expect([names(), await spoolFiles(), await kept()]).toEqual([[], [], []]);
  });

  it("what is removed stays hidden until the server has removed it", async () => {
    await server.store.writeFile(id, "/a", "x");
    await server.store.writeFile(id, "/b", "x");
    await fs.unlink(1, "a", signal);
    for (const kind of ["delete-file", "batch-delete"]) {
      server.faults.fail(kind, 403, { ...DENIED, times: Number.POSITIVE_INFINITY });
    }
    await crash();
    const { shown } = await fs.lines(await fs.opendir(1, signal), false, signal);
    expect([shown.map(({ name }) => name), await fs.lookup(1, "a", signal).catch(({ code }) => code)]).toEqual([
      ["b"],
      "ENOENT",
    ]);
    server.faults.clear();
    assembled.outbox.retry(undefined);
    await until(isIdle);
    expect(names()).toEqual(["b"]);
  });

  it("a removed tree is removed, and a folder in it that somebody else added to is kept with what they added", async () => {
    for (const dir of ["t", "t/d1", "t/d2"]) server.store.mkdir(id, `/${dir}`);
    for (const path of ["/t/x", "/t/d1/y", "/t/d2/z"]) await server.store.writeFile(id, path, "x");
    const [top, d1, d2] = [await lookup("/t"), await lookup("/t/d1"), await lookup("/t/d2")];
    await fs.unlink(d1.ino, "y", signal);
    await fs.unlink(d2.ino, "z", signal);
    await fs.unlink(top.ino, "x", signal);
    await fs.rmdir(top.ino, "d1", signal);
    await fs.rmdir(top.ino, "d2", signal);
    await fs.rmdir(1, "t", signal);
    await server.store.writeFile(id, "/t/d2/theirs", "theirs");
    await crash();
    await until(isIdle);
    expect(server.store.list(id, "/t").map(({ name }) => name)).toEqual(["d2"]);
    expect(server.store.list(id, "/t/d2").map(({ name }) => name)).toEqual(["theirs"]);
  });

  it("a renamed waiting file is stored under its new name only", async () => {
    await save("a", "content");
    await rename("a", "b");
    await crash();
    await until(isIdle);
    expect([names(), await storedAll()]).toEqual([["b"], ["content"]]);
  });

  it("a save by rename is there with its new content, and the target was never missing", async () => {
    await server.store.writeFile(id, "/doc", "old");
    await save("doc.tmp", "new");
    await rename("doc.tmp", "doc");
    server.faults.delay("upload", 200);
    await crash();
    expect([await stored("/doc"), await cat("/doc")]).toEqual(["old", "new"]);
    await until(isIdle);
    expect([names(), await storedAll()]).toEqual([["doc"], ["new"]]);
  });

  it("an upload that the server stored without our knowing is not stored again", async () => {
    server.faults.hang("upload", { times: Number.POSITIVE_INFINITY });
    await save("a", "content");
    void assembled.outbox.sync();
    await until(() => server.requests.count("upload") === 1);
    await server.store.writeFile(id, "/a", "content");
    const commits = server.store.commits(id).length;
    await crash();
    server.faults.clear();
    await until(isIdle);
    expect([names(), await stored("/a"), server.store.commits(id).length]).toEqual([["a"], "content", commits]);
  });

  it("what waits below a folder that was moved on the server without our knowing follows it", async () => {
    const dir = await fs.mkdir(1, "d", 0o755, signal);
    const { open: opened } = await fs.create(dir.ino, "a", 0o644, O_RDWR, signal);
    await write(opened.fh, 0, "content");
    await close(opened.fh);
    server.faults.hang("move", { times: Number.POSITIVE_INFINITY });
    server.faults.hang("rename", { times: Number.POSITIVE_INFINITY });
    rename("d", "e").catch(() => {});
    await until(() => server.requests.list().some(({ kind }) => kind === "move" || kind === "rename"));
    server.store.move(id, "/d", "/e");
    server.faults.hang("upload", { times: Number.POSITIVE_INFINITY });
    await crash();
    // Asked and answered: what somebody calls "d" from here on is another folder.
    server.store.mkdir(id, "/d");
    server.faults.clear();
    await crash();
    await until(isIdle);
    expect([names(), server.store.list(id, "/d"), await stored("/e/a")]).toEqual([["d", "e"], [], "content"]);
  });

  it("what waits below a folder whose move did not reach the server stays", async () => {
    const dir = await fs.mkdir(1, "d", 0o755, signal);
    const { open: opened } = await fs.create(dir.ino, "a", 0o644, O_RDWR, signal);
    await write(opened.fh, 0, "content");
    await close(opened.fh);
    server.faults.hang("move", { times: Number.POSITIVE_INFINITY });
    server.faults.hang("rename", { times: Number.POSITIVE_INFINITY });
    rename("d", "e").catch(() => {});
    await until(() => server.requests.list().some(({ kind }) => kind === "move" || kind === "rename"));
    server.faults.clear();
    await crash();
    await until(isIdle);
    expect([names(), await stored("/d/a")]).toEqual([["d"], "content"]);
  });

  it("a folder with waiting files can be renamed before they are stored", async () => {
    const dir = await fs.mkdir(1, "d", 0o755, signal);
    const { open: opened } = await fs.create(dir.ino, "a", 0o644, O_RDWR, signal);
    await write(opened.fh, 0, "content");
    await close(opened.fh);
    server.faults.hang("upload", { times: 1 });
    await crash();
    await rename("d", "e");
    await until(isIdle);
    expect([names(), await stored("/e/a")]).toEqual([["e"], "content"]);
  });

  it("a mount begins although the disk has no room to accept what was being written, and that is not lost", async () => {
    await create("a.txt", "content");
    await state.backlog.sync();
    const full = () => Promise.reject(Object.assign(new Error("no space left"), { code: "ENOSPC" }));
    const accept = vi.spyOn(Journal.prototype, "accept").mockImplementation(full);
    await crash().finally(() => accept.mockRestore());
    expect((await lookup("/")).ino).toBe(1);
    await crash();
    await until(isIdle);
    expect([names(), await storedAll()]).toEqual([[expect.stringMatching(RECOVERED)], ["content"]]);
  });
});

// SEMANTICS: "Only what belongs to a library that is gone, or of which no record is left, is kept as a file in the folder `recovered`
// of the data directory."
it("content of which no record is left is kept for the user", async () => {
  await writeFile(join(stateDir, "spool/nobody-knows"), "precious");
  await crash();
  expect([await kept(), names(), await spoolFiles()]).toEqual([["precious"], [], []]);
});

describe("what belongs to a library that is not there any more", () => {
  it("is kept for the user, whole, and nobody asks about it again", async () => {
    await save("a", "accepted");
    await create("b", "being written");
    await server.store.writeFile(id, "/c", "x");
    await stale();
    await fs.unlink(1, "c", signal);
    await state.close();
    const folders = { folder: stateDir, spool: join(stateDir, "spool"), recovered: join(stateDir, "recovered") };
    for (const places of [2, 0]) {
      const next = await openWriteState(folders, silentLogger());
      const { assemble } = await import("../../src/assemble.ts");
      const { revive } = assemble({
        account: {} as never,
        library,
        path: "/",
        state: next,
        policy: { commit: "background", fsync: "local", delayMs: 600_000, onConflict: "copy" },
        cacheSize: 1024,
        user: "u",
        refreshMs: 50,
        log: silentLogger(),
      });
      expect(await revive(next.pending, () => undefined)).toHaveLength(places);
      await next.close();
    }
    expect((await kept()).sort()).toEqual(["accepted", "being written"]);
    await crash().catch(() => {});
    expect([isIdle(), await spoolFiles()]).toEqual([true, []]);
  });
});
