/** Extended attributes through a real mount, as getfattr, setfattr and the programs that copy attributes meet them. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startServer, useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, mountLibrary, seamount } from "../support/mounts.ts";
import { eventually, ok, run } from "../support/process.ts";
import { tempDir, testScope } from "../support/scope.ts";
import { fileOf } from "../support/trees.ts";

const shared = useMount({ mount: { background: true, args: ["--write-back-delay", "0.2"] } });

const getfattr = async (name: string, path: string) =>
  (await ok("getfattr", ["--absolute-names", "--only-values", "-n", `user.seafile.${name}`, path])).trim();

describe("attributes of what seamount knows", () => {
  // SEMANTICS: "`user.seafile.id` is the object id of what is stored, of a directory while its listing is known;
  // `user.seafile.library` is the library's id, and `user.seafile.path` the path in it."
  it("getfattr reads what the server has: status, id, library and path", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    await shared.worker.writeFile(file, "content");
    await eventually("it is stored", async () => (await getfattr("status", file)) === "stored");
    expect(await folder.tree()).toEqual({ f: fileOf("content") });
    const entry = shared.server.store.tree(shared.libraryId).get(`${folder.path}/f`)!;
    expect(await getfattr("id", file)).toBe(entry.id);
    expect(await getfattr("library", file)).toBe(shared.libraryId);
    expect(await getfattr("path", file)).toBe(`${folder.path}/f`);
    expect(await outcome(shared.worker.call("getxattr", file, "user.seafile.error"))).toBe("ENODATA");
  });

  // SEMANTICS: "`user.seafile.status` of a file is stored, writing, waiting, uploading, retrying or held; that of a directory is the
  // worst of what waits in it."
  // SEMANTICS: "`user.seafile.error` is the reason for retrying and held."
  it("tell who waits why, and the folder above it, too", async () => {
    const scope = testScope();
    const server = await startServer(scope);
    server.store.createLibrary(EMAIL, "Work");
    server.store.setQuota(EMAIL, 10);
    const mount = await mountLibrary(scope, { server, background: true });
    const file = join(mount.dir, "Work/f");
    await new FsWorker(scope).writeFile(file, "more than ten bytes");
    const told = (name: string, path: string, what: RegExp) =>
      eventually(`${name} of ${path} is ${what}`, async () =>
        what.test((await run("getfattr", ["--only-values", "-n", `user.seafile.${name}`, path])).stdout),
      );
    // It is tried again at times, and is not held for those moments.
    for (const [path, reason] of [
      [file, /^Storing.*quota/],
      [join(mount.dir, "Work"), /^\/f: .*quota/],
      [mount.dir, /^\/f: .*quota/],
    ] as const) {
      await told("status", path, /^held$/);
      await told("error", path, reason);
    }
    server.store.setQuota(EMAIL, null);
  });

  it("tell libraries of one name apart, and the queue does, too", async () => {
    const scope = testScope();
    const server = await startServer(scope);
    const twins = [server.store.createLibrary(EMAIL, "Twins"), server.store.createLibrary(EMAIL, "Twins")];
    const mount = await mountLibrary(scope, { server, background: true, args: ["--write-back-delay", "600"] });
    const worker = new FsWorker(scope);
    const [waiting, idle] = twins.map((id) => `Twins (${id.slice(0, 8)})`);
    await worker.writeFile(join(mount.dir, waiting!, "f"), "content");
    const status = (name: string) => getfattr("status", join(mount.dir, name));
    expect([await status(waiting!), await status(idle!), await status("")]).toEqual(["waiting", "stored", "waiting"]);
    const listed = await seamount(["queue", "ls", "--json", mount.dir], { server, home: mount.home });
    expect(JSON.parse(listed.stdout)).toMatchObject([{ library: "Twins", path: "/f", location: `/${waiting}/f` }]);
  });

  // SEMANTICS: "They cannot be set or removed (EPERM), and listing attributes gives an empty list, so that no copy of a file takes
  // them along."
  it("cannot be set or removed (EPERM)", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    const { worker } = shared;
    await worker.writeFile(file, "content");
    const value = Buffer.from("stored").toString("base64");
    expect(await outcome(worker.call("setxattr", file, "user.seafile.status", value))).toBe("EPERM");
    expect(await outcome(worker.call("removexattr", file, "user.seafile.status"))).toBe("EPERM");
    const result = await run("setfattr", ["-n", "user.seafile.id", "-v", "1", folder.dir]);
    expect(result.stderr).toContain("Operation not permitted");
  });
});

describe("programs that copy attributes", () => {
  // SEMANTICS: "They cannot be set or removed (EPERM), and listing attributes gives an empty list, so that no copy of a file takes
  // them along."
  it("find none, so that no copy says what is true of its source only", async () => {
    const folder = await shared.folder();
    const local = await tempDir(testScope(), "local");
    const at = (name: string) => join(folder.dir, name);
    await shared.worker.writeFile(at("f"), "content");
    expect(await ok("getfattr", ["-d", at("f")])).toBe("");
    const copies = [
      await run("cp", ["--preserve=xattr", at("f"), at("cp")]),
      await run("rsync", ["-aX", at("f"), at("rsync")]),
      await run("rsync", ["-aX", at("f"), join(local, "out")]),
      await run("mv", [at("f"), join(local, "moved")]),
      await run("mv", [join(local, "moved"), at("back")]),
    ];
    expect(copies.map(({ code, stderr }) => [code, stderr])).toEqual(copies.map(() => [0, ""]));
    expect(await ok("getfattr", ["-d", "-m", "-", join(local, "out")])).not.toContain("user.seafile");
    await eventually("all is stored", async () => (await getfattr("status", folder.dir)) === "stored");
    expect(await folder.tree()).toEqual({ back: fileOf("content"), cp: fileOf("content"), rsync: fileOf("content") });
  });
});
