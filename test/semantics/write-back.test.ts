/**
 * docs/SEMANTICS.md, "Directories" and "Writing", as a mount behaves when it is told nothing: what a call promises that does not wait
 * for the server, and who keeps the promise when seamount is killed. What `--commit close` and `--fsync server` change is in
 * directories and writing.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { MountStatus, QueueItem } from "../../src/control/protocol.ts";
import { startServer, useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, MountFailed, mountLibrary, seamount } from "../support/mounts.ts";
import { eventually, ok, run as runTool } from "../support/process.ts";
import { type Scope, testScope } from "../support/scope.ts";
import { fileOf, serverTree } from "../support/trees.ts";

const ALWAYS = { times: Number.POSITIVE_INFINITY };
/** Nothing is sent before somebody asks for it. */
const PATIENT = ["--write-back-delay", "3600", "--refresh", "3600"];
const patient = useMount({ mount: { background: true, args: PATIENT } });

afterEach(() => patient.server.faults.clear());

async function sync(): Promise<void> {
  const { server, mount } = patient;
  expect(await seamount(["sync", mount.dir], { server, home: mount.home })).toMatchObject({ code: 0 });
}

/** A server, a library and a mount of it: these tests kill the mount or break the server. */
async function world(scope: Scope, args: readonly string[] = PATIENT) {
  const server = await startServer(scope);
  const id = server.store.createLibrary(EMAIL, "Work");
  const mount = await mountLibrary(scope, { server, library: "Work", background: true, args });
  const worker = new FsWorker(scope);
  const run = (...words: string[]) => seamount(words, { server, home: mount.home });
  return { server, id, mount, worker, run, at: (name: string) => join(mount.dir, name) };
}

