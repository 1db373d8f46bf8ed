/** What sync and the end of a mount leave in the queue: nothing that the server would have taken. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  assembled,
  close,
  crash,
  drain,
  fs,
  id,
  lookup,
  O_RDWR,
  restart,
  server,
  signal,
  useFileSystem,
} from "./filesystem-harness.ts";

const HOUR_MS = 3_600_000;

useFileSystem({ commit: "background", fsync: "local", delayMs: HOUR_MS });
beforeEach(() => restart(HOUR_MS));

/** A tree that was removed here and in which somebody else made a file meanwhile. */
async function removedTree(): Promise<void> {
  const d = await fs.mkdir(1, "d", 0o755, signal);
  const e = await fs.mkdir(d.ino, "e", 0o755, signal);
  for (const { ino } of [d, e]) await close((await fs.create(ino, "ours", 0o644, O_RDWR, signal)).open.fh);
  await assembled.outbox.sync();
  await fs.unlink(e.ino, "ours", signal);
  await fs.rmdir(d.ino, "e", signal);
  await fs.unlink(d.ino, "ours", signal);
  await fs.rmdir(1, "d", signal);
  await server.store.writeFile(id, "/d/e/theirs", "theirs");
}

describe("a removed tree in which somebody else made a file", () => {
  it.each([
    ["sync", () => assembled.outbox.sync()],
    ["the end of the mount", () => drain()],
  ])("loses what was removed, and %s waits for that, too", async (_, end) => {
    await removedTree();
    await end();
    expect(assembled.outbox.items()).toEqual([]);
    expect([...server.store.tree(id).keys()].sort()).toEqual(["/d", "/d/e", "/d/e/theirs"]);
  });

  it("shows again with their file after sync", async () => {
    await removedTree();
    await assembled.outbox.sync();
    expect(await lookup("/d/e/theirs")).toMatchObject({ kind: "file" });
    await expect(lookup("/d/ours")).rejects.toMatchObject({ code: "ENOENT" });
  });
});

it("an end of the mount that has no time leaves everything to the next mount, without a request", async () => {
  await server.store.writeFile(id, "/removed", "x");
  await restart(HOUR_MS);
  await fs.unlink(1, "removed", signal);
  await close((await fs.create(1, "closed", 0o644, O_RDWR, signal)).open.fh);
  await fs.create(1, "open", 0o644, O_RDWR, signal);
  server.requests.reset();
  await expect(assembled.outbox.sync(undefined, AbortSignal.abort())).rejects.toThrow();
  const left = await assembled.outbox.drain(AbortSignal.abort());
  expect(left.map(({ op, path }) => `${op} ${path}`).sort()).toEqual(["put /closed", "put /open", "remove /removed"]);
  expect(server.requests.list()).toEqual([]);
});

describe("a removal that is discarded", () => {
  it("gives the file back, also after a crash", async () => {
    await server.store.writeFile(id, "/a", "kept");
    await restart(HOUR_MS);
    await fs.unlink(1, "a", signal);
    expect(await assembled.outbox.discard(assembled.outbox.items().map((item) => item.id))).toBe(1);
    expect(await lookup("/a")).toMatchObject({ kind: "file" });
    await crash();
    expect(assembled.outbox.items()).toEqual([]);
    expect(await lookup("/a")).toMatchObject({ kind: "file" });
  });

  it("gives a folder back with everything that was in it", async () => {
    await removedTree();
    await assembled.outbox.discard(assembled.outbox.items().map((item) => item.id));
    expect(await lookup("/d/e/ours")).toMatchObject({ kind: "file" });
    await assembled.outbox.sync();
    expect([...server.store.tree(id).keys()].sort()).toEqual(["/d", "/d/e", "/d/e/ours", "/d/e/theirs", "/d/ours"]);
  });
});
