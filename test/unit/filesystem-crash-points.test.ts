/**
 * What a crash would leave between any two records that one call writes to the journal: the state before the call or the one
 * after it, and nothing in between. And crashes at moments of a commit that no random kill meets often.
 */
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { FileInode } from "../../src/vfs/inode.ts";
import { decodeLog } from "../../src/writeback/journal-frame.ts";
import type { Pending } from "../../src/writeback/records.ts";
import { replay } from "../../src/writeback/recovery.ts";
import {
  assembled,
  close,
  crash,
  create,
  fs,
  id,
  library,
  lookup,
  names,
  O_TRUNC,
  O_WRONLY,
  open,
  rename,
  save,
  server,
  signal,
  spoolFiles,
  state,
  stateDir,
  stored,
  storedAll,
  until,
  useFileSystem,
  write,
} from "./filesystem-harness.ts";

async function overwrite(name: string, content: string): Promise<void> {
  const fh = await open(`/${name}`, O_WRONLY | O_TRUNC);
  await write(fh, 0, content);
  await close(fh);
}

const isIdle = () => assembled.outbox.items().length === 0;

describe("between the records of one call a crash leaves", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 60_000 });

  const records = async () => decodeLog(await readFile(join(stateDir, "journal")), "journal").records;

  /** The names of the library and the sizes of their contents once everything pending is done. */
  function outcome({ contents, removals }: Pending): string {
    const files = new Map(server.store.list(id, "/").map(({ name, size }) => [`/${name}`, [size]]));
    const sealed = [...contents.values()].filter((content) => content.sealed);
    const written = new Set(sealed.map(({ path }) => path));
    // Content that was accepted under a name stands above the removal of that name: see the test below.
    for (const { path } of removals.values()) if (!written.has(path)) files.delete(path);
    for (const path of written) files.set(path, []);
    for (const { path, size } of sealed) files.get(path)!.push(size);
    return [...files]
      .map(([path, sizes]) => `${path.slice(1)}:${sizes.join("+")}`)
      .sort()
      .join(" ");
  }

  async function outcomesDuring(work: () => Promise<void>): Promise<string[]> {
    await state.backlog.sync();
    const before = (await records()).length;
    await work();
    await state.backlog.sync();
    const all = await records();
    const outcomes: string[] = [];
    for (let count = before; count <= all.length; count++) {
      const now = outcome(replay(all.slice(0, count)));
      if (now !== outcomes.at(-1)) outcomes.push(now);
    }
    return outcomes;
  }

  it("a file and its replacement when both wait, or the replacement alone", async () => {
    await save("a", "xxx");
    await save("b", "xxxx");
    expect(await outcomesDuring(() => rename("a", "b"))).toEqual(["a:3 b:4", "b:3"]);
  });

  it("a stored file and its waiting replacement, or the replacement alone", async () => {
    await server.store.writeFile(id, "/b", Buffer.from("xxxx"));
    await save("a", "xxx");
    expect(await outcomesDuring(() => rename("a", "b"))).toEqual(["a:3 b:4", "b:3"]);
  });

  it("never the stored version of a file of which a newer one waits and replaces another file", async () => {
    await server.store.writeFile(id, "/a", Buffer.from("x"));
    await server.store.writeFile(id, "/b", Buffer.from("xxxx"));
    await overwrite("a", "xxx");
    expect(await outcomesDuring(() => rename("a", "b"))).toEqual(["a:3 b:4", "b:3"]);
  });

  it("one of two versions that wait", async () => {
    await save("a", "xxx");
    expect(await outcomesDuring(() => overwrite("a", "xxxx"))).toEqual(["a:3", "a:4"]);
  });

  it("a waiting file, or nothing, when it is removed", async () => {
    await server.store.writeFile(id, "/a", Buffer.from("x"));
    await overwrite("a", "xxx");
    expect(await outcomesDuring(() => fs.unlink(1, "a", signal))).toEqual(["a:3", ""]);
  });
});

