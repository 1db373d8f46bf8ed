import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { Journal } from "../../src/writeback/journal.ts";
import { decodeLog, encodeFrame, HEADER } from "../../src/writeback/journal-frame.ts";
import { type DiskCall, diskError, interceptDisk } from "./file-handle-seam.ts";
import { idsOf, numbered } from "./journal-records.ts";

let folder: string;
let path: string;
/** Consulted at each call: an error to fail with, or how many bytes a write may take. */
let fault: (call: DiskCall) => Error | number | undefined;
const calls: DiskCall[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "seamount-unit-"));
  path = join(folder, "journal");
  fault = () => undefined;
  calls.length = 0;
  await interceptDisk(async (call, _handle, real) => {
    calls.push(call);
    const answer = fault(call);
    if (answer instanceof Error) throw answer;
    return real(answer);
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

const open = async () => (await Journal.open(folder, silentLogger())).journal;
const onDisk = async () => decodeLog(await readFile(path), path);
const idsOnDisk = async () => idsOf((await onDisk()).records);
const count = (call: DiskCall) => calls.filter((one) => one === call).length;

/** The disk takes `room` more bytes, then none. */
function leaveRoom(room: number): void {
  let left = room;
  fault = (call) => {
    if (call !== "write") return undefined;
    if (left === 0) return diskError("ENOSPC");
    const take = left;
    left = 0;
    return take;
  };
}

describe("Journal on a disk that fails", () => {
  it("leaves no part of a frame when the disk is full at any byte of it, and goes on when there is room again", async () => {
    const frame = encodeFrame(numbered(2, "two")).length;
    for (let room = 0; room < frame; room++) {
      await rm(path, { force: true });
      const journal = await open();
      await journal.accept(numbered(1));
      leaveRoom(room);
      await expect(journal.accept(numbered(2, "two"))).rejects.toMatchObject({ code: "ENOSPC" });
      expect([room, await onDisk()]).toMatchObject([room, { records: [numbered(1)], damage: "none" }]);
      fault = () => undefined;
      await journal.accept(numbered(3));
      expect(await idsOnDisk()).toEqual([1, 3]);
      expect([journal.records, journal.size]).toEqual([2, (await stat(path)).size]);
      await journal.close();
    }
  });

  it("keeps what was only appended until the disk takes it, in its place", async () => {
    const journal = await open();
    leaveRoom(5);
    journal.append(numbered(1));
    const refused = journal.accept(numbered(2));
    journal.append(numbered(3));
    await expect(refused).rejects.toMatchObject({ code: "ENOSPC" });
    await expect(journal.sync()).rejects.toMatchObject({ code: "ENOSPC" });
    expect(await idsOnDisk()).toEqual([]);
    fault = () => undefined;
    await journal.accept(numbered(4));
    expect(await idsOnDisk()).toEqual([1, 3, 4]);
    await journal.close();
  });

  it("writes again what was in the file when fdatasync failed: the kernel may have dropped it", async () => {
    const journal = await open();
    journal.append(numbered(1));
    fault = (call) => (call === "datasync" ? diskError("EIO") : undefined);
    await expect(journal.accept(numbered(2))).rejects.toMatchObject({ code: "EIO" });
    fault = () => undefined;
    const before = count("write");
    await journal.sync();
    expect(count("write")).toBe(before + 1);
    expect(await idsOnDisk()).toEqual([1]);
    await journal.close();
  });

  it("rejects every sync until the file could be cut back", async () => {
    const journal = await open();
    await journal.accept(numbered(1));
    fault = (call) => (call === "datasync" || call === "truncate" ? diskError("EIO") : undefined);
    await expect(journal.accept(numbered(2))).rejects.toMatchObject({ code: "EIO" });
    fault = (call) => (call === "truncate" ? diskError("EROFS") : undefined);
    await expect(journal.accept(numbered(3))).rejects.toMatchObject({ code: "EROFS" });
    await expect(journal.sync()).rejects.toMatchObject({ code: "EROFS" });
    fault = () => undefined;
    await journal.accept(numbered(4));
    expect(await idsOnDisk()).toEqual([1, 4]);
    await journal.close();
  });

  it("does not run in circles while the disk takes nothing and nobody waits", async () => {
    const journal = await open();
    fault = (call) => (call === "write" ? diskError("ENOSPC") : undefined);
    journal.append(numbered(1));
    await expect(journal.sync()).rejects.toMatchObject({ code: "ENOSPC" });
    const before = calls.length;
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(calls.length).toBe(before);
    await expect(journal.close()).rejects.toMatchObject({ code: "ENOSPC" });
  });

  it("keeps the old log when a compaction fails", async () => {
    const journal = await open();
    for (let id = 1; id <= 3; id++) await journal.accept(numbered(id));
    leaveRoom(HEADER.length + 3);
    await expect(journal.compact([numbered(3)])).rejects.toMatchObject({ code: "ENOSPC" });
    expect(await readdir(folder)).toEqual(["journal"]);
    fault = () => undefined;
    await journal.accept(numbered(4));
    expect(await idsOnDisk()).toEqual([1, 2, 3, 4]);
    await journal.close();
  });

  it("has nothing synced behind a compaction whose name may not be on the disk", async () => {
    const journal = await open();
    journal.append(numbered(1));
    fault = (call) => (call === "sync" ? diskError("EIO") : undefined);
    await expect(journal.compact([numbered(1)])).rejects.toMatchObject({ code: "EIO" });
    await expect(journal.accept(numbered(2))).rejects.toMatchObject({ code: "EIO" });
    fault = () => undefined;
    await journal.accept(numbered(3));
    expect(await idsOnDisk()).toEqual([1, 3]);
    await journal.close();
  });

  it("does not compact in a record that it has to withdraw", async () => {
    const journal = await open();
    leaveRoom(3);
    const refused = journal.accept(numbered(1));
    const compacted = journal.compact([numbered(1)]);
    await expect(refused).rejects.toMatchObject({ code: "ENOSPC" });
    await expect(compacted).rejects.toMatchObject({ code: "ENOSPC" });
    fault = () => undefined;
    await journal.sync();
    expect(await idsOnDisk()).toEqual([]);
    await journal.close();
  });

  it("shares one fdatasync among all who wait at the same time", async () => {
    const journal = await open();
    const before = count("datasync");
    await Promise.all(Array.from({ length: 200 }, (_, i) => journal.accept(numbered(i + 1))));
    expect(count("datasync") - before).toBe(1);
    expect((await idsOnDisk()).length).toBe(200);
    await journal.close();
  });

  it("syncs by itself before much has come together that nobody waits for", async () => {
    const journal = await open();
    const before = count("datasync");
    for (let id = 1; id <= 5; id++) {
      journal.append(numbered(id, "x".repeat(300_000)));
      await expect.poll(async () => (await idsOnDisk()).length).toBe(id);
    }
    expect(count("datasync") - before).toBe(1);
    await journal.close();
  });

  it("never starts with a log that it could not cut", async () => {
    await writeFile(path, Buffer.concat([HEADER, encodeFrame(numbered(1)), Buffer.from("torn")]));
    fault = (call) => (call === "truncate" ? diskError("EIO") : undefined);
    await expect(open()).rejects.toMatchObject({ code: "EIO" });
    fault = () => undefined;
    const journal = await open();
    await journal.accept(numbered(2));
    await journal.close();
    expect(await idsOnDisk()).toEqual([1, 2]);
  });

  it("with any faults at any calls: what resolved is on the disk, what rejected is not, and the order is kept", async () => {
    const command = fc.oneof(
      { weight: 4, arbitrary: fc.constant("append" as const) },
      { weight: 4, arbitrary: fc.constant("accept" as const) },
      { weight: 2, arbitrary: fc.constant("sync" as const) },
      { weight: 1, arbitrary: fc.constant("compact" as const) },
      { weight: 3, arbitrary: fc.constant("turn" as const) },
    );
    // One number per call: 0-2 fail it, 3-9 cut a write short.
    const plan = fc.array(fc.nat(25), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), plan, async (commands, faults) => {
        await rm(path, { force: true });
        fault = () => undefined;
        const journal = await open();
        const queue = [...faults];
        fault = (call) => {
          const dice = queue.shift() ?? 25;
          if (call === "sync" || dice > 9) return undefined;
          return dice < 3 ? diskError("EIO") : dice * 5;
        };
        const run = new Model(journal);
        for (const one of commands) await run.step(one);
        await run.settle();
        fault = () => undefined;
        await journal.sync();
        expect(await idsOnDisk()).toEqual([...run.live]);
        await journal.close();
      }),
      { numRuns: 150 },
    );
  });
});

