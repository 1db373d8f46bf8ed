/** The filesystem when somebody else changes the server at the same time, or an answer of the server is lost. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  cat,
  close,
  create,
  fs,
  id,
  interruptedStore,
  library,
  lookup,
  names,
  O_RDWR,
  O_WRONLY,
  open,
  rename,
  restart,
  save,
  server,
  signal,
  stale,
  stored,
  storedAll,
  useFileSystem,
  write,
} from "./filesystem-harness.ts";

useFileSystem();

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
    await restart(60_000);
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
    const { fh } = (await fs.create(dir.ino, "a", 0o644, O_RDWR, signal)).open;
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
    await restart(300);
    await server.store.writeFile(id, "/a", "first");
    const { ino } = await lookup("/a");
    await server.store.writeFile(id, "/a", "second");
    await fs.setattr(ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal).catch(() => {});
    await sleep(310);
    expect(await cat("/a")).toBe("second");
  });

  it("a write without truncation into a version that is gone leaves the file readable", async () => {
    await restart(300);
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
    await restart(60_000);
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

  it("a file that somebody made a moment ago is opened by O_CREAT, and refused with O_EXCL", async () => {
    await expect(lookup("/a")).rejects.toMatchObject({ code: "ENOENT" });
    await server.store.writeFile(id, "/a", "theirs");
    await stale();
    await expect(fs.create(1, "a", 0o644, O_RDWR | 0o200, signal)).rejects.toMatchObject({ code: "EEXIST" });
    const { open: opened } = await fs.create(1, "a", 0o644, O_RDWR, signal);
    await write(opened.fh, 6, "+");
    await close(opened.fh);
    expect(await stored("/a")).toBe("theirs+");
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