describe("after a crash", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });

  it("a version that the server stored without our knowing is replaced by the next one", async () => {
    for (const isNew of [true, false]) {
      const name = isNew ? "new" : "old";
      if (!isNew) await server.store.writeFile(id, `/${name}`, Buffer.from("zero"));
      server.faults.hang("upload", { times: 10 });
      server.faults.hang("update", { times: 10 });
      const before = server.requests.count("upload") + server.requests.count("update");
      if (isNew) await save(name, "first");
      else await overwrite(name, "first");
      await until(() => server.requests.count("upload") + server.requests.count("update") > before);
      await overwrite(name, "second");
      // The answer to the upload never reaches the journal.
      await server.store.writeFile(id, `/${name}`, Buffer.from("first"));
      await crash();
      server.faults.clear();
      await until(isIdle);
      expect(await stored(`/${name}`)).toBe("second");
    }
    expect(names()).toEqual(["new", "old"]);
  });

  it.each([
    { again: "before it is sent", text: "second" },
    { again: "while it is sent", text: "second" },
    { again: "never", text: "mine" },
  ])(
    "a conflict copy that the server stored without our knowing is there once; closed again $again",
    async ({ again, text }) => {
      await server.store.writeFile(id, "/a", "zero");
      const { ino } = await lookup("/a");
      const fh = await open("/a", O_WRONLY | O_TRUNC);
      await write(fh, 0, "mine");
      await server.store.writeFile(id, "/a", "theirs");
      // The copy is stored, and the answer lost; who asks whether it was gets none.
      server.faults.cut("upload", 0, { answer: true });
      server.faults.hang("dir", { times: 10 });
      const closeAgain = async () => {
        await fs.setattr(ino, { size: 0, fh }, signal);
        await write(fh, 0, "second");
        await fs.flush(fh, signal);
      };
      const apply = library.apply.bind(library);
      vi.spyOn(library, "apply").mockImplementationOnce(async (...args) => {
        const results = await apply(...args);
        if (again === "before it is sent") await closeAgain();
        return results;
      });
      await fs.flush(fh, signal);
      await until(() => names().length === 2);
      if (again === "while it is sent") await closeAgain();
      await crash();
      server.faults.clear();
      await until(isIdle);
      expect([names().length, await stored("/a")]).toEqual([2, "theirs"]);
      expect(await stored(`/${names().find((name) => name.includes("SFConflict"))}`)).toBe(text);
    },
  );

  it("accepted content stands above an earlier removal of its name that is not over", async () => {
    await server.store.writeFile(id, "/a", Buffer.from("zero"));
    server.faults.hang("upload", { times: 10 });
    await overwrite("a", "first");
    const { baseId } = (await lookup("/a")) as FileInode;
    await state.backlog.removing({ library: library.id, path: "/a", kind: "file", expects: baseId });
    await crash();
    server.faults.clear();
    await until(isIdle);
    expect(await stored("/a")).toBe("first");
    expect(server.requests.count("delete-file")).toBe(0);
  });

  it("a spool file that is gone was needed no more: the record of that did not get into the journal", async () => {
    server.faults.hang("upload", { times: 10 });
    await save("a", "gone");
    for (const name of await spoolFiles()) await rm(join(stateDir, "spool", name));
    await crash();
    expect(assembled.outbox.items()).toEqual([]);
  });

  it("a spool file of what is over is removed and not kept for the user", async () => {
    const { fh } = await create("a", "over");
    const [name] = await spoolFiles();
    await close(fh);
    await until(isIdle);
    await writeFile(join(stateDir, "spool", name!), "over");
    await crash();
    expect(await spoolFiles()).toEqual([]);
    expect(await readdir(join(stateDir, "recovered")).catch(() => [])).toEqual([]);
  });

  it("what waits stays when the state of another mount is taken over, too", async () => {
    server.faults.hang("upload", { times: 10 });
    await save("a", "waiting");
    await crash();
    const nothing = {
      contents: new Map(),
      removals: new Map(),
      moves: new Map(),
      held: new Set<number>(),
      finished: new Set<string>(),
      next: 1,
    };
    expect(await assembled.revive(nothing, () => library)).toEqual([]);
    server.faults.clear();
    await until(isIdle);
    expect(await stored("/a")).toBe("waiting");
  });

  it("a removed tree goes as a whole, also what of it was removed from the server before", async () => {
    server.store.mkdir(id, "/d");
    for (const name of ["x", "y", "z"]) await server.store.writeFile(id, `/d/${name}`, Buffer.from(name));
    const dir = await lookup("/d");
    for (const kind of ["batch-delete", "delete-file", "delete-dir"]) server.faults.hang(kind, { times: 10 });
    for (const name of ["x", "y", "z"]) await fs.unlink(dir.ino, name, signal);
    await fs.rmdir(1, "d", signal);
    server.store.remove(id, "/d/x");
    server.faults.clear();
    await crash();
    await until(isIdle);
    expect(names()).toEqual([]);
  });

  it("a stored file that was being renamed over another leaves nothing of its own when the server had done it all", async () => {
    await server.store.writeFile(id, "/a", Buffer.from("new"));
    await server.store.writeFile(id, "/b", Buffer.from("old"));
    server.faults.hang("upload", { times: 10 });
    const renaming = rename("a", "b").catch(() => "interrupted");
    await until(() => server.requests.count("upload") > 0);
    await server.store.writeFile(id, "/b", Buffer.from("new"));
    server.store.remove(id, "/a");
    await crash();
    server.faults.clear();
    await until(isIdle);
    expect(names()).toEqual(["b"]);
    expect(await renaming).toBe("interrupted");
  });

  it.each([true, false])(
    "a stored file that was renamed over one that only exists here has taken its place if the server moved it: %s",
    async (isMade) => {
      await server.store.writeFile(id, "/a", Buffer.from("stored"));
      server.faults.hang("upload", { times: 10 });
      await save("b", "waiting");
      server.faults.hang("move", { times: 10 });
      server.faults.hang("rename", { times: 10 });
      const renaming = rename("a", "b").catch(() => "interrupted");
      await until(() => server.requests.count("move") + server.requests.count("rename") > 0);
      if (isMade) server.store.move(id, "/a", "/b");
      await crash();
      server.faults.clear();
      await until(isIdle);
      expect(names()).toEqual(isMade ? ["b"] : ["a", "b"]);
      expect(await stored("/b")).toBe(isMade ? "stored" : "waiting");
      expect(await renaming).toBe("interrupted");
    },
  );

  it.each(["file", "dir"])(
    "a %s that was being moved to another folder under another name is not left half-way",
    async (kind) => {
      server.store.mkdir(id, "/d");
      if (kind === "dir") server.store.mkdir(id, "/a");
      else await server.store.writeFile(id, "/a", Buffer.from("stored"));
      const dir = await lookup("/d");
      server.faults.hang("rename");
      const moving = fs
        .rename({ parent: 1, name: "a" }, { parent: dir.ino, name: "b" }, false, signal)
        .catch(() => "cut");
      await until(() => server.requests.count("rename") > 0);
      expect([...server.store.tree(id).keys()].sort()).toEqual(["/d", "/d/a"]);
      await crash();
      server.faults.clear();
      expect(await moving).toBe("cut");
      await until(() => server.store.tree(id).has("/d/b"));
      expect([...server.store.tree(id).keys()].sort()).toEqual(["/d", "/d/b"]);
    },
  );

  it("a stored file of which nothing was changed is not recovered", async () => {
    await server.store.writeFile(id, "/a", Buffer.from("new"));
    await server.store.writeFile(id, "/b", Buffer.from("old"));
    let sealed = false;
    vi.spyOn(state.backlog, "seal").mockImplementationOnce(async (dirty) => {
      await dirty.seal();
      sealed = true;
      await new Promise(() => {});
    });
    void rename("a", "b");
    await until(() => sealed);
    await crash();
    await until(isIdle);
    expect(names()).toEqual(["a", "b"]);
  });

  it("what was being added to a stored file is recovered together with what the file held", async () => {
    await server.store.writeFile(id, "/a", Buffer.from("stored, "));
    const fh = await open("/a", O_WRONLY);
    await write(fh, 8, "added");
    await state.backlog.sync();
    await crash();
    await until(isIdle);
    expect(await storedAll()).toEqual(["stored, ", "stored, added"]);
  });

  it("what is closed while the move of its folder is noted is stored at the new place", async () => {
    const dir = await fs.mkdir(1, "d", 0o755, signal);
    const { open: opened } = await fs.create(dir.ino, "a", 0o644, O_WRONLY, signal);
    await write(opened.fh, 0, "content");
    server.faults.hang("upload", { times: 10 });
    const moving = state.backlog.moving.bind(state.backlog);
    vi.spyOn(state.backlog, "moving").mockImplementationOnce(async (move, work) => {
      const result = await moving(move, work);
      await close(opened.fh);
      return result;
    });
    await rename("d", "e");
    await crash();
    server.faults.clear();
    await until(isIdle);
    expect(names()).toEqual(["e"]);
    expect(await stored("/e/a")).toBe("content");
  });
});

