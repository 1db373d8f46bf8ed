/**
 * The mount of an ordinary user: fusermount3 opens the device and passes it on. Started by root, these tests run the program
 * as "nobody"; started by a user, every other mount test is already this one.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { isMountPoint } from "../support/mountinfo.ts";
import {
  EMAIL,
  makeHome,
  makeMountPoint,
  mountArguments,
  mountInBackground,
  mountLibrary,
  NOBODY,
  seamount,
} from "../support/mounts.ts";
import { ok, run } from "../support/process.ts";
import { fileScope, testScope } from "../support/scope.ts";
import { serverText } from "../support/trees.ts";

const scope = fileScope();
let server: DevServer;
let libraryId: string;

describe.skipIf(process.getuid?.() !== 0)("as an ordinary user", () => {
  beforeAll(async () => {
    server = await startServer(scope);
    libraryId = server.store.createLibrary(EMAIL, "Work");
    await server.store.writeFile(libraryId, "/file", "content");
  });

  it("files belong to the user, who reads and writes them", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work", uid: NOBODY });
    const worker = new FsWorker(own, { uid: NOBODY });
    expect((await worker.readFile(join(mount.dir, "file"))).toString()).toBe("content");
    expect(await worker.stat(join(mount.dir, "file"))).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o644 });
    await worker.writeFile(join(mount.dir, "new"), "by a user");
    expect(await serverText(server, libraryId, "/new")).toBe("by a user");
    expect(await outcome(worker.call("chown", join(mount.dir, "file"), NOBODY, NOBODY))).toBe("ok");
    expect(await mount.unmount()).toEqual({ code: 0, signal: null });
  });

  it("SIGTERM stores an open file and leaves no mount", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work", uid: NOBODY });
    const worker = new FsWorker(own, { uid: NOBODY });
    const fd = await worker.open(join(mount.dir, "open"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "not closed", 0);
    expect(await mount.unmount()).toEqual({ code: 0, signal: null });
    expect(await isMountPoint(mount.dir)).toBe(false);
    expect(await serverText(server, libraryId, "/open")).toBe("not closed");
  });

  it("fusermount3 -u by the user ends it with exit code 0", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work", uid: NOBODY });
    await ok("fusermount3", ["-u", mount.dir], { uid: NOBODY });
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });

  it("mounts in the background and unmounts with seamount unmount", async () => {
    const own = testScope();
    const { dir, home } = await mountInBackground(own, { server, library: "Work", uid: NOBODY });
    const user = { server, home, uid: NOBODY };
    expect(await ok("cat", [join(dir, "file")], { uid: NOBODY })).toBe("content");
    expect(await seamount(["unmount", dir], user)).toMatchObject({ code: 0 });
    expect(await isMountPoint(dir)).toBe(false);
  });

  it("other users, even root, are kept out without --allow-other", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work", uid: NOBODY });
    expect((await run("ls", [mount.dir])).stderr).toContain("Permission denied");
  });

  it("a dead mount of the user is cleaned by the next mount", async () => {
    const own = testScope();
    const mount = await mountLibrary(own, { server, library: "Work", uid: NOBODY });
    await mount.kill9();
    expect(await isMountPoint(mount.dir)).toBe(true);
    const again = await mountLibrary(own, { server, library: "Work", uid: NOBODY, dir: mount.dir, home: mount.home });
    expect(await ok("cat", [join(again.dir, "file")], { uid: NOBODY })).toBe("content");
    expect((await again.unmount()).code).toBe(0);
  });

  it("a mount point of somebody else is refused with exit code 5", async () => {
    const own = testScope();
    const [home, dir] = [await makeHome(own, NOBODY), await makeMountPoint(own)];
    const result = await seamount(mountArguments(dir, { library: "Work" }), { server, home, uid: NOBODY });
    expect(result.code).toBe(5);
    expect(await isMountPoint(dir)).toBe(false);
  });
});

describe.skipIf(process.getuid?.() !== 0)("as root", () => {
  it("--allow-other lets other users in, by the modes that are shown", async () => {
    const own = testScope();
    const rootServer = await startServer(own);
    const id = rootServer.store.createLibrary(EMAIL, "Work");
    await rootServer.store.writeFile(id, "/file", "content");
    const mount = await mountLibrary(own, { server: rootServer, library: "Work", args: ["--allow-other"] });
    const worker = new FsWorker(own, { uid: NOBODY });
    expect((await worker.readFile(join(mount.dir, "file"))).toString()).toBe("content");
    expect(await outcome(worker.writeFile(join(mount.dir, "file"), "x"))).toBe("EACCES");
    expect(await serverText(rootServer, id, "/file")).toBe("content");
  });

  it("without --allow-other, other users are kept out", async () => {
    const own = testScope();
    const rootServer = await startServer(own);
    rootServer.store.createLibrary(EMAIL, "Work");
    const mount = await mountLibrary(own, { server: rootServer, library: "Work" });
    expect(await outcome(new FsWorker(own, { uid: NOBODY }).listdir(mount.dir))).toBe("EACCES");
  });
});
