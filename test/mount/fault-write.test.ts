/** Writing while the server misbehaves: close(2) says so with the right errno, and no content that was written is lost. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DevServerOptions } from "../../src/devserver/index.ts";
import { startServer, useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, mountLibrary } from "../support/mounts.ts";
import { eventually, ok, PYTHON } from "../support/process.ts";
import { type Scope, testScope } from "../support/scope.ts";
import { requires } from "../support/transport.ts";
import { fileOf, pattern, serverText, serverTree } from "../support/trees.ts";

const UNREACHABLE = ["EHOSTUNREACH", "ETIMEDOUT", "EIO"];

/** A server, a library with one stored file, and a mount of it: these tests break the server, so each has its own. */
async function world(scope: Scope, options: DevServerOptions = {}) {
  const server = await startServer(scope, options);
  const libraryId = server.store.createLibrary(EMAIL, "Work");
  await server.store.writeFile(libraryId, "/stored", "stored");
  const mount = await mountLibrary(scope, { server, library: "Work", args: ["--refresh", "3600", "--timeout", "3"] });
  const worker = new FsWorker(scope);
  await worker.listdir(mount.dir);
  return { server, libraryId, mount, worker, file: (name: string) => join(mount.dir, name) };
}

describe("uploads that fail for a moment", () => {
  const shared = useMount();

  /** A folder with one stored file. */
  async function folderWithFile() {
    const folder = await shared.folder();
    await shared.worker.writeFile(join(folder.dir, "stored"), "stored");
    return { folder, file: (name: string) => join(folder.dir, name) };
  }

  it.each([
    ["upload", 500],
    ["upload", 502],
    ["upload-link", 500],
    ["upload-link", 503],
  ])("one %s answered with %i is tried again and not noticed", async (kind, status) => {
    const { folder, file } = await folderWithFile();
    const { server, worker } = shared;
    server.faults.expireLinks();
    server.requests.reset();
    server.faults.fail(kind, status);
    await worker.writeFile(file("new"), "new content");
    await worker.writeFile(file("stored"), "changed");
    expect(server.requests.list().filter((request) => request.status === status)).toHaveLength(1);
    expect(await folder.tree()).toEqual({ new: fileOf("new content"), stored: fileOf("changed") });
  });

  it("an upload that is cut in the middle is sent again", async () => {
    const { folder, file } = await folderWithFile();
    const { server, worker } = shared;
    const data = pattern(3_000_000, 4);
    server.faults.cut("upload", 500_000, { times: 2 });
    await worker.writeFile(file("new"), data);
    server.faults.cut("upload", 500_000, { times: 2 });
    await worker.writeFile(file("stored"), data);
    expect(await folder.tree()).toEqual({ new: fileOf(data), stored: fileOf(data) });
  });

  it("an expired upload link is renewed", async () => {
    const { folder, file } = await folderWithFile();
    const { server, worker } = shared;
    await worker.writeFile(file("first"), "1");
    await worker.writeFile(file("stored"), "1");
    server.faults.expireLinks();
    await worker.writeFile(file("second"), "2");
    await worker.writeFile(file("stored"), "2");
    expect(await folder.text("second")).toBe("2");
    expect(await folder.text("stored")).toBe("2");
    server.advanceClock(2 * 3_600_000);
    await worker.writeFile(file("third"), "3");
    expect(await folder.text("third")).toBe("3");
  });

  it("a server that allows few requests a second is waited for, and everything is stored", async () => {
    const { server, libraryId, worker, file } = await world(testScope(), { throttle: { requests: 10, perMs: 1000 } });
    for (let i = 0; i < 12; i++) await worker.call("mkdir", file(`d${i}`));
    expect(Object.keys(await serverTree(server, libraryId))).toHaveLength(13);
    expect(server.requests.list().some((request) => request.status === 429)).toBe(true);
  });
});

