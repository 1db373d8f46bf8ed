/**
 * Folders renamed onto names whose removal waits, or is asked for with the rename: the removal comes first, and nobody waits for
 * the lock that the rename itself holds.
 */
import { describe, expect, it } from "vitest";
import {
  assembled,
  close,
  fs,
  id,
  lookup,
  names,
  O_WRONLY,
  rename,
  server,
  signal,
  stale,
  until,
  useFileSystem,
} from "./filesystem-harness.ts";

describe.each([
  { commit: "background", fsync: "local" },
  { commit: "close", fsync: "server" },
] as const)("with commit=$commit a folder is renamed", (policy) => {
  useFileSystem(policy);
  const isIdle = () => assembled.outbox.items().length === 0;

  it("onto an empty folder", async () => {
    for (const name of ["d", "e"]) await fs.mkdir(1, name, 0o755, signal);
    await server.store.writeFile(id, "/d/a", Buffer.from("a"));
    await stale();
    await rename("d", "e");
    await until(isIdle);
    expect([names(), names("/e")]).toEqual([["e"], ["a"]]);
  });

  it("onto the name of a folder that was removed a moment ago", async () => {
    for (const name of ["d", "e"]) await fs.mkdir(1, name, 0o755, signal);
    await fs.rmdir(1, "e", signal);
    await rename("d", "e");
    await until(isIdle);
    expect(names()).toEqual(["e"]);
  });

  it("onto the name of a file that was removed a moment ago", async () => {
    await fs.mkdir(1, "d", 0o755, signal);
    await server.store.writeFile(id, "/e", Buffer.from("e"));
    await stale();
    await fs.unlink(1, "e", signal);
    await rename("d", "e");
    await until(isIdle);
    expect(server.store.list(id, "/").map(({ name, kind }) => [name, kind])).toEqual([["e", "dir"]]);
  });

  it("while others remove, make and rename what is below it", async () => {
    await fs.mkdir(1, "d", 0o755, signal);
    for (let round = 0; round < 10; round++) {
      const from = round % 2 === 0 ? "d" : "e";
      const dir = await lookup(`/${from}`);
      const make = async (name: string) => {
        const { open } = await fs.create(dir.ino, name, 0o644, O_WRONLY, signal);
        await close(open.fh);
      };
      await Promise.all([make("a"), make("b")]);
      const work = [
        fs.unlink(dir.ino, "a", signal).then(() => make("a")),
        fs.unlink(dir.ino, "b", signal).then(() => fs.mkdir(dir.ino, "b", 0o755, signal)),
        rename(from, round % 2 === 0 ? "e" : "d"),
      ];
      await Promise.all(work);
      await fs.rmdir(dir.ino, "b", signal);
      await fs.unlink(dir.ino, "a", signal);
    }
    await until(isIdle);
    expect([names(), names("/d")]).toEqual([["d"], []]);
  });
});
