/** The filesystem when what waits cannot be stored: whose fault it is, what the user can do about it, and what goes on all the same. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { Journal } from "../../src/writeback/journal.ts";
import { replay } from "../../src/writeback/recovery.ts";
import { diskError, interceptDisk } from "./file-handle-seam.ts";
import {
  assembled,
  cat,
  close,
  crash,
  create,
  DENIED,
  drain,
  fs,
  id,
  lookup,
  names,
  O_TRUNC,
  O_WRONLY,
  open,
  rename,
  restart,
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

const isIdle = () => assembled.outbox.items().length === 0;
const item = (path: string) => assembled.outbox.items().find((it) => it.path === path)!;
const stateOf = (path: string) => item(path)?.state;
const refusedUploads = (status: number, body?: string) => {
  for (const kind of ["upload", "update"]) {
    server.faults.fail(kind, status, { times: Number.POSITIVE_INFINITY, ...(body === undefined ? {} : { body }) });
  }
};

async function overwrite(path: string, content: string): Promise<void> {
  const fh = await open(path, O_WRONLY | O_TRUNC);
  await write(fh, 0, content);
  await close(fh);
}

/** Runs `work` while the local disk takes no promise of what is written. */
async function onFullDisk(work: () => Promise<void>): Promise<void> {
  const full = () => Promise.reject(Object.assign(new Error("no space left"), { code: "ENOSPC" }));
  const accept = vi.spyOn(Journal.prototype, "accept").mockImplementation(full);
  await work().finally(() => accept.mockRestore());
}

/** Runs `work` while every end of something shortens the journal. */
async function whileCompacting(work: () => Promise<void>): Promise<void> {
  const size = vi.spyOn(Journal.prototype, "size", "get").mockReturnValue(Number.MAX_SAFE_INTEGER);
  await work().finally(() => size.mockRestore());
}

describe("what the server refuses", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });

  it.each([
    [443, "quota"],
    [403, "permission"],
    [413, "too-large"],
  ])(
    "an upload that is answered %i is held for the reason %s, and stays readable and writable",
    async (status, reason) => {
      refusedUploads(status);
      await save("a", "content");
      await until(() => stateOf("/a")?.state === "held");
      expect(stateOf("/a")).toMatchObject({ state: "held", reason });
      expect(await cat("/a")).toBe("content");
      await overwrite("/a", "written anew");
      expect(await cat("/a")).toBe("written anew");
      server.faults.clear();
      await until(isIdle);
      expect(await storedAll()).toEqual(["written anew"]);
    },
  );

  it("a held file is stored when the user says so and the cause is gone", async () => {
    refusedUploads(443);
    await save("a", "content");
    await until(() => stateOf("/a")?.state === "held");
    server.faults.clear();
    expect(assembled.outbox.retry([item("/a").id])).toBe(1);
    await until(isIdle);
    expect(await storedAll()).toEqual(["content"]);
  });

  it("other files do not wait for it", async () => {
    server.faults.hang("upload", { times: 1 });
    await save("hangs", "x".repeat(2 * 1024 * 1024));
    await until(() => stateOf("/hangs")?.state === "uploading");
    await save("b", "content");
    await until(async () => (await stored("/b").catch(() => "")) === "content");
    expect(stateOf("/hangs")?.state).toBe("uploading");
  });

  it("a failing server is tried again, and says why meanwhile", async () => {
    refusedUploads(500);
    await save("a", "content");
    await until(() => stateOf("/a")?.state === "retrying");
    expect(stateOf("/a")).toMatchObject({ because: expect.stringContaining("500") });
    expect(assembled.committer.errors.at(-1)?.message).toContain("/a");
  });

  it("a removal that the server refuses stays hidden and is listed as held", async () => {
    await server.store.writeFile(id, "/a", "x");
    for (const kind of ["delete-file", "batch-delete"]) {
      server.faults.fail(kind, 403, { ...DENIED, times: Number.POSITIVE_INFINITY });
    }
    await fs.unlink(1, "a", signal);
    await until(() => stateOf("/a")?.state === "held");
    await stale();
    expect(await fs.lookup(1, "a", signal).catch(({ code }) => code)).toBe("ENOENT");
  });

  it("files that wait for a server which is away are stored when it is back", async () => {
    const files = await Promise.all(["a", "b", "c"].map((name) => create(name, name)));
    server.faults.down();
    for (const { fh } of files) await close(fh);
    await until(() => assembled.outbox.items().every(({ state: { state: now } }) => now === "uploading"));
    server.faults.up();
    await until(isIdle);
    expect(await storedAll()).toEqual(["a", "b", "c"]);
  });
});

