/**
 * The commands that ask a running mount, with a server behind it and a kernel under it: what is pending is listed, can be stored at
 * once, held, rescued and given up; the exit codes of `sync` and `unmount` are the truth.
 */
import { access, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { MountStatus, QueueItem } from "../../src/control/protocol.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker } from "../support/fs-worker.ts";
import { EMAIL, mountInBackground, mountLibrary, seamount } from "../support/mounts.ts";
import { eventually } from "../support/process.ts";
import { type Scope, testScope } from "../support/scope.ts";
import { fileOf, serverText, serverTree } from "../support/trees.ts";

/** Nothing is stored until somebody asks for it. */
const PATIENT = ["--write-back-delay", "3600"];

async function world(scope: Scope, options: { readonly library?: string; readonly args?: readonly string[] } = {}) {
  const server = await startServer(scope);
  const id = server.store.createLibrary(EMAIL, "Work");
  await server.store.writeFile(id, "/stored.txt", Buffer.from("stored"));
  const { dir, home } = await mountInBackground(scope, { server, background: true, args: PATIENT, ...options });
  const run = (...args: string[]) => seamount(args, { server, home });
  const items = async () =>
    JSON.parse((await run("queue", "ls", "--json")).stdout) as (QueueItem & { mountpoint: string })[];
  return { server, id, dir, home, run, items, worker: new FsWorker(scope) };
}

describe("a change that is not stored yet", () => {
  it("is listed with its place in the mount, and sync stores it", async () => {
    const { id, server, dir, run, items, worker } = await world(testScope());
    await worker.writeFile(join(dir, "Work/new.txt"), "new content");
    expect(await items()).toMatchObject([
      { mountpoint: dir, op: "put", library: "Work", path: "/new.txt", location: "/Work/new.txt", size: 11 },
    ]);
    expect(await run("sync")).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(await serverText(server, id, "/new.txt")).toBe("new content");
    expect(await items()).toEqual([]);
  });

  it("is found by its path in a mount of one folder, too", async () => {
    const scope = testScope();
    const { dir, run, items, worker } = await world(scope, { library: "Work" });
    await worker.writeFile(join(dir, "a.txt"), "a");
    await worker.writeFile(join(dir, "b.txt"), "b");
    expect((await items()).map(({ location }) => location)).toEqual(["/a.txt", "/b.txt"]);
    expect(await run("queue", "show", join(dir, "b.txt"))).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/path +\/b\.txt/),
    });
  });

  it("below another folder is left alone by the sync of a folder", async () => {
    const { server, id, dir, run, items, worker } = await world(testScope(), { library: "Work" });
    for (const name of ["one", "two"]) {
      await mkdir(join(dir, name));
      await worker.writeFile(join(dir, name, "f"), name);
    }
    expect(await run("sync", join(dir, "one"))).toMatchObject({ code: 0 });
    expect(await serverTree(server, id)).toMatchObject({ "one/f": fileOf("one") });
    expect((await items()).map(({ path }) => path)).toEqual(["/two/f"]);
  });

  it("is held until it is released, stays readable, and makes sync exit code 6", async () => {
    const { server, id, dir, run, worker } = await world(testScope(), { library: "Work" });
    const file = join(dir, "a.txt");
    await worker.writeFile(file, "mine");
    expect(await run("queue", "hold", file)).toMatchObject({ code: 0 });
    expect(await run("sync", "--timeout", "20")).toMatchObject({
      code: 6,
      stderr: expect.stringContaining("(1 held)"),
    });
    expect((await worker.readFile(file)).toString()).toBe("mine");
    expect(await run("queue", "release", file)).toMatchObject({ code: 0 });
    expect(await run("sync")).toMatchObject({ code: 0 });
    expect(await serverText(server, id, "/a.txt")).toBe("mine");
  });

  it("is exported 0600 and then discarded: the server's version shows again", async () => {
    const { server, id, dir, home, run, items, worker } = await world(testScope(), { library: "Work" });
    const file = join(dir, "stored.txt");
    await worker.writeFile(file, "not wanted");
    const copy = join(home, "rescued.txt");
    expect(await run("queue", "export", file, copy)).toMatchObject({ code: 0 });
    expect(await readFile(copy, "utf8")).toBe("not wanted");
    expect(((await stat(copy)).mode & 0o777).toString(8)).toBe("600");
    expect(await run("queue", "discard", file)).toMatchObject({ code: 2 });
    expect(await run("queue", "discard", "--yes", file)).toMatchObject({ code: 0 });
    expect(await items()).toEqual([]);
    expect((await worker.readFile(file)).toString()).toBe("stored");
    expect(await serverText(server, id, "/stored.txt")).toBe("stored");
  });
});

