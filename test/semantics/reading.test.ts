/**
 * docs/SEMANTICS.md, "Reading": which version a program reads, how soon it sees another one, and what it cannot read.
 * That a removed file stays readable is quoted in test/mount/open-files.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type Folder, startServer, useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, mountLibrary } from "../support/mounts.ts";
import { eventually } from "../support/process.ts";
import { testScope } from "../support/scope.ts";
import { pattern } from "../support/trees.ts";

const shared = useMount({ mount: { args: ["--refresh", "0.2"] } });
const SIZE = 3_000_000;
/** Far beyond what reading the beginning brings into memory. */
const FAR = SIZE - 10_000;

/** A file on the server, open in the mount, of which only the beginning was read. */
async function openFile(data: Buffer) {
  const folder = await shared.folder();
  const { store } = shared.server;
  const path = `${folder.path}/f`;
  await store.writeFile(shared.libraryId, path, data);
  await eventually("it is seen", async () => (await shared.worker.listdir(folder.dir)).length === 1);
  const fd = await shared.worker.open(join(folder.dir, "f"), "O_RDONLY");
  expect(await shared.worker.pread(fd, 1000, 0)).toEqual(data.subarray(0, 1000));
  return { folder, path, fd };
}

const others: Record<string, (path: string) => Promise<void>> = {
  replaced: (path) => shared.server.store.writeFile(shared.libraryId, path, "another version"),
  removed: async (path) => shared.server.store.remove(shared.libraryId, path),
  renamed: async (path) => shared.server.store.move(shared.libraryId, path, `${path}-renamed`),
  "replaced by a folder": async (path) => {
    shared.server.store.remove(shared.libraryId, path);
    shared.server.store.mkdir(shared.libraryId, path);
  },
};

/** The mount itself has seen what happened in the folder: it shows what happened there after that. */
async function changeIsSeen(folder: Folder): Promise<void> {
  await shared.server.store.writeFile(shared.libraryId, `${folder.path}/later`, "x");
  await eventually("the change is seen", async () => (await shared.worker.listdir(folder.dir)).includes("later"));
}

describe("an open file", () => {
  // SEMANTICS: "An open file keeps the version that it was opened with, whatever others do to it on the server."
  it.each(Object.keys(others))("is read to its end although it is %s on the server", async (what) => {
    const data = pattern(SIZE, 31);
    const { folder, path, fd } = await openFile(data);
    await others[what]!(path);
    await changeIsSeen(folder);
    expect((await shared.worker.fstat(fd)).size).toBe(SIZE);
    expect(await shared.worker.pread(fd, 20_000, FAR)).toEqual(data.subarray(FAR));
    expect(await shared.worker.pread(fd, 50_000, 1_500_000)).toEqual(data.subarray(1_500_000, 1_550_000));
    await shared.worker.close(fd);
  });

  // SEMANTICS: "When the server no longer gives out a replaced or removed version, reading what is not in memory is answered
  // ESTALE."
  it.each(["replaced", "removed"])("that is %s on a server that forgot its links is ESTALE", async (what) => {
    const data = pattern(SIZE, 32);
    const { folder, path, fd } = await openFile(data);
    await others[what]!(path);
    shared.server.faults.expireLinks();
    expect(await outcome(shared.worker.pread(fd, 1000, FAR))).toBe("ESTALE");
    await changeIsSeen(folder);
    expect(await outcome(shared.worker.pread(fd, 1000, FAR))).toBe("ESTALE");
    expect(await shared.worker.pread(fd, 1000, 0)).toEqual(data.subarray(0, 1000));
    await shared.worker.close(fd);
  });
});

describe("what others change", () => {
  // SEMANTICS: "What others change is visible to whoever opens the file later than the refresh time (5 s unless set) plus one
  // second."
  it("is read by whoever opens it after 1 + 1 s with --refresh 1, after 5 + 1 s without, not with --refresh 3600", async () => {
    const scope = testScope();
    const old = ["old", "ok", "ENOENT"];
    const now = ["new", "ENOENT", "ok"];
    /** What is read so long after the change, and what was read right before it. Half a second is left for slow machines. */
    const readAfter = async (seconds: number, args: readonly string[]) => {
      const server = await startServer(scope);
      const id = server.store.createLibrary(EMAIL, "Work");
      await server.store.writeFile(id, "/changed", "old");
      await server.store.writeFile(id, "/removed", "old");
      const mount = await mountLibrary(scope, { server, library: "Work", args });
      const worker = new FsWorker(scope);
      const at = (name: string) => join(mount.dir, name);
      const read = async () => [
        String(await worker.readFile(at("changed"))),
        await outcome(worker.readFile(at("removed"))),
        await outcome(worker.readFile(at("added"))),
      ];
      expect(await read()).toEqual(old);
      await server.store.writeFile(id, "/changed", "new");
      server.store.remove(id, "/removed");
      await server.store.writeFile(id, "/added", "new");
      // Somebody looks all the time, so that what is remembered is renewed at the worst moments.
      const end = performance.now() + seconds * 1000 + 500;
      for (; performance.now() < end; await sleep(50)) await outcome(worker.stat(at("changed")));
      return read();
    };
    const results = await Promise.all([
      readAfter(2, ["--refresh", "1"]),
      readAfter(6, []),
      readAfter(6, ["--refresh", "3600"]),
    ]);
    expect(results).toEqual([now, now, old]);
  });
});
