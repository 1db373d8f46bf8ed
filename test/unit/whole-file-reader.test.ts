/** Files that come as a whole only: what a read waits for, what is requested, and what is kept. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BlockCache } from "../../src/cache/block-cache.ts";
import type { ObjectId } from "../../src/seafile/types.ts";
import { abortReason, deferred } from "../../src/util/abort.ts";
import { type BlockSource, ReadCursor } from "../../src/vfs/block-reader.ts";
import { WholeFileReader, type WholeFileReaderOptions } from "../../src/vfs/whole-file-reader.ts";
import { Spool } from "../../src/writeback/spool.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
let folder: string;
let spool: Spool;
let reader: WholeFileReader;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "seamount-whole-"));
  spool = await Spool.open(folder);
});
afterEach(async () => {
  await reader.close();
  await spool.close();
  await rm(folder, { recursive: true });
});

function use(own: Partial<WholeFileReaderOptions> = {}): WholeFileReader {
  const cache = new BlockCache(64 * MIB);
  reader = new WholeFileReader({ cache, spool, memoryMax: MIB, diskMax: 20 * MIB, diskFiles: 8, lingerMs: 50, ...own });
  return reader;
}

/** A version whose bytes come when they are let. */
function source(size: number, number = 1) {
  const content = Buffer.alloc(size);
  for (let i = 0; i < size; i += 997) content[i] = (i / 997) % 251;
  let allowed = 0;
  let failure: Error | undefined;
  let changed = deferred<void>();
  const state = { requests: 0, aborted: 0 };
  const blocks: BlockSource = {
    id: String(number).padStart(40, "0") as ObjectId,
    size,
    async *fetch(start, end, signal) {
      expect([start, end]).toEqual([0, size]);
      state.requests++;
      const stop = deferred<void>();
      signal.addEventListener("abort", () => {
        state.aborted++;
        stop.resolve();
      });
      for (let at = 0; at < size; ) {
        const upTo = Math.min(allowed, at + 60 * KIB, size);
        if (failure !== undefined) throw failure;
        if (signal.aborted) throw abortReason(signal);
        if (upTo > at) {
          yield content.subarray(at, upTo);
          at = upTo;
        } else await Promise.race([changed.promise, stop.promise]);
      }
    },
  };
  const tell = () => {
    changed.resolve();
    changed = deferred();
  };
  const allow = (bytes: number) => {
    allowed = bytes;
    tell();
  };
  const fail = (error: Error) => {
    failure = error;
    tell();
  };
  return { blocks, content, state, allow, fail };
}

const bytesOf = async (work: Promise<readonly Uint8Array[]>) => Buffer.concat(await work);
const pause = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));

