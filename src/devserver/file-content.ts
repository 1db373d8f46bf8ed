/**
 * File content as blocks: a writer that turns a stream into 8 MiB blocks (holding one block at most), and a reader of byte
 * ranges, both with the file key in encrypted libraries. Invariant: a block is stored before the file object that names it. Called by the uploads, downloads and the importer.
 */
import { decryptBlock, encryptBlock, type FileKey } from "./encryption.ts";
import type { FsObjects } from "./fs-objects.ts";
import type { ObjectStore } from "./object-store.ts";
import { BLOCK_SIZE, sha1 } from "./objects.ts";

/** How much is handed out at a time. */
const PIECE = 256 * 1024;

export interface StoredFile {
  readonly id: string;
  /** Bytes. */
  readonly size: number;
}

export class FileWriter {
  readonly #objects: ObjectStore;
  readonly #fs: FsObjects;
  readonly #key: FileKey | undefined;
  readonly #blockIds: string[] = [];
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #size = 0;

  constructor(objects: ObjectStore, fs: FsObjects, key: FileKey | undefined) {
    this.#objects = objects;
    this.#fs = fs;
    this.#key = key;
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
    const plain = Buffer.concat(this.#pending, this.#pendingBytes);
    const block = this.#key === undefined ? plain : encryptBlock(plain, this.#key);
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

  writer(key?: FileKey): FileWriter {
    return new FileWriter(this.#objects, this.#fs, key);
  }

  async store(source: AsyncIterable<Buffer> | Iterable<Buffer>, key?: FileKey): Promise<StoredFile> {
    const writer = this.writer(key);
    for await (const chunk of source) await writer.write(chunk);
    return writer.finish();
  }

  /** Bytes [start, end) of a file version, as stored. Blocks may have any size. */
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

  /** All bytes of a file version; `key` in encrypted libraries, where blocks are decrypted one by one. */
  async *whole(file: StoredFile, key: FileKey | undefined): AsyncGenerator<Buffer> {
    if (key === undefined) return yield* this.read(file.id, 0, file.size);
    for (const blockId of this.#fs.file(file.id).blockIds) {
      const pieces: Buffer[] = [];
      const stored = this.#objects.readBlock(blockId, 0, this.#objects.blockSize(blockId));
      for await (const piece of stored) pieces.push(piece);
      const plain = decryptBlock(Buffer.concat(pieces), key);
      for (let at = 0; at < plain.length; at += PIECE) yield plain.subarray(at, at + PIECE);
    }
  }
}