/** Does commands without waiting, and knows which records the log must have when all is settled. */
class Model {
  readonly live = new Set<number>();
  readonly #journal: Journal;
  readonly #pending: Promise<unknown>[] = [];
  #id = 0;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  async step(command: "append" | "accept" | "sync" | "compact" | "turn"): Promise<void> {
    if (command === "turn") await new Promise(setImmediate);
    else if (command === "sync") this.#wait(this.#journal.sync());
    else if (command === "compact") this.#compact();
    else this.#add(++this.#id, command);
  }

  async settle(): Promise<void> {
    while (this.#pending.length > 0) await this.#pending.pop();
  }

  #add(id: number, command: "append" | "accept"): void {
    this.live.add(id);
    if (command === "append") this.#journal.append(numbered(id));
    else this.#wait(this.#journal.accept(numbered(id)).catch(() => this.live.delete(id)));
  }

  #compact(): void {
    const kept = [...this.live].filter((id) => id % 3 !== 0);
    const dropped = [...this.live].filter((id) => id % 3 === 0);
    const compacted = this.#journal.compact(kept.map((id) => numbered(id)));
    this.#wait(
      compacted.then(() => {
        for (const id of dropped) this.live.delete(id);
      }),
    );
  }

  #wait(work: Promise<unknown>): void {
    this.#pending.push(work.catch(() => {}));
  }
}

