/**
 * Packs directory entries for READDIR and READDIRPLUS (struct fuse_dirent, struct fuse_direntplus) into the size asked for.
 * Invariant: an entry is either wholly in the buffer, padded to 8 bytes, or not at all and `add` said so; the lookup
 * count of an entry that was not taken never reaches the kernel. Made by dispatch.ts, filled by Operations.readdir.
 */
import type { Dirent, DirSink, EntryReply } from "../transport.ts";
import { S_IFDIR, S_IFREG, SIZE } from "./abi.ts";
import { viewOf, writeEntryOut, writeI64 } from "./structs.ts";

const DT = { file: S_IFREG >> 12, dir: S_IFDIR >> 12 } as const;

/**
 * With READDIRPLUS_AUTO the kernel asks for attributes at the beginning of a directory, and goes on so if the program looks at
 * what it got. Programs that want names only pay for the beginning: an inode here and in the kernel for each entry.
 */
const MOST_AT_BEGINNING = 128;

export class DirBuffer implements DirSink {
  readonly #buffer: Buffer;
  readonly #view: DataView;
  readonly #plus: boolean;
  #used = 0;
  #left: number;

  /** `size` bytes at most, as the kernel asked, for entries from `offset` on. */
  constructor(size: number, plus: boolean, offset: number) {
    this.#buffer = Buffer.alloc(size);
    this.#view = viewOf(this.#buffer);
    this.#plus = plus;
    this.#left = plus && offset === 0 ? MOST_AT_BEGINNING : Number.POSITIVE_INFINITY;
  }

  add(entry: Dirent, plus?: EntryReply): boolean {
    const entryOut = this.#plus ? SIZE.entry_out : 0;
    const room = entryOut + SIZE.dirent;
    const length = Buffer.byteLength(entry.name);
    const next = this.#used + ((room + length + 7) & ~7);
    if (next > this.#buffer.length || this.#left === 0) return false;
    if (this.#plus && plus !== undefined) writeEntryOut(this.#view, this.#used, plus);
    const at = this.#used + entryOut;
    writeI64(this.#view, at, entry.ino);
    writeI64(this.#view, at + 8, entry.offset);
    this.#view.setUint32(at + 16, length, true);
    this.#view.setUint32(at + 20, DT[entry.kind], true);
    this.#write(entry.name, at + SIZE.dirent, length);
    this.#used = next;
    this.#left--;
    return true;
  }

  /** `length` is that of the name in UTF-8. Most names are ASCII and too short to be worth a call of native code. */
  #write(name: string, at: number, length: number): void {
    if (length !== name.length) this.#buffer.write(name, at, "utf8");
    else for (let i = 0; i < length; i++) this.#buffer[at + i] = name.charCodeAt(i);
  }

  /** What was taken so far; empty means the end of the directory. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }
}
