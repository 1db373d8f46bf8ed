/** rename(2) and renameat2(2): what moves where, every refusal with its errno, and files that are open meanwhile. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Folder, useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { ok, run } from "../support/process.ts";
import { requires } from "../support/transport.ts";
import { fileOf, writeTree } from "../support/trees.ts";

const shared = useMount();
const NOREPLACE = 1;
const EXCHANGE = 2;
const WHITEOUT = 4;

async function folderWith(files: Record<string, string>, dirs: readonly string[] = []): Promise<Folder> {
  const folder = await shared.folder();
  await writeTree(folder.dir, files);
  for (const name of dirs) await mkdir(join(folder.dir, name), { recursive: true });
  return folder;
}

const rename = (folder: Folder, from: string, to: string) =>
  outcome(shared.worker.rename(join(folder.dir, from), join(folder.dir, to)));
const rename2 = (folder: Folder, from: string, to: string, flags: number) =>
  outcome(shared.worker.call("renameat2", join(folder.dir, from), join(folder.dir, to), flags));

describe("moving", () => {
  it("a file gets a new name in its folder", async () => {
    const folder = await folderWith({ a: "1" });
    expect(await rename(folder, "a", "b")).toBe("ok");
    expect(await folder.tree()).toEqual({ b: fileOf("1") });
    expect(await shared.worker.listdir(folder.dir)).toEqual(["b"]);
  });

  it("a file goes to another folder with the same name, and with a new one", async () => {
    const folder = await folderWith({ a: "1", b: "2" }, ["d"]);
    expect(await rename(folder, "a", "d/a")).toBe("ok");
    expect(await rename(folder, "b", "d/new")).toBe("ok");
    expect(await folder.tree()).toEqual({ "d/": "", "d/a": fileOf("1"), "d/new": fileOf("2") });
  });

  it("a folder with content gets a new name, and goes to another folder", async () => {
    const folder = await folderWith({ "d/x": "1", "d/e/y": "2" }, ["target"]);
    expect(await rename(folder, "d", "r")).toBe("ok");
    expect((await shared.worker.readFile(join(folder.dir, "r/e/y"))).toString()).toBe("2");
    expect(await rename(folder, "r", "target/moved")).toBe("ok");
    expect(await folder.tree()).toEqual({
      "target/": "",
      "target/moved/": "",
      "target/moved/e/": "",
      "target/moved/e/y": fileOf("2"),
      "target/moved/x": fileOf("1"),
    });
    expect((await shared.worker.readFile(join(folder.dir, "target/moved/x"))).toString()).toBe("1");
  });

  it("the inode number stays the same", async () => {
    const folder = await folderWith({ a: "1", "d/x": "2" }, ["t"]);
    const { worker } = shared;
    const before = [(await worker.stat(join(folder.dir, "a"))).ino, (await worker.stat(join(folder.dir, "d/x"))).ino];
    await rename(folder, "a", "t/b");
    await rename(folder, "d", "t/e");
    expect([
      (await worker.stat(join(folder.dir, "t/b"))).ino,
      (await worker.stat(join(folder.dir, "t/e/x"))).ino,
    ]).toEqual(before);
  });

  it("a name that only changes its case", async () => {
    const folder = await folderWith({ readme: "1" });
    expect(await rename(folder, "readme", "README")).toBe("ok");
    expect(await folder.tree()).toEqual({ README: fileOf("1") });
  });

  it("onto itself changes nothing", async () => {
    const folder = await folderWith({ a: "1" });
    expect(await rename(folder, "a", "a")).toBe("ok");
    expect(await folder.tree()).toEqual({ a: fileOf("1") });
  });

  // SEMANTICS: "A rename of a directory onto an existing one works if that one is empty and is answered ENOTEMPTY
  // otherwise."
  it("an empty folder is replaced by a folder", async () => {
    const folder = await folderWith({ "d/x": "1" }, ["empty"]);
    expect(await rename(folder, "d", "empty")).toBe("ok");
    expect(await folder.tree()).toEqual({ "empty/": "", "empty/x": fileOf("1") });
  });
});

describe("refusals", () => {
  it("a missing source is ENOENT", async () => {
    expect(await rename(await folderWith({}), "none", "b")).toBe("ENOENT");
  });

  it("a missing target folder is ENOENT", async () => {
    expect(await rename(await folderWith({ a: "1" }), "a", "none/a")).toBe("ENOENT");
  });

  // SEMANTICS: "A rename of a directory onto an existing one works if that one is empty and is answered ENOTEMPTY
  // otherwise."
  it("a folder over a folder with content is ENOTEMPTY", async () => {
    const folder = await folderWith({ "d/x": "1", "e/y": "2" });
    expect(await rename(folder, "d", "e")).toBe("ENOTEMPTY");
    expect(await folder.tree()).toEqual({ "d/": "", "d/x": fileOf("1"), "e/": "", "e/y": fileOf("2") });
  });

  it("a file over a folder is EISDIR, a folder over a file ENOTDIR", async () => {
    const folder = await folderWith({ a: "1" }, ["d"]);
    expect(await rename(folder, "a", "d")).toBe("EISDIR");
    expect(await rename(folder, "d", "a")).toBe("ENOTDIR");
    expect(await folder.tree()).toEqual({ a: fileOf("1"), "d/": "" });
  });

  it("a folder into itself is EINVAL", async () => {
    const folder = await folderWith({}, ["d/e"]);
    expect(await rename(folder, "d", "d/e/d")).toBe("EINVAL");
    expect(await folder.tree()).toEqual({ "d/": "", "d/e/": "" });
  });

  it("a folder over its own ancestor is ENOTEMPTY", async () => {
    expect(await rename(await folderWith({}, ["d/e"]), "d/e", "d")).toBe("ENOTEMPTY");
  });

  // SEMANTICS: "RENAME_NOREPLACE is answered EEXIST when the target exists; RENAME_EXCHANGE is answered EINVAL."
  it(
    "RENAME_NOREPLACE over an existing name is EEXIST, over a missing one it moves",
    requires("renameNoReplace"),
    async () => {
      const folder = await folderWith({ a: "1", b: "2" });
      expect(await rename2(folder, "a", "b", NOREPLACE)).toBe("EEXIST");
      expect(await rename2(folder, "a", "c", NOREPLACE)).toBe("ok");
      expect(await folder.tree()).toEqual({ b: fileOf("2"), c: fileOf("1") });
    },
  );

  // SEMANTICS: "RENAME_NOREPLACE is answered EEXIST when the target exists; RENAME_EXCHANGE is answered EINVAL."
  it("RENAME_EXCHANGE and RENAME_WHITEOUT are EINVAL", async () => {
    const folder = await folderWith({ a: "1", b: "2" });
    expect(await rename2(folder, "a", "b", EXCHANGE)).toBe("EINVAL");
    expect(await rename2(folder, "a", "c", WHITEOUT)).toBe("EINVAL");
    expect(await folder.tree()).toEqual({ a: fileOf("1"), b: fileOf("2") });
  });

  it("mv -n keeps the existing file", async () => {
    const folder = await folderWith({ a: "1", b: "2" });
    await run("mv", ["-n", join(folder.dir, "a"), join(folder.dir, "b")]);
    expect(await folder.tree()).toEqual({ a: fileOf("1"), b: fileOf("2") });
  });
});

describe("with open files", () => {
  it("a new file that was not stored yet goes to its new name", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const fd = await worker.open(join(folder.dir, "draft"), "O_RDWR|O_CREAT");
    await worker.pwrite(fd, "before ", 0);
    expect(await rename(folder, "draft", "final")).toBe("ok");
    await worker.pwrite(fd, "after", 7);
    await worker.close(fd);
    expect(await folder.tree()).toEqual({ final: fileOf("before after") });
  });

  it("a changed file in a renamed folder is stored at its new path", async () => {
    const folder = await folderWith({ "d/e/f": "old" });
    const { worker } = shared;
    const fd = await worker.open(join(folder.dir, "d/e/f"), "O_RDWR");
    await worker.pwrite(fd, "NEW", 0);
    expect(await rename(folder, "d", "r")).toBe("ok");
    await worker.pwrite(fd, "!", 3);
    await worker.close(fd);
    expect(await folder.tree()).toEqual({ "r/": "", "r/e/": "", "r/e/f": fileOf("NEW!") });
  });

  it("a new file in a renamed folder is stored at its new path", async () => {
    const folder = await folderWith({}, ["d"]);
    const { worker } = shared;
    const fd = await worker.open(join(folder.dir, "d/new"), "O_RDWR|O_CREAT");
    await worker.pwrite(fd, "content", 0);
    expect(await rename(folder, "d", "r")).toBe("ok");
    await worker.close(fd);
    expect(await folder.tree()).toEqual({ "r/": "", "r/new": fileOf("content") });
  });

  it("a changed file that is renamed over another replaces it", async () => {
    const folder = await folderWith({ a: "aaa", b: "bbb" });
    const { worker } = shared;
    const fd = await worker.open(join(folder.dir, "a"), "O_RDWR");
    await worker.pwrite(fd, "A", 0);
    expect(await rename(folder, "a", "b")).toBe("ok");
    await worker.close(fd);
    expect(await folder.tree()).toEqual({ b: fileOf("Aaa") });
  });

  it("the replaced file stays readable through its open handle", async () => {
    const folder = await folderWith({ a: "new content", b: "old content" });
    const { worker } = shared;
    const fd = await worker.open(join(folder.dir, "b"), "O_RDONLY");
    expect(await rename(folder, "a", "b")).toBe("ok");
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("old content");
    await worker.close(fd);
    expect((await worker.readFile(join(folder.dir, "b"))).toString()).toBe("new content");
  });

  it("reading a file that was open before its folder was renamed", async () => {
    const folder = await folderWith({});
    await shared.server.store.writeFile(shared.libraryId, `${folder.path}/d/f`, "remote content", { mkdirs: true });
    await shared.remount();
    const { worker } = shared;
    const fd = await worker.open(join(folder.dir, "d/f"), "O_RDONLY");
    expect(await rename(folder, "d", "r")).toBe("ok");
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("remote content");
    await worker.close(fd);
  });

  it("a just-written file is read whole after its folder was renamed, six times of six", async () => {
    for (let i = 0; i < 6; i++) {
      const folder = await folderWith({}, ["d"]);
      await writeFile(join(folder.dir, "d/f"), `written ${i}`);
      expect(await rename(folder, "d", "r")).toBe("ok");
      expect(await ok("cat", [join(folder.dir, "r/f")])).toBe(`written ${i}`);
      expect((await shared.worker.stat(join(folder.dir, "r/f"))).size).toBe(`written ${i}`.length);
    }
  });
});
