/**
 * The content of a file that is being written or waits to be stored: a spool file, which ranges of it are there (extents), and
 * where the rest comes from: the base version, or the sealed content that it was forked from.
 * Invariants: bytes outside the extents are the base's below `#baseLimit` and zero above it; once sealed the content never
 * changes, so that what close accepted is what is stored, whatever is written afterwards. Made by backlog.ts; called by the vfs.
 */
import type { Content } from "../seafile/types.ts";
import { type Extent, ExtentSet } from "../util/extent-set.ts";
import { KeyedMutex, type LockMode } from "../util/keyed-mutex.ts";
import type { SpoolFile } from "./spool.ts";

const CHUNK = 1024 * 1024;
/** So much is on its way to the disk at most when an upload is broken off. */
const CHUNKS_PER_SYNC = 64;

/** Reads [start, end) of the version that the content began with. */
export type ReadBase = (start: number, end: number, signal?: AbortSignal) => Promise<readonly Uint8Array[]>;

export interface Base {
  readonly size: number;
  readonly read: ReadBase;
}

/** Told of what a journal needs to put the content together again. */
export interface Tracker {
  wrote(start: number, end: number): void;
  truncated(size: number): void;
  /** Resolves when a kill of this process leaves what was told so far, and what the content is. */
  noted(): Promise<void>;
}

export interface DirtyOptions {
  /** The journal's number for this content. */
  readonly id: number;
  readonly file: SpoolFile;
  readonly base?: Base | undefined;
  /** Sealed content that this one begins as. It is let go of once nothing of it is needed. */
  readonly under?: DirtyFile | undefined;
  readonly tracker?: Tracker | undefined;
}

/** What is there of content that a journal remembers. */
export interface Remembered {
  readonly size: number;
  /** Where base bytes end: above it, what was not written is zero. */
  readonly baseLimit: number;
  readonly present: readonly Extent[];
  readonly sealed: boolean;
}

export class DirtyFile {
  readonly id: number;
  readonly #file: SpoolFile;
  readonly #tracker: Tracker | undefined;
  readonly #extents = new ExtentSet();
  readonly #lock = new KeyedMutex<"content">();
  #base: Base | undefined;
  #under: DirtyFile | undefined;
  #baseLimit: number;
  #size: number;
  #sealed = false;
  #touched = false;
  #holders = 1;
  /** Bytes of the spool file; undefined: not known. A file extended by truncate alone is shorter than it is. */
  #spoolSize: number | undefined = 0;

  constructor({ id, file, base, under, tracker }: DirtyOptions) {
    this.id = id;
    this.#file = file;
    this.#base = base;
    this.#under = under;
    this.#tracker = tracker;
    this.#baseLimit = under?.size ?? base?.size ?? 0;
    this.#size = this.#baseLimit;
  }

  /** Content as an earlier process left it. */
  static remembered(options: DirtyOptions, { size, baseLimit, present, sealed }: Remembered): DirtyFile {
    const dirty = new DirtyFile(options);
    for (const { start, end } of present) dirty.#extents.add(start, end);
    dirty.#size = size;
    dirty.#baseLimit = baseLimit;
    dirty.#sealed = sealed;
    dirty.#touched = true;
    dirty.#spoolSize = undefined;
    return dirty;
  }

  get size(): number {
    return this.#size;
  }

  get isSealed(): boolean {
    return this.#sealed;
  }

  /** Whether there is anything to be stored: a change of the content, or what `touch` stands for. */
  get isTouched(): boolean {
    return this.#touched;
  }

  /** To be stored as it is: a new file, or a new time. */
  touch(): void {
    this.#touched = true;
  }

  get spoolName(): string {
    return this.#file.name;
  }

  /** Ranges that are still to be read from the base (or from what this was forked from). */
  get gaps(): readonly Extent[] {
    return this.#gaps(0, this.#size);
  }