describe("what the server refuses", () => {
  it("is held with its reason, others are stored, and retry stores it when the cause is gone", async () => {
    const args = ["--write-back-delay", "0"];
    const { server, id, dir, run, items, worker } = await world(testScope(), { library: "Work", args });
    server.store.setQuota(EMAIL, 1000);
    await worker.writeFile(join(dir, "big"), Buffer.alloc(5000));
    await worker.writeFile(join(dir, "small"), "fits");
    expect(await run("sync")).toMatchObject({ code: 6 });
    expect(await items()).toMatchObject([{ path: "/big", state: "held", reason: "quota" }]);
    expect(await serverText(server, id, "/small")).toBe("fits");
    server.store.setQuota(EMAIL, null);
    expect(await run("queue", "retry")).toMatchObject({ code: 0 });
    expect(await run("sync")).toMatchObject({ code: 0 });
    expect(await serverTree(server, id)).toMatchObject({ big: fileOf(Buffer.alloc(5000)) });
  });
});

describe("status", () => {
  it("tells of mount, libraries and queue, without the token", async () => {
    const { server, id, dir, run, worker } = await world(testScope());
    await worker.writeFile(join(dir, "Work/new.txt"), "12345");
    const { code, stdout } = await run("status", "--json");
    expect(code).toBe(0);
    const [status] = JSON.parse(stdout) as MountStatus[];
    expect(status).toMatchObject({
      mountpoint: dir,
      server: server.url,
      user: EMAIL,
      online: true,
      libraries: [{ name: "Work", id, permission: "rw", encrypted: false, locked: false }],
      queue: { files: 1, bytes: 5, held: 0 },
    });
    expect(stdout).not.toContain(server.token(EMAIL));
  });

  it("says offline and names the error when the server is gone, and answers all the same", async () => {
    const args = ["--write-back-delay", "0", "--timeout", "1"];
    const { server, dir, run, worker } = await world(testScope(), { library: "Work", args });
    await worker.listdir(dir);
    server.faults.down();
    await worker.writeFile(join(dir, "new"), "kept");
    await eventually("the mount has noticed", async () => {
      const [status] = JSON.parse((await run("status", "--json")).stdout) as MountStatus[];
      return status!.online === false && status!.errors.length > 0;
    });
    server.faults.up();
  });
});

describe("unmount", () => {
  it("--now is quick, leaves the change for the next mount, and that one stores it", async () => {
    const scope = testScope();
    const { server, id, dir, home, run, worker } = await world(scope, {
      library: "Work",
      args: ["--write-back-delay", "60"],
    });
    await worker.writeFile(join(dir, "new"), "later");
    server.requests.reset();
    expect(await run("unmount", "--now", dir)).toMatchObject({
      code: 6,
      stderr: `${dir} is unmounted, but 1 change is not on the server yet; the next mount stores what was left.\n`,
    });
    expect(server.requests.list().map(({ kind }) => kind)).toEqual([]);
    await mountLibrary(scope, { server, library: "Work", home, dir });
    await eventually("it is stored", async () => (await serverTree(server, id))["new"] !== undefined);
    expect(await serverText(server, id, "/new")).toBe("later");
  });

  it("without flags stores everything first", async () => {
    const { server, id, dir, run, worker } = await world(testScope(), { library: "Work" });
    await worker.writeFile(join(dir, "new"), "now");
    expect(await run("unmount", dir)).toMatchObject({ code: 0, stdout: `${dir} unmounted\n`, stderr: "" });
    expect(await serverText(server, id, "/new")).toBe("now");
  });

  it("--timeout gives up on a server that does not answer, with exit code 6", async () => {
    const { server, dir, run, worker } = await world(testScope(), { library: "Work" });
    await worker.writeFile(join(dir, "new"), "kept");
    server.faults.hang("upload", { times: Number.POSITIVE_INFINITY });
    expect(await run("unmount", "--timeout", "1", dir)).toMatchObject({ code: 6 });
    server.faults.clear();
  });

  it("is refused while a file is open, and the mount can still be asked", async () => {
    const { dir, run, worker } = await world(testScope(), { library: "Work" });
    const fd = await worker.open(join(dir, "stored.txt"), "O_RDONLY");
    expect(await run("unmount", dir)).toMatchObject({ code: 5, stderr: expect.stringContaining("is busy") });
    expect(await run("status", dir)).toMatchObject({ code: 0 });
    await worker.close(fd);
    expect(await run("unmount", dir)).toMatchObject({ code: 0 });
  });
});

describe("unmount after one that was refused", () => {
  it("waits for the server as if it were the first", async () => {
    const { server, id, dir, run, worker } = await world(testScope(), { library: "Work" });
    const fd = await worker.open(join(dir, "new"), "O_WRONLY|O_CREAT");
    expect(await run("unmount", "--now", dir)).toMatchObject({ code: 5 });
    await worker.pwrite(fd, "written later", 0);
    await worker.close(fd);
    expect(await run("unmount", dir)).toMatchObject({ code: 0 });
    expect(await serverText(server, id, "/new")).toBe("written later");
  });
});

describe("the control socket", () => {
  it("is gone with the mount", async () => {
    const { dir, home, run } = await world(testScope(), { library: "Work" });
    const records = join(home, "run/seamount");
    const socket = (await readdir(records)).find((name) => name.endsWith(".sock"))!;
    expect(((await stat(join(records, socket))).mode & 0o777).toString(8)).toBe("600");
    await run("unmount", dir);
    await expect(access(join(records, socket))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
