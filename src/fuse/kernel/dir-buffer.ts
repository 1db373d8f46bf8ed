/**
 * Packs directory entries for READDIR and READDIRPLUS (struct fuse_dirent, struct fuse_direntplus) into the size asked for.
 * Invariant: an entry is either wholly in the buffer, padded to 8 bytes, or not at all and `add` said so; the lookup
 * count of an entry that was not taken never reaches the kernel. Made by dispatch.ts, filled by Operations.readdir.
 */
import type { Dirent, DirSink, EntryReply } from "../transport.ts";
import { S_IFDIR, S_IFREG, SIZE } from "./abi.ts";
import { writeEntryOut, writeI64 } from "./structs.ts";

const DT = { file: S_IFREG >> 12, dir: S_IFDIR >> 12 } as const;

export class DirBuffer implements DirSink {
  readonly #buffer: Buffer;
  readonly #plus: boolean;
  #used = 0;

  /** `size` bytes at most, as the kernel asked. */
  constructor(size: number, plus: boolean) {
    this.#buffer = Buffer.allocUnsafe(size);
    this.#plus = plus;
  }

  add(entry: Dirent, plus?: EntryReply): boolean {
    const entryOut = this.#plus ? SIZE.entry_out : 0;
    const room = entryOut + SIZE.dirent;
    const length = Buffer.byteLength(entry.name);
    const next = this.#used + ((room + length + 7) & ~7);
    if (next > this.#buffer.length) return false;
    const b = this.#buffer.fill(0, this.#used, next);
    if (this.#plus && plus !== undefined) writeEntryOut(b, this.#used, plus);
    const at = this.#used + entryOut;
    writeI64(b, at, entry.ino);
    writeI64(b, at + 8, entry.offset);
    b.writeUInt32LE(length, at + 16);
    b.writeUInt32LE(DT[entry.kind], at + 20);
    b.write(entry.name, at + SIZE.dirent, "utf8");
    this.#used = next;
    return true;
  }

  /** What was taken so far; empty means the end of the directory. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }
}