  /** What happened to it, in the words of the journal, as short as possible. */
  history(): (
    | { readonly t: "truncated"; readonly size: number }
    | { readonly t: "wrote"; readonly start: number; readonly end: number }
  )[] {
    const wrote = this.#extents.extents.map(({ start, end }) => ({ t: "wrote" as const, start, end }));
    // First down to what is left of the base, then to the size that it has by now.
    return [{ t: "truncated", size: this.#baseLimit }, ...wrote, { t: "truncated", size: this.#size }];
  }

  /** Whether some of the content is still to be read from the base. */
  get needsBase(): boolean {
    return this.gaps.length > 0;
  }

  /** Writes all of `data` or fails as the local disk does. False: it was sealed meanwhile and nothing was written. */
  async write(offset: number, data: Uint8Array, signal?: AbortSignal): Promise<boolean> {
    return this.#lock.run("content", "exclusive", signal, async () => {
      if (this.#sealed) return false;
      if (data.length === 0) return true;
      await this.#writeAll(data, offset);
      this.#touched = true;
      this.#cover(offset, offset + data.length);
      this.#size = Math.max(this.#size, offset + data.length);
      await this.#tracker?.noted();
      return true;
    });
  }

  /** False as `write`. */
  async truncate(size: number, signal?: AbortSignal): Promise<boolean> {
    return this.#lock.run("content", "exclusive", signal, async () => {
      if (this.#sealed) return false;
      await this.#setSpoolSize(size);
      this.#touched = true;
      this.#extents.truncate(size);
      this.#baseLimit = Math.min(this.#baseLimit, size);
      this.#size = size;
      this.#tracker?.truncated(size);
      await this.#tracker?.noted();
      return true;
    });
  }

  /** Bytes [start, end) clipped to the size. */
  read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array[]> {
    return this.#locked("shared", signal, async () => {
      const to = Math.min(end, this.#size);
      const parts: Uint8Array[] = [];
      let position = start;
      for (const gap of this.#gaps(start, to)) {
        if (gap.start > position) parts.push(await this.#readSpool(position, gap.start));
        parts.push(...(await this.#readBelow(gap.start, gap.end, signal)));
        position = gap.end;
      }
      if (to > position) parts.push(await this.#readSpool(position, to));
      return parts;
    });
  }

  /** Makes what was written so far durable on the local disk; the content stays open for writing. */
  async persist(): Promise<void> {
    await this.#locked("shared", undefined, () => this.#file.use((handle) => handle.datasync()));
  }

  /**
   * From here on the content never changes, and is durable on the local disk. What it was forked from is not needed any more;
   * only ranges of the base version may still be missing. Rejects as the disk does, and then it is not sealed.
   */
  async seal(): Promise<void> {
    await this.#locked("exclusive", undefined, async () => {
      if (this.#sealed) return;
      await this.#leaveUnder(() => this.#setSpoolSize(this.#size));
      this.#sealed = true;
      this.#file.rest();
    });
  }

  /** It could not be noted that it is sealed: it is still to be accepted. */
  unseal(): void {
    this.#sealed = false;
    this.#touched = true;
  }

  /** Copies what is needed of the content that this one was forked from, durably: that one may then go. */
  async detach(): Promise<void> {
    await this.#locked("exclusive", undefined, async () => {
      if (this.#under !== undefined) await this.#leaveUnder();
    });
  }

  /** The sealed content, completed from the base, to be stored. Rejects with the base's or the disk's error. */
  async content(signal?: AbortSignal): Promise<Content> {
    if (!this.#sealed) throw new Error("only sealed content is stored");
    // Shared with readers: completing a gap gives the spool the bytes that a reader would take from the base.
    await this.#locked("shared", signal, () => this.#fill(signal));
    return { size: this.#size, open: () => this.#chunks() };
  }

  /** One more who needs the content. */
  retain(): void {
    this.#holders++;
  }

  /** Who called `retain`, or made the content, does not need it any more. The last one removes the spool file. */
  async release(): Promise<void> {
    this.#holders--;
    if (this.#holders > 0) return;
    await this.#lock.run("content", "exclusive", undefined, async () => {
      await this.#file.remove();
      await this.#under?.release();
      this.#under = undefined;
    });
  }

  /** A crash from here on leaves nothing of it. It can be read and written until it is released. */
  async hide(): Promise<void> {
    await this.#file.hide();
  }

  #locked<T>(mode: LockMode, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return this.#lock.run("content", mode, signal, () => {
      if (this.#holders <= 0) throw new Error("the spool file is closed");
      return work();
    });
  }