describe("holding, releasing, giving up", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 600_000 });

  const sync = () => assembled.outbox.sync();

  it("what the user holds stays here through sync and the end of the mount, and goes when it is released", async () => {
    await save("a", "a");
    await save("b", "b");
    await assembled.outbox.hold([item("/a").id]);
    await sync();
    expect([names(), stateOf("/a")]).toMatchObject([["b"], { state: "held", reason: "user" }]);
    expect((await drain()).map(({ path }) => path)).toEqual(["/a"]);
    expect(names()).toEqual(["b"]);
  });

  it("what is released is stored", async () => {
    await save("a", "a");
    await assembled.outbox.hold([item("/a").id]);
    assembled.outbox.release([item("/a").id]);
    await until(isIdle);
    expect(await storedAll()).toEqual(["a"]);
  });

  // SEMANTICS: "What `seamount queue hold` keeps back waits until it is released, in later mounts, too."
  it.each([
    ["a crash", crash],
    ["the end of the mount", () => restart(50)],
  ])("what is held is held after %s, also what was written over it, until it is released", async (_, next) => {
    await server.store.writeFile(id, "/gone", "x");
    await stale();
    await save("a", "first");
    await fs.unlink(1, "gone", signal);
    await assembled.outbox.hold(assembled.outbox.items().map((it) => it.id));
    await overwrite("/a", "second");
    await next();
    await sync();
    const all = () => assembled.outbox.items().map(({ path, state: it }) => `${path} ${it.state}`);
    expect([all().sort(), names(), await cat("/a")]).toEqual([["/a held", "/gone held"], ["gone"], "second"]);
    assembled.outbox.release(assembled.outbox.items().map((it) => it.id));
    await next();
    await sync();
    expect([all(), await storedAll()]).toEqual([[], ["second"]]);
  });

  it("giving up a new file leaves nothing of it, here or after a crash", async () => {
    await save("a", "a");
    expect(await assembled.outbox.discard([item("/a").id])).toBe(1);
    expect([await spoolFiles(), await fs.lookup(1, "a", signal).catch(({ code }) => code)]).toEqual([[], "ENOENT"]);
    await crash();
    await sync();
    expect(names()).toEqual([]);
  });

  it("giving up a change shows the server's version again", async () => {
    await server.store.writeFile(id, "/a", "stored");
    await overwrite("/a", "mine");
    await assembled.outbox.discard([item("/a").id]);
    expect(await cat("/a")).toBe("stored");
    await sync();
    expect(await stored("/a")).toBe("stored");
  });

  it("giving up what took a removed file's place shows that file again", async () => {
    await server.store.writeFile(id, "/a", "stored");
    await fs.unlink(1, "a", signal);
    await save("a", "mine");
    await assembled.outbox.discard([item("/a").id]);
    await crash();
    await sync();
    expect([await stored("/a"), await cat("/a")]).toEqual(["stored", "stored"]);
  });

  it("a file that is open for writing is not given up", async () => {
    const { fh } = await create("a", "a");
    await fs.flush(fh, signal);
    await expect(assembled.outbox.discard([item("/a").id])).rejects.toMatchObject({ code: "EBUSY" });
    await close(fh);
    await sync();
    expect(await storedAll()).toEqual(["a"]);
  });

  it("what waits can be copied out, whole, to a file of 0600 that must not exist", async () => {
    await server.store.writeFile(id, "/a", "0123456789");
    const fh = await open("/a", O_WRONLY);
    await write(fh, 2, "ab");
    await close(fh);
    const place = join(stateDir, "exported");
    await assembled.outbox.export(item("/a").id, place);
    expect([await readFile(place, "utf8"), (await stat(place)).mode & 0o777]).toEqual(["01ab456789", 0o600]);
    await expect(assembled.outbox.export(item("/a").id, place)).rejects.toMatchObject({ code: "EEXIST" });
    await expect(assembled.outbox.export(99_999, join(stateDir, "x"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("is copied out whole, or not at all, on a disk that takes little at a time or fails", async () => {
    await save("a", "0123456789");
    const place = join(stateDir, "exported");
    await interceptDisk(async (call, _, real) => {
      if (call === "sync") throw diskError("ENOSPC");
      return real(call === "write" ? 4 : undefined);
    });
    await expect(assembled.outbox.export(item("/a").id, place)).rejects.toMatchObject({ code: "ENOSPC" });
    await expect(stat(place)).rejects.toMatchObject({ code: "ENOENT" });
    vi.restoreAllMocks();
    await interceptDisk((call, _, real) => real(call === "write" ? 4 : undefined));
    await assembled.outbox.export(item("/a").id, place);
    vi.restoreAllMocks();
    expect(await readFile(place, "utf8")).toBe("0123456789");
  });
});

describe("when the local disk is full", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 600_000 });

  const sync = () => assembled.outbox.sync();
  const pendingNow = async () => {
    await state.backlog.sync();
    const copy = await Journal.open(stateDir, silentLogger());
    await copy.journal.close();
    return replay(copy.records);
  };

  it("close fails with ENOSPC, nothing else is harmed, and the next close succeeds", async () => {
    await save("other", "other");
    const { fh } = await create("a", "content");
    await onFullDisk(() => expect(fs.flush(fh, signal)).rejects.toMatchObject({ code: "ENOSPC" }));
    await sync();
    expect(names()).toContain("other");
    await close(fh);
    await sync();
    expect([names(), await stored("/a")]).toEqual([["a", "other"], "content"]);
  });

  it("a change of a waiting file that cannot be accepted leaves what was accepted", async () => {
    await save("a", "accepted");
    const fh = await open("/a", O_WRONLY);
    await write(fh, 0, "REFUSED!");
    await onFullDisk(() => expect(fs.flush(fh, signal)).rejects.toMatchObject({ code: "ENOSPC" }));
    await crash();
    await sync();
    expect(await stored("/a")).toBe("accepted");
  });

  it("unlink fails, and the file is there", async () => {
    await server.store.writeFile(id, "/a", "content");
    await onFullDisk(() => expect(fs.unlink(1, "a", signal)).rejects.toMatchObject({ code: "ENOSPC" }));
    expect(await cat("/a")).toBe("content");
    await sync();
    expect(names()).toEqual(["a"]);
  });

  it("a file that takes a removed one's place, once it could be accepted, is never removed after a crash", async () => {
    await server.store.writeFile(id, "/a", "same");
    await lookup("/a");
    await fs.unlink(1, "a", signal);
    const { fh } = await create("a", "same");
    await onFullDisk(() => expect(fs.flush(fh, signal)).rejects.toMatchObject({ code: "ENOSPC" }));
    await close(fh);
    expect([...(await pendingNow()).removals]).toEqual([]);
    await whileCompacting(sync);
    expect([...(await pendingNow()).removals]).toEqual([]);
  });

  it("a file that is renamed to where one was removed is never removed after a crash", async () => {
    await server.store.writeFile(id, "/a", "same");
    await lookup("/a");
    await fs.unlink(1, "a", signal);
    await save("tmp", "same");
    await rename("tmp", "a");
    await whileCompacting(sync);
    expect([...(await pendingNow()).removals]).toEqual([]);
    await restart(50);
    await stale();
    expect([names(), await stored("/a")]).toEqual([["a"], "same"]);
  });
});

