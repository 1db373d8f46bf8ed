/**
 * Where a file that is downloaded as a whole comes to lie: small ones in blocks of the block cache, which keeps them
 * afterwards; others in a file of the spool that has no name, so that nothing of it survives the process.
 * Invariant: what has been appended can be read until `discard`. Called by whole-file-reader.ts.
 */
import type { BlockCache } from "../cache/block-cache.ts";
import { BLOCK_SIZE } from "../cache/policy.ts";
import type { Spool, SpoolFile } from "../writeback/spool.ts";
import type { BlockSource } from "./block-reader.ts";

export interface ContentStore {
  /** Bytes of the disk for the whole file; 0 in memory. */
  readonly onDisk: number;
  /** `at`: how much has been appended before. */
  append(chunk: Uint8Array, at: number): Promise<void>;
  /** Bytes [start, end), all of which have been appended. */
  read(start: number, end: number): Promise<readonly Uint8Array[]>;
  /** Everything is here. Tells whether this object goes on holding it. */
  finish(): boolean;
  discard(): Promise<void>;
}

type Version = Pick<BlockSource, "id" | "size">;

const sizeOfBlock = (size: number, index: number) => Math.min(BLOCK_SIZE, size - index * BLOCK_SIZE);

/** The parts of blocks that make up [start, end); undefined when one is missing. */
function slices(
  start: number,
  end: number,
  block: (index: number) => Buffer | undefined,
): readonly Uint8Array[] | undefined {
  const found: Uint8Array[] = [];
  for (let index = Math.floor(start / BLOCK_SIZE); index * BLOCK_SIZE < end; index++) {
    const origin = index * BLOCK_SIZE;
    const bytes = block(index);
    if (bytes === undefined) return undefined;
    found.push(bytes.subarray(Math.max(start, origin) - origin, Math.min(end, origin + BLOCK_SIZE) - origin));
  }
  return found;
}

export class MemoryContent implements ContentStore {
  readonly onDisk = 0;
  readonly #cache: BlockCache;
  readonly #version: Version;
  /** Made as the bytes come, so that a download that waits for its turn takes no memory. */
  readonly #blocks: Buffer[] = [];

  constructor(cache: BlockCache, version: Version) {
    this.#cache = cache;
    this.#version = version;
  }

  /** Bytes [start, end) of a version that was here before; undefined when some are not any more. */
  static cached(cache: BlockCache, { id }: Version, start: number, end: number): readonly Uint8Array[] | undefined {
    return slices(start, end, (index) => cache.get(id, index));
  }

  async append(chunk: Uint8Array, at: number): Promise<void> {
    for (let used = 0; used < chunk.length; ) {
      const index = Math.floor((at + used) / BLOCK_SIZE);
      const offset = at + used - index * BLOCK_SIZE;
      this.#blocks[index] ??= Buffer.allocUnsafeSlow(sizeOfBlock(this.#version.size, index));
      const part = chunk.subarray(used, used + BLOCK_SIZE - offset);
      this.#blocks[index].set(part, offset);
      used += part.length;
    }
  }

  async read(start: number, end: number): Promise<readonly Uint8Array[]> {
    return slices(start, end, (index) => this.#blocks[index])!;
  }

  finish(): boolean {
    for (const [index, block] of this.#blocks.entries()) this.#cache.put(this.#version.id, index, block);
    return false;
  }

  async discard(): Promise<void> {}
}

export class DiskContent implements ContentStore {
  readonly onDisk: number;
  readonly #spool: Spool;
  #file: Promise<SpoolFile> | undefined;

  constructor(spool: Spool, size: number) {
    this.#spool = spool;
    this.onDisk = size;
  }

  async append(chunk: Uint8Array, at: number): Promise<void> {
    this.#file ??= this.#create();
    await (await this.#file).use(async (handle) => {
      for (let used = 0; used < chunk.length; ) {
        used += (await handle.write(chunk, used, chunk.length - used, at + used)).bytesWritten;
      }
    });
  }

  async read(start: number, end: number): Promise<readonly Uint8Array[]> {
    const bytes = Buffer.allocUnsafe(end - start);
    const file = await this.#file!;
    await file.use(async (handle) => {
      for (let got = 0; got < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, got, bytes.length - got, start + got);
        if (bytesRead === 0) throw new Error("a file of the spool is shorter than what was written to it");
        got += bytesRead;
      }
    });
    return [bytes];
  }

  finish(): boolean {
    return true;
  }

  async discard(): Promise<void> {
    await (await this.#file?.catch(() => undefined))?.remove();
  }

  async #create(): Promise<SpoolFile> {
    const file = this.#spool.create();
    await file.hide();
    return file;
  }
}
