/**
 * docs/SEMANTICS.md, "Times, modes and owners": what reads back in this mount, what the server learns, and what a new mount
 * shows. Owners and the modes of read-only libraries are quoted in test/mount/modes-and-times and options.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { MountStatus } from "../../src/control/protocol.ts";
import { useMount } from "../support/fixture.ts";
import { seamount } from "../support/mounts.ts";
import { eventually, POLL } from "../support/process.ts";
import { requires } from "../support/transport.ts";
import { fileOf, serverMtime } from "../support/trees.ts";

const Y1999 = 915_148_800;
const MIB = 1024 * 1024;
/** The clock of the older server, so that its times are not those of this machine. */
const ITS_DAY = 1_500_000_000;

const new12 = useMount({ server: { compat: 12 }, mount: { args: ["--refresh", "0.2"] } });
const old11 = useMount({ server: { compat: 11, now: () => ITS_DAY * 1000 }, mount: { args: ["--refresh", "0.2"] } });
type Shared = typeof new12;

const ns = (seconds: number, nanoseconds = 0) => String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
const touch = (shared: Shared, path: string, mtime: string) => shared.worker.call("utime", path, mtime, mtime);
const mtimeOf = async (shared: Shared, path: string) => (await shared.worker.stat(path)).mtimeNs;
/** Requests that are more than a question. */
const changesOf = (shared: Shared) => shared.server.requests.list().filter(({ method }) => method !== "GET");

describe("times", () => {
  // SEMANTICS: "The modification time of a file or folder reads back as set, to the nanosecond, as long as the mount lives."
  it.each([
    ["12", new12],
    ["11", old11],
  ])(
    "on version %s nanoseconds read back, also after new listings and renames",
    requires("nanosecondTimes"),
    async (_, shared) => {
      const folder = await shared.folder();
      const { worker, server, libraryId } = shared;
      const at = (name: string) => join(folder.dir, name);
      await worker.writeFile(at("f"), "content");
      await worker.call("mkdir", at("d"));
      await touch(shared, at("f"), ns(Y1999, 123_456_789));
      await touch(shared, at("d"), ns(Y1999 + 1, 987_654_321));
      const times = async (file: string, dir: string) => [
        await mtimeOf(shared, at(file)),
        await mtimeOf(shared, at(dir)),
      ];
      const set = [ns(Y1999, 123_456_789), ns(Y1999 + 1, 987_654_321)];
      expect(await times("f", "d")).toEqual(set);
      await server.store.writeFile(libraryId, `${folder.path}/theirs`, "x");
      await eventually("the folder was listed again", async () =>
        (await worker.listdir(folder.dir)).includes("theirs"),
      );
      expect(await times("f", "d")).toEqual(set);
      await worker.rename(at("f"), at("g"));
      await worker.rename(at("d"), at("e"));
      expect(await times("g", "e")).toEqual(set);
      expect((await worker.readFile(at("g"))).toString()).toBe("content");
      expect(await times("g", "e")).toEqual(set);
    },
  );

  // SEMANTICS: "A server from version 12 on keeps the modification times of files in whole seconds."
  it("a server of version 12 has the seconds, and a new mount shows them", async () => {
    const folder = await new12.folder();
    const file = join(folder.dir, "f");
    await new12.worker.writeFile(file, "content");
    await touch(new12, file, ns(Y1999, 999_999_999));
    // The kernel sends RELEASE after close(2) has returned, and until then the file counts as open.
    await expect.poll(() => serverMtime(new12.server, new12.libraryId, `${folder.path}/f`), POLL).toBe(Y1999);
    await new12.remount();
    expect(await mtimeOf(new12, file)).toBe(ns(Y1999));
    expect(await folder.tree()).toEqual({ f: fileOf("content") });
  });

  // SEMANTICS: "A touch of a closed file of up to 16 MiB uploads it again on such a server; that of a larger one lasts as long as
  // the mount."
  it.each([
    [16 * MIB, 1],
    [16 * MIB + 1, 0],
  ])("a touch of %i bytes is %i upload", async (size, uploads) => {
    const folder = await new12.folder();
    const { worker, server, libraryId } = new12;
    const file = join(folder.dir, "f");
    const data = Buffer.alloc(size, "touched ");
    await server.store.writeFile(libraryId, `${folder.path}/f`, data, { mtime: ITS_DAY });
    await eventually("it is seen", async () => (await worker.listdir(folder.dir)).length === 1);
    server.requests.reset();
    await touch(new12, file, ns(Y1999, 5_000_000));
    expect(server.requests.count("upload")).toBe(uploads);
    expect(await mtimeOf(new12, file)).toBe(ns(Y1999, 5_000_000));
    await new12.remount();
    expect(await mtimeOf(new12, file)).toBe(ns(uploads === 1 ? Y1999 : ITS_DAY));
    expect(await folder.tree()).toEqual({ f: fileOf(data) });
  });

  // SEMANTICS: "A server of version 11 sets the time of an upload itself, and a new mount shows that time."
  // SEMANTICS: "`seamount status` counts the files whose times will not last."
  it("a server of version 11 goes by its own clock", async () => {
    const folder = await old11.folder();
    const file = join(folder.dir, "f");
    await old11.worker.writeFile(file, "content");
    old11.server.requests.reset();
    await touch(old11, file, ns(Y1999));
    expect(changesOf(old11)).toEqual([]);
    expect(await mtimeOf(old11, file)).toBe(ns(Y1999));
    expect(serverMtime(old11.server, old11.libraryId, `${folder.path}/f`)).toBe(ITS_DAY);
    const { server, mount } = old11;
    const status = await seamount(["status", "--json", mount.dir], { server, home: mount.home });
    expect((JSON.parse(status.stdout) as MountStatus[])[0]!.timesNotKept).toBeGreaterThan(0);
    await old11.remount();
    expect(await mtimeOf(old11, file)).toBe(ns(ITS_DAY));
  });

  // SEMANTICS: "The server sets the times of folders, and a new mount shows those."
  it.each([
    ["12", new12],
    ["11", old11],
  ])("the touch of a folder is forgotten by a new mount of version %s", async (_, shared) => {
    const folder = await shared.folder();
    const { worker, server, libraryId } = shared;
    const dir = join(folder.dir, "d");
    await worker.call("mkdir", dir);
    await worker.writeFile(join(dir, "f"), "content");
    const onServer = serverMtime(server, libraryId, `${folder.path}/d`);
    server.requests.reset();
    await touch(shared, dir, ns(Y1999));
    expect(changesOf(shared)).toEqual([]);
    expect(await mtimeOf(shared, dir)).toBe(ns(Y1999));
    await shared.remount();
    expect(await mtimeOf(shared, dir)).toBe(ns(onServer));
  });
});