describe.each([
  ["in memory", 700 * KIB],
  ["on the disk", 5 * MIB],
])("a whole file %s", (_place, size) => {
  it("is requested once, from the beginning, however many reads there are in whatever order", async () => {
    const { blocks, content, state, allow } = source(size);
    const whole = use();
    allow(size);
    await fc.assert(
      fc.asyncProperty(fc.nat(size + 100), fc.nat(300 * KIB), async (start, length) => {
        const read = await bytesOf(whole.read(blocks, new ReadCursor(), start, start + length));
        expect(read.equals(content.subarray(start, start + length))).toBe(true);
      }),
      { numRuns: 40 },
    );
    expect(state.requests).toBe(1);
    expect(whole.holds(blocks.id, size)).toBe(true);
  });

  // SEMANTICS: "A read waits until its own bytes have arrived, and for no more."
  it("answers a read as soon as its last byte has arrived", async () => {
    const { blocks, content, allow } = source(size);
    const whole = use();
    const cursor = new ReadCursor();
    const [first, later] = [
      whole.read(blocks, cursor, 0, 4096),
      whole.read(blocks, cursor, 200 * KIB, 200 * KIB + 100),
    ];
    let isLater = false;
    void later.then(() => {
      isLater = true;
    });
    allow(4096);
    expect((await bytesOf(first)).equals(content.subarray(0, 4096))).toBe(true);
    allow(200 * KIB + 99);
    await pause();
    expect(isLater).toBe(false);
    allow(200 * KIB + 100);
    expect((await bytesOf(later)).equals(content.subarray(200 * KIB, 200 * KIB + 100))).toBe(true);
    expect(whole.holds(blocks.id, size)).toBe(false);
  });

  it("is broken off a moment after nobody has it open, and begun again by the next read", async () => {
    const { blocks, state, allow } = source(size);
    const whole = use();
    const cursor = new ReadCursor();
    allow(4096);
    await whole.read(blocks, cursor, 0, 10);
    await pause(120);
    expect(state.aborted).toBe(0);
    whole.release(cursor);
    const again = new ReadCursor();
    await whole.read(blocks, again, 10, 20);
    await pause(120);
    expect(state.aborted).toBe(0);
    whole.release(again);
    await expect.poll(() => state.aborted).toBe(1);
    allow(size);
    await whole.read(blocks, new ReadCursor(), 0, size);
    expect(state.requests).toBe(2);
    expect(await readdir(folder)).toEqual([]);
  });

  it("fails for all who wait when the source does, and is tried again by the next read", async () => {
    const { blocks, allow, fail } = source(size);
    const whole = use();
    allow(100);
    const waits = [whole.read(blocks, undefined, 0, 200), whole.read(blocks, undefined, 500, 600)];
    const outcomes = Promise.allSettled(waits);
    await pause();
    fail(new Error("locked"));
    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(whole.read(blocks, undefined, 0, 1)).rejects.toThrow("locked");
  });

  it("lets go of a reader that is interrupted, and of nobody else", async () => {
    const { blocks, allow } = source(size);
    const whole = use();
    const interrupted = new AbortController();
    const [one, other] = [
      whole.read(blocks, new ReadCursor(), 0, 100, interrupted.signal),
      whole.read(blocks, new ReadCursor(), 0, 100),
    ];
    interrupted.abort(new Error("EINTR"));
    await expect(one).rejects.toThrow("EINTR");
    allow(size);
    expect(await bytesOf(other)).toHaveLength(100);
  });
});

describe("whole files on the disk", () => {
  it("have no name there", async () => {
    const { blocks, allow } = source(3 * MIB);
    allow(3 * MIB);
    await use().read(blocks, new ReadCursor(), 0, 3 * MIB);
    expect(await readdir(folder)).toEqual([]);
  });

  // SEMANTICS: "Files of up to 16 MiB stay in the memory for file content; of larger ones those that nobody has open stay on the
  // local disk up to 2 GiB, without a name there, and none after the mount."
  it("stay within their bounds, the longest unused out first, but never one that is open", async () => {
    const whole = use({ diskMax: 10 * MIB });
    const files = [1, 2, 3, 4, 5].map((number) => source(4 * MIB, number));
    const cursors = files.map(() => new ReadCursor());
    for (const [i, { blocks, allow }] of files.entries()) {
      allow(4 * MIB);
      await whole.read(blocks, cursors[i], 0, 4 * MIB);
    }
    const held = () =>
      files.filter(({ blocks }) => whole.holds(blocks.id, blocks.size)).map(({ blocks }) => Number(blocks.id));
    expect(held()).toEqual([1, 2, 3, 4, 5]);
    for (const i of [1, 2, 0]) whole.release(cursors[i]!);
    expect(held()).toEqual([4, 5]);
    // Two that nobody has open fit: the one that was used last stays.
    for (const i of [3, 4]) whole.release(cursors[i]!);
    await whole.read(files[3]!.blocks, undefined, 0, 1);
    const another = source(4 * MIB, 6);
    another.allow(4 * MIB);
    await whole.read(another.blocks, undefined, 0, 4 * MIB);
    expect(held()).toEqual([4]);
  });
});
