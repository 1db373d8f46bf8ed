/** Git on the mount: lock files, renames into place, read-only object files and mmap, all in one tool. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { ok } from "../support/process.ts";
import { tempDir, testScope } from "../support/scope.ts";
import { localTree, pattern, serverTree, writeTree } from "../support/trees.ts";

const shared = useMount();
const GIT_ENV = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_AUTHOR_NAME: "T",
  GIT_AUTHOR_EMAIL: "t@example.com",
  GIT_COMMITTER_NAME: "T",
  GIT_COMMITTER_EMAIL: "t@example.com",
};
const git = (cwd: string, ...args: string[]) =>
  ok("git", ["-c", "gc.auto=0", "-c", "safe.directory=*", ...args], { cwd, env: GIT_ENV });

describe("git", () => {
  it("init, add, commit, fsck and gc work, and status is clean", async () => {
    const folder = await shared.folder();
    const files = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`src/d${i % 5}/f${i}.txt`, `line ${i}\n`]));
    await git(folder.dir, "init", "-q");
    await writeTree(folder.dir, { ...files, "binary.bin": pattern(200_000) });
    await git(folder.dir, "add", ".");
    await git(folder.dir, "commit", "-q", "-m", "first");
    await git(folder.dir, "fsck", "--strict");
    expect(await git(folder.dir, "status", "--porcelain")).toBe("");
    await writeFile(join(folder.dir, "src/d0/f0.txt"), "changed\n");
    expect(await git(folder.dir, "status", "--porcelain")).toBe(" M src/d0/f0.txt\n");
    await git(folder.dir, "commit", "-q", "-a", "-m", "second");
    await git(folder.dir, "gc", "-q");
    await git(folder.dir, "fsck", "--strict");
    expect((await git(folder.dir, "log", "--format=%s")).trim().split("\n")).toEqual(["second", "first"]);
    expect(await folder.tree()).toEqual(await localTree(folder.dir));
  });

  it("a repository as the server holds it is whole: fsck passes on a copy made from the server", async () => {
    const scope = testScope();
    const folder = await shared.folder();
    await git(folder.dir, "init", "-q");
    await writeTree(folder.dir, { "a.txt": "a", "b/c.txt": "c" });
    await git(folder.dir, "add", ".");
    await git(folder.dir, "commit", "-q", "-m", "only");
    const copy = await tempDir(scope, "copy");
    for (const path of Object.keys(await serverTree(shared.server, shared.libraryId, folder.path))) {
      if (path.endsWith("/")) await ok("mkdir", ["-p", join(copy, path)]);
      else {
        const data = await shared.server.store.readFile(shared.libraryId, `${folder.path}/${path}`);
        await writeTree(copy, { [path]: data });
      }
    }
    await git(copy, "fsck", "--strict");
    expect(await git(copy, "status", "--porcelain")).toBe("");
    expect((await git(copy, "log", "--format=%s")).trim()).toBe("only");
  });

  it("clones into the mount from a local repository", async () => {
    const scope = testScope();
    const origin = await tempDir(scope, "origin");
    await git(origin, "init", "-q");
    await writeTree(origin, { "x/y/z.txt": "deep", "top.txt": "top" });
    await git(origin, "add", ".");
    await git(origin, "commit", "-q", "-m", "origin");
    const folder = await shared.folder();
    await git(folder.dir, "clone", "-q", "--no-hardlinks", origin, "clone");
    expect(await git(join(folder.dir, "clone"), "status", "--porcelain")).toBe("");
    expect(await folder.text("clone/x/y/z.txt")).toBe("deep");
  });
});