  #gaps(start: number, end: number): Extent[] {
    return this.#extents.gaps(start, Math.min(end, this.#baseLimit));
  }

  #readBelow(start: number, end: number, signal: AbortSignal | undefined): Promise<readonly Uint8Array[]> {
    return this.#under === undefined ? this.#base!.read(start, end, signal) : this.#under.read(start, end, signal);
  }

  #cover(start: number, end: number): void {
    const isNew = this.#tracker !== undefined && this.#baseLimit > 0 && this.#extents.gaps(start, end).length > 0;
    this.#extents.add(start, end);
    if (isNew) this.#tracker?.wrote(start, end);
  }

  /** What is needed of the content that this one was forked from is here, and all of this on the disk, when it resolves. */
  async #leaveUnder(atEnd?: () => Promise<void>): Promise<void> {
    const under = this.#under;
    const copied = under === undefined ? [] : await this.#copyFrom(under);
    await atEnd?.();
    await this.#file.use((handle) => handle.datasync());
    // The journal takes what it is told for bytes on the disk.
    for (const { start, end } of copied) this.#cover(start, end);
    if (under !== undefined) await this.#leave(under);
  }

  async #copyFrom(under: DirtyFile): Promise<Extent[]> {
    const parts = this.#gaps(0, this.#size).flatMap(({ start, end }) => under.#present(start, end));
    for (const part of parts) {
      for (let start = part.start; start < part.end; start += CHUNK) {
        await this.#writeAll(await under.#readSpool(start, Math.min(part.end, start + CHUNK)), start);
      }
    }
    return parts;
  }

  async #leave(under: DirtyFile): Promise<void> {
    // Zeros of that content are zeros here, too, not bytes of the version: a journal must not take them for a gap.
    for (const { start, end } of this.#gaps(under.#baseLimit, this.#size)) this.#cover(start, end);
    this.#baseLimit = Math.min(this.#baseLimit, under.#baseLimit);
    this.#base = under.#base;
    this.#under = undefined;
    await under.release();
  }

  /** The parts of [start, end) that are in the spool file. */
  #present(start: number, end: number): Extent[] {
    const present: Extent[] = [];
    let position = start;
    for (const gap of this.#extents.gaps(start, end)) {
      if (gap.start > position) present.push({ start: position, end: gap.start });
      position = gap.end;
    }
    if (position < end) present.push({ start: position, end });
    return present;
  }

  async #fill(signal: AbortSignal | undefined): Promise<void> {
    const filled: Extent[] = [];
    // On the disk first: the journal takes what it is told for that.
    const cover = async () => {
      if (filled.length === 0) return;
      await this.#file.use((handle) => handle.datasync());
      for (const { start, end } of filled.splice(0)) this.#cover(start, end);
    };
    try {
      for (const gap of this.#gaps(0, this.#size)) {
        for (let start = gap.start; start < gap.end; start += CHUNK) {
          const end = Math.min(gap.end, start + CHUNK);
          let position = start;
          for (const part of await this.#readBelow(start, end, signal)) {
            await this.#writeAll(part, position);
            position += part.length;
          }
          filled.push({ start, end });
          if (filled.length === CHUNKS_PER_SYNC) await cover();
        }
      }
    } finally {
      // What came before a failure need not be fetched again.
      await cover();
    }
    await this.#setSpoolSize(this.#size);
  }

  async #setSpoolSize(size: number): Promise<void> {
    if (this.#spoolSize === size) return;
    this.#spoolSize = undefined;
    await this.#file.use((handle) => handle.truncate(size));
    this.#spoolSize = size;
  }

  async #writeAll(data: Uint8Array, position: number): Promise<void> {
    const sizeBefore = this.#spoolSize;
    this.#spoolSize = undefined;
    await this.#file.use(async (handle) => {
      let done = 0;
      try {
        while (done < data.length) {
          const { bytesWritten } = await handle.write(data, done, data.length - done, position + done);
          done += bytesWritten;
        }
      } catch (error) {
        // What a failed write left beyond the end must not show when the file grows over it, nor in a hole below.
        await handle.truncate(this.#size).catch(() => {});
        const end = Math.min(position + done, this.#size);
        for (const zeros of this.#extents.gaps(Math.max(position, this.#baseLimit), end)) {
          await handle
            .write(Buffer.alloc(zeros.end - zeros.start), 0, zeros.end - zeros.start, zeros.start)
            .catch(() => {});
        }
        throw error;
      }
    });
    if (sizeBefore !== undefined) this.#spoolSize = Math.max(sizeBefore, position + data.length);
  }

  async #readSpool(start: number, end: number): Promise<Buffer> {
    // Zero-filled: the spool file may end before `end` where only a truncate made the file longer.
    const buffer = Buffer.alloc(end - start);
    await this.#file.use(async (handle) => {
      for (let done = 0; done < buffer.length; ) {
        const { bytesRead } = await handle.read(buffer, done, buffer.length - done, start + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
    });
    return buffer;
  }

  async *#chunks(): AsyncIterable<Uint8Array> {
    for (let start = 0; start < this.#size; start += CHUNK) {
      yield await this.#readSpool(start, Math.min(this.#size, start + CHUNK));
    }
  }
}
