/** What Seafile has no place for is refused with the errno that says so, and never pretended. (peers.md, Behaviour) */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { ok, run } from "../support/process.ts";
import { requires } from "../support/transport.ts";
import { fileOf, pattern } from "../support/trees.ts";

const shared = useMount();

describe("links and special files", () => {
  it("ln -s is EPERM", async () => {
    const folder = await shared.folder();
    expect(await outcome(shared.worker.call("symlink", "target", join(folder.dir, "link")))).toBe("EPERM");
    const result = await run("ln", ["-s", "target", join(folder.dir, "link")]);
    expect(result.stderr).toContain("Operation not permitted");
    expect(await folder.tree()).toEqual({});
  });

  it("ln is EPERM", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "a"), "1");
    expect(await outcome(shared.worker.call("link", join(folder.dir, "a"), join(folder.dir, "b")))).toBe("EPERM");
    expect(await folder.tree()).toEqual({ a: fileOf("1") });
  });

  it("mkfifo is EPERM", async () => {
    const folder = await shared.folder();
    expect(await outcome(shared.worker.call("mkfifo", join(folder.dir, "pipe")))).toBe("EPERM");
    expect(await folder.tree()).toEqual({});
  });

  it("cp -a of a tree with a symbolic link copies the rest and says EPERM for the link", async () => {
    const folder = await shared.folder();
    const script =
      'cd "$1" && mkdir s && echo 1 > s/f && cd "$2" && mkdir local && ln -s f local/l && echo 2 > local/f';
    const local = shared.mount.home;
    await ok("sh", ["-c", script, "sh", folder.dir, local]);
    const result = await run("cp", ["-a", join(local, "local"), folder.dir]);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain("Operation not permitted");
    expect(await folder.text("local/f")).toBe("2\n");
  });
});

describe("extended attributes", () => {
  const value = Buffer.from("value").toString("base64");

  // SEMANTICS: "Setting an extended attribute other than those below is refused with ENOTSUP, and reading one is answered ENODATA."
  it("setfattr is ENOTSUP", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    expect(await outcome(shared.worker.call("setxattr", join(folder.dir, "f"), "user.a", value))).toBe("ENOTSUP");
    expect(await outcome(shared.worker.call("setxattr", folder.dir, "user.a", value))).toBe("ENOTSUP");
    const result = await run("setfattr", ["-n", "user.a", "-v", "1", join(folder.dir, "f")]);
    expect(result.stderr).toContain("Operation not supported");
  });

  // SEMANTICS: "Setting an extended attribute other than those below is refused with ENOTSUP, and reading one is answered ENODATA."
  it("getfattr of a missing attribute is ENODATA", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    expect(await outcome(shared.worker.call("getxattr", join(folder.dir, "f"), "user.none"))).toBe("ENODATA");
    expect(await outcome(shared.worker.call("getxattr", folder.dir, "user.none"))).toBe("ENODATA");
    expect(await outcome(shared.worker.call("getxattr", join(folder.dir, "f"), "security.selinux"))).toBe("ENODATA");
  });

  // SEMANTICS: "They cannot be set or removed (EPERM), and listing attributes gives an empty list, so that no copy of a file takes
  // them along."
  it("getfattr -d succeeds and shows nothing (listxattr, as backup programs call it)", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    expect(await ok("getfattr", ["-d", join(folder.dir, "f")])).toBe("");
    expect(await shared.worker.call("listxattr", join(folder.dir, "f"))).toEqual([]);
    expect(await shared.worker.call("listxattr", folder.dir)).toEqual([]);
  });

  it("removing an attribute is ENODATA or ENOTSUP", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    const result = await outcome(shared.worker.call("removexattr", join(folder.dir, "f"), "user.none"));
    expect(["ENODATA", "ENOTSUP"]).toContain(result);
  });

  it("getfacl and cp --preserve=xattr do not fail", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    await ok("cp", ["--preserve=all", join(folder.dir, "f"), join(folder.dir, "g")]);
    expect(await folder.tree()).toEqual({ f: fileOf("x"), g: fileOf("x") });
  });
});

describe("fallocate", requires("fallocate"), () => {
  it("extends a file with zeros, or keeps its size with FALLOC_FL_KEEP_SIZE", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const data = pattern(10_000);
    const fd = await worker.open(join(folder.dir, "f"), "O_RDWR|O_CREAT");
    await worker.pwrite(fd, data, 0);
    expect(await outcome(worker.call("fallocate", fd, 1, 0, 50_000))).toBe("ok");
    expect((await worker.fstat(fd)).size).toBe(10_000);
    expect(await outcome(worker.call("fallocate", fd, 0, 0, 50_000))).toBe("ok");
    expect((await worker.fstat(fd)).size).toBe(50_000);
    await worker.close(fd);
    expect(await folder.tree()).toEqual({ f: fileOf(Buffer.concat([data, Buffer.alloc(40_000)])) });
  });

  it("fallocate(1) and posix_fallocate work", async () => {
    const folder = await shared.folder();
    await ok("fallocate", ["-l", "20000", join(folder.dir, "f")]);
    expect(await folder.tree()).toEqual({ f: fileOf(Buffer.alloc(20_000)) });
  });

  it("punching a hole is ENOTSUP and changes nothing", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const data = pattern(10_000);
    await worker.writeFile(join(folder.dir, "f"), data);
    const fd = await worker.open(join(folder.dir, "f"), "O_RDWR");
    expect(await outcome(worker.call("fallocate", fd, 3, 0, 5000))).toBe("ENOTSUP");
    await worker.close(fd);
    expect(await folder.tree()).toEqual({ f: fileOf(data) });
  });
});

describe("folders", () => {
  it("rmdir of a folder with content is ENOTEMPTY, of a file ENOTDIR, unlink of a folder EISDIR", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    await worker.call("mkdir", join(folder.dir, "d"));
    await writeFile(join(folder.dir, "d/f"), "x");
    expect(await outcome(worker.call("rmdir", join(folder.dir, "d")))).toBe("ENOTEMPTY");
    expect(await outcome(worker.call("rmdir", join(folder.dir, "d/f")))).toBe("ENOTDIR");
    expect(await outcome(worker.call("unlink", join(folder.dir, "d")))).toBe("EISDIR");
    expect(await folder.tree()).toEqual({ "d/": "", "d/f": fileOf("x") });
  });

  it("mkdir over an existing name is EEXIST", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    await worker.call("mkdir", join(folder.dir, "d"));
    await writeFile(join(folder.dir, "f"), "x");
    expect(await outcome(worker.call("mkdir", join(folder.dir, "d")))).toBe("EEXIST");
    expect(await outcome(worker.call("mkdir", join(folder.dir, "f")))).toBe("EEXIST");
    expect(await folder.tree()).toEqual({ "d/": "", f: fileOf("x") });
  });

  it("a removed folder that is still a working directory answers ENOENT", async () => {
    const folder = await shared.folder();
    const script = 'mkdir "$1/d" && cd "$1/d" && rmdir "$1/d" && ! touch x 2>/dev/null';
    await ok("sh", ["-c", script, "sh", folder.dir]);
    expect(await folder.tree()).toEqual({});
  });
});
