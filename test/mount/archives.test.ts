/** tar and rsync: whole trees with times, into the mount and out of it. The server keeps times (compat 12). */
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { ok, POLL } from "../support/process.ts";
import { type Scope, tempDir, testScope } from "../support/scope.ts";
import { requires } from "../support/transport.ts";
import { localTree, pattern, serverMtime, writeTree } from "../support/trees.ts";

const shared = useMount({ server: { compat: 12 } });
const TIME = 946_684_800; // 2000-01-01

async function makeSource(scope: Scope): Promise<{ dir: string; files: string[] }> {
  const dir = await tempDir(scope, "source");
  const files = Array.from({ length: 50 }, (_, i) => `d${i % 4}/e${i % 3}/file ${i}.dat`);
  await writeTree(dir, Object.fromEntries(files.map((name, i) => [name, pattern(i * 311, i)])));
  for (const [i, name] of files.entries()) await utimes(join(dir, name), TIME + i, TIME + i);
  await ok("find", [dir, "-type", "d", "-exec", "touch", "-d", "@900000000", "{}", "+"]);
  return { dir, files };
}

function timesOnServer(path: string, files: readonly string[]) {
  const tree = shared.server.store.tree(shared.libraryId);
  return files.map((name) => tree.get(`${path}/${name}`)?.mtime);
}

const TIMES = Array.from({ length: 50 }, (_, i) => TIME + i);

/** Packs one folder and unpacks into another, either of which may be in the mount. */
async function tarOver(scope: Scope, from: string, to: string): Promise<void> {
  const archive = join(await tempDir(scope, "archive"), "a.tar");
  await ok("tar", ["-C", from, "-cf", archive, "."]);
  await ok("tar", ["-C", to, "-xf", archive]);
}

describe("tar", () => {
  it("tar x into the mount and tar c from it give back the same tree", async () => {
    const scope = testScope();
    const { dir } = await makeSource(scope);
    const folder = await shared.folder();
    await tarOver(scope, dir, folder.dir);
    expect(await folder.tree()).toEqual(await localTree(dir));
    const unpacked = await tempDir(scope, "unpacked");
    await tarOver(scope, folder.dir, unpacked);
    expect(await localTree(unpacked)).toEqual(await localTree(dir));
  });

  // tar x leaves the access time as it is (UTIME_OMIT).
  it("tar x gives the server the times, and tar c takes them from a new mount", requires("singleTimes"), async () => {
    const scope = testScope();
    const { dir, files } = await makeSource(scope);
    const folder = await shared.folder();
    await tarOver(scope, dir, folder.dir);
    expect(timesOnServer(folder.path, files)).toEqual(TIMES);
    await shared.remount();
    const unpacked = await tempDir(scope, "unpacked");
    await tarOver(scope, folder.dir, unpacked);
    const printed = await ok("find", [unpacked, "-type", "f", "-printf", "%T@ %f\\n"]);
    const seconds = printed
      .trim()
      .split("\n")
      .map((line) => Math.floor(Number(line.split(" ")[0])));
    expect(seconds.sort()).toEqual(TIMES);
  });

  it("tar --compare finds no difference while mounted", requires("singleTimes"), async () => {
    const scope = testScope();
    const { dir } = await makeSource(scope);
    const folder = await shared.folder();
    const archive = join(await tempDir(scope, "archive"), "a.tar");
    await ok("tar", ["-C", dir, "-cf", archive, "d0", "d1", "d2", "d3"]);
    await ok("tar", ["-C", folder.dir, "-xf", archive]);
    expect(await ok("tar", ["-C", folder.dir, "--compare", "-f", archive])).toBe("");
  });
});

describe("rsync -a", () => {
  it("sends everything once: a second run, and a run after a remount, send nothing", async () => {
    const scope = testScope();
    const { dir, files } = await makeSource(scope);
    const folder = await shared.folder();
    const rsync = () => ok("rsync", ["-a", "--itemize-changes", `${dir}/`, `${folder.dir}/`]);
    const sent = (output: string) => output.split("\n").filter((line) => /^[<>]f/.test(line));
    expect(sent(await rsync())).toHaveLength(files.length);
    expect(await folder.tree()).toEqual(await localTree(dir));
    // rsync sets a time after it has closed the file, and the kernel sends RELEASE later still.
    await expect.poll(() => timesOnServer(folder.path, files), POLL).toEqual(TIMES);
    expect(await rsync()).toBe("");

    await shared.remount();
    shared.server.requests.reset();
    expect(sent(await rsync())).toEqual([]);
    expect(shared.server.requests.count("upload")).toBe(0);
    expect(shared.server.requests.count("update")).toBe(0);
  });

  it("a changed file is sent, renamed into place and has its new time", async () => {
    const scope = testScope();
    const { dir, files } = await makeSource(scope);
    const folder = await shared.folder();
    await ok("rsync", ["-a", `${dir}/`, `${folder.dir}/`]);
    await writeTree(dir, { [files[7]!]: "changed" });
    await utimes(join(dir, files[7]!), TIME + 1000, TIME + 1000);
    await ok("rsync", ["-a", "--delete", `${dir}/`, `${folder.dir}/`]);
    expect(await folder.tree()).toEqual(await localTree(dir));
    const stored = () => serverMtime(shared.server, shared.libraryId, `${folder.path}/${files[7]}`);
    await expect.poll(stored, POLL).toBe(TIME + 1000);
  });
});
