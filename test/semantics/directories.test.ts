/**
 * docs/SEMANTICS.md, "Directories": what has happened on the server when a call returns, what a rename leaves behind when seamount
 * dies in it, and the top of a mount of all libraries. The other sentences are quoted in test/mount/rename and all-libraries.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, type Mounted, mountLibrary } from "../support/mounts.ts";
import { eventually } from "../support/process.ts";
import { fileScope, testScope } from "../support/scope.ts";
import { requires } from "../support/transport.ts";
import { fileOf, serverText } from "../support/trees.ts";

const OTHER = "other@example.com";
const users = [
  { email: EMAIL, password: "testpass123", name: "Test" },
  { email: OTHER, password: "testpass456", name: "Other" },
];
const ALWAYS = { times: Number.POSITIVE_INFINITY };
const shared = useMount({ server: { users }, mount: { args: ["--refresh", "3600"] } });
const scope = fileScope();

describe("changes of directories", () => {
  // SEMANTICS: "mkdir, and rename of what is stored, have happened on the server when they return."
  // SEMANTICS: "With `--commit close` unlink and rmdir wait for the server, and rmdir answers ENOTEMPTY for what somebody else put
  // there."
  it("a server that takes its time is waited for", async () => {
    const folder = await shared.folder();
    const { worker, server } = shared;
    const at = (name: string) => join(folder.dir, name);
    await worker.writeFile(at("f"), "1");
    await worker.writeFile(at("g"), "2");
    server.faults.delay("*", 250, ALWAYS);
    await worker.call("mkdir", at("d"));
    expect(await folder.tree()).toEqual({ "d/": "", f: fileOf("1"), g: fileOf("2") });
    await worker.rename(at("f"), at("d/f"));
    expect(await folder.tree()).toEqual({ "d/": "", "d/f": fileOf("1"), g: fileOf("2") });
    await worker.rename(at("d"), at("e"));
    expect(await folder.tree()).toEqual({ "e/": "", "e/f": fileOf("1"), g: fileOf("2") });
    await worker.rename(at("g"), at("e/f"));
    expect(await folder.tree()).toEqual({ "e/": "", "e/f": fileOf("2") });
    await worker.call("unlink", at("e/f"));
    expect(await folder.tree()).toEqual({ "e/": "" });
    await worker.call("rmdir", at("e"));
    expect(await folder.tree()).toEqual({});
    server.faults.clear();
  });

  // SEMANTICS: "With `--commit close` unlink and rmdir wait for the server, and rmdir answers ENOTEMPTY for what somebody else put
  // there."
  it("rmdir of what looks empty here is ENOTEMPTY for others' files, and for files that are not stored yet", async () => {
    const folder = await shared.folder();
    const { worker, server, libraryId } = shared;
    const dir = join(folder.dir, "d");
    await worker.call("mkdir", dir);
    expect(await worker.listdir(dir)).toEqual([]);
    await server.store.writeFile(libraryId, `${folder.path}/d/theirs`, "theirs");
    expect(await outcome(worker.call("rmdir", dir))).toBe("ENOTEMPTY");
    expect(await folder.tree()).toEqual({ "d/": "", "d/theirs": fileOf("theirs") });
    server.store.remove(libraryId, `${folder.path}/d/theirs`);
    const fd = await worker.open(join(dir, "ours"), "O_WRONLY|O_CREAT");
    expect(await folder.tree()).toEqual({ "d/": "" });
    expect(await outcome(worker.call("rmdir", dir))).toBe("ENOTEMPTY");
    await worker.call("unlink", join(dir, "ours"));
    await worker.close(fd);
    server.requests.reset();
    expect(await outcome(worker.call("rmdir", dir))).toBe("ok");
    expect(server.requests.list().map(({ kind }) => kind)).toEqual(["dir", "delete-dir"]);
    expect(await folder.tree()).toEqual({});
  });
});

describe("a rename onto an existing file", () => {
  // SEMANTICS: "A rename of a stored file onto another stores the source's content as a new version of the target before it removes
  // the source."
  it("while the source is about to be removed, the target has its content already", async () => {
    const folder = await shared.folder();
    const { worker, server } = shared;
    const [source, target] = [join(folder.dir, "source"), join(folder.dir, "target")];
    await worker.writeFile(target, "old");
    await worker.writeFile(source, "new");
    const commits = () => server.store.commits(shared.libraryId).length;
    const before = commits();
    server.requests.reset();
    server.faults.delay("delete-file", 500);
    const renaming = worker.rename(source, target);
    await eventually("the source is about to be removed", () => server.requests.count("delete-file") > 0);
    expect(await folder.tree()).toEqual({ source: fileOf("new"), target: fileOf("new") });
    expect(commits()).toBe(before + 1);
    await renaming;
    expect(await folder.tree()).toEqual({ target: fileOf("new") });
    expect(commits()).toBe(before + 2);
  });

  // SEMANTICS: "At no moment is the target missing on the server, and a crash in between leaves both files."
  it("seamount is killed in the middle: both names are on the server, and in the next mount", async () => {
    const own = testScope();
    const folder = await shared.folder();
    const { server, libraryId } = shared;
    const mount = await mountLibrary(own, { server, library: "Work" });
    const worker = new FsWorker(own);
    const at = (name: string) => join(mount.dir, folder.path, name);
    await worker.writeFile(at("target"), "old");
    await worker.writeFile(at("source"), "new");
    server.requests.reset();
    server.faults.hang("delete-file");
    const renaming = outcome(worker.rename(at("source"), at("target")));
    await eventually("the source is about to be removed", () => {
      expect(server.store.tree(libraryId).has(`${folder.path}/target`)).toBe(true);
      return server.requests.count("delete-file") > 0;
    });
    await mount.kill9();
    expect(await renaming).not.toBe("ok");
    server.faults.clear();
    expect(await folder.tree()).toEqual({ source: fileOf("new"), target: fileOf("new") });
    const again = await mountLibrary(own, { server, library: "Work", dir: mount.dir, home: mount.home });
    expect((await worker.readFile(join(again.dir, folder.path, "target"))).toString()).toBe("new");
    expect((await worker.readFile(join(again.dir, folder.path, "source"))).toString()).toBe("new");
  });
});

describe("a mount of all libraries", () => {
  let mount: Mounted;
  let worker: FsWorker;
  let empty: string;
  const twins: string[] = [];

  beforeAll(async () => {
    const { store } = shared.server;
    empty = store.createLibrary(EMAIL, "Empty");
    const theirs = store.createLibrary(OTHER, "Notes");
    store.share(theirs, EMAIL, "rw");
    const mine = store.createLibrary(EMAIL, "Notes");
    twins.push(store.createLibrary(EMAIL, "Twins"), store.createLibrary(EMAIL, "Twins"));
    for (const id of [theirs, mine, ...twins]) await store.writeFile(id, "/id", id);
    mount = await mountLibrary(scope, { server: shared.server });
    worker = new FsWorker(scope);
  });

  // SEMANTICS: "In a mount of all libraries the top folders are the libraries, which cannot be made, renamed or removed there
  // (EPERM)."
  it("its top takes nothing and gives nothing away", async () => {
    const at = (path: string) => join(mount.dir, path);
    const before = await worker.listdir(mount.dir);
    expect(before).toHaveLength(shared.server.store.libraries().length);
    expect(before).toEqual(expect.arrayContaining(["Work", "Empty"]));
    await worker.writeFile(at("Work/in-the-way"), "x");
    const made = [
      await outcome(worker.call("mkdir", at("New"))),
      await outcome(worker.open(at("file"), "O_WRONLY|O_CREAT")),
      await outcome(worker.call("mknod", at("node"))),
      await outcome(worker.rename(at("Work/in-the-way"), at("file"))),
    ];
    const renamed = [
      await outcome(worker.rename(at("Empty"), at("Renamed"))),
      await outcome(worker.rename(at("Work"), at("Empty"))),
    ];
    const removed = [await outcome(worker.call("rmdir", at("Empty"))), await outcome(worker.call("rmdir", at("Work")))];
    expect(new Set([...made, ...renamed, ...removed])).toEqual(new Set(["EPERM"]));
    expect(await worker.listdir(mount.dir)).toEqual(before);
    expect(shared.server.store.library(empty)?.record.name).toBe("Empty");
  });

  // SEMANTICS: "In a mount of all libraries the top folders are the libraries, which cannot be made, renamed or removed there
  // (EPERM)."
  it("RENAME_NOREPLACE renames no library, either", requires("renameNoReplace"), async () => {
    const [from, to] = [join(mount.dir, "Empty"), join(mount.dir, "Renamed")];
    expect(await outcome(worker.call("renameat2", from, to, 1))).toBe("EPERM");
    expect(shared.server.store.library(empty)?.record.name).toBe("Empty");
  });

  // SEMANTICS: "Libraries of one name are told apart by their owner or their id."
  it("of two owners by the owner, of one owner by the id, and each name leads to its own library", async () => {
    const [one, two] = twins.map((id) => `Twins (${id.slice(0, 8)})`);
    const names = await worker.listdir(mount.dir);
    expect(names.filter((name) => /^(Notes|Twins)/.test(name))).toEqual(
      ["Notes (Other)", "Notes (Test)", one, two].sort(),
    );
    const idIn = async (name: string) => (await worker.readFile(join(mount.dir, name, "id"))).toString();
    expect([await idIn(one!), await idIn(two!)]).toEqual(twins);
    const owner = async (name: string) => shared.server.store.library(await idIn(name))?.record.ownerId;
    expect(await owner("Notes (Other)")).toBe(shared.server.store.user(OTHER)?.id);
    expect(await owner("Notes (Test)")).toBe(shared.server.store.user(EMAIL)?.id);
    expect(await serverText(shared.server, twins[0]!, "/id")).toBe(twins[0]);
  });
});
