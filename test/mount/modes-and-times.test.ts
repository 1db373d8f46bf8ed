/**
 * Modes, owners and times (peers.md, Behaviour). The Web API keeps no modes and no owners: what chmod set reads back while
 * mounted. Times of files go to the server with the upload, in whole seconds, on servers that take them (12).
 */
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { ok } from "../support/process.ts";
import { tempDir, testScope } from "../support/scope.ts";
import { requires } from "../support/transport.ts";
import { serverMtime, writeTree } from "../support/trees.ts";

const new12 = useMount({ server: { compat: 12 } });
const old11 = useMount({ server: { compat: 11 } });
const Y1999 = 915_148_800;
const ns = (seconds: number, nanoseconds = 0) => String(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));

const statOf = (file: string, format: string) => ok("stat", ["-c", format, file]).then((out) => out.trim());

describe.each([
  ["12", new12],
  ["11", old11],
])("on a server of compatibility %s, while mounted", (_, shared) => {
  it("new files show 644 and new folders 755 under the default umask", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    await mkdir(join(folder.dir, "d"));
    expect(await statOf(join(folder.dir, "f"), "%a %F")).toBe("644 regular file");
    expect(await statOf(join(folder.dir, "d"), "%a %F")).toBe("755 directory");
  });

  it.each(["755", "600", "444", "664", "400"])("chmod %s reads back", async (mode) => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    await writeFile(file, "x");
    await ok("chmod", [mode, file]);
    expect(await statOf(file, "%a")).toBe(mode);
    await shared.worker.rename(file, join(folder.dir, "g"));
    expect(await statOf(join(folder.dir, "g"), "%a")).toBe(mode);
  });

  it("a script with chmod +x runs", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "hello.sh");
    await writeFile(file, "#!/bin/sh\necho hello\n");
    await ok("chmod", ["+x", file]);
    // The child must not be started by this process directly: exec reads the file while the parent waits, blocked.
    expect(await ok("sh", ["-c", '"$1"', "sh", file])).toBe("hello\n");
  });

  it("the mode given to open and mkdir is kept", async () => {
    const folder = await shared.folder();
    await shared.worker.close(await shared.worker.call("open", join(folder.dir, "f"), "O_WRONLY|O_CREAT", 0o600));
    await shared.worker.call("mkdir", join(folder.dir, "d"), 0o700);
    expect(await statOf(join(folder.dir, "f"), "%a")).toBe("600");
    expect(await statOf(join(folder.dir, "d"), "%a")).toBe("700");
  });

  it("chown to the owner succeeds", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    const { uid, gid } = await shared.worker.stat(join(folder.dir, "f"));
    expect(await outcome(shared.worker.call("chown", join(folder.dir, "f"), uid, gid))).toBe("ok");
    await ok("chown", [`${uid}:${gid}`, join(folder.dir, "f")]);
  });

  // SEMANTICS: "chown succeeds and changes nothing."
  it("chown to somebody else succeeds, as archivers run as root expect it", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    const { uid, gid } = await shared.worker.stat(join(folder.dir, "f"));
    expect(await outcome(shared.worker.call("chown", join(folder.dir, "f"), 1234, 1234))).toBe("ok");
    expect(await shared.worker.stat(join(folder.dir, "f"))).toMatchObject({ uid, gid });
  });

  it("touch -d of a file and of a folder reads back", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "f"), "x");
    await mkdir(join(folder.dir, "d"));
    for (const name of ["f", "d"]) {
      await ok("touch", ["-d", "1999-01-01T00:00:00Z", join(folder.dir, name)]);
      expect(await statOf(join(folder.dir, name), "%Y")).toBe(String(Y1999));
    }
  });

  it("nanoseconds and times before 1970 read back", requires("nanosecondTimes"), async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    await writeFile(file, "x");
    await shared.worker.call("utime", file, ns(1_600_000_000, 123_456_789), ns(1_500_000_000, 987_654_321));
    expect((await shared.worker.stat(file)).mtimeNs).toBe(ns(1_500_000_000, 987_654_321));
    expect((await shared.worker.stat(file)).atimeNs).toBe(ns(1_600_000_000, 123_456_789));
    await shared.worker.call("utime", file, ns(0), ns(-86_400, 5));
    expect((await shared.worker.stat(file)).mtimeNs).toBe(ns(-86_400, 5));
  });

  it("a time that was set on an open changed file stays when the file is stored", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const file = join(folder.dir, "f");
    const fd = await worker.open(file, "O_WRONLY|O_CREAT");
    await worker.pwrite(fd, "content", 0);
    await worker.call("utime", file, ns(Y1999), ns(Y1999));
    await worker.close(fd);
    expect(await statOf(file, "%Y")).toBe(String(Y1999));
  });

  it("writing sets the time to now, ctime too", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    await writeFile(file, "x");
    await ok("touch", ["-d", "1999-01-01T00:00:00Z", file]);
    await writeFile(file, "y");
    const stat = await shared.worker.stat(file);
    expect(Number(BigInt(stat.mtimeNs) / 1_000_000_000n)).toBeGreaterThan(Date.now() / 1000 - 3600);
    expect(Number(BigInt(stat.ctimeNs) / 1_000_000_000n)).toBeGreaterThan(Date.now() / 1000 - 3600);
  });

  it("creating, renaming and removing entries moves the time of the folder", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    const dir = join(folder.dir, "d");
    await mkdir(dir);
    const old = async () => worker.call("utime", dir, ns(Y1999), ns(Y1999));
    const moved = async () => (await worker.stat(dir)).mtimeNs !== ns(Y1999);
    await old();
    await writeFile(join(dir, "f"), "x");
    expect(await moved()).toBe(true);
    await old();
    await worker.rename(join(dir, "f"), join(dir, "g"));
    expect(await moved()).toBe(true);
    await old();
    await worker.call("unlink", join(dir, "g"));
    expect(await moved()).toBe(true);
  });
});

describe("times on the server (compatibility 12)", () => {
  it("cp -a gives the server the time of each file, and it is there after a remount", async () => {
    const scope = testScope();
    const source = await tempDir(scope, "source");
    const names = Array.from({ length: 20 }, (_, i) => `d/f${i}`);
    await writeTree(source, Object.fromEntries(names.map((name) => [name, name])));
    for (const [i, name] of names.entries()) await utimes(join(source, name), Y1999 + i, Y1999 + i);
    const folder = await new12.folder();
    await ok("cp", ["-a", join(source, "d"), folder.dir]);
    const times = names.map((name) => serverMtime(new12.server, new12.libraryId, `${folder.path}/${name}`));
    expect(times).toEqual(names.map((_, i) => Y1999 + i));
    await new12.remount();
    const shown = await ok("stat", ["-c", "%Y", ...names.map((name) => join(folder.dir, name))]);
    expect(shown.trim().split("\n").map(Number)).toEqual(times);
  });

  it("touch -d of a stored file reaches the server", async () => {
    const folder = await new12.folder();
    await writeFile(join(folder.dir, "f"), "x");
    await ok("touch", ["-d", "1999-01-01T00:00:00Z", join(folder.dir, "f")]);
    await new12.remount();
    expect(await statOf(join(folder.dir, "f"), "%Y")).toBe(String(Y1999));
    expect(serverMtime(new12.server, new12.libraryId, `${folder.path}/f`)).toBe(Y1999);
    expect(await folder.text("f")).toBe("x");
  });
});
