/**
 * How many HTTP requests ordinary work costs: exact counts, because a listing per lookup is the difference between a
 * usable drive and rclone's 21 seconds for a `find`. Listings never get old here (--refresh), so every request counted
 * is one that the operation itself caused.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker } from "../support/fs-worker.ts";
import { EMAIL, type Mounted, mountLibrary } from "../support/mounts.ts";
import { eventually, ok } from "../support/process.ts";
import { fileScope, testScope } from "../support/scope.ts";
import { serverText } from "../support/trees.ts";

const FILES = 1000;
const scope = fileScope();
let server: DevServer;
let libraryId: string;
let mount: Mounted;
let worker: FsWorker;

/** The kinds of the requests that arrive while `work` runs. */
async function requestsOf(work: () => Promise<unknown>): Promise<string[]> {
  server.requests.reset();
  await work();
  return server.requests.list().map((request) => request.kind);
}

beforeAll(async () => {
  server = await startServer(scope);
  libraryId = server.store.createLibrary(EMAIL, "Counts");
  for (const folder of ["/big", "/small", "/new", "/other", "/deep"]) server.store.mkdir(libraryId, folder);
  for (let i = 0; i < FILES; i++) await server.store.writeFile(libraryId, `/big/file-${i}.txt`, `content ${i}`);
  for (let i = 0; i < 20; i++) await server.store.writeFile(libraryId, `/small/f${i}`, `small ${i}`);
  await server.store.writeFile(libraryId, "/other/empty", "");
  mount = await mountLibrary(scope, { server, library: "Counts", args: ["--refresh", "3600"] });
  worker = new FsWorker(scope);
  await ok("ls", ["-la", mount.dir]);
});

describe("listing", () => {
  it("ls -l of a cold folder of 1,000 files is one request", async () => {
    let lines = 0;
    const kinds = await requestsOf(async () => {
      lines = (await ok("ls", ["-l", join(mount.dir, "big")])).trim().split("\n").length;
    });
    expect(lines).toBe(FILES + 1);
    expect(kinds).toEqual(["dir"]);
  });

  it("stat of all files of a listed folder is no request", async () => {
    const names = Array.from({ length: FILES }, (_, i) => join(mount.dir, `big/file-${i}.txt`));
    await ok("ls", ["-l", join(mount.dir, "big")]);
    let sizes = "";
    const kinds = await requestsOf(async () => {
      sizes = await ok("stat", ["-c", "%s", ...names]);
    });
    expect(sizes.trim().split("\n").map(Number)).toEqual(names.map((_, i) => `content ${i}`.length));
    expect(kinds).toEqual([]);
  });

  it("a name that is not in a listed folder is no request", async () => {
    await worker.listdir(join(mount.dir, "big"));
    const kinds = await requestsOf(async () => {
      for (let i = 0; i < 5; i++)
        await expect(worker.stat(join(mount.dir, `big/missing-${i}`))).rejects.toThrow("ENOENT");
    });
    expect(kinds).toEqual([]);
  });

  it("ls -l of the root of a fresh mount is one request", async () => {
    const fresh = await mountLibrary(scope, { server, library: "Counts:/big", args: ["--refresh", "3600"] });
    const kinds = await requestsOf(() => ok("ls", ["-l", fresh.dir]));
    expect(kinds).toEqual(["dir"]);
    await fresh.unmount();
  });

  it("find over listed folders is no request", async () => {
    await ok("find", [mount.dir, "-size", "+0"]);
    expect(await requestsOf(() => ok("find", [mount.dir, "-size", "+0"]))).toEqual([]);
  });
});

