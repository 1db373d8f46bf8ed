/**
 * docs/SEMANTICS.md, "What is different with fuse-native": the lesser behaviour behind each capability that the libfuse transport
 * has not. Runs in the project mount-fuse-native only; what a capability promises is tested in the other files.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { eventually, ok } from "../support/process.ts";
import { fileOf } from "../support/trees.ts";

const shared = useMount({ mount: { args: ["--refresh", "0.2", "--timeout", "5"] } });

const ns = (seconds: number, nanoseconds = 0) => String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
/** Longer than the kernel may remember a name. */
const untilForgotten = () => sleep(1100);

async function fileIn(content: string) {
  const folder = await shared.folder();
  const file = join(folder.dir, "f");
  await shared.worker.writeFile(file, content);
  return { folder, file };
}

describe("times", () => {
  // SEMANTICS: "Times are kept to the millisecond, and a time before 1970 is shown as the beginning of 1970."
  it("are cut to milliseconds, access and modification time apart, and never in the far future", async () => {
    const { file } = await fileIn("x");
    const { worker } = shared;
    await worker.call("utime", file, ns(915_148_800, 987_654_321), ns(1_000_000_000, 123_456_789));
    expect((await worker.stat(file)).mtimeNs).toBe(ns(1_000_000_000, 123_000_000));
    expect(await ok("stat", ["-c", "%X", file])).toBe("915148800\n");
    await worker.call("utime", file, ns(-86_400), ns(-86_400));
    expect((await worker.stat(file)).mtimeNs).toBe("0");
  });

  // SEMANTICS: "Setting only one of the two times succeeds and changes nothing, as `tar x` does."
  it.each(["-m", "-a"])("touch %s changes neither", async (which) => {
    const { file } = await fileIn("x");
    await shared.worker.call("utime", file, ns(1_000_000_000), ns(1_000_000_000));
    await ok("touch", [which, "-d", "@1500000000", file]);
    expect(await ok("stat", ["-c", "%X %Y", file])).toBe("1000000000 1000000000\n");
  });
});

describe("a file that is open", () => {
  // SEMANTICS: "A file that somebody else changed or removed is answered ESTALE when it is opened again while the old
  // version is open here."
  it("and was changed by somebody else shows its old version until it is closed", async () => {
    const { folder, file } = await fileIn("old");
    const { worker, server, libraryId } = shared;
    const fd = await worker.open(file, "O_RDONLY");
    await server.store.writeFile(libraryId, `${folder.path}/f`, "their longer content");
    await eventually("the change is noticed", async () => (await outcome(worker.readFile(file))) === "ESTALE");
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("old");
    expect((await worker.stat(file)).size).toBe(3);
    await worker.close(fd);
    expect((await worker.readFile(file)).toString()).toBe("their longer content");
    expect((await worker.stat(file)).size).toBe(20);
  });

  it("and was removed by somebody else is shown until it is closed, and can be made again then", async () => {
    const { folder, file } = await fileIn("old");
    const { worker, server, libraryId } = shared;
    const fd = await worker.open(file, "O_RDONLY");
    server.store.remove(libraryId, `${folder.path}/f`);
    await eventually("the removal is noticed", async () => (await outcome(worker.readFile(file))) === "ESTALE");
    expect((await worker.stat(file)).size).toBe(3);
    expect(await outcome(worker.open(file, "O_RDWR|O_CREAT"))).toBe("ESTALE");
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("old");
    await worker.close(fd);
    await worker.writeFile(file, "new");
    expect(await folder.tree()).toEqual({ f: fileOf("new") });
  });

  // SEMANTICS: "unlink(2) of an open file returns before the server is asked, a moment later."
  it("is gone here at once when it is removed, and soon on the server", async () => {
    const { folder, file } = await fileIn("content");
    const { worker } = shared;
    const fd = await worker.open(file, "O_RDONLY");
    await worker.call("unlink", file);
    expect(await worker.listdir(folder.dir)).toEqual([]);
    expect(await outcome(worker.stat(file))).toBe("ENOENT");
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("content");
    await eventually("it is removed", async () => Object.keys(await folder.tree()).length === 0);
    await worker.close(fd);
    expect(await folder.tree()).toEqual({});
  });

  // SEMANTICS: "When the server then refuses, the file is there again, and the log says so."
  it("is there again when the server does not remove it", async () => {
    const { folder, file } = await fileIn("content");
    const { worker, server } = shared;
    const fd = await worker.open(file, "O_RDONLY");
    for (const kind of ["delete-file", "batch-delete"]) server.faults.fail(kind, 403, { times: 20 });
    expect(await outcome(worker.call("unlink", file))).toBe("ok");
    await eventually("the log says so", () => shared.mount.log().includes("removed while it was open is still there"));
    server.faults.clear();
    await worker.close(fd);
    expect((await worker.readFile(file)).toString()).toBe("content");
    expect(await folder.tree()).toEqual({ f: fileOf("content") });
  });

  it("is replaced by one rename, of which the server sees nothing else, and no hidden name", async () => {
    const { folder, file } = await fileIn("old");
    const { worker, server } = shared;
    await worker.writeFile(join(folder.dir, "new"), "new");
    const fd = await worker.open(file, "O_RDONLY");
    server.requests.reset();
    await worker.rename(join(folder.dir, "new"), file);
    const seen = server.requests.list().map(({ method, url }) => `${method} ${url}`);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.filter((line) => line.includes("fuse_hidden"))).toEqual([]);
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("old");
    expect((await worker.readFile(file)).toString()).toBe("new");
    await worker.close(fd);
    expect(await folder.tree()).toEqual({ f: fileOf("new") });
  });

  // SEMANTICS: "A folder is not removed while a file that is or was in it is open: ENOTEMPTY."
  it("and removed keeps its folder until it is closed; rm -r works then", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const dir = join(folder.dir, "d");
    await worker.call("mkdir", dir);
    await worker.writeFile(join(dir, "f"), "content");
    const fd = await worker.open(join(dir, "f"), "O_RDONLY");
    await worker.call("unlink", join(dir, "f"));
    expect(await outcome(worker.call("rmdir", dir))).toBe("ENOTEMPTY");
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("content");
    await worker.close(fd);
    await ok("rm", ["-r", dir]);
    expect(await folder.tree()).toEqual({});
  });
});

