/**
 * File content as blocks: a writer that turns a stream into 8 MiB blocks (holding one block at most), and a reader of byte
 * ranges. Invariant: a block is stored before the file object that names it. Called by the uploads, downloads and the importer.
 */
import type { FsObjects } from "./fs-objects.ts";
import type { ObjectStore } from "./object-store.ts";
import { BLOCK_SIZE, sha1 } from "./objects.ts";

export interface StoredFile {
  readonly id: string;
  /** Bytes. */
  readonly size: number;
}

export class FileWriter {
  readonly #objects: ObjectStore;
  readonly #fs: FsObjects;
  readonly #blockIds: string[] = [];
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #size = 0;

  constructor(objects: ObjectStore, fs: FsObjects) {
    this.#objects = objects;
    this.#fs = fs;
  }

  async write(chunk: Buffer): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      const piece = rest.subarray(0, BLOCK_SIZE - this.#pendingBytes);
      this.#pending.push(piece);
      this.#pendingBytes += piece.length;
      this.#size += piece.length;
      rest = rest.subarray(piece.length);
      if (this.#pendingBytes === BLOCK_SIZE) await this.#storeBlock();
    }
  }

  /** Stores the last block and the file object. */
  async finish(): Promise<StoredFile> {
    if (this.#pendingBytes > 0) await this.#storeBlock();
    return { id: this.#fs.putFile({ blockIds: this.#blockIds, size: this.#size }), size: this.#size };
  }

  async #storeBlock(): Promise<void> {
    const block = Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    const id = sha1(block);
    await this.#objects.putBlock(id, block);
    this.#blockIds.push(id);
  }
}

export class FileContents {
  readonly #objects: ObjectStore;
  readonly #fs: FsObjects;

  constructor(objects: ObjectStore, fs: FsObjects) {
    this.#objects = objects;
    this.#fs = fs;
  }

  writer(): FileWriter {
    return new FileWriter(this.#objects, this.#fs);
  }

  async store(source: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<StoredFile> {
    const writer = this.writer();
    for await (const chunk of source) await writer.write(chunk);
    return writer.finish();
  }

  /** Bytes [start, end) of a file version. Blocks may have any size. */
  async *read(fileId: string, start: number, end: number): AsyncGenerator<Buffer> {
    let offset = 0;
    for (const blockId of this.#fs.file(fileId).blockIds) {
      if (offset >= end) return;
      const size = this.#objects.blockSize(blockId);
      if (offset + size > start) {
        yield* this.#objects.readBlock(blockId, Math.max(0, start - offset), Math.min(size, end - offset));
      }
      offset += size;
    }
  }
}