describe("close and fsync", () => {
  // SEMANTICS: "close(2) returns when the content is durable on the local disk; the server gets it one second after the last
  // close, or `--write-back-delay` after it."
  it("close asks the server nothing; after the delay the server has what was closed", async () => {
    const scope = testScope();
    const folder = await patient.folder();
    const { server, worker } = patient;
    server.requests.reset();
    await worker.writeFile(join(folder.dir, "f"), "content");
    expect(String(await worker.readFile(join(folder.dir, "f")))).toBe("content");
    expect(server.requests.list().filter(({ method }) => method !== "GET")).toEqual([]);
    expect(await folder.tree()).toEqual({});
    await sync();
    expect(await folder.tree()).toEqual({ f: fileOf("content") });

    const plain = await mountLibrary(scope, { server, library: "Work", background: true });
    await worker.writeFile(join(plain.dir, folder.path, "g"), "by itself");
    await eventually("it is stored", async () => (await folder.tree())["g"] === fileOf("by itself"));
  });

  // SEMANTICS: "What the server refuses then is told by the log, `seamount status`, `seamount queue` and `user.seafile.error`."
  it("a refusal is not an errno of close, and said everywhere else", async () => {
    const { server, mount, worker, run, at } = await world(testScope(), ["--write-back-delay", "0"]);
    server.store.setQuota(EMAIL, 10);
    expect(await outcome(worker.writeFile(at("f"), "more than ten bytes"))).toBe("ok");
    // It is tried again at times, and is not held for those moments.
    const held = async <T>(ask: () => Promise<T>, isHeld: (answer: T) => boolean) =>
      eventually("it is held", async () => isHeld(await ask()));
    const queue = async () => JSON.parse((await run("queue", "ls", "--json")).stdout) as QueueItem[];
    await held(queue, ([item]) => item?.path === "/f" && item.state === "held" && item.reason === "quota");
    const status = async () => JSON.parse((await run("status", "--json")).stdout) as MountStatus[];
    await held(status, ([told]) => told?.queue.held === 1 && /quota/i.test(told.errors[0]?.message ?? ""));
    const error = async () =>
      (await runTool("getfattr", ["--only-values", "-n", "user.seafile.error", at("f")])).stdout;
    await held(error, (told) => /quota/i.test(told));
    expect(mount.log()).toMatch(/\/f is not stored yet.*quota/i);
    server.store.setQuota(EMAIL, null);
  });

  // SEMANTICS: "fsync(2) returns when the content is durable on the local disk, or, with `--fsync server`, when the server has stored
  // it."
  it("fsync asks the server nothing", async () => {
    const folder = await patient.folder();
    const { server, worker } = patient;
    const fd = await worker.open(join(folder.dir, "f"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "content", 0);
    server.requests.reset();
    expect(await outcome(worker.call("fsync", fd))).toBe("ok");
    expect(server.requests.list()).toEqual([]);
    await worker.close(fd);
  });
});

describe("seamount is killed", () => {
  // SEMANTICS: "After SIGKILL or a power cut the next mount of the account, whatever it shows, stores what close accepted; what was
  // never closed is stored as `NAME (recovered DATE).EXT`."
  it("what was closed is stored under its name, what was not beside it, by a mount of something else", async () => {
    const scope = testScope();
    const { server, id, mount, worker, at } = await world(scope);
    server.store.createLibrary(EMAIL, "Other");
    await worker.writeFile(at("doc.txt"), "closed");
    await worker.pwrite(await worker.open(at("doc.txt"), "O_WRONLY"), "CHANGED", 0);
    const open = await worker.open(at("new.txt"), "O_WRONLY|O_CREAT");
    await worker.pwrite(open, "never closed", 0);
    await worker.call("fsync", open);
    expect(await serverTree(server, id)).toEqual({});
    await mount.kill9();
    const { home } = mount;
    await mountLibrary(scope, { server, library: "Other", home, background: true });
    await eventually("all three are stored", async () => Object.keys(await serverTree(server, id)).length === 3);
    const tree = Object.entries(await serverTree(server, id));
    expect(tree.map(([name, file]) => [name.replace(/\d{4}(-\d\d){5}/, "DATE"), file])).toEqual([
      ["doc (recovered DATE).txt", fileOf("CHANGED")],
      ["doc.txt", fileOf("closed")],
      ["new (recovered DATE).txt", fileOf("never closed")],
    ]);
  });

  // SEMANTICS: "Only what belongs to a library that is gone, or of which no record is left, is kept as a file in the folder `recovered`
  // of the data directory."
  it("while its library is deleted: the content is a local file", async () => {
    const scope = testScope();
    const { server, id, mount, worker, at } = await world(scope);
    await worker.writeFile(at("f"), "precious");
    await mount.kill9();
    server.store.deleteLibrary(id);
    const again = await mountLibrary(scope, { server, home: mount.home, background: true });
    const recovered = join(mount.home, "data/seamount/recovered");
    const names = await readdir(recovered);
    expect(await Promise.all(names.map((name) => readFile(join(recovered, name), "utf8")))).toEqual(["precious"]);
    expect(again.log()).toContain(names[0]);
    expect((await again.unmount()).code).toBe(6);
  });
});

describe("the end of a mount", () => {
  // SEMANTICS: "The end of a mount (`seamount unmount`, SIGTERM) waits for the server, for 60 s unless `seamount unmount --timeout` says
  // otherwise."
  // SEMANTICS: "What is left then is stored by the next mount of the account, and the exit code is 6."
  it.each(["unmount", "SIGTERM"])("%s stores what waits", async (way) => {
    const { server, id, mount, worker, run, at } = await world(testScope());
    await worker.writeFile(at("f"), "content");
    const accounts = join(mount.home, "data/seamount/accounts");
    const [account] = await readdir(accounts);
    expect(await readdir(join(accounts, account!))).toHaveLength(1);
    if (way === "unmount") expect(await run("unmount", mount.dir)).toMatchObject({ code: 0 });
    else await mount.unmount();
    expect(await mount.exited).toEqual({ code: 0, signal: null });
    expect(await serverTree(server, id)).toEqual({ f: fileOf("content") });
    // Nothing of it is kept here.
    expect(await readdir(join(accounts, account!))).toEqual([]);
  });

  // SEMANTICS: "The end of a mount (`seamount unmount`, SIGTERM) waits for the server, for 60 s unless `seamount unmount --timeout` says
  // otherwise."
  // SEMANTICS: "What is left then is stored by the next mount of the account, and the exit code is 6."
  it("a server that does not answer is given up on, and the next mount stores it", async () => {
    const scope = testScope();
    const { server, id, mount, worker, run, at } = await world(scope);
    await worker.writeFile(at("f"), "content");
    server.faults.hang("upload", ALWAYS);
    expect(await run("unmount", "--timeout", "1", mount.dir)).toMatchObject({ code: 6 });
    expect(await mount.exited).toEqual({ code: 6, signal: null });
    expect(await serverTree(server, id)).toEqual({});
    server.faults.clear();
    const again = await mountLibrary(scope, { server, library: "Work", home: mount.home, background: true });
    await eventually("it is stored", async () => (await serverTree(server, id))["f"] === fileOf("content"));
    expect(await again.unmount()).toEqual({ code: 0, signal: null });
  });

  // SEMANTICS: "A second mount of the same library or folder by the same user and account is refused with exit code 5."
  it("until then nobody else mounts the same, and something else is no problem", async () => {
    const scope = testScope();
    const { server, mount } = await world(scope);
    const { home } = mount;
    const second = mountLibrary(scope, { server, library: "Work", home, background: true });
    const refused = await second.catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(MountFailed);
    expect(refused).toMatchObject({ code: 5, output: expect.stringContaining(mount.dir) });
    const all = await mountLibrary(scope, { server, home, background: true });
    expect(await new FsWorker(scope).listdir(all.dir)).toEqual(["Work"]);
    await mount.unmount();
    await mountLibrary(scope, { server, library: "Work", home, background: true });
  });
});

describe("names", () => {
  // SEMANTICS: "unlink and rmdir hide the name at once; the server removes it `--write-back-delay` later, also when seamount was killed
  // meanwhile."
  it("what was removed is gone here, and on the server after the kill and the next mount", async () => {
    const scope = testScope();
    const { server, id, mount, worker, run, at } = await world(scope);
    await worker.call("mkdir", at("d"));
    for (const name of ["d/f", "g", "stays"]) await worker.writeFile(at(name), name);
    expect(await run("sync")).toMatchObject({ code: 0 });
    server.requests.reset();
    for (const name of ["d/f", "g"]) await worker.call("unlink", at(name));
    await worker.call("rmdir", at("d"));
    expect(await worker.listdir(mount.dir)).toEqual(["stays"]);
    expect(await outcome(worker.stat(at("g")))).toBe("ENOENT");
    expect(server.requests.list().filter(({ method }) => method !== "GET")).toEqual([]);
    expect(Object.keys(await serverTree(server, id))).toEqual(["d/", "d/f", "g", "stays"]);
    await mount.kill9();
    await mountLibrary(scope, { server, library: "Work", home: mount.home, background: true });
    await eventually("they are gone", async () => Object.keys(await serverTree(server, id)).length === 1);
    expect(await serverTree(server, id)).toEqual({ stays: fileOf("stays") });
  });

  // SEMANTICS: "What somebody else changed meanwhile is not removed, and shows again."
  it("a file with a new version, and a folder with a new file, stay", async () => {
    const folder = await patient.folder();
    const { server, worker, libraryId } = patient;
    const at = (name: string) => join(folder.dir, name);
    await worker.call("mkdir", at("d"));
    for (const name of ["d/ours", "changed", "unchanged"]) await worker.writeFile(at(name), "ours");
    await sync();
    for (const name of ["d/ours", "changed", "unchanged"]) await worker.call("unlink", at(name));
    await worker.call("rmdir", at("d"));
    expect(await worker.listdir(folder.dir)).toEqual([]);
    await server.store.writeFile(libraryId, `${folder.path}/changed`, "theirs");
    await server.store.writeFile(libraryId, `${folder.path}/d/theirs`, "theirs");
    await sync();
    expect(await folder.tree()).toEqual({ changed: fileOf("theirs"), "d/": "", "d/theirs": fileOf("theirs") });
    await eventually("both show again", async () => String(await worker.listdir(folder.dir)) === "changed,d");
    expect(String(await worker.readFile(at("changed")))).toBe("theirs");
    expect(await worker.listdir(at("d"))).toEqual(["theirs"]);
  });

  // SEMANTICS: "rmdir answers ENOTEMPTY while anything is shown in the directory."
  it("rmdir of a folder with a stored file, and with one that waits, is ENOTEMPTY", async () => {
    const folder = await patient.folder();
    const { worker } = patient;
    const at = (name: string) => join(folder.dir, name);
    await worker.call("mkdir", at("d"));
    await worker.writeFile(at("d/stored"), "1");
    await sync();
    await worker.writeFile(at("d/waits"), "2");
    expect(await outcome(worker.call("rmdir", at("d")))).toBe("ENOTEMPTY");
    await worker.call("unlink", at("d/stored"));
    expect(await outcome(worker.call("rmdir", at("d")))).toBe("ENOTEMPTY");
    await worker.call("unlink", at("d/waits"));
    expect(await outcome(worker.call("rmdir", at("d")))).toBe("ok");
    await sync();
    expect(await folder.tree()).toEqual({});
  });

  // SEMANTICS: "A file that waits is renamed without a request, also onto a stored file, whose next version it becomes."
  it("save by rename is one new version of the target", async () => {
    const folder = await patient.folder();
    const { server, worker, libraryId } = patient;
    const at = (name: string) => join(folder.dir, name);
    await worker.writeFile(at("doc"), "old");
    await sync();
    const commits = server.store.commits(libraryId).length;
    await worker.writeFile(at("doc.tmp"), "new");
    server.requests.reset();
    await worker.rename(at("doc.tmp"), at("doc"));
    expect(server.requests.list()).toEqual([]);
    expect(String(await worker.readFile(at("doc")))).toBe("new");
    await sync();
    expect(await folder.tree()).toEqual({ doc: fileOf("new") });
    expect(server.store.commits(libraryId).length).toBe(commits + 1);
  });
});

describe("both sides change a file", () => {
  // SEMANTICS: "With `--on-conflict overwrite` ours becomes the newest version instead, and with `--on-conflict fail` it is held until
  // its user decides."
  it.each([
    ["overwrite", "stored", { doc: fileOf("OURS") }],
    ["fail", "held", { doc: fileOf("theirs") }],
  ])("--on-conflict %s", async (policy, status, onServer) => {
    const { server, id, worker, run, at } = await world(testScope(), [...PATIENT, "--on-conflict", policy]);
    await worker.writeFile(at("doc"), "base");
    expect(await run("sync")).toMatchObject({ code: 0 });
    await worker.writeFile(at("doc"), "OURS");
    await server.store.writeFile(id, "/doc", "theirs");
    expect(await run("sync", "--timeout", "20")).toMatchObject({ code: status === "stored" ? 0 : 6 });
    expect(await ok("getfattr", ["--only-values", "-n", "user.seafile.status", at("doc")])).toBe(status);
    expect(await serverTree(server, id)).toEqual(onServer);
    expect(String(await worker.readFile(at("doc")))).toBe("OURS");
    if (policy !== "fail") return;
    expect(await run("queue", "discard", "--yes", at("doc"))).toMatchObject({ code: 0 });
    expect(String(await worker.readFile(at("doc")))).toBe("theirs");
  });
});
