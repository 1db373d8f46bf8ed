/**
 * Real input: C headers of this machine and packages of this project's node_modules, copied in, compared after a remount
 * and with what the server holds, moved and removed. Every close waits for the server, so the copy is bounded: the first
 * 1,000 headers below /usr/include and three packages with nested folders (about 500 files).
 */
import { copyFile, mkdir, opendir, utimes } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { ok } from "../support/process.ts";
import { fileScope, tempDir } from "../support/scope.ts";
import { localTree, serverTree, type Tree } from "../support/trees.ts";

const HEADERS = 1000;
const PACKAGES = ["undici", "pino", "yargs"];
const NODE_MODULES = resolve(import.meta.dirname, "../../node_modules");

const shared = useMount({ server: { compat: 12 } });
const scope = fileScope();
let source: string;

/** Copies the first `limit` regular files below `from`, in the order of their names, with their times. */
async function copySubset(from: string, to: string, limit: number): Promise<number> {
  let copied = 0;
  const walk = async (relative: string): Promise<void> => {
    const entries = [];
    for await (const entry of await opendir(join(from, relative))) entries.push(entry);
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const name = join(relative, entry.name);
      if (copied >= limit) return;
      if (entry.isDirectory()) await walk(name);
      if (!entry.isFile()) continue;
      await mkdir(dirname(join(to, name)), { recursive: true });
      await copyFile(join(from, name), join(to, name));
      // Times of their own, years apart, so that a kept time cannot be mistaken for "now".
      await utimes(join(to, name), 1_500_000_000 + copied, 1_500_000_000 + copied);
      copied++;
    }
  };
  await walk("");
  return copied;
}

beforeAll(async () => {
  source = await tempDir(scope, "source");
  expect(await copySubset("/usr/include", join(source, "include"), HEADERS)).toBe(HEADERS);
  let files = 0;
  for (const name of PACKAGES)
    files += await copySubset(join(NODE_MODULES, name), join(source, "node_modules", name), 250);
  expect(files).toBeGreaterThan(300);
});

describe.each(["include", "node_modules"])("%s", (name) => {
  let expected: Tree;
  const onServer = (path: string) => serverTree(shared.server, shared.libraryId, `/${path}`);

  it("is copied in with cp -a, and the server holds exactly the same files", { timeout: 240_000 }, async () => {
    expected = await localTree(join(source, name));
    await ok("cp", ["-a", join(source, name), shared.mount.dir], { timeoutMs: 220_000 });
    expect(await onServer(name)).toEqual(expected);
  });

  it("keeps the modification time of every file on a server that can (12)", () => {
    const files = Object.keys(expected).filter((path) => !path.endsWith("/"));
    const onServer = shared.server.store.tree(shared.libraryId);
    const times = files.map((path) => onServer.get(`/${name}/${path}`)?.mtime ?? 0);
    expect(times.filter((time) => time < 1_500_000_000 || time >= 1_500_010_000)).toEqual([]);
  });

  it("diff -r finds no difference after a remount", { timeout: 240_000 }, async () => {
    await shared.remount();
    expect(await ok("diff", ["-r", join(source, name), join(shared.mount.dir, name)], { timeoutMs: 220_000 })).toBe("");
  });

  it("is moved as a whole, on the server too", async () => {
    await ok("mkdir", [join(shared.mount.dir, `moved-${name}`)]);
    await ok("mv", [join(shared.mount.dir, name), join(shared.mount.dir, `moved-${name}`, "renamed")]);
    expect(await onServer(`moved-${name}/renamed`)).toEqual(expected);
    expect(shared.server.store.tree(shared.libraryId).has(`/${name}`)).toBe(false);
    const sample = Object.keys(expected).filter((path) => !path.endsWith("/"))[0]!;
    await ok("cmp", [join(source, name, sample), join(shared.mount.dir, `moved-${name}`, "renamed", sample)]);
  });

  it("is removed with rm -r, and nothing of it is left on the server", { timeout: 240_000 }, async () => {
    await ok("rm", ["-r", join(shared.mount.dir, `moved-${name}`)], { timeoutMs: 220_000 });
    const left = [...shared.server.store.tree(shared.libraryId).keys()].filter((path) => path.includes(name));
    expect(left).toEqual([]);
  });
});