describe("a file", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });

  it("that is closed while the version before it has just been stored is stored, too", async () => {
    server.faults.delay("upload", 300);
    await save("a", "first");
    await until(() => server.requests.count("upload") === 1);
    const fh = await open("/a", O_WRONLY);
    await write(fh, 0, "FIR");
    const dirty = ((await lookup("/a")) as FileInode).dirty!;
    const detach = dirty.detach.bind(dirty);
    const closing = vi.spyOn(dirty, "detach").mockImplementationOnce(async () => {
      await close(fh);
      await detach();
    });
    await until(isIdle);
    expect(closing).toHaveBeenCalled();
    expect(await stored("/a")).toBe("FIRst");
  });
});

describe("a version that has been stored while the next one is being sealed", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });

  it("is let go of once, and whoever else needs its content still has it", async () => {
    server.faults.delay("upload", 200);
    await save("a", "first");
    const inode = (await lookup("/a")) as FileInode;
    const first = inode.sealed!;
    first.retain();
    const fh = await open("/a", O_WRONLY);
    await write(fh, 0, "FIR");
    const seal = state.backlog.seal.bind(state.backlog);
    vi.spyOn(state.backlog, "seal").mockImplementationOnce(async (...args) => {
      await until(() => inode.sealed === undefined);
      return seal(...args);
    });
    await close(fh);
    await until(isIdle);
    expect(await stored("/a")).toBe("FIRst");
    expect(Buffer.concat(await first.read(0, 9)).toString()).toBe("first");
    await first.release();
  });
});

