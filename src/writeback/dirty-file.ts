/**
 * A file that is being written: the spool file, which ranges of it were written (extents), and where the rest comes from (the
 * base version). Invariants: bytes outside the extents are the base's below `#baseLimit` and zero above it; nothing changes
 * while a commit holds the file, so what is uploaded is one state of it. Called by the vfs (file-handle, namespace) and the committer.
 */
import type { Content } from "../seafile/types.ts";
import { ExtentSet } from "../util/extent-set.ts";
import { KeyedMutex, type LockMode } from "../util/keyed-mutex.ts";
import type { Spool, SpoolFile } from "./spool.ts";

const CHUNK = 1024 * 1024;

/** Reads [start, end) of the version that the dirty file began with. */
export type ReadBase = (start: number, end: number, signal?: AbortSignal) => Promise<readonly Uint8Array[]>;

export interface Base {
  readonly size: number;
  readonly read: ReadBase;
}

export class DirtyFile {
  readonly #spool: Spool;
  readonly #file: SpoolFile;
  readonly #extents = new ExtentSet();
  readonly #lock = new KeyedMutex<"content">();
  readonly #base: Base | undefined;
  /** Base bytes at and above this position were cut off by a truncate and read as zero. */
  #baseLimit: number;
  #size: number;
  #closed = false;

  private constructor(spool: Spool, file: SpoolFile, base: Base | undefined) {
    this.#spool = spool;
    this.#file = file;
    this.#base = base;
    this.#baseLimit = base?.size ?? 0;
    this.#size = this.#baseLimit;
  }

  /** Without base: an empty file. Errors are those of the local disk (ENOSPC, EMFILE ...). */
  static async create(spool: Spool, base?: Base): Promise<DirtyFile> {
    return new DirtyFile(spool, await spool.create(), base);
  }

  get size(): number {
    return this.#size;
  }

  /** Whether some of the content is still to be read from the base. */
  get needsBase(): boolean {
    return this.#baseGaps(0, this.#size).length > 0;
  }

  /** Writes all of `data` or fails as the local disk does; nothing is counted as written when it fails. */
  async write(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (data.length === 0) return;
    await this.#locked("exclusive", signal, async () => {
      await this.#writeAll(data, offset);
      this.#extents.add(offset, offset + data.length);
      this.#size = Math.max(this.#size, offset + data.length);
    });
  }

  async truncate(size: number, signal?: AbortSignal): Promise<void> {
    await this.#locked("exclusive", signal, async () => {
      await this.#file.handle.truncate(size);
      this.#extents.truncate(size);
      this.#baseLimit = Math.min(this.#baseLimit, size);
      this.#size = size;
    });
  }

  /** Bytes [start, end) clipped to the size. */
  read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array[]> {
    return this.#locked("shared", signal, async () => {
      const to = Math.min(end, this.#size);
      const parts: Uint8Array[] = [];
      let position = start;
      for (const gap of this.#baseGaps(start, to)) {
        if (gap.start > position) parts.push(await this.#readSpool(position, gap.start));
        parts.push(...(await this.#base!.read(gap.start, gap.end, signal)));
        position = gap.end;
      }
      if (to > position) parts.push(await this.#readSpool(position, to));
      return parts;
    });
  }

  /**
   * Holds the content still, completes it from the base, and hands it over to be stored. Writers wait until `store` settles,
   * readers do not. One commit at a time. Rejects with the base's or the disk's error, or with that of `store`.
   */
  commit<T>(store: (content: Content) => Promise<T>, signal?: AbortSignal): Promise<T> {
    // Shared with readers: completing a gap gives the spool the bytes that a reader would take from the base.
    return this.#locked("shared", signal, async () => {
      await this.#fill(signal);
      return store({ size: this.#size, open: () => this.#chunks() });
    });
  }

  /** Waits for who is reading or writing, then removes the spool file. */
  async discard(): Promise<void> {
    await this.#lock.run("content", "exclusive", undefined, async () => {
      if (this.#closed) return;
      this.#closed = true;
      await this.#spool.discard(this.#file);
    });
  }

  /**
   * Keeps the content outside the spool and says where. When the base cannot be read any more, the parts that were never
   * written are missing (zero), and the name of the kept file says "incomplete".
   */
  async recover(name: string, signal?: AbortSignal): Promise<string> {
    return this.#locked("exclusive", undefined, async () => {
      this.#closed = true;
      const isComplete = await this.#fill(signal).then(
        () => true,
        () => false,
      );
      await this.#file.handle.truncate(this.#size);
      return this.#spool.recover(this.#file, isComplete ? name : `${name} (incomplete)`);
    });
  }

  #locked<T>(mode: LockMode, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return this.#lock.run("content", mode, signal, () => {
      if (this.#closed) throw new Error("the spool file is closed");
      return work();
    });
  }

  #baseGaps(start: number, end: number) {
    return this.#extents.gaps(start, Math.min(end, this.#baseLimit));
  }

  async #fill(signal: AbortSignal | undefined): Promise<void> {
    for (const gap of this.#baseGaps(0, this.#size)) {
      for (let start = gap.start; start < gap.end; start += CHUNK) {
        const end = Math.min(gap.end, start + CHUNK);
        let position = start;
        for (const part of await this.#base!.read(start, end, signal)) {
          await this.#writeAll(part, position);
          position += part.length;
        }
        this.#extents.add(start, end);
      }
    }
    // A file extended by truncate alone is shorter on the disk than it is.
    await this.#file.handle.truncate(this.#size);
  }

  async #writeAll(data: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < data.length; ) {
        const { bytesWritten } = await this.#file.handle.write(data, done, data.length - done, position + done);
        done += bytesWritten;
      }
    } catch (error) {
      // What a failed write left beyond the end must not show when the file grows over it.
      await this.#file.handle.truncate(this.#size).catch(() => {});
      throw error;
    }
  }

  async #readSpool(start: number, end: number): Promise<Buffer> {
    // Zero-filled: the spool file may end before `end` where only a truncate made the file longer.
    const buffer = Buffer.alloc(end - start);
    for (let done = 0; done < buffer.length; ) {
      const { bytesRead } = await this.#file.handle.read(buffer, done, buffer.length - done, start + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return buffer;
  }

  async *#chunks(): AsyncIterable<Uint8Array> {
    for (let start = 0; start < this.#size; start += CHUNK) {
      yield await this.#readSpool(start, Math.min(this.#size, start + CHUNK));
    }
  }
}