describe("what never arrives", () => {
  // SEMANTICS: "RENAME_NOREPLACE is answered EINVAL, and fallocate EOPNOTSUPP."
  it("the flags of rename, and fallocate", async () => {
    const { folder, file } = await fileIn("x");
    const { worker } = shared;
    expect(await outcome(worker.call("renameat2", file, join(folder.dir, "g"), 1))).toBe("EINVAL");
    const fd = await worker.open(file, "O_RDWR");
    expect(await outcome(worker.call("fallocate", fd, 0, 0, 100))).toBe("ENOTSUP");
    await worker.close(fd);
    expect((await worker.stat(file)).size).toBe(1);
  });

  // SEMANTICS: "A signal does not end a request that waits for the server."
  it("the interrupt of a mkdir that waits", async () => {
    const folder = await shared.folder();
    const { server } = shared;
    server.requests.reset();
    server.faults.hang("*");
    const child = spawn("mkdir", [join(folder.dir, "new")], { stdio: "ignore" });
    const exited = once(child, "exit");
    await eventually("the server is asked", () => server.requests.list().length > 0);
    child.kill("SIGKILL");
    expect(await Promise.race([exited.then(() => "ended"), sleep(500, "waits")])).toBe("waits");
    server.faults.clear();
    await exited;
  });

  // SEMANTICS: "mknod(2) of a regular file succeeds although the server refuses it; it is stored later, as after a failed close."
  it("the failure to store what mknod makes", async () => {
    const folder = await shared.folder();
    const { worker, server } = shared;
    for (const kind of ["upload", "upload-link"]) server.faults.fail(kind, 500, { times: 40 });
    expect(await outcome(worker.call("mknod", join(folder.dir, "node")))).toBe("ok");
    expect(await folder.tree()).toEqual({});
    server.faults.clear();
    await eventually("it is stored", async () => Object.keys(await folder.tree()).length === 1);
  });

  // SEMANTICS: "A name with the character U+FFFD is listed, and cannot be used."
  it("the bytes of a name that is not UTF-8, which look like U+FFFD", async () => {
    const folder = await shared.folder();
    const { worker, server, libraryId } = shared;
    await server.store.writeFile(libraryId, `${folder.path}/odd\ufffd`, "x", { mkdirs: true });
    await eventually("it is listed", async () => (await worker.listdir(folder.dir)).includes("odd\ufffd"));
    await untilForgotten();
    expect(await outcome(worker.stat(join(folder.dir, "odd\ufffd")))).toBe("ENOENT");
    expect(await outcome(worker.rename(join(folder.dir, "odd\ufffd"), join(folder.dir, "even")))).toBe("ENOENT");
    expect(await outcome(worker.call("mkdir", join(folder.dir, "new\ufffd")))).toBe("EINVAL");
  });
});
