/** How a mount ends: by command, by the system's tools, by signals, by force. What was written is on the server in each case. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startServer } from "../support/fixture.ts";
import { FsWorker } from "../support/fs-worker.ts";
import { isMountPoint, mountEntries } from "../support/mountinfo.ts";
import { EMAIL, mountArguments, mountInBackground, mountLibrary, seamount } from "../support/mounts.ts";
import { eventually, ok, run } from "../support/process.ts";
import { type Scope, testScope } from "../support/scope.ts";
import { serverText } from "../support/trees.ts";

async function world(scope: Scope) {
  const server = await startServer(scope);
  const libraryId = server.store.createLibrary(EMAIL, "Work");
  await server.store.writeFile(libraryId, "/file", "content");
  return { server, libraryId };
}

describe("unmounting", () => {
  it("the mount is of type fuse.seamount, named after the server, and the ready line names the folder", async () => {
    const scope = testScope();
    const { server } = await world(scope);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    const entry = (await mountEntries()).find((candidate) => candidate.mountpoint === mount.dir);
    expect(entry?.type).toBe("fuse.seamount");
    expect(entry?.options).toContain("rw");
    expect(mount.log()).toContain(mount.dir);
    expect(mount.log()).not.toContain(server.token(EMAIL));
  });

  it.each(["SIGINT", "SIGTERM"] as const)("%s ends it with exit code 0 and stores the open file", async (signal) => {
    const scope = testScope();
    const { server, libraryId } = await world(scope);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    const worker = new FsWorker(scope);
    const fd = await worker.open(join(mount.dir, "open"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "not closed", 0);
    mount.signal(signal);
    expect(await mount.exited).toEqual({ code: 0, signal: null });
    expect(await serverText(server, libraryId, "/open")).toBe("not closed");
    expect(await isMountPoint(mount.dir)).toBe(false);
  });

  it("fusermount3 -u ends it with exit code 0", async () => {
    const scope = testScope();
    const { server, libraryId } = await world(scope);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    await ok("sh", ["-c", 'echo new > "$1"', "sh", join(mount.dir, "new")]);
    await ok("fusermount3", ["-u", mount.dir]);
    expect(await mount.exited).toEqual({ code: 0, signal: null });
    expect(await serverText(server, libraryId, "/new")).toBe("new\n");
  });

  it("seamount unmount ends it with exit code 0", async () => {
    const scope = testScope();
    const { server, libraryId } = await world(scope);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    await ok("sh", ["-c", 'echo new > "$1"', "sh", join(mount.dir, "new")]);
    const result = await seamount(["unmount", mount.dir], { server, home: mount.home });
    expect(result).toMatchObject({ code: 0 });
    expect(await mount.exited).toEqual({ code: 0, signal: null });
    expect(await isMountPoint(mount.dir)).toBe(false);
    expect(await serverText(server, libraryId, "/new")).toBe("new\n");
  });

  it("seamount unmount of a mount with an open file says that it is busy and leaves it mounted", async () => {
    const scope = testScope();
    const { server } = await world(scope);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    const worker = new FsWorker(scope);
    const fd = await worker.open(join(mount.dir, "file"), "O_RDONLY");
    const result = await seamount(["unmount", mount.dir], { server, home: mount.home });
    expect(result.code).toBe(5);
    expect(result.stderr).toContain("busy");
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("content");
    await worker.close(fd);
    expect(await seamount(["unmount", mount.dir], { server, home: mount.home })).toMatchObject({ code: 0 });
  });

  it("a lazy unmount with an open changed file stores it when it is closed", async () => {
    const scope = testScope();
    const { server, libraryId } = await world(scope);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    const worker = new FsWorker(scope);
    const fd = await worker.open(join(mount.dir, "open"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "before ", 0);
    await ok("fusermount3", ["-u", "-z", mount.dir]);
    await worker.pwrite(fd, "after", 7);
    await worker.close(fd);
    expect(await mount.exited).toEqual({ code: 0, signal: null });
    expect(await serverText(server, libraryId, "/open")).toBe("before after");
  });
});

describe("after a kill -9", () => {
  it("the dead mount point is cleaned by the next mount", async () => {
    const scope = testScope();
    const { server } = await world(scope);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    const worker = new FsWorker(scope);
    // An open file keeps the dead mount alive.
    await worker.open(join(mount.dir, "file"), "O_RDONLY");
    await mount.kill9();
    expect(await isMountPoint(mount.dir)).toBe(true);
    expect((await run("ls", [mount.dir])).stderr).toContain("not connected");
    const again = await mountLibrary(scope, { server, library: "Work", dir: mount.dir, home: mount.home });
    expect(await ok("cat", [join(mount.dir, "file")])).toBe("content");
    expect((await mountEntries()).filter((entry) => entry.mountpoint === mount.dir)).toHaveLength(1);
    expect(await again.unmount(), again.log()).toEqual({ code: 0, signal: null });
    expect(await isMountPoint(mount.dir)).toBe(false);
  });

  it("seamount unmount removes the dead mount point", async () => {
    const scope = testScope();
    const { server } = await world(scope);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    await mount.kill9();
    expect(await seamount(["unmount", mount.dir], { server, home: mount.home })).toMatchObject({ code: 0 });
    expect(await isMountPoint(mount.dir)).toBe(false);
  });
});

describe("in the background", () => {
  it("the command returns 0 when the mount is ready, and unmount stores everything", async () => {
    const scope = testScope();
    const { server, libraryId } = await world(scope);
    const { dir, home } = await mountInBackground(scope, { server, library: "Work" });
    const user = { server, home };
    expect(await ok("cat", [join(dir, "file")])).toBe("content");
    await ok("sh", ["-c", 'echo new > "$1"', "sh", join(dir, "new")]);
    expect(await seamount(["unmount", dir], user)).toMatchObject({ code: 0 });
    expect(await isMountPoint(dir)).toBe(false);
    expect(await serverText(server, libraryId, "/new")).toBe("new\n");
  });

  it("a second mount on the same folder is refused with exit code 5", async () => {
    const scope = testScope();
    const { server } = await world(scope);
    const { dir, home } = await mountInBackground(scope, { server, library: "Work" });
    const user = { server, home };
    expect(await seamount(mountArguments(dir, { library: "Work" }), user)).toMatchObject({ code: 5 });
    expect(await ok("cat", [join(dir, "file")])).toBe("content");
    expect(await seamount(["unmount", dir], user)).toMatchObject({ code: 0 });
  });

  it("unmount after a dead server reports the unstored file with exit code 6", async () => {
    const scope = testScope();
    const { server } = await world(scope);
    const { dir, home } = await mountInBackground(scope, {
      server,
      library: "Work",
      args: ["--refresh", "3600", "--timeout", "4"],
    });
    await ok("ls", [dir]);
    server.faults.down();
    expect((await run("tee", [join(dir, "new")], { input: "precious" })).stderr).toContain("No route to host");
    const result = await seamount(["unmount", dir], { server, home }, { timeoutMs: 110_000 });
    expect(result.code).toBe(6);
    expect(result.stderr).toContain("1 change is not on the server yet; the next mount stores what was left");
    expect(await ok("grep", ["-rl", "precious", home])).toContain("/spool/");
    await eventually("it is unmounted", async () => !(await isMountPoint(dir)));
  });
});
