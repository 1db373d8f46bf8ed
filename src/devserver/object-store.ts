/**
 * Where objects lie: in memory, or in a folder (blocks/, fs/, commits/, two-letter subfolders), each under its id.
 * Invariant: an object that can be read is complete (files are written aside and renamed into place) and never changes.
 * Called by fs-objects.ts (small objects, synchronously) and by file-content.ts (blocks, streamed).
 */
import { randomUUID } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

export type ObjectKind = "blocks" | "fs" | "commits";

export interface ObjectStore {
  /** Throws for an id that is not stored. */
  get(kind: ObjectKind, id: string): Buffer;
  has(kind: ObjectKind, id: string): boolean;
  put(kind: ObjectKind, id: string, bytes: Buffer): void;
  /** As put, without blocking the event loop; for blocks. */
  putBlock(id: string, bytes: Buffer): Promise<void>;
  blockSize(id: string): number;
  /** Bytes [start, end) of a block, in pieces. */
  readBlock(id: string, start: number, end: number): AsyncIterable<Buffer>;
}

const PIECE = 256 * 1024;

export function memoryObjectStore(): ObjectStore {
  const objects = new Map<string, Buffer>();
  const get = (kind: ObjectKind, id: string) => {
    const bytes = objects.get(`${kind}/${id}`);
    if (bytes === undefined) throw new Error(`No object ${kind}/${id} is stored.`);
    return bytes;
  };
  return {
    get,
    has: (kind, id) => objects.has(`${kind}/${id}`),
    put: (kind, id, bytes) => void objects.set(`${kind}/${id}`, bytes),
    putBlock: async (id, bytes) => void objects.set(`blocks/${id}`, bytes),
    blockSize: (id) => get("blocks", id).length,
    async *readBlock(id, start, end) {
      const block = get("blocks", id);
      for (let at = start; at < end; at += PIECE) yield block.subarray(at, Math.min(end, at + PIECE));
    },
  };
}

/** Keeps objects below `folder`, which is made when missing. */
export function folderObjectStore(folder: string): ObjectStore {
  const pathOf = (kind: ObjectKind, id: string) => join(folder, kind, id.slice(0, 2), id.slice(2));
  const aside = () => join(folder, "tmp", randomUUID());
  mkdirSync(join(folder, "tmp"), { recursive: true, mode: 0o700 });
  return {
    get: (kind, id) => readFileSync(pathOf(kind, id)),
    has: (kind, id) => existsSync(pathOf(kind, id)),
    put(kind, id, bytes) {
      const path = pathOf(kind, id);
      if (existsSync(path)) return;
      const temporary = aside();
      writeFileSync(temporary, bytes, { mode: 0o600 });
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      renameSync(temporary, path);
    },
    async putBlock(id, bytes) {
      const path = pathOf("blocks", id);
      if (existsSync(path)) return;
      const temporary = aside();
      await writeFile(temporary, bytes, { mode: 0o600 });
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rename(temporary, path);
    },
    blockSize: (id) => statSync(pathOf("blocks", id)).size,
    async *readBlock(id, start, end) {
      if (end <= start) return;
      yield* createReadStream(pathOf("blocks", id), {
        start,
        end: end - 1,
        highWaterMark: PIECE,
      }) as AsyncIterable<Buffer>;
    },
  };
}
