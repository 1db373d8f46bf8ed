/**
 * Packs directory entries for READDIR and READDIRPLUS (struct fuse_dirent, struct fuse_direntplus) into the size asked for.
 * Invariant: an entry is either wholly in the buffer, padded to 8 bytes, or not at all and `add` said so; the lookup
 * count of an entry that was not taken never reaches the kernel. Made by dir-reader.ts, filled by Operations.readdir.
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
  #nextOffset: number;
  #left: number;

  /** `size` bytes at most, as the kernel asked, for entries from `offset` on. */
  constructor(size: number, plus: boolean, offset: number) {
    this.#buffer = Buffer.alloc(size);
    this.#view = viewOf(this.#buffer);
    this.#plus = plus;
    this.#nextOffset = offset;
    this.#left = plus && offset === 0 ? MOST_AT_BEGINNING : Number.POSITIVE_INFINITY;
  }

  add(entry: Dirent, plus?: EntryReply): boolean {
    if (this.#left === 0) return false;
    const entryOut = this.#plus ? SIZE.entry_out : 0;
    const at = this.#used + entryOut;
    const nameAt = at + SIZE.dirent;
    const length = this.#writeName(entry.name, nameAt);
    if (length === undefined) return false;
    if (this.#plus && plus !== undefined) writeEntryOut(this.#view, this.#used, plus);
    writeI64(this.#view, at, entry.ino);
    writeI64(this.#view, at + 8, entry.offset);
    this.#view.setUint32(at + 16, length, true);
    this.#view.setUint32(at + 20, DT[entry.kind], true);
    this.#used = (nameAt + length + 7) & ~7;
    this.#nextOffset = entry.offset;
    this.#left--;
    return true;
  }

  /**
   * Writes the name in UTF-8. Returns its length in bytes, or undefined, with nothing written, when the padded entry does not fit. Most
   * names are ASCII and too short to be worth a call of native code.
   */
  #writeName(name: string, at: number): number | undefined {
    const room = (this.#buffer.length - at) & ~7;
    if (name.length > room) return undefined;
    for (let i = 0; i < name.length; i++) {
      const code = name.charCodeAt(i);
      if (code >= 0x80) return this.#writeUtf8(name, at, room);
      this.#buffer[at + i] = code;
    }
    return name.length;
  }

  #writeUtf8(name: string, at: number, room: number): number | undefined {
    const length = Buffer.byteLength(name);
    if (length <= room) return this.#buffer.write(name, at, "utf8");
    this.#buffer.fill(0, at, at + name.length);
    return undefined;
  }

  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /** Where the entries after these begin. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** What was taken so far; empty means the end of the directory. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }
}
