/** The removal of one name as the queue sees it: what it waits for ends with the attempt. */
import { expect, it } from "vitest";
import { SeafileError } from "../../src/seafile/errors.ts";
import type { Library } from "../../src/seafile/library.ts";
import type { ObjectId } from "../../src/seafile/types.ts";
import type { DirInode } from "../../src/vfs/inode.ts";
import { RemovalTask } from "../../src/vfs/removal-task.ts";

it("a look at a folder that changed meanwhile is broken off with the attempt", { timeout: 5000 }, async () => {
  const list = (_path: string, _known: unknown, signal?: AbortSignal) =>
    new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  const library = { list } as unknown as Library;
  const dir = { kind: "dir", top: "/" } as unknown as DirInode;
  const removed = { kind: "dir", expects: "1".repeat(40) as ObjectId, inner: new Map() } as const;
  const task = new RemovalTask(1, { library, dir, name: "d" }, removed, () => {});
  const controller = new AbortController();
  const attempt = await task.begin(controller.signal);
  const end = attempt!.finish({ ok: false, error: new SeafileError("conflict", "it was changed") });
  controller.abort(new DOMException("interrupted", "AbortError"));
  await expect(end).rejects.toThrow("interrupted");
});
