/** Files while they are open: exclusive creation, unlink and rename under an open handle, several handles, several writers. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { eventually, ok } from "../support/process.ts";
import { testScope } from "../support/scope.ts";
import { requires } from "../support/transport.ts";
import { fileOf, pattern, type Tree } from "../support/trees.ts";

const shared = useMount();

describe("creating", () => {
  it("O_CREAT|O_EXCL creates a missing file and answers EEXIST for an existing one", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const file = join(folder.dir, "lock");
    await worker.close(await worker.open(file, "O_WRONLY|O_CREAT|O_EXCL"));
    expect(await outcome(worker.open(file, "O_WRONLY|O_CREAT|O_EXCL"))).toBe("EEXIST");
    expect(await folder.tree()).toEqual({ lock: fileOf("") });
  });

  it("of two processes that create the same file exclusively, one succeeds", async () => {
    const folder = await shared.folder();
    const scope = testScope();
    const workers = Array.from({ length: 4 }, () => new FsWorker(scope));
    const file = join(folder.dir, "lock");
    const results = await Promise.all(workers.map((worker) => outcome(worker.open(file, "O_WRONLY|O_CREAT|O_EXCL"))));
    expect(results.sort()).toEqual(["EEXIST", "EEXIST", "EEXIST", "ok"]);
  });

  it("a created file is seen by others before it is closed", async () => {
    const folder = await shared.folder();
    const fd = await shared.worker.open(join(folder.dir, "new"), "O_WRONLY|O_CREAT");
    await shared.worker.pwrite(fd, "12345", 0);
    expect(await ok("stat", ["-c", "%s %n", "new"], { cwd: folder.dir })).toBe("5 new\n");
    expect(await ok("cat", ["new"], { cwd: folder.dir })).toBe("12345");
    await shared.worker.close(fd);
    expect(await folder.text("new")).toBe("12345");
  });

  it("mknod creates an empty regular file", async () => {
    const folder = await shared.folder();
    await shared.worker.call("mknod", join(folder.dir, "node"));
    expect(await folder.tree()).toEqual({ node: fileOf("") });
  });

  it("mknod says so when the server refuses the file", requires("mknodErrors"), async () => {
    const folder = await shared.folder();
    for (const kind of ["upload", "upload-link"]) shared.server.faults.fail(kind, 403, { times: 40 });
    expect(await outcome(shared.worker.call("mknod", join(folder.dir, "node")))).toBe("EACCES");
    shared.server.faults.clear();
  });

  it("an empty file is stored", async () => {
    const folder = await shared.folder();
    await ok("touch", [join(folder.dir, "empty")]);
    expect(await folder.tree()).toEqual({ empty: fileOf("") });
    expect(await ok("cat", [join(folder.dir, "empty")])).toBe("");
  });

  it("in a missing folder is ENOENT, below a file ENOTDIR", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "file"), "x");
    expect(await outcome(shared.worker.open(join(folder.dir, "none/f"), "O_WRONLY|O_CREAT"))).toBe("ENOENT");
    expect(await outcome(shared.worker.open(join(folder.dir, "file/f"), "O_WRONLY|O_CREAT"))).toBe("ENOTDIR");
  });

  it("opening a folder for writing is EISDIR", async () => {
    const folder = await shared.folder();
    expect(await outcome(shared.worker.open(folder.dir, "O_WRONLY"))).toBe("EISDIR");
  });
});

describe("unlinking an open file", () => {
  it("a new file stays readable and writable through its handle, and nothing of it reaches the server", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const file = join(folder.dir, "temp");
    const fd = await worker.open(file, "O_RDWR|O_CREAT");
    await worker.pwrite(fd, "first", 0);
    await worker.call("unlink", file);
    await worker.pwrite(fd, "second", 5);
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("firstsecond");
    expect((await worker.fstat(fd)).nlink).toBe(0);
    expect(await outcome(worker.stat(file))).toBe("ENOENT");
    await worker.call("fsync", fd);
    await worker.close(fd);
    expect(await folder.tree()).toEqual({});
    expect(await worker.listdir(folder.dir)).toEqual([]);
  });

  // SEMANTICS: "A file that is open can still be read after it was removed."
  it("a stored file that was never read stays readable through its handle", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const data = pattern(3_000_000, 3);
    await writeFile(join(folder.dir, "big"), data);
    await shared.remount();
    const fd = await worker.open(join(folder.dir, "big"), "O_RDONLY");
    await worker.call("unlink", join(folder.dir, "big"));
    await eventually("it is removed on the server", async () => Object.keys(await folder.tree()).length === 0);
    expect(fileOf(await worker.pread(fd, 100_000, 2_000_000))).toBe(fileOf(data.subarray(2_000_000, 2_100_000)));
    expect(fileOf(await worker.pread(fd, 100_000, 0))).toBe(fileOf(data.subarray(0, 100_000)));
    await worker.close(fd);
  });

  it("has reached the server when it returns", requires("unlinksOpenFilesAtOnce"), async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    await writeFile(join(folder.dir, "f"), "x");
    const fd = await worker.open(join(folder.dir, "f"), "O_RDONLY");
    await worker.call("unlink", join(folder.dir, "f"));
    expect(await folder.tree()).toEqual({});
    await worker.close(fd);
  });

  it("a file created under the same name is another file", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const file = join(folder.dir, "name");
    await worker.writeFile(file, "old");
    const fd = await worker.open(file, "O_RDWR");
    await worker.pwrite(fd, "OLD!", 0);
    await worker.call("unlink", file);
    await worker.writeFile(file, "new");
    expect((await worker.pread(fd, 10, 0)).toString()).toBe("OLD!");
    await worker.close(fd);
    expect(await folder.text("name")).toBe("new");
    expect((await worker.readFile(file)).toString()).toBe("new");
  });

  it("a shell can read a deleted file from the descriptor it kept", async () => {
    const folder = await shared.folder();
    const script = 'echo kept > "$1"; exec 3< "$1"; rm "$1"; cat <&3';
    expect(await ok("sh", ["-c", script, "sh", join(folder.dir, "f")])).toBe("kept\n");
    expect(await folder.tree()).toEqual({});
  });
});

describe("several handles", () => {
  it("what one handle writes, another reads at once", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const file = join(folder.dir, "both");
    await worker.writeFile(file, "0123456789");
    const writer = await worker.open(file, "O_WRONLY");
    const reader = await worker.open(file, "O_RDONLY");
    await worker.pwrite(writer, "XY", 4);
    expect((await worker.pread(reader, 10, 0)).toString()).toBe("0123XY6789");
    await worker.close(writer);
    expect((await worker.pread(reader, 10, 0)).toString()).toBe("0123XY6789");
    await worker.close(reader);
    expect(await folder.text("both")).toBe("0123XY6789");
  });

  it("a file that is closed and written again and again ends with the last content", async () => {
    const folder = await shared.folder();
    for (let i = 0; i < 20; i++) await shared.worker.writeFile(join(folder.dir, "counter"), String(i).repeat(i + 1));
    expect(await folder.tree()).toEqual({ counter: fileOf("19".repeat(20)) });
  });

  it("a handle that is written after fsync stores again at close", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const fd = await worker.open(join(folder.dir, "f"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "one", 0);
    await worker.call("fsync", fd);
    expect(await folder.text("f")).toBe("one");
    await worker.pwrite(fd, "two", 3);
    await worker.close(fd);
    expect(await folder.text("f")).toBe("onetwo");
  });

  it("parallel writers of different files all store theirs", async () => {
    const folder = await shared.folder();
    const scope = testScope();
    const workers = Array.from({ length: 6 }, () => new FsWorker(scope));
    const expected: Record<string, string> = {};
    await Promise.all(
      workers.map(async (worker, w) => {
        for (let i = 0; i < 10; i++) {
          const data = pattern(20_000 + i * 1000, w * 10 + i);
          expected[`w${w}-${i}`] = fileOf(data);
          await worker.writeFile(join(folder.dir, `w${w}-${i}`), data);
        }
      }),
    );
    const tree: Tree = await folder.tree();
    expect(tree).toEqual(expected);
  });
});