describe("when somebody else changed the file meanwhile", () => {
  async function bothChange(): Promise<void> {
    await server.store.writeFile(id, "/doc.txt", "old");
    const fh = await open("/doc.txt", O_WRONLY | O_TRUNC);
    await write(fh, 0, "mine");
    await server.store.writeFile(id, "/doc.txt", "theirs");
    await close(fh);
    await assembled.outbox.sync();
  }

  describe("and both versions are to be kept", () => {
    useFileSystem({ commit: "background", fsync: "local", delayMs: 600_000, onConflict: "copy" });

    it("mine is stored beside theirs, with my name and the time, and shows under that name", async () => {
      await bothChange();
      await stale();
      const [mine, theirs] = names();
      expect(mine).toMatch(/^doc \(SFConflict test@example\.com [-0-9]{19}\)\.txt$/);
      expect([theirs, await cat("/doc.txt"), await cat(`/${mine}`)]).toEqual(["doc.txt", "theirs", "mine"]);
      expect([isIdle(), await spoolFiles()]).toEqual([true, []]);
    });

    it("a time that was set alone is not worth a copy", async () => {
      await server.store.writeFile(id, "/a", "old");
      await fs.setattr((await lookup("/a")).ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal);
      await server.store.writeFile(id, "/a", "theirs");
      await assembled.outbox.sync();
      expect([names(), await stored("/a"), isIdle()]).toEqual([["a"], "theirs", true]);
    });

    it("a new file whose name somebody else has used is kept beside theirs", async () => {
      await save("new", "mine");
      await server.store.writeFile(id, "/new", "theirs");
      await assembled.outbox.sync();
      expect((await storedAll()).sort()).toEqual(["mine", "theirs"]);
      expect(await stored("/new")).toBe("theirs");
    });
  });

  describe("and the user is to decide", () => {
    useFileSystem({ commit: "background", fsync: "local", delayMs: 600_000, onConflict: "fail" });

    it("mine is held and shows here, theirs is on the server, and giving mine up shows theirs", async () => {
      await bothChange();
      await stale();
      expect(stateOf("/doc.txt")).toMatchObject({ state: "held", reason: "conflict" });
      expect([names(), await stored("/doc.txt"), await cat("/doc.txt")]).toEqual([["doc.txt"], "theirs", "mine"]);
      await assembled.outbox.discard([item("/doc.txt").id]);
      expect(await cat("/doc.txt")).toBe("theirs");
    });
  });

  describe("and mine is to win", () => {
    useFileSystem({ commit: "background", fsync: "local", delayMs: 600_000, onConflict: "overwrite" });

    it("mine replaces theirs, which stays in the history", async () => {
      await bothChange();
      expect([names(), await stored("/doc.txt"), isIdle()]).toEqual([["doc.txt"], "mine", true]);
    });
  });
});

describe("the end of a mount", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 600_000 });

  it("stores what waits, tells what it could not store, and leaves that to the next mount", async () => {
    server.faults.fail("upload", 443, { times: 1 });
    await save("a", "refused once");
    await assembled.outbox.sync();
    await save("b", "b");
    expect((await drain()).map(({ path, state: { state: now } }) => `${path} ${now}`)).toEqual(["/a held"]);
    expect(await storedAll()).toEqual(["b"]);
    await restart(50);
    await until(isIdle);
    expect([names(), await stored("/a")]).toEqual([["a", "b"], "refused once"]);
  });

  it("does not wait for a server that does not answer longer than it is told", async () => {
    server.faults.hang("upload", { times: Number.POSITIVE_INFINITY });
    await save("a", "content");
    const left = await assembled.outbox.drain(AbortSignal.timeout(200));
    expect(left.map(({ path }) => path)).toEqual(["/a"]);
    server.faults.clear();
    await restart(50);
    await until(isIdle);
    expect(await storedAll()).toEqual(["content"]);
  });
});