/** A disk of 64 KiB, which only root can make, and not in every container. */
async function withTinyDisk(work: (folder: string) => Promise<void>): Promise<boolean> {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", folder], { stdio: "ignore" });
  } catch {
    return false;
  }
  try {
    await work(folder);
  } finally {
    execFileSync("umount", [folder]);
  }
  return true;
}

describe("Journal on a disk that is really full", () => {
  it("has what it accepted before, refuses the rest with ENOSPC, and goes on when there is room again", async (context) => {
    const isDone = await withTinyDisk(async (tiny) => {
      const journal = await open();
      const ballast = join(tiny, "ballast");
      await writeFile(ballast, Buffer.alloc(32 * 1024));
      const accepted: number[] = [];
      let refusal: unknown;
      for (let id = 1; refusal === undefined; id++) {
        const record = numbered(id, "x".repeat(1000));
        await journal.accept(record).then(
          () => accepted.push(id),
          (error: unknown) => {
            refusal = error;
          },
        );
      }
      expect(refusal).toMatchObject({ code: "ENOSPC" });
      expect(accepted.length).toBeGreaterThan(10);
      expect(await onDisk()).toMatchObject({ damage: "none" });
      expect(await idsOnDisk()).toEqual(accepted);
      await truncate(ballast, 0);
      await journal.accept(numbered(1000));
      await journal.close();
      expect(await idsOnDisk()).toEqual([...accepted, 1000]);
    });
    if (!isDone) context.skip("a tmpfs cannot be mounted here");
  });
});
