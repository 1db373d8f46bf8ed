/** Taking over the state folders of dead mounts: what they left is never lost, whatever the disk does meanwhile. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import type { LibraryId } from "../../src/seafile/types.ts";
import { adoptSiblings, openWriteState, type WriteState } from "../../src/write-state.ts";
import { Journal } from "../../src/writeback/journal.ts";
import type { Pending } from "../../src/writeback/records.ts";
import { StateDir } from "../../src/writeback/state-dir.ts";
import { diskError } from "./file-handle-seam.ts";

const LIBRARY = "00000000-0000-4000-8000-000000000001" as LibraryId;
const log = silentLogger();

let data: string;
let stateDir: StateDir;
let state: WriteState;

const open = (target: string) =>
  StateDir.open({ stateDir: data, server: "https://x.example", user: "me", target, mountpoint: "/mnt/a", log });

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), "seamount-unit-"));
  // A dead mount of one library left a file.
  const dead = await open(LIBRARY);
  const left = await openWriteState(dead, log);
  const dirty = left.backlog.create({ library: LIBRARY, path: "/kept", expects: null });
  await dirty.write(0, Buffer.from("content"));
  await left.backlog.seal(dirty, 1000);
  await left.backlog.hold([dirty.id]);
  await left.close();
  await dead.release();
  stateDir = await open("all");
  state = await openWriteState(stateDir, log);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await state.close();
  await stateDir.release();
  await rm(data, { recursive: true, force: true });
});

const revived: string[] = [];
beforeEach(() => void revived.splice(0));

async function revive(pending: Pending): Promise<string[]> {
  for (const content of pending.contents.values()) {
    const held = pending.held.has(content.id) ? "held " : "";
    revived.push(`${held}${content.path}: ${await readFile(state.spool.pathOf(content.spool), "utf8")}`);
    await state.backlog.adopt(content, content.size, {}).release();
  }
  return [];
}

const adopt = (how: (pending: Pending) => Promise<string[]> = revive) =>
  adoptSiblings({ stateDir, state, libraryOf: () => undefined, revive: how, log });

describe("what a dead mount of the account left", () => {
  it("is taken over, and its folder is gone", async () => {
    await adopt();
    expect(revived).toEqual(["held /kept: content"]);
    expect(await readdir(join(stateDir.folder, ".."))).toEqual(["all"]);
    expect([state.backlog.untaken, state.backlog.isEmpty]).toEqual([0, false]);
  });

  it("is brought back also when its folder cannot be removed to the end", async () => {
    vi.spyOn(StateDir.prototype, "remove").mockImplementationOnce(async function (this: StateDir) {
      await rm(join(this.folder, "journal"));
      throw diskError("EIO");
    });
    await adopt();
    expect(revived).toEqual(["held /kept: content"]);
    // Nobody holds it: the next mount removes the rest.
    await (await open(LIBRARY)).release();
  });

  it("is in the journal for the next mount when it cannot be brought back now, and the mount goes on", async () => {
    await adopt(() => Promise.reject(diskError("EIO")));
    expect([state.backlog.untaken, state.backlog.isEmpty]).toEqual([1, false]);
    await state.close();
    state = await openWriteState(stateDir, log);
    expect([...state.pending.contents.values()].map(({ path }) => path)).toEqual(["/kept"]);
  });

  it("stays where it is when our disk takes no promise of it", async () => {
    const accept = vi.spyOn(Journal.prototype, "accept").mockRejectedValueOnce(diskError("ENOSPC"));
    await adopt();
    accept.mockRestore();
    expect([revived, state.backlog.untaken, state.backlog.isEmpty]).toEqual([[], 0, true]);
    await adopt();
    expect(revived).toEqual(["held /kept: content"]);
  });

  it("leaves no file open when it cannot be taken over", async () => {
    const descriptors = async () => (await readdir("/proc/self/fd")).length;
    const before = await descriptors();
    vi.spyOn(state.spool, "sync").mockRejectedValueOnce(diskError("EIO"));
    await adopt();
    expect([revived, await descriptors()]).toEqual([[], before]);
  });
});

it("a folder is given back once: what is opened afterwards under the number of its lock is left alone", async () => {
  const dir = await open(LIBRARY);
  await dir.release();
  const again = await open(LIBRARY);
  await dir.release();
  expect(await readFile(join(again.folder, "lock"), "utf8")).toContain("/mnt/a");
  await again.release();
});
