/**
 * The id a server gives to a file's content: SHA-1 over its list of blocks, as fsmgr of seafile-server makes it for files
 * of the Web API (fixed blocks of 8 MiB, in encrypted libraries as they are stored). Used to find out whether an upload whose answer was lost has been stored; a
 * server configured with another block size makes other ids, so a match proves and a difference proves nothing.
 */
import { createHash } from "node:crypto";
import { chunksOf } from "./content.ts";
import { BlockCipher, type FileKey } from "./library-key.ts";
import { type Content, type ObjectId, ZERO_ID } from "./types.ts";

const BLOCK_SIZE = 8 * 1024 * 1024;

/** The id of what has been given to it so far, in one pass and in little memory. */
export class ContentHasher {
  readonly #key: FileKey | undefined;
  readonly #blocks: string[] = [];
  #cipher: BlockCipher | undefined;
  #hash = createHash("sha1");
  #room = BLOCK_SIZE;
  #size = 0;

  /** `key` is that of an encrypted library. */
  constructor(key?: FileKey) {
    this.#key = key;
    this.#cipher = key && new BlockCipher(key);
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  update(chunk: Uint8Array): void {
    this.#size += chunk.length;
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + this.#room);
      this.#hash.update(this.#cipher === undefined ? part : this.#cipher.update(part));
      at += part.length;
      this.#room -= part.length;
      if (this.#room > 0) continue;
      this.#blocks.push(this.#lastBlock());
      this.#hash = createHash("sha1");
      this.#cipher = this.#key && new BlockCipher(this.#key);
      this.#room = BLOCK_SIZE;
    }
  }

  /** Another one that goes on from here. */
  copy(): ContentHasher {
    const copy = new ContentHasher(this.#key);
    copy.#cipher = this.#cipher?.copy();
    copy.#blocks.push(...this.#blocks);
    copy.#hash = this.#hash.copy();
    copy.#room = this.#room;
    copy.#size = this.#size;
    return copy;
  }

  /** Id of the block that ends here. */
  #lastBlock(): string {
    const hash = this.#hash.copy();
    if (this.#cipher !== undefined) hash.update(this.#cipher.final());
    return hash.digest("hex");
  }

  id(): ObjectId {
    if (this.#size === 0) return ZERO_ID;
    const blocks = this.#room < BLOCK_SIZE ? [...this.#blocks, this.#lastBlock()] : this.#blocks;
    const list = blocks.map((id) => `"${id}"`).join(", ");
    const object = `{"block_ids": [${list}], "size": ${this.#size}, "type": 1, "version": 1}`;
    return createHash("sha1").update(object).digest("hex") as ObjectId;
  }
}

/** Reads the whole content. `key` is that of an encrypted library. */
export async function fileIdOf(content: Content, key?: FileKey, signal?: AbortSignal): Promise<ObjectId> {
  const hasher = new ContentHasher(key);
  for await (const chunk of chunksOf(content, signal)) hasher.update(chunk);
  return hasher.id();
}
