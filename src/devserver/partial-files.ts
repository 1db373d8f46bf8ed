/**
 * Files whose chunks are still arriving: one temporary file per library and path, shared by all who send to it.
 * Invariants: a chunk is written when all of it has arrived, at its offset; a file is never cut shorter, so an older and longer
 * one keeps its tail (as the real servers' temporary files do); names are hashes, so no path of a client is one of this
 * machine. Called by chunk-upload.ts and the file-uploaded-bytes view.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A chunk that has arrived and is not in its place yet. */
export interface StagedChunk {
  readonly file: string;
}

export interface PartialKey {
  readonly libraryId: string;
  /** Absolute in the library. */
  readonly path: string;
}

export class PartialFiles {
  readonly #data: string | undefined;
  #folder: Promise<string> | undefined;

  /** Kept in a folder of `data`, where a restart finds them; without it in a temporary folder that close() removes. */
  constructor(data: string | undefined) {
    this.#data = data;
  }

  /** Takes a chunk in as it arrives. A chunk that breaks off leaves nothing. */
  async stage(chunks: AsyncIterable<Buffer>): Promise<StagedChunk> {
    const file = join(await this.#open(), `chunk-${randomUUID()}`);
    try {
      await copy(file, "wx", 0, chunks);
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
    return { file };
  }

  async discard(chunk: StagedChunk): Promise<void> {
    await rm(chunk.file, { force: true });
  }

  async write(key: PartialKey, offset: number, chunk: StagedChunk): Promise<void> {
    const file = await this.#fileOf(key);
    await (await open(file, "a", 0o600)).close();
    await copy(file, "r+", offset, createReadStream(chunk.file));
  }

  /** Bytes; 0 when there is none. */
  async size(key: PartialKey): Promise<number> {
    const found = await stat(await this.#fileOf(key)).catch(() => undefined);
    return found?.size ?? 0;
  }

  /** What has arrived, with zeros where nothing has. */
  async *read(key: PartialKey): AsyncGenerator<Buffer> {
    yield* createReadStream(await this.#fileOf(key));
  }

  async remove(key: PartialKey): Promise<void> {
    await rm(await this.#fileOf(key), { force: true });
  }

  async close(): Promise<void> {
    if (this.#data === undefined && this.#folder !== undefined) {
      await rm(await this.#folder, { recursive: true, force: true });
    }
  }

  async #fileOf({ libraryId, path }: PartialKey): Promise<string> {
    return join(await this.#open(), createHash("sha256").update(`${libraryId} ${path}`).digest("hex"));
  }

  #open(): Promise<string> {
    this.#folder ??= this.#data === undefined ? mkdtemp(join(tmpdir(), "seamount-dev-")) : folderIn(this.#data);
    return this.#folder;
  }
}

async function folderIn(data: string): Promise<string> {
  const folder = join(data, "partial");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

async function copy(file: string, flags: string, offset: number, chunks: AsyncIterable<Buffer>): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, flags, 0o600);
    let at = offset;
    for await (const chunk of chunks) {
      await handle.write(chunk, 0, chunk.length, at);
      at += chunk.length;
    }
  } finally {
    await handle?.close();
  }
}
