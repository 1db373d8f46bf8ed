/**
 * Reads byte ranges of file versions through the block cache: hits, joins what is already on its way, and fetches adjacent
 * misses as one range. A sequential reader gets a read-ahead window that doubles.
 * Invariants: a block is fetched once at a time, however many wait for it; leaving readers abort only fetches nobody waits for.
 * Called by vfs/file-store.ts.
 */
import type { BlockCache } from "../cache/block-cache.ts";
import { BLOCK_SIZE, READ_AHEAD_FIRST, READ_AHEAD_MAX } from "../cache/policy.ts";
import type { ObjectId } from "../seafile/types.ts";
import { type Deferred, deferred, raceAbort } from "../util/abort.ts";

/** One immutable version and how to get its bytes [start, end), in order. */
export interface BlockSource {
  readonly id: ObjectId;
  readonly size: number;
  fetch(start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Where one reader (an open file) is, and which fetches run on its behalf. */
export class ReadCursor {
  next = 0;
  window = 0;
  readonly fetches = new Set<Fetch>();
}

interface Pending extends Deferred<Buffer> {
  readonly fetch: Fetch;
}

interface Fetch {
  readonly controller: AbortController;
  waiters: number;
}

/** How far a read may lie from the expected position and still count as sequential: the kernel sends its read-ahead out of order. */
const SEQUENTIAL_SLACK = 1024 * 1024;

export class BlockReader {
  readonly #cache: BlockCache;
  readonly #pending = new Map<string, Pending>();

  constructor(cache: BlockCache) {
    this.#cache = cache;
  }

  /** Bytes [start, end) clipped to the version's size, as slices of blocks. Rejects as the source does. */
  async read(
    source: BlockSource,
    cursor: ReadCursor,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<Uint8Array[]> {
    const to = Math.min(end, source.size);
    if (start >= to) return [];
    const first = Math.floor(start / BLOCK_SIZE);
    const last = Math.floor((to - 1) / BLOCK_SIZE);
    const ahead = this.#readAhead(source, cursor, start, to);
    const blocks = new Map<number, Buffer | Promise<Buffer>>();
    for (let index = first; index <= last; index++) {
      const block = this.#cache.get(source.id, index);
      if (block !== undefined) blocks.set(index, block);
    }
    this.#fetchMissing(source, cursor, first, ahead);
    const slices: Uint8Array[] = [];
    for (let index = first; index <= last; index++) {
      const block = blocks.get(index) ?? this.#wait(source, cursor, index, signal);
      blocks.set(index, block);
      // Waits are all started before the first is awaited; a failure of a later one must not go unhandled meanwhile.
      if (block instanceof Promise) block.catch(() => {});
    }
    for (let index = first; index <= last; index++) {
      const block = await blocks.get(index)!;
      const origin = index * BLOCK_SIZE;
      slices.push(block.subarray(Math.max(start, origin) - origin, Math.min(to, origin + BLOCK_SIZE) - origin));
    }
    return slices;
  }

  /** Puts a version's content into the cache without fetching it: what was just written is known already. */
  async seed(
    id: ObjectId,
    size: number,
    read: (start: number, end: number) => Promise<readonly Uint8Array[]>,
  ): Promise<void> {
    for (let index = 0; index * BLOCK_SIZE < size; index++) {
      const start = index * BLOCK_SIZE;
      this.#cache.put(id, index, Buffer.concat(await read(start, Math.min(size, start + BLOCK_SIZE))));
    }
  }

  holds(id: ObjectId, size: number): boolean {
    return this.#cache.holds(id, size);
  }

  /** The reader is gone: what is fetched for it alone is given up. */
  release(cursor: ReadCursor): void {
    for (const fetch of cursor.fetches) if (fetch.waiters === 0) this.#abort(fetch);
  }

  /** The block index up to which (inclusive) to fetch now. */
  #readAhead(source: BlockSource, cursor: ReadCursor, start: number, to: number): number {
    const lastNeeded = Math.floor((to - 1) / BLOCK_SIZE);
    const sequential = Math.abs(start - cursor.next) <= SEQUENTIAL_SLACK && (cursor.next > 0 || start === 0);
    if (!sequential) {
      cursor.window = 0;
      cursor.next = to;
      return lastNeeded;
    }
    const advanced = to > cursor.next;
    cursor.next = Math.max(cursor.next, to);
    const largest = Math.min(READ_AHEAD_MAX, this.#cache.limit / 4);
    const halfway = Math.floor(Math.min(source.size - 1, cursor.next + cursor.window / 2) / BLOCK_SIZE);
    // More than half of the window still lies ahead, fetched or on its way: no need for another request yet.
    if (!advanced || (cursor.window > 0 && this.#has(source, halfway))) return lastNeeded;
    cursor.window = Math.min(Math.max(cursor.window * 2, READ_AHEAD_FIRST), largest);
    return Math.max(lastNeeded, Math.floor((Math.min(source.size, cursor.next + cursor.window) - 1) / BLOCK_SIZE));
  }

  #has(source: BlockSource, index: number): boolean {
    return this.#pending.has(key(source.id, index)) || this.#cache.get(source.id, index) !== undefined;
  }

  #fetchMissing(source: BlockSource, cursor: ReadCursor, first: number, last: number): void {
    for (let index = first; index <= last; index++) {
      if (this.#has(source, index)) continue;
      let end = index;
      while (end < last && !this.#has(source, end + 1)) end++;
      this.#fetch(source, cursor, index, end);
      index = end;
    }
  }

  #fetch(source: BlockSource, cursor: ReadCursor, first: number, last: number): void {
    const fetch: Fetch = { controller: new AbortController(), waiters: 0 };
    for (let index = first; index <= last; index++) {
      const pending: Pending = { ...deferred<Buffer>(), fetch };
      pending.promise.catch(() => {});
      this.#pending.set(key(source.id, index), pending);
    }
    cursor.fetches.add(fetch);
    this.#run(source, fetch, first, last)
      .catch((error: unknown) => {
        for (let index = first; index <= last; index++) this.#settle(source.id, index, fetch)?.reject(error);
      })
      .finally(() => cursor.fetches.delete(fetch));
  }

  async #run(source: BlockSource, fetch: Fetch, first: number, last: number): Promise<void> {
    const end = Math.min(source.size, (last + 1) * BLOCK_SIZE);
    let index = first;
    let block = newBlock(source.size, index);
    let filled = 0;
    for await (const chunk of source.fetch(first * BLOCK_SIZE, end, fetch.controller.signal)) {
      for (let used = 0; used < chunk.length; ) {
        if (index > last) throw new Error("the server sent more than was asked for");
        const take = Math.min(chunk.length - used, block.length - filled);
        block.set(chunk.subarray(used, used + take), filled);
        used += take;
        filled += take;
        if (filled < block.length) continue;
        this.#cache.put(source.id, index, block);
        this.#settle(source.id, index, fetch)?.resolve(block);
        index++;
        filled = 0;
        if (index <= last) block = newBlock(source.size, index);
      }
    }
    if (index <= last) throw new Error("the server sent less than was asked for");
  }

  async #wait(
    source: BlockSource,
    cursor: ReadCursor,
    index: number,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    let pending = this.#pending.get(key(source.id, index));
    if (pending === undefined) {
      const cached = this.#cache.get(source.id, index);
      if (cached !== undefined) return cached;
      this.#fetch(source, cursor, index, index);
      pending = this.#pending.get(key(source.id, index))!;
    }
    pending.fetch.waiters++;
    try {
      return await raceAbort(pending.promise, signal);
    } finally {
      pending.fetch.waiters--;
      if (signal?.aborted && pending.fetch.waiters === 0) this.#abort(pending.fetch);
    }
  }

  #abort(fetch: Fetch): void {
    // Out of the table first: who asks from here on starts a fetch of its own instead of joining a dying one.
    for (const [id, pending] of this.#pending) if (pending.fetch === fetch) this.#pending.delete(id);
    fetch.controller.abort();
  }

  #settle(id: ObjectId, index: number, fetch: Fetch): Pending | undefined {
    const pending = this.#pending.get(key(id, index));
    if (pending?.fetch !== fetch) return undefined;
    this.#pending.delete(key(id, index));
    return pending;
  }
}

function key(id: ObjectId, index: number): string {
  return `${id}/${index}`;
}

function newBlock(size: number, index: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.min(BLOCK_SIZE, size - index * BLOCK_SIZE));
}