describe("reading", () => {
  it("a cold small file is at most two requests, and none the second time", async () => {
    const path = join(mount.dir, "small/f1");
    await ok("ls", [join(mount.dir, "small")]);
    const cold = await requestsOf(async () => expect(await ok("cat", [path])).toBe("small 1"));
    expect(cold).toEqual(["file-link", "download"]);
    const warm = await requestsOf(async () => expect(await ok("cat", [path])).toBe("small 1"));
    expect(warm).toEqual([]);
  });

  it("stat after reading is no request", async () => {
    await ok("cat", [join(mount.dir, "small/f2")]);
    expect(await requestsOf(() => worker.stat(join(mount.dir, "small/f2")))).toEqual([]);
  });

  it("reading what was just written is no request", async () => {
    const path = join(mount.dir, "new/read-back");
    await worker.writeFile(path, "just written");
    const kinds = await requestsOf(async () => expect(await ok("cat", [path])).toBe("just written"));
    expect(kinds).toEqual([]);
  });

  it("an empty file is read without a request", async () => {
    await ok("ls", [join(mount.dir, "other")]);
    expect(await requestsOf(() => ok("cat", [join(mount.dir, "other/empty")]))).toEqual([]);
  });
});

describe("writing", () => {
  it("a new small file is at most two requests cold and one warm", async () => {
    const fresh = await mountLibrary(scope, { server, library: "Counts", args: ["--refresh", "3600"] });
    await ok("ls", [join(fresh.dir, "new")]);
    const write = (name: string) => () => worker.writeFile(join(fresh.dir, "new", name), "new content");
    const cold = await requestsOf(write("first"));
    expect(cold).toEqual(["upload-link", "upload"]);
    const warm = await requestsOf(write("second"));
    expect(warm).toEqual(["upload"]);
    expect(await serverText(server, libraryId, "/new/second")).toBe("new content");
    await fresh.unmount();
  });

  it("a new file in another folder needs no second link", async () => {
    await ok("ls", [join(mount.dir, "new"), join(mount.dir, "deep")]);
    await worker.writeFile(join(mount.dir, "new/warm-up"), "x");
    expect(await requestsOf(() => worker.writeFile(join(mount.dir, "deep/file"), "y"))).toEqual(["upload"]);
  });

  it("overwriting a file is two requests warm: whether somebody else changed it, and the upload", async () => {
    const path = join(mount.dir, "small/f3");
    await worker.writeFile(path, "first change");
    expect(await requestsOf(() => worker.writeFile(path, "second change"))).toEqual(["detail", "upload"]);
    expect(await serverText(server, libraryId, "/small/f3")).toBe("second change");
  });

  it("opening for writing without a change stores nothing", async () => {
    const kinds = await requestsOf(async () => {
      await worker.close(await worker.open(join(mount.dir, "small/f4"), "O_RDWR"));
    });
    // A link is what keeps the version readable that was opened.
    expect(kinds).toEqual(["file-link"]);
  });

  it("a second close of a stored file is no request", async () => {
    const fd = await worker.open(join(mount.dir, "new/fsynced"), "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "stored by fsync", 0);
    await worker.call("fsync", fd);
    expect(await requestsOf(() => worker.close(fd))).toEqual([]);
    expect(await serverText(server, libraryId, "/new/fsynced")).toBe("stored by fsync");
  });
});

describe("changing the tree of listed folders", () => {
  it("mkdir is one request", async () => {
    expect(await requestsOf(() => worker.call("mkdir", join(mount.dir, "deep/folder")))).toEqual(["mkdir"]);
  });

  it("renaming a file within its folder is one request", async () => {
    await worker.listdir(join(mount.dir, "small"));
    const kinds = await requestsOf(() => worker.rename(join(mount.dir, "small/f5"), join(mount.dir, "small/g5")));
    expect(kinds.length).toBe(1);
    expect(await serverText(server, libraryId, "/small/g5")).toBe("small 5");
  });

  it("moving a file to another folder is one request", async () => {
    await worker.listdir(join(mount.dir, "other"));
    const kinds = await requestsOf(() => worker.rename(join(mount.dir, "small/f6"), join(mount.dir, "other/f6")));
    expect(kinds.length).toBe(1);
    expect(await serverText(server, libraryId, "/other/f6")).toBe("small 6");
  });

  it("moving a file to another folder under another name is two requests", async () => {
    const kinds = await requestsOf(() => worker.rename(join(mount.dir, "small/f8"), join(mount.dir, "other/g8")));
    expect(kinds).toEqual(["move", "rename"]);
    expect(await serverText(server, libraryId, "/other/g8")).toBe("small 8");
  });

  it("moving many files at once is one request for each", async () => {
    const files = Array.from({ length: 8 }, (_, i) => join(mount.dir, `small/f${10 + i}`));
    expect(await requestsOf(() => ok("mv", [...files, join(mount.dir, "other")]))).toHaveLength(files.length);
  });

  it("moving a folder to another is the move between two looks at the target, and another name one request more", async () => {
    for (const name of ["one", "two"]) await worker.call("mkdir", join(mount.dir, "deep", name));
    const moved = (from: string, to: string) =>
      requestsOf(() => worker.rename(join(mount.dir, from), join(mount.dir, to)));
    expect(await moved("deep/one", "other/one")).toEqual(["dir", "batch-move", "dir"]);
    expect(await moved("deep/two", "other/2")).toEqual(["dir", "batch-move", "dir", "rename"]);
  });

  it("unlink is one request, rmdir two: whether it is empty on the server, and the removal", async () => {
    expect(await requestsOf(() => worker.call("unlink", join(mount.dir, "small/f7")))).toHaveLength(1);
    await worker.call("mkdir", join(mount.dir, "deep/gone"));
    const kinds = await requestsOf(() => worker.call("rmdir", join(mount.dir, "deep/gone")));
    expect(kinds).toEqual(["dir", "delete-dir"]);
    const paths = [...server.store.tree(libraryId).keys()];
    expect(paths).not.toContain("/small/f7");
    expect(paths).not.toContain("/deep/gone");
  });
});

describe("in a mount as it is by default", () => {
  const FOLDERS = 10;
  const FILES_EACH = 30;
  const folders = Array.from({ length: FOLDERS }, (_, i) => `d${i}`);
  const tree = () => [...server.store.tree(libraryId).keys()].filter((path) => path.startsWith("/new/t"));
  const countOf = (kinds: readonly string[]) =>
    Object.fromEntries([...new Set(kinds)].sort().map((kind) => [kind, kinds.filter((each) => each === kind).length]));
  const removal = (dir: string) =>
    requestsOf(async () => {
      await ok("rm", ["-r", join(dir, "new/t")]);
      await eventually("all is removed", () => tree().length === 0);
    });
  let dir: string;

  beforeAll(async () => {
    const args = ["--refresh", "3600"];
    dir = (await mountLibrary(scope, { server, library: "Counts", args, background: true })).dir;
    await ok("ls", [dir, join(dir, "new")]);
  });

  it("300 new files in 10 folders are few uploads, and rm -r of them one removal, after a look into each folder", async () => {
    const storing = await requestsOf(async () => {
      await ok("mkdir", ["-p", ...folders.map((name) => join(dir, "new/t", name))]);
      for (const name of folders) {
        for (let i = 0; i < FILES_EACH; i++)
          await worker.writeFile(join(dir, "new/t", name, `f${i}`), `content of ${i}`);
      }
      await eventually("all is stored", () => tree().length === 1 + FOLDERS * (1 + FILES_EACH));
    });
    const { upload, ...others } = countOf(storing);
    expect(others).toEqual({ mkdir: 1 + FOLDERS, "upload-link": 1 });
    expect(upload).toBeLessThan(3 * FOLDERS);
    expect(countOf(await removal(dir))).toEqual({ dir: 1 + FOLDERS, "delete-dir": 1 });
  });

  it("rm -r of 300 listed files in 10 folders is one removal, after a look at the whole", async () => {
    server.store.mkdir(libraryId, "/new/t");
    for (const name of folders) {
      server.store.mkdir(libraryId, `/new/t/${name}`);
      for (let i = 0; i < FILES_EACH; i++) await server.store.writeFile(libraryId, `/new/t/${name}/f${i}`, `${i}`);
    }
    const scope = testScope();
    const mounted = await mountLibrary(scope, {
      server,
      library: "Counts",
      args: ["--refresh", "3600"],
      background: true,
    });
    await ok("ls", ["-R", mounted.dir]);
    expect(countOf(await removal(mounted.dir))).toEqual({ dir: 1, "delete-dir": 1 });
  });
});
