/** The filesystem over the real client and the development server: what each operation leaves on the server. */

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  create,
  drain,
  fs,
  id,
  lookup,
  names,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  OWNER,
  read,
  restart,
  save,
  server,
  signal,
  spoolFiles,
  stale,
  stored,
  until,
  useFileSystem,
} from "./filesystem-harness.ts";

useFileSystem();

describe("the filesystem", () => {
  it("shows a file that was stored while an older listing was under way", async () => {
    await lookup("/none").catch(() => {});
    await stale();
    server.faults.delay("dir", 150);
    const listing = lookup("/none").catch(() => undefined);
    await save("new.txt", "content");
    await listing;
    expect((await lookup("/new.txt")).kind).toBe("file");
  });

  it("an open file keeps its version and its number when the server gets another one; the name leads to the new one", async () => {
    await server.store.writeFile(id, "/a.txt", "first");
    const first = await lookup("/a.txt");
    const { fh } = await fs.open(first.ino, O_RDONLY, signal);
    await server.store.writeFile(id, "/a.txt", "the second version");
    await stale();
    const second = await lookup("/a.txt");
    expect(second.ino).not.toBe(first.ino);
    expect(await read(fh)).toBe("first");
    const again = await fs.open(second.ino, O_RDONLY, signal);
    expect(await read(again.fh)).toBe("the second version");
    await fs.release(fh);
    await fs.release(again.fh);
  });

  it("a closed file that changed on the server gets a new number, so that no page or size of the old one is used", async () => {
    await server.store.writeFile(id, "/a.txt", "first");
    const first = await lookup("/a.txt");
    fs.remember(first);
    await server.store.writeFile(id, "/a.txt", "second");
    await stale();
    const second = await lookup("/a.txt");
    expect(second.ino).not.toBe(first.ino);
    await expect(fs.open(first.ino, O_RDWR, signal)).rejects.toMatchObject({ code: "ESTALE" });
    await expect(fs.setattr(first.ino, { size: 1 }, signal)).rejects.toMatchObject({ code: "ESTALE" });
    fs.forget(first.ino, 1);
    expect(() => fs.inode(first.ino)).toThrow("not known");
  });

  it("opening a file whose listing is outdated answers ESTALE, and the next lookup knows better", async () => {
    await server.store.writeFile(id, "/a.txt", "first");
    const inode = await lookup("/a.txt");
    await server.store.writeFile(id, "/a.txt", "second!");
    await expect(fs.open(inode.ino, O_RDONLY, signal)).rejects.toMatchObject({ code: "ESTALE" });
    const { fh } = await fs.open((await lookup("/a.txt")).ino, O_RDONLY, signal);
    expect(await read(fh)).toBe("second!");
    await fs.release(fh);
  });

  it("a file changed by somebody else while it was written here stays in both versions", async () => {
    await server.store.writeFile(id, "/a.txt", "base");
    const { fh } = await fs.open((await lookup("/a.txt")).ino, O_RDWR, signal);
    await fs.write(fh, 4, Buffer.from(" ours"), signal);
    await server.store.writeFile(id, "/a.txt", "theirs");
    await fs.store(fh, signal);
    await fs.release(fh);
    const copy = names().find((name) => name.includes("SFConflict"))!;
    expect([await stored("/a.txt"), await stored(`/${copy}`)]).toEqual(["theirs", "base ours"]);
    await stale();
    const shown = await fs.lines(await fs.opendir(1, signal), false, signal);
    expect(shown.shown.map((line) => line.name).sort()).toEqual([copy, "a.txt"].sort());
  });

  it("a file removed by somebody else while it was written here is stored again", async () => {
    await server.store.writeFile(id, "/a.txt", "base");
    const { fh } = await fs.open((await lookup("/a.txt")).ino, O_RDWR, signal);
    await fs.write(fh, 0, Buffer.from("ours"), signal);
    await server.store.remove(id, "/a.txt");
    await stale();
    expect((await lookup("/a.txt")).kind).toBe("file");
    await fs.store(fh, signal);
    await fs.release(fh);
    expect(await stored("/a.txt")).toBe("ours");
  });

  it("an upload whose answer got lost is not stored twice", async () => {
    const { fh } = await create("a.txt", "content");
    server.faults.hang("upload");
    const gaveUp = new AbortController();
    const first = fs.store(fh, gaveUp.signal);
    await sleep(100);
    gaveUp.abort();
    await expect(first).rejects.toThrow();
    // What the server may have done without being able to say so:
    await server.store.writeFile(id, "/a.txt", "content");
    await fs.store(fh, signal);
    await fs.release(fh);
    expect(names()).toEqual(["a.txt"]);
  });

  it("a file removed while it uploads is gone on the server, and its close succeeds", async () => {
    const { fh } = await create("a.txt", "x".repeat(1000));
    server.faults.delay("upload", 300);
    const closing = fs.store(fh, signal);
    await sleep(50);
    await fs.unlink(1, "a.txt", signal);
    await closing;
    await fs.release(fh);
    await sleep(400);
    await until(() => names().length === 0);
    expect(await spoolFiles()).toEqual([]);
  });

  it("a folder is moved only when the uploads below it are done", async () => {
    await server.store.mkdir(id, "/dir");
    const dir = await lookup("/dir");
    const { open } = await fs.create(dir.ino, "a.txt", 0o644, O_RDWR, signal);
    await fs.write(open.fh, 0, Buffer.from("content"), signal);
    server.faults.delay("upload", 200);
    const closing = fs.store(open.fh, signal);
    await sleep(50);
    await fs.rename({ parent: 1, name: "dir" }, { parent: 1, name: "moved" }, false, signal);
    await closing;
    await fs.release(open.fh);
    expect(names()).toEqual(["moved"]);
    expect(await stored("/moved/a.txt")).toBe("content");
  });

  it("an open dirty file follows the rename of its folder", async () => {
    await server.store.mkdir(id, "/dir");
    const dir = await lookup("/dir");
    const { open } = await fs.create(dir.ino, "a.txt", 0o644, O_RDWR, signal);
    await fs.write(open.fh, 0, Buffer.from("content"), signal);
    await fs.rename({ parent: 1, name: "dir" }, { parent: 1, name: "moved" }, false, signal);
    await fs.store(open.fh, signal);
    await fs.release(open.fh);
    expect(names()).toEqual(["moved"]);
    expect(await stored("/moved/a.txt")).toBe("content");
  });

  it("in no commit of a rename onto an existing file is the target missing", async () => {
    await save("doc.txt", "old");
    await save("doc.txt.tmp", "new");
    await fs.rename({ parent: 1, name: "doc.txt.tmp" }, { parent: 1, name: "doc.txt" }, false, signal);
    expect(names()).toEqual(["doc.txt"]);
    expect(await stored("/doc.txt")).toBe("new");
    expect(server.requests.list().map((request) => request.kind)).not.toContain("rename");
  });

  it("a rename onto an existing file whose second half fails leaves both files and says so", async () => {
    await save("doc.txt", "old");
    await save("doc.txt.tmp", "new");
    server.faults.fail("delete-file", 403, { body: '{"error_msg":"Permission denied."}' });
    const rename = fs.rename({ parent: 1, name: "doc.txt.tmp" }, { parent: 1, name: "doc.txt" }, false, signal);
    await expect(rename).rejects.toMatchObject({ kind: "forbidden" });
    expect([await stored("/doc.txt"), await stored("/doc.txt.tmp")]).toEqual(["new", "new"]);
    for (const name of ["doc.txt", "doc.txt.tmp"]) {
      const { fh } = await fs.open((await lookup(`/${name}`)).ino, O_RDONLY, signal);
      expect(await read(fh)).toBe("new");
      await fs.release(fh);
    }
  });

  // SEMANTICS: "A file that waits is renamed without a request, also onto a stored file, whose next version it becomes."
  it("a new file renamed onto a stored one before its first close is one upload of the target", async () => {
    await restart(60_000);
    await save("doc.txt", "old");
    const { fh } = await create("tmp", "new");
    server.requests.reset();
    await fs.rename({ parent: 1, name: "tmp" }, { parent: 1, name: "doc.txt" }, false, signal);
    // A listing may have become too old meanwhile.
    expect(server.requests.list().filter(({ kind }) => kind !== "dir")).toEqual([]);
    await fs.store(fh, signal);
    await fs.release(fh);
    expect(names()).toEqual(["doc.txt"]);
    expect(await stored("/doc.txt")).toBe("new");
    expect(server.requests.count("upload")).toBe(1);
  });

  it("a file that the quota kept out stays readable and is stored when there is room again", async () => {
    server.store.setQuota(OWNER, 10);
    const { inode, fh } = await create("a.txt", "more than ten bytes");
    await expect(fs.store(fh, signal)).rejects.toMatchObject({ kind: "quota" });
    await fs.release(fh);
    const again = await fs.open(inode.ino, O_RDONLY, signal);
    expect(await read(again.fh)).toBe("more than ten bytes");
    await fs.release(again.fh);
    server.store.setQuota(OWNER, null);
    await until(() => names().includes("a.txt"));
    expect(await stored("/a.txt")).toBe("more than ten bytes");
  });

  it("what cannot be stored at the end is left in the journal", async () => {
    const { fh } = await create("a.txt", "precious");
    server.faults.fail("upload", 403, { times: Number.POSITIVE_INFINITY, body: '{"error": "Permission denied."}' });
    await expect(fs.store(fh, signal)).rejects.toThrow();
    await fs.release(fh);
    expect(await drain()).toMatchObject([{ op: "put", path: "/a.txt" }]);
  });

  it("a file written again right after its close has the second content only", async () => {
    for (let round = 0; round < 10; round++) {
      const { inode, fh } = await create(`${round}.txt`, "a long first content");
      await fs.store(fh, signal);
      const released = fs.release(fh);
      const again = await fs.open(inode.ino, O_RDWR | O_TRUNC, signal);
      await fs.write(again.fh, 0, Buffer.from("short"), signal);
      await released;
      await fs.store(again.fh, signal);
      await fs.release(again.fh);
      expect(await stored(`/${round}.txt`)).toBe("short");
    }
  });

  it("a file truncated, and one touched, by path right after its close is stored so", async () => {
    for (let round = 0; round < 10; round++) {
      const { inode, fh } = await create(`${round}.txt`, "a long first content");
      await fs.store(fh, signal);
      const released = fs.release(fh);
      if (round % 2 === 0) await fs.setattr(inode.ino, { size: 6 }, signal);
      await fs.setattr(inode.ino, { mtime: { sec: 1_000_000_000 + round, nsec: 5 } }, signal);
      await released;
      expect(await stored(`/${round}.txt`)).toBe(round % 2 === 0 ? "a long" : "a long first content");
      const entry = server.store.list(id, "/").find(({ name }) => name === `${round}.txt`);
      expect(entry?.mtime).toBe(1_000_000_000 + round);
    }
  });

  it("a name in decomposed Unicode finds the composed file, and is stored composed", async () => {
    await save("e\u0301.txt", "x");
    expect(names()).toEqual(["\u00e9.txt"]);
    expect((await lookup("/e\u0301.txt")).ino).toBe((await lookup("/\u00e9.txt")).ino);
  });

  it("rmdir asks the server first, so that what somebody else put there a moment ago is not lost", async () => {
    await server.store.mkdir(id, "/dir");
    await fs.opendir((await lookup("/dir")).ino, signal);
    await server.store.writeFile(id, "/dir/new.txt", "theirs");
    await expect(fs.rmdir(1, "dir", signal)).rejects.toMatchObject({ code: "ENOTEMPTY" });
    expect(await stored("/dir/new.txt")).toBe("theirs");
  });

  it("the server's dead folder names vanish here, and files held open below them do not", async () => {
    await server.store.mkdir(id, "/dir");
    await server.store.writeFile(id, "/dir/a.txt", "theirs");
    const inode = await lookup("/dir/a.txt");
    const { fh } = await fs.open(inode.ino, O_RDONLY, signal);
    await server.store.remove(id, "/dir");
    await stale();
    await expect(lookup("/dir")).rejects.toMatchObject({ code: "ENOENT" });
    expect(await read(fh)).toBe("theirs");
    await fs.release(fh);
  });
});