// Each waits until the client gives up, which takes its time.
describe.concurrent("the server is down when a file is closed", () => {
  it("close fails, the content stays readable, and it is stored when the server is back", async ({
    expect,
    onTestFinished,
  }) => {
    const { server, libraryId, mount, worker, file } = await world(testScope(onTestFinished));
    server.faults.down();
    const fd = await worker.open(file("new"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "precious", 0);
    expect(UNREACHABLE).toContain(await outcome(worker.close(fd)));
    expect(mount.log()).toMatch(/"level":(40|50)/);
    expect((await worker.readFile(file("new"))).toString()).toBe("precious");
    server.faults.up();
    await eventually("the file is stored", () => server.store.tree(libraryId).has("/new"), 90_000);
    expect(await serverText(server, libraryId, "/new")).toBe("precious");
    expect((await mount.unmount()).code).toBe(0);
  });

  it("fsync fails, and stores when it is called again after the server is back", async ({ expect, onTestFinished }) => {
    const { server, libraryId, worker, file } = await world(testScope(onTestFinished));
    const fd = await worker.open(file("stored"), "O_WRONLY");
    await worker.pwrite(fd, "STO", 0);
    server.faults.down();
    expect(UNREACHABLE).toContain(await outcome(worker.call("fsync", fd)));
    server.faults.up();
    expect(await outcome(worker.call("fsync", fd))).toBe("ok");
    expect(await serverText(server, libraryId, "/stored")).toBe("STOred");
    await worker.close(fd);
  });

  it("mkdir and rename fail and change nothing", async ({ expect, onTestFinished }) => {
    const scope = testScope(onTestFinished);
    const { server, libraryId, worker, file } = await world(scope);
    const other = new FsWorker(scope);
    server.faults.down();
    const results = await Promise.all([
      outcome(worker.call("mkdir", file("d"))),
      outcome(other.rename(file("stored"), file("moved"))),
    ]);
    expect(results.filter((result) => !UNREACHABLE.includes(result))).toEqual([]);
    server.faults.up();
    expect(await worker.listdir(file("."))).toEqual(["stored"]);
    expect(await serverTree(server, libraryId)).toEqual({ stored: fileOf("stored") });
  });

  it("still down at unmount: exit code 6, and the next mount stores it", async ({ expect, onTestFinished }) => {
    const scope = testScope(onTestFinished);
    const { server, libraryId, mount, worker, file } = await world(scope);
    server.faults.down();
    expect(UNREACHABLE).toContain(await outcome(worker.writeFile(file("new"), "precious")));
    const exit = await mount.unmount();
    expect(exit.code).toBe(6);
    expect(mount.log()).toContain("1 change is not on the server yet; the next mount stores what was left");
    server.faults.up();
    const next = await mountLibrary(scope, { server, library: "Work", home: mount.home });
    expect(String(await worker.readFile(join(next.dir, "new")))).toBe("precious");
    expect((await next.unmount()).code).toBe(0);
    expect(await serverText(server, libraryId, "/new")).toBe("precious");
  });
});

describe("the quota is used up", () => {
  it("close is EDQUOT, the content stays readable, and it is stored when there is room", async () => {
    const { server, libraryId, mount, worker, file } = await world(testScope());
    server.store.setQuota(EMAIL, 100_000);
    const data = pattern(300_000);
    const fd = await worker.open(file("big"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, data, 0);
    expect(await outcome(worker.close(fd))).toBe("EDQUOT");
    expect(mount.log()).toMatch(/quota/i);
    expect(fileOf(await worker.readFile(file("big")))).toBe(fileOf(data));
    expect(await serverTree(server, libraryId)).toEqual({ stored: fileOf("stored") });
    server.store.setQuota(EMAIL, null);
    await eventually("the file is stored", () => server.store.tree(libraryId).has("/big"), 90_000);
    expect(await serverTree(server, libraryId)).toEqual({ big: fileOf(data), stored: fileOf("stored") });
  });

  it("fsync is EDQUOT, and stores when it is called again with room", async () => {
    const { server, libraryId, worker, file } = await world(testScope());
    server.store.setQuota(EMAIL, 100_000);
    const data = pattern(300_000);
    const fd = await worker.open(file("big"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, data, 0);
    expect(await outcome(worker.call("fsync", fd))).toBe("EDQUOT");
    server.store.setQuota(EMAIL, null);
    expect(await outcome(worker.call("fsync", fd))).toBe("ok");
    await worker.close(fd);
    expect(await serverTree(server, libraryId)).toEqual({ big: fileOf(data), stored: fileOf("stored") });
  });

  it("small files still go in, and cp reports the big one", async () => {
    const { server, libraryId, worker, file, mount } = await world(testScope());
    server.store.setQuota(EMAIL, 100_000);
    const script = 'head -c 300000 /dev/zero > "$1/source" && ! cp "$1/source" "$2/big" 2> "$1/err" && cat "$1/err"';
    expect(await ok("sh", ["-c", script, "sh", mount.home, mount.dir])).toContain("quota");
    await worker.call("unlink", file("big"));
    await worker.writeFile(file("small"), "fits");
    expect(await serverText(server, libraryId, "/small")).toBe("fits");
    expect((await mount.unmount()).code).toBe(0);
  });
});

describe("the token is revoked", () => {
  it("reads and writes are EACCES, and the log says to log in again", async () => {
    const { server, mount, worker, file } = await world(testScope());
    for (const kind of ["dir", "file-link", "upload-link", "update-link", "mkdir", "rename", "delete-file"]) {
      server.faults.fail(kind, 401, { times: 1000, body: '{"detail":"Invalid token"}' });
    }
    expect(await outcome(worker.readFile(file("stored")))).toBe("EACCES");
    expect(await outcome(worker.writeFile(file("new"), "x"))).toBe("EACCES");
    expect(await outcome(worker.call("mkdir", file("d")))).toBe("EACCES");
    expect(mount.log()).toMatch(/log ?in/i);
    expect(mount.log()).not.toContain(server.token(EMAIL));
  });
});

describe("a close that hangs", () => {
  it("can be killed, and the content is stored when the server answers again", requires("interrupts"), async () => {
    const { server, libraryId, file } = await world(testScope());
    server.faults.hang("upload");
    const program =
      "import os, sys; fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); os.write(fd, b'content'); os.close(fd)";
    const writer = spawn(PYTHON, ["-c", program, file("new")], { stdio: "ignore" });
    const ended = new Promise<string | null>((resolve) => writer.on("close", (_, signal) => resolve(signal)));
    await eventually("the upload was asked", () => server.requests.count("upload") > 0);
    writer.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
    server.faults.clear();
    await eventually("the file is stored", () => server.store.tree(libraryId).has("/new"), 90_000);
    expect(await serverText(server, libraryId, "/new")).toBe("content");
  });
});

describe("slow uploads", () => {
  it("a file that is deleted while it uploads is not on the server afterwards", async () => {
    const scope = testScope();
    const { server, libraryId, worker, file } = await world(scope);
    server.faults.delay("upload", 700, { times: 10 });
    const other = new FsWorker(scope);
    const data = pattern(200_000);
    const writing = outcome(worker.writeFile(file("doomed"), data));
    await eventually("the upload has begun", () => server.requests.count("upload") > 0);
    expect(await outcome(other.call("unlink", file("doomed")))).toBe("ok");
    await writing;
    expect(await outcome(other.stat(file("doomed")))).toBe("ENOENT");
    await eventually("it is gone", () => !server.store.tree(libraryId).has("/doomed"));
    expect(await serverTree(server, libraryId)).toEqual({ stored: fileOf("stored") });
  });

  it("a file that is renamed while it uploads is at its new name only", async () => {
    const scope = testScope();
    const { server, libraryId, worker, file } = await world(scope);
    server.faults.delay("upload", 700, { times: 10 });
    const other = new FsWorker(scope);
    const writing = outcome(worker.writeFile(file("draft"), "content"));
    await eventually("the upload has begun", () => server.requests.count("upload") > 0);
    expect(await outcome(other.rename(file("draft"), file("final")))).toBe("ok");
    expect(await writing).toBe("ok");
    expect(await serverTree(server, libraryId)).toEqual({ final: fileOf("content"), stored: fileOf("stored") });
  });
});
