/**
 * Blocks of file versions in memory, least recently used out first. Keyed by file id and index, so entries are never stale and
 * are shared by paths and libraries. Invariant: the bytes of all blocks together stay within the limit.
 */
import { LRUCache } from "lru-cache";
import type { ObjectId } from "../seafile/types.ts";
import { BLOCK_SIZE } from "./policy.ts";

export class BlockCache {
  readonly #blocks: LRUCache<string, Buffer>;
  readonly #limit: number;

  /** `limit` in bytes; below one block nothing is kept. */
  constructor(limit: number) {
    this.#limit = limit;
    this.#blocks = new LRUCache({ maxSize: Math.max(1, limit), sizeCalculation: (block) => Math.max(1, block.length) });
  }

  get limit(): number {
    return this.#limit;
  }

  /** Bytes held now. */
  get size(): number {
    return this.#blocks.calculatedSize;
  }

  get(id: ObjectId, index: number): Buffer | undefined {
    return this.#blocks.get(key(id, index));
  }

  put(id: ObjectId, index: number, block: Buffer): void {
    this.#blocks.set(key(id, index), block);
  }

  /** Whether a file of `size` bytes could be read without any request. */
  holds(id: ObjectId, size: number): boolean {
    for (let index = 0; index * BLOCK_SIZE < size; index++) if (!this.#blocks.has(key(id, index))) return false;
    return true;
  }
}

function key(id: ObjectId, index: number): string {
  return `${id}/${index}`;
}
