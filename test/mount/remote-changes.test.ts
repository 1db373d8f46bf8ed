/** What others change on the server: seen within the refresh time, never mixed into an open file, never lost by our writes. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { MountStatus } from "../../src/control/protocol.ts";
import { useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { seamount } from "../support/mounts.ts";
import { eventually, ok } from "../support/process.ts";
import { requires } from "../support/transport.ts";
import { fileOf, pattern } from "../support/trees.ts";

const shared = useMount({ mount: { args: ["--refresh", "0.3"] } });
const remote = () => shared.server.store;
const put = (path: string, data: string | Buffer) =>
  remote().writeFile(shared.libraryId, path, Buffer.from(data), { mkdirs: true });

describe("a remote change is seen", () => {
  it("a new file, changed content with its size, a removed file", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    expect(await outcome(shared.worker.stat(file))).toBe("ENOENT");
    await put(`${folder.path}/f`, "one");
    await eventually("the new file is seen", async () => (await outcome(shared.worker.stat(file))) === "ok");
    expect(await ok("cat", [file])).toBe("one");
    await put(`${folder.path}/f`, "two, longer");
    await eventually(
      "the change is seen",
      async () => (await shared.worker.readFile(file)).toString() === "two, longer",
    );
    expect((await shared.worker.stat(file)).size).toBe(11);
    await remote().remove(shared.libraryId, `${folder.path}/f`);
    await eventually("the removal is seen", async () => (await outcome(shared.worker.stat(file))) === "ENOENT");
    expect(await shared.worker.listdir(folder.dir)).toEqual([]);
  });

  it("changed content of the same size", async () => {
    const folder = await shared.folder();
    await put(`${folder.path}/f`, "aaaa");
    await eventually("it is seen", async () => (await shared.worker.listdir(folder.dir)).length === 1);
    expect(await ok("cat", [join(folder.dir, "f")])).toBe("aaaa");
    await put(`${folder.path}/f`, "bbbb");
    await eventually("the change is seen", async () => (await ok("cat", [join(folder.dir, "f")])) === "bbbb");
  });

  it("a renamed folder: the old name is gone, the content is under the new one", async () => {
    const folder = await shared.folder();
    await put(`${folder.path}/d/e/f`, "deep");
    await eventually("it is seen", async () => (await shared.worker.listdir(folder.dir)).includes("d"));
    expect(await ok("cat", [join(folder.dir, "d/e/f")])).toBe("deep");
    await remote().move(shared.libraryId, `${folder.path}/d`, `${folder.path}/r`);
    await eventually("the new name is seen", async () => (await shared.worker.listdir(folder.dir)).join() === "r");
    expect(await ok("cat", [join(folder.dir, "r/e/f")])).toBe("deep");
    const gone = async () => (await outcome(shared.worker.stat(join(folder.dir, "d/e/f")))) === "ENOENT";
    await eventually("the old path is gone", gone);
  });

  it("a file that became a folder, and a folder that became a file", async () => {
    const folder = await shared.folder();
    await put(`${folder.path}/x`, "file");
    await put(`${folder.path}/y/in`, "in a folder");
    await eventually("both are seen", async () => (await shared.worker.listdir(folder.dir)).length === 2);
    await shared.worker.stat(join(folder.dir, "y/in"));
    await remote().remove(shared.libraryId, `${folder.path}/x`);
    await remote().remove(shared.libraryId, `${folder.path}/y`);
    await put(`${folder.path}/x/in`, "now a folder");
    await put(`${folder.path}/y`, "now a file");
    const kind = async (name: string) => (await shared.worker.stat(join(folder.dir, name))).kind;
    await eventually("both are seen", async () => {
      const kinds = await Promise.all([kind("x"), kind("y")]).catch(() => []);
      return kinds.join() === "dir,file";
    });
    expect(await ok("cat", [join(folder.dir, "x/in")])).toBe("now a folder");
    expect(await ok("cat", [join(folder.dir, "y")])).toBe("now a file");
  });

  it("a folder that was renamed here and then there: the name in between is gone at once", async () => {
    const folder = await shared.folder();
    const at = (name: string) => join(folder.dir, name);
    await shared.worker.call("mkdir", at("first"));
    await shared.worker.writeFile(at("first/in"), "in a folder");
    await shared.worker.rename(at("first"), at("second"));
    await remote().move(shared.libraryId, `${folder.path}/second`, `${folder.path}/third`);
    await eventually("it is gone", async () => (await outcome(shared.worker.stat(at("second")))) === "ENOENT");
    expect(await outcome(shared.worker.open(at("second"), "O_RDONLY"))).toBe("ENOENT");
    expect((await shared.worker.readFile(at("third/in"))).toString()).toBe("in a folder");
  });

  it("the name of a removed folder is free for a file at once", async () => {
    const folder = await shared.folder();
    const name = join(folder.dir, "x");
    await shared.worker.call("mkdir", name);
    await shared.worker.writeFile(join(name, "in"), "in a folder");
    await remote().remove(shared.libraryId, `${folder.path}/x`);
    await eventually("it is gone", async () => (await outcome(shared.worker.stat(name))) === "ENOENT");
    await shared.worker.writeFile(name, "now a file");
    expect(await folder.tree()).toEqual({ x: fileOf("now a file") });
  });
});

describe("an open file keeps its version", () => {
  it("a reader that began before the change reads the old content to its end", requires("versionPerOpen"), async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const [old, changed] = [pattern(2_000_000, 21), pattern(1_500_000, 22)];
    await put(`${folder.path}/f`, old);
    await eventually("it is seen", async () => (await worker.listdir(folder.dir)).length === 1);
    const fd = await worker.open(join(folder.dir, "f"), "O_RDONLY");
    expect(fileOf(await worker.pread(fd, 1000, 0))).toBe(fileOf(old.subarray(0, 1000)));
    await put(`${folder.path}/f`, changed);
    await eventually("the new size is seen", async () => (await worker.stat(join(folder.dir, "f"))).size === 1_500_000);
    expect(fileOf(await worker.readFile(join(folder.dir, "f")))).toBe(fileOf(changed));
    expect(fileOf(await worker.pread(fd, 100_000, 1_000_000))).toBe(fileOf(old.subarray(1_000_000, 1_100_000)));
    expect(fileOf(await worker.pread(fd, 1000, 0))).toBe(fileOf(old.subarray(0, 1000)));
    await worker.close(fd);
  });

  it("a reader of a file that was removed remotely reads on", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const old = pattern(2_000_000, 23);
    await put(`${folder.path}/f`, old);
    await eventually("it is seen", async () => (await worker.listdir(folder.dir)).length === 1);
    const fd = await worker.open(join(folder.dir, "f"), "O_RDONLY");
    expect(fileOf(await worker.pread(fd, 1000, 0))).toBe(fileOf(old.subarray(0, 1000)));
    await remote().remove(shared.libraryId, `${folder.path}/f`);
    await eventually("it is gone", async () => (await worker.listdir(folder.dir)).length === 0);
    expect(fileOf(await worker.pread(fd, 1000, 1_900_000))).toBe(fileOf(old.subarray(1_900_000, 1_901_000)));
    await worker.close(fd);
  });
});

describe("both sides change the same file", () => {
  // SEMANTICS: "When somebody else changed the file meanwhile both versions stay, ours as `NAME (SFConflict USER
  // DATE).EXT`."
  // SEMANTICS: "The log and `seamount status` say so."
  it("both versions are kept: theirs at the name, ours as an SFConflict copy", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    await put(`${folder.path}/doc.txt`, "base");
    await eventually("it is seen", async () => (await worker.listdir(folder.dir)).length === 1);
    const fd = await worker.open(join(folder.dir, "doc.txt"), "O_RDWR");
    await worker.pwrite(fd, "OURS", 0);
    await put(`${folder.path}/doc.txt`, "theirs");
    await worker.close(fd);
    const tree = await folder.tree();
    const names = Object.keys(tree);
    expect(tree["doc.txt"]).toBe(fileOf("theirs"));
    const copy = names.find((name) => name !== "doc.txt");
    expect(copy).toMatch(/^doc \(SFConflict test@example\.com \d{4}(-\d\d){5}\)\.txt$/);
    expect(tree[copy!]).toBe(fileOf("OURS"));
    expect(names).toHaveLength(2);
    await eventually("both are shown", async () => (await worker.listdir(folder.dir)).length === 2);
    expect((await worker.readFile(join(folder.dir, "doc.txt"))).toString()).toBe("theirs");
    const said = `both versions are kept, yours as "${copy}"`;
    expect(shared.mount.log().replaceAll('\\"', '"')).toContain(said);
    const { stdout } = await seamount(["status", "--json"], { server: shared.server, home: shared.mount.home });
    expect((JSON.parse(stdout) as MountStatus[])[0]!.errors.map(({ message }) => message)).toContainEqual(
      expect.stringContaining(said),
    );
  });

  it("a new file whose name was taken meanwhile does not replace the other one", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const fd = await worker.open(join(folder.dir, "new.txt"), "O_WRONLY|O_CREAT|O_EXCL");
    await worker.pwrite(fd, "ours", 0);
    await put(`${folder.path}/new.txt`, "theirs");
    await worker.close(fd);
    const contents = Object.values(await folder.tree());
    expect(contents.sort()).toEqual([fileOf("ours"), fileOf("theirs")].sort());
  });

  it("a file that was removed remotely while it was changed here is stored again", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    await put(`${folder.path}/f`, "base");
    await eventually("it is seen", async () => (await worker.listdir(folder.dir)).length === 1);
    const fd = await worker.open(join(folder.dir, "f"), "O_RDWR");
    await worker.pwrite(fd, "OURS", 0);
    await remote().remove(shared.libraryId, `${folder.path}/f`);
    await worker.close(fd);
    expect(Object.values(await folder.tree())).toEqual([fileOf("OURS")]);
  });

  it("changes of different files of one folder are both there", async () => {
    const folder = await shared.folder();
    await put(`${folder.path}/theirs`, "1");
    await shared.worker.writeFile(join(folder.dir, "ours"), "2");
    expect(await folder.tree()).toEqual({ ours: fileOf("2"), theirs: fileOf("1") });
    await eventually("both are shown", async () => (await shared.worker.listdir(folder.dir)).join() === "ours,theirs");
  });
});
