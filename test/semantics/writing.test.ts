/**
 * docs/SEMANTICS.md, "Writing", where the mount was told to wait: `--commit close`, `--fsync server`. What it promises without is in
 * write-back; conflict copies are quoted in test/mount/remote-changes.
 */
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { startServer, useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, mountLibrary } from "../support/mounts.ts";
import { eventually } from "../support/process.ts";
import { testScope } from "../support/scope.ts";
import { fileOf, serverTree } from "../support/trees.ts";

const OTHER = "other@example.com";
const users = [
  { email: EMAIL, password: "testpass123", name: "Test" },
  { email: OTHER, password: "testpass456", name: "Other" },
];
const ALWAYS = { times: Number.POSITIVE_INFINITY };
const shared = useMount();

afterEach(() => shared.server.faults.clear());

/** A stored file of one page, open for reading and writing. */
async function openPage() {
  const folder = await shared.folder();
  const file = join(folder.dir, "f");
  await shared.worker.writeFile(file, "-".repeat(4096));
  const fd = await shared.worker.open(file, "O_RDWR");
  return { folder, file, fd };
}

describe("a call that stores", () => {
  // SEMANTICS: "With `--commit close` close(2) returns when the server has stored the file, and with an errno when it has not."
  it("close waits for a slow server, and says so when the server does not take the file", async () => {
    const folder = await shared.folder();
    const { worker, server } = shared;
    const file = join(folder.dir, "f");
    const fd = await worker.open(file, "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "content", 0);
    server.faults.delay("upload", 500);
    expect(await folder.tree()).toEqual({});
    expect(await outcome(worker.close(fd))).toBe("ok");
    expect(await folder.tree()).toEqual({ f: fileOf("content") });

    server.faults.fail("upload", 403, ALWAYS);
    const again = await worker.open(file, "O_WRONLY");
    await worker.pwrite(again, "CONTENT", 0);
    expect(await outcome(worker.close(again))).toBe("EACCES");
    expect(await folder.tree()).toEqual({ f: fileOf("content") });
  });

  // SEMANTICS: "fsync(2) returns when the content is durable on the local disk, or, with `--fsync server`, when the server has
  // stored it."
  it("fsync waits for a slow server, and says so when the server does not take the file", async () => {
    const folder = await shared.folder();
    const { worker, server } = shared;
    const fd = await worker.open(join(folder.dir, "f"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "content", 0);
    server.faults.delay("upload", 500);
    expect(await folder.tree()).toEqual({});
    expect(await outcome(worker.call("fsync", fd))).toBe("ok");
    expect(await folder.tree()).toEqual({ f: fileOf("content") });

    await worker.pwrite(fd, "CONTENT", 0);
    server.faults.fail("upload", 403, ALWAYS);
    expect(await outcome(worker.call("fsync", fd))).toBe("EACCES");
    expect(await folder.tree()).toEqual({ f: fileOf("content") });
    server.faults.clear();
    expect(await outcome(worker.call("fsync", fd))).toBe("ok");
    expect(await folder.tree()).toEqual({ f: fileOf("CONTENT") });
    await worker.close(fd);
  });

  // SEMANTICS: "truncate(2) by path is a write and its close."
  it.each([3, 0, 20])("truncate of ten bytes to %i waits for a slow server", async (size) => {
    const folder = await shared.folder();
    const { worker, server } = shared;
    await worker.writeFile(join(folder.dir, "f"), "0123456789");
    server.faults.delay("upload", 500);
    await worker.call("truncate", join(folder.dir, "f"), size);
    expect(await folder.text("f")).toBe("0123456789".slice(0, size).padEnd(size, "\0"));
  });
});

describe("a shared memory mapping", () => {
  // SEMANTICS: "Writing through a shared memory mapping is accepted by msync, by close, or when the mapping ends."
  it("msync stores it while the file is open and mapped", async () => {
    const { folder, fd } = await openPage();
    const address = await shared.worker.call<number>("mapShared", fd, 4096);
    await shared.worker.call("poke", address, Buffer.from("mapped").toString("base64"));
    expect((await folder.text("f")).slice(0, 6)).toBe("------");
    await shared.worker.call("msync", address, 4096);
    expect((await folder.text("f")).slice(0, 7)).toBe("mapped-");
    await shared.worker.call("munmap", address, 4096);
    await shared.worker.close(fd);
  });

  // SEMANTICS: "Writing through a shared memory mapping is accepted by msync, by close, or when the mapping ends."
  it("close stores it while the mapping lives on, and the end of the mapping what was written after that", async () => {
    const { folder, fd } = await openPage();
    const address = await shared.worker.call<number>("mapShared", fd, 4096);
    await shared.worker.call("poke", address, Buffer.from("closed").toString("base64"));
    await shared.worker.close(fd);
    expect((await folder.text("f")).slice(0, 7)).toBe("closed-");
    await shared.worker.call("poke", address, Buffer.from("unmapped").toString("base64"));
    await shared.worker.call("munmap", address, 4096);
    await eventually("what was written last is stored", async () => (await folder.text("f")).startsWith("unmapped-"));
  });
});

describe("a file that is removed", () => {
  // SEMANTICS: "A file that is removed while it is open is never stored."
  it.each(["new", "stored before"])("while open, %s: not by fsync, close, or the end of the mount", async (which) => {
    const folder = await shared.folder();
    const { worker, server } = shared;
    const file = join(folder.dir, "f");
    if (which === "stored before") await worker.writeFile(file, "stored");
    const fd = await worker.open(file, "O_RDWR|O_CREAT");
    const other = await worker.open(file, "O_RDWR");
    await worker.pwrite(fd, "changed", 0);
    await worker.call("unlink", file);
    server.requests.reset();
    await worker.pwrite(fd, "again", 0);
    expect(await outcome(worker.call("fsync", fd))).toBe("ok");
    expect(await outcome(worker.close(fd))).toBe("ok");
    expect((await worker.pread(other, 10, 0)).toString()).toBe("agained");
    await worker.pwrite(other, "last", 0);
    expect(await outcome(worker.close(other))).toBe("ok");
    await shared.remount();
    expect(["upload", "update"].map((kind) => server.requests.count(kind))).toEqual([0, 0]);
    expect(await folder.tree()).toEqual({});
  });
});

describe("what the server does not take", () => {
  // SEMANTICS: "A file that could not be stored stays readable in the mount and is tried again until it is stored or removed."
  it("is read, tried again and again, and stored when there is room, unless it was removed meanwhile", async () => {
    const scope = testScope();
    const server = await startServer(scope);
    const id = server.store.createLibrary(EMAIL, "Work");
    const mount = await mountLibrary(scope, { server, library: "Work" });
    const worker = new FsWorker(scope);
    const [removed, kept] = [join(mount.dir, "removed"), join(mount.dir, "kept")];
    server.store.setQuota(EMAIL, 10);
    expect(await outcome(worker.writeFile(removed, "more than ten bytes"))).toBe("EDQUOT");
    expect(await outcome(worker.writeFile(kept, "more than ten bytes, too"))).toBe("EDQUOT");
    const readBoth = async () => [String(await worker.readFile(removed)), String(await worker.readFile(kept))];
    const both = ["more than ten bytes", "more than ten bytes, too"];
    expect(await readBoth()).toEqual(both);
    expect(await worker.listdir(mount.dir)).toEqual(["kept", "removed"]);
    server.requests.reset();
    const tries = () =>
      server.requests.list().filter(({ method, kind }) => method === "POST" || kind === "upload-link");
    await eventually("both were tried again", () => tries().length >= 2);
    expect(tries().filter(({ status }) => status >= 200 && status < 400)).toEqual([]);
    expect(await readBoth()).toEqual(both);

    await worker.call("unlink", removed);
    server.store.setQuota(EMAIL, null);
    // The removed one failed first, and would be tried first.
    await eventually("the kept one is stored", () => server.store.tree(id).has("/kept"));
    expect(await serverTree(server, id)).toEqual({ kept: fileOf("more than ten bytes, too") });
    expect(await mount.unmount()).toEqual({ code: 0, signal: null });
    expect(await serverTree(server, id)).toEqual({ kept: fileOf("more than ten bytes, too") });
  });

  // SEMANTICS: "A call that waits for the server is told why it refuses: EDQUOT for a full quota, EACCES for a lost permission, EROFS
  // for a read-only library, EHOSTUNREACH or ETIMEDOUT for a server out of reach."
  it("is answered with the errno of its reason", async () => {
    const scope = testScope();
    const server = await startServer(scope, { users });
    const { store } = server;
    const [own, guest, readable] = [
      store.createLibrary(EMAIL, "Own"),
      store.createLibrary(OTHER, "Guest"),
      store.createLibrary(OTHER, "Readable"),
    ];
    store.share(guest, EMAIL, "rw");
    store.share(readable, EMAIL, "r");
    const mount = await mountLibrary(scope, { server, args: ["--refresh", "3600", "--timeout", "3"] });
    const worker = new FsWorker(scope);
    const write = (path: string) => outcome(worker.writeFile(join(mount.dir, path), "content"));
    expect(await write("Own/before")).toBe("ok");
    expect(await write("Guest/before")).toBe("ok");

    store.setQuota(EMAIL, 10);
    expect(await write("Own/full")).toBe("EDQUOT");
    store.setQuota(EMAIL, null);
    store.share(guest, EMAIL, "r");
    // Links that were given out before keep their permission until the server forgets them.
    server.faults.expireLinks();
    expect(await write("Guest/lost")).toBe("EACCES");
    expect(await outcome(worker.call("mkdir", join(mount.dir, "Guest/d")))).toBe("EACCES");
    expect(await write("Readable/file")).toBe("EROFS");
    server.faults.down();
    const unreachable = await outcome(worker.call("mkdir", join(mount.dir, "Own/unreachable")));
    expect(["EHOSTUNREACH", "ETIMEDOUT"]).toContain(unreachable);
    server.faults.up();
    expect(Object.keys(await serverTree(server, guest))).toEqual(["before"]);
    expect(Object.keys(await serverTree(server, own))).not.toContain("unreachable/");
  });
});