describe("a version whose upload is under way while others are closed", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 60_000 });

  it("is replaced after a crash by the one that was being closed when it began, and not taken for somebody else's", async () => {
    await save("a", "first");
    server.faults.hang("upload", { times: 10 });
    const fh = await open("/a", O_WRONLY | O_TRUNC);
    await write(fh, 0, "second");
    const seal = state.backlog.seal.bind(state.backlog);
    vi.spyOn(state.backlog, "seal").mockImplementationOnce(async (...sealed) => {
      assembled.outbox.retry(undefined);
      await until(() => server.requests.count("upload") === 1);
      await seal(...sealed);
    });
    await close(fh);
    await server.store.writeFile(id, "/a", Buffer.from("first"));
    await crash();
    server.faults.clear();
    await until(isIdle);
    expect(names()).toEqual(["a"]);
    expect(await stored("/a")).toBe("second");
  });

  it("is replaced after a crash by the one after next, too", async () => {
    await save("a", "first");
    server.faults.hang("upload", { times: 10 });
    assembled.outbox.retry(undefined);
    await until(() => server.requests.count("upload") === 1);
    await overwrite("a", "second");
    await overwrite("a", "third");
    await server.store.writeFile(id, "/a", Buffer.from("first"));
    await crash();
    server.faults.clear();
    await until(isIdle);
    expect(names()).toEqual(["a"]);
    expect(await stored("/a")).toBe("third");
  });
});
