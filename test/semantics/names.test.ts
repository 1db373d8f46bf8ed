/**
 * docs/SEMANTICS.md, "Names": the limits of a name, and what is no name at all. Case and Unicode forms are in test/mount/names.
 * Listings never get old here (--refresh), so that a request which is counted was made by the refusal itself.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Folder, startServer, useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, mountLibrary } from "../support/mounts.ts";
import { testScope } from "../support/scope.ts";
import { fileOf } from "../support/trees.ts";

const shared = useMount({ mount: { args: ["--refresh", "3600"] } });

/** A folder with a file "f" and a folder "d", which the mount has listed. */
async function listedFolder(): Promise<Folder> {
  const folder = await shared.folder();
  await shared.worker.writeFile(join(folder.dir, "f"), "x");
  await shared.worker.call("mkdir", join(folder.dir, "d"));
  await shared.worker.listdir(folder.dir);
  return folder;
}

/** What every call that would give something the name ends with. */
async function creationsOf(folder: Folder, name: string): Promise<string[]> {
  const path = join(folder.dir, name);
  return [
    await outcome(shared.worker.open(path, "O_WRONLY|O_CREAT")),
    await outcome(shared.worker.call("mknod", path)),
    await outcome(shared.worker.call("mkdir", path)),
    await outcome(shared.worker.rename(join(folder.dir, "f"), path)),
    await outcome(shared.worker.rename(join(folder.dir, "d"), path)),
  ];
}

describe("too long", () => {
  // SEMANTICS: "A name has at most 255 bytes of UTF-8; a longer one is answered ENAMETOOLONG without a request."
  it.each([
    ["of one byte each", "n".repeat(255)],
    ["of three bytes each", "文".repeat(85)],
  ])("255 bytes of characters %s are a name, one more is ENAMETOOLONG and no request", async (_, longest) => {
    const folder = await listedFolder();
    const { worker, server } = shared;
    expect(Buffer.byteLength(longest)).toBe(255);
    await worker.rename(join(folder.dir, "f"), join(folder.dir, longest));
    await worker.call("mkdir", join(folder.dir, "d", longest));
    await worker.writeFile(join(folder.dir, "d", longest, longest), "deep");
    const before = {
      [longest]: fileOf("x"),
      "d/": "",
      [`d/${longest}/`]: "",
      [`d/${longest}/${longest}`]: fileOf("deep"),
    };
    expect(await folder.tree()).toEqual(before);
    await worker.rename(join(folder.dir, longest), join(folder.dir, "f"));
    await worker.listdir(folder.dir);

    server.requests.reset();
    expect(new Set(await creationsOf(folder, `${longest}x`))).toEqual(new Set(["ENAMETOOLONG"]));
    const tooLong = join(folder.dir, `${longest}x`);
    expect(await outcome(worker.stat(tooLong))).toBe("ENAMETOOLONG");
    expect(await outcome(worker.open(tooLong, "O_RDONLY"))).toBe("ENAMETOOLONG");
    expect(await outcome(worker.call("unlink", tooLong))).toBe("ENAMETOOLONG");
    expect(await outcome(worker.call("rmdir", tooLong))).toBe("ENAMETOOLONG");
    expect(server.requests.list()).toEqual([]);
    const { [longest]: _renamed, ...rest } = before;
    expect(await folder.tree()).toEqual({ ...rest, f: fileOf("x") });
  });
});

describe("not storable", () => {
  // SEMANTICS: "A name that is not valid UTF-8 is refused with EINVAL without a request."
  it.each([
    ["a byte that is not UTF-8", "bad\udcff"],
    ["an overlong dot", "\udcc0\udcae"],
    ["half of a surrogate pair", "half\udced\udca0\udcbd"],
    ["Latin-1", "caf\udce9.txt"],
  ])("%s is EINVAL and no request", async (_, name) => {
    const folder = await listedFolder();
    shared.server.requests.reset();
    expect(new Set(await creationsOf(folder, name))).toEqual(new Set(["EINVAL"]));
    expect(shared.server.requests.list()).toEqual([]);
    expect(await folder.tree()).toEqual({ "d/": "", f: fileOf("x") });
  });
});

describe("not a name", () => {
  // SEMANTICS: "What the server lists under a name that no file can have is not shown."
  it("slashes, dots, NUL and nothing as names are not shown, and do not hide the names beside them", async () => {
    const scope = testScope();
    const server = await startServer(scope);
    const id = server.store.createLibrary(EMAIL, "Odd");
    await server.store.writeFile(id, "/good", "content");
    const library = server.store.library(id)!;
    const good = library.find("/good")!;
    const names = ["/", "a/b", "../up", ".", "..", "nul\0", "", "good"];
    const root = library.fs.putDirectory(names.map((name) => ({ ...good, name })));
    library.commit(library.record.ownerId, "Stored by another program.", root);

    const mount = await mountLibrary(scope, { server, library: "Odd" });
    const worker = new FsWorker(scope);
    expect(await worker.listdir(mount.dir)).toEqual(["good"]);
    expect((await worker.readFile(join(mount.dir, "good"))).toString()).toBe("content");
    expect(await outcome(worker.stat(join(mount.dir, "a", "b")))).toBe("ENOENT");
  });
});
