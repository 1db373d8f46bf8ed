import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BlockCache } from "../../src/cache/block-cache.ts";
import { BLOCK_SIZE } from "../../src/cache/policy.ts";
import type { ObjectId } from "../../src/seafile/types.ts";
import { abortReason, deferred } from "../../src/util/abort.ts";
import { BlockReader, type BlockSource, ReadCursor } from "../../src/vfs/block-reader.ts";

const MIB = 1024 * 1024;

function source(size: number, options: { chunk?: number; gate?: Promise<void> } = {}) {
  const content = Buffer.alloc(size);
  for (let i = 0; i < size; i += 997) content[i] = (i / 997) % 251;
  const ranges: [number, number][] = [];
  const aborted: number[] = [];
  const chunk = options.chunk ?? 64 * 1024;
  const blocks: BlockSource = {
    id: String(size).padStart(40, "0") as ObjectId,
    size,
    async *fetch(start, end, signal) {
      const index = ranges.push([start, end]) - 1;
      signal.addEventListener("abort", () => aborted.push(index));
      await options.gate;
      for (let at = start; at < end; at += chunk) {
        if (signal.aborted) throw abortReason(signal);
        yield content.subarray(at, Math.min(end, at + chunk));
      }
    },
  };
  return { blocks, content, ranges, aborted };
}

describe("BlockReader", () => {
  it("returns exactly the bytes asked for, whatever the order and the sizes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 5 * BLOCK_SIZE }),
        fc.integer({ min: 1, max: BLOCK_SIZE }),
        fc.array(fc.tuple(fc.nat(6 * BLOCK_SIZE), fc.nat(2 * BLOCK_SIZE)), { maxLength: 8 }),
        async (size, chunk, reads) => {
          const { blocks, content } = source(size, { chunk });
          const reader = new BlockReader(new BlockCache(2 * BLOCK_SIZE));
          const cursor = new ReadCursor();
          for (const [start, length] of reads) {
            const got = Buffer.concat(await reader.read(blocks, cursor, start, start + length));
            expect(got.equals(content.subarray(start, start + length))).toBe(true);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("reads a small file with one request and again with none", async () => {
    const { blocks, ranges } = source(100_000);
    const reader = new BlockReader(new BlockCache(MIB));
    await reader.read(blocks, new ReadCursor(), 0, 100_000);
    await reader.read(blocks, new ReadCursor(), 0, 100_000);
    expect(ranges).toEqual([[0, 100_000]]);
  });

  it("fetches adjacent misses as one range and leaves out what it has", async () => {
    const { blocks, ranges } = source(20 * BLOCK_SIZE);
    const reader = new BlockReader(new BlockCache(64 * MIB));
    const at = (index: number) => index * BLOCK_SIZE;
    await reader.read(blocks, new ReadCursor(), at(9), at(10));
    await reader.read(blocks, new ReadCursor(), at(7), at(12));
    expect(ranges).toEqual([
      [at(9), at(10)],
      [at(7), at(9)],
      [at(10), at(12)],
    ]);
  });

  it("doubles the window of a sequential reader, so that requests grow rarer", async () => {
    const size = 64 * MIB;
    const { blocks, ranges } = source(size);
    const reader = new BlockReader(new BlockCache(256 * MIB));
    const cursor = new ReadCursor();
    for (let at = 0; at < size; at += 128 * 1024) await reader.read(blocks, cursor, at, at + 128 * 1024);
    expect(ranges.length).toBeLessThan(25);
    expect(ranges.reduce((sum, [start, end]) => sum + end - start, 0)).toBe(size);
  });

  it("a random reader fetches no more than the blocks it touches", async () => {
    const { blocks, ranges } = source(64 * MIB);
    const reader = new BlockReader(new BlockCache(256 * MIB));
    const cursor = new ReadCursor();
    for (const at of [40, 3, 55, 21, 60].map((mib) => mib * MIB)) await reader.read(blocks, cursor, at, at + 4096);
    expect(ranges.map(([start, end]) => end - start)).toEqual([
      BLOCK_SIZE,
      BLOCK_SIZE,
      BLOCK_SIZE,
      BLOCK_SIZE,
      BLOCK_SIZE,
    ]);
  });

  it("two readers of one block cause one request", async () => {
    const gate = deferred<void>();
    const { blocks, ranges } = source(1000, { gate: gate.promise });
    const reader = new BlockReader(new BlockCache(MIB));
    const both = [reader.read(blocks, new ReadCursor(), 0, 10), reader.read(blocks, new ReadCursor(), 5, 20)];
    gate.resolve();
    await Promise.all(both);
    expect(ranges.length).toBe(1);
  });

  it("an interrupted reader gives up the fetch only if nobody else waits for it", async () => {
    const gate = deferred<void>();
    const { blocks, aborted } = source(1000, { gate: gate.promise });
    const reader = new BlockReader(new BlockCache(MIB));
    const controller = new AbortController();
    const interrupted = reader.read(blocks, new ReadCursor(), 0, 10, controller.signal);
    const other = reader.read(blocks, new ReadCursor(), 0, 10);
    controller.abort();
    await expect(interrupted).rejects.toMatchObject({ name: "AbortError" });
    gate.resolve();
    expect((await other)[0]?.length).toBe(10);
    expect(aborted).toEqual([]);
  });

  it("a reader that leaves gives up its own read-ahead", async () => {
    const gate = deferred<void>();
    const { blocks, aborted } = source(16 * MIB, { gate: gate.promise });
    const reader = new BlockReader(new BlockCache(64 * MIB));
    const cursor = new ReadCursor();
    const controller = new AbortController();
    const read = reader.read(blocks, cursor, 0, 10, controller.signal);
    controller.abort();
    await expect(read).rejects.toMatchObject({ name: "AbortError" });
    reader.release(cursor);
    expect(aborted).toEqual([0]);
    gate.resolve();
  });

  it("a source that ends early or sends too much is an error, not a wrong file", async () => {
    const short: BlockSource = {
      id: "s".repeat(40) as ObjectId,
      size: 100,
      async *fetch() {
        yield Buffer.alloc(50);
      },
    };
    const long: BlockSource = {
      id: "l".repeat(40) as ObjectId,
      size: 100,
      async *fetch() {
        yield Buffer.alloc(150);
      },
    };
    const reader = new BlockReader(new BlockCache(MIB));
    await expect(reader.read(short, new ReadCursor(), 0, 100)).rejects.toThrow("less");
    await reader.read(long, new ReadCursor(), 0, 100).catch((error) => expect(String(error)).toContain("more"));
    await expect(reader.read(short, new ReadCursor(), 0, 100)).rejects.toThrow("less");
  });

  it("seeded content is read without a request", async () => {
    const { blocks, content, ranges } = source(3 * BLOCK_SIZE + 5);
    const reader = new BlockReader(new BlockCache(8 * MIB));
    await reader.seed(blocks.id, blocks.size, async (start, end) => [content.subarray(start, end)]);
    expect(Buffer.concat(await reader.read(blocks, new ReadCursor(), 0, blocks.size)).equals(content)).toBe(true);
    expect(ranges).toEqual([]);
  });
});