describe("modes", () => {
  // SEMANTICS: "The permission bits that chmod sets read back as long as the mount lives, and the server does not learn of them."
  it("a file and a folder show what was set until the next mount, and the server is told nothing", async () => {
    const folder = await new12.folder();
    const { worker, server, libraryId } = new12;
    const at = (name: string) => join(folder.dir, name);
    const modes = async (file: string, dir: string) => [
      (await worker.stat(at(file))).mode,
      (await worker.stat(at(dir))).mode,
    ];
    await worker.writeFile(at("f"), "content");
    await worker.call("mkdir", at("d"));
    expect(await modes("f", "d")).toEqual([0o644, 0o755]);
    const stored = () => server.store.list(libraryId, folder.path).map(({ name, mode }) => [name, mode]);
    const before = stored();
    const head = server.store.head(libraryId);
    server.requests.reset();
    await worker.call("chmod", at("f"), 0o640);
    await worker.call("chmod", at("d"), 0o711);
    expect(changesOf(new12)).toEqual([]);
    expect(server.store.head(libraryId)).toBe(head);
    expect(await modes("f", "d")).toEqual([0o640, 0o711]);

    await server.store.writeFile(libraryId, `${folder.path}/theirs`, "x");
    await eventually("the folder was listed again", async () => (await worker.listdir(folder.dir)).includes("theirs"));
    await worker.writeFile(at("f"), "other content");
    await worker.rename(at("d"), at("e"));
    expect(await modes("f", "e")).toEqual([0o640, 0o711]);
    server.store.remove(libraryId, `${folder.path}/theirs`);
    await worker.rename(at("e"), at("d"));
    expect(stored()).toEqual(before);
    await new12.remount();
    expect(await modes("f", "d")).toEqual([0o644, 0o755]);
  });
});
