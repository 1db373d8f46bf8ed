/** A mount without --library: every library the account can reach is a folder, and libraries are filesystems of their own. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, type Mounted, mountLibrary } from "../support/mounts.ts";
import { eventually, ok } from "../support/process.ts";
import { fileScope } from "../support/scope.ts";
import { fileOf, serverText, serverTree } from "../support/trees.ts";

const OTHER = "other@example.com";
const scope = fileScope();
let server: DevServer;
let mount: Mounted;
let worker: FsWorker;
let one: string;
let two: string;

beforeAll(async () => {
  server = await startServer(scope, {
    users: [
      { email: EMAIL, password: "testpass123", name: "Test" },
      { email: OTHER, password: "testpass456", name: "Other" },
    ],
  });
  one = server.store.createLibrary(EMAIL, "One");
  two = server.store.createLibrary(EMAIL, "Two");
  const foreign = server.store.createLibrary(OTHER, "One");
  server.store.share(foreign, EMAIL, "rw");
  await server.store.writeFile(foreign, "/whose", "theirs");
  await server.store.writeFile(one, "/whose", "mine");
  const readable = server.store.createLibrary(OTHER, "Readable");
  server.store.share(readable, EMAIL, "r");
  await server.store.writeFile(readable, "/file", "read me");
  mount = await mountLibrary(scope, { server, args: ["--refresh", "0.2"] });
  worker = new FsWorker(scope);
});

const at = (path: string) => join(mount.dir, path);

describe("the top folder", () => {
  it("shows own and shared libraries; those of one name have their owner behind it", async () => {
    expect(await worker.listdir(mount.dir)).toEqual(["One (Other)", "One (Test)", "Readable", "Two"]);
    expect(await ok("cat", [at("One (Test)/whose")])).toBe("mine");
    expect(await ok("cat", [at("One (Other)/whose")])).toBe("theirs");
  });

  it("files and folders are written in each", async () => {
    await ok("sh", ["-c", 'mkdir "$1/d" && echo x > "$1/d/f"', "sh", at("Two")]);
    expect(await serverText(server, two, "/d/f")).toBe("x\n");
  });

  it("a library that appears on the server appears, and one that disappears is gone", async () => {
    server.store.createLibrary(EMAIL, "Three");
    await eventually("Three is shown", async () => (await worker.listdir(mount.dir)).includes("Three"));
    expect(await worker.listdir(at("Three"))).toEqual([]);
  });

  it("a read-only library among them shows no write bits and answers EROFS", async () => {
    expect((await worker.stat(at("Readable"))).mode & 0o222).toBe(0);
    expect(await outcome(worker.writeFile(at("Readable/new"), "x"))).toBe("EROFS");
    expect(await outcome(worker.call("unlink", at("Readable/file")))).toBe("EROFS");
  });

  it("takes no files and no folders, and libraries cannot be removed or renamed here", async () => {
    const results = [
      await outcome(worker.writeFile(at("file"), "x")),
      await outcome(worker.call("mkdir", at("NewLibrary"))),
      await outcome(worker.call("rmdir", at("Two"))),
      await outcome(worker.rename(at("Two"), at("Renamed"))),
    ];
    expect(results.filter((result) => !["EPERM", "EACCES", "EROFS"].includes(result))).toEqual([]);
    expect(await worker.listdir(mount.dir)).toContain("Two");
  });
});

describe("between libraries", () => {
  // SEMANTICS: "A rename across libraries is answered EXDEV, so that mv copies."
  it("rename(2) is EXDEV", async () => {
    await worker.writeFile(at("One (Test)/file"), "x");
    expect(await outcome(worker.rename(at("One (Test)/file"), at("Two/file")))).toBe("EXDEV");
    expect(await serverText(server, one, "/file")).toBe("x");
  });

  // SEMANTICS: "A rename across libraries is answered EXDEV, so that mv copies."
  it("mv copies a folder and removes the source", async () => {
    await ok("sh", [
      "-c",
      'mkdir -p "$1/move/sub" && echo 1 > "$1/move/a" && echo 2 > "$1/move/sub/b"',
      "sh",
      at("One (Test)"),
    ]);
    await ok("mv", [at("One (Test)/move"), at("Two/moved")]);
    expect(await serverTree(server, two, "/moved")).toEqual({ a: fileOf("1\n"), "sub/": "", "sub/b": fileOf("2\n") });
    expect([...server.store.tree(one).keys()].filter((path) => path.startsWith("/move"))).toEqual([]);
  });
});
