/**
 * Reads file versions that the server gives out as a whole only (encrypted libraries, where it ignores ranges): one download per
 * version, from the beginning, into memory or a nameless local file, and every read from there.
 * Invariants: a read is answered as soon as its last byte has arrived; a version is downloaded once at a time; what nobody has open
 * any more is broken off, and what is complete is kept within bounds, the longest unused out first. Called by vfs/file-store.ts.
 */
import type { BlockCache } from "../cache/block-cache.ts";
import type { ObjectId } from "../seafile/types.ts";
import { deferred, raceAbort } from "../util/abort.ts";
import type { Spool } from "../writeback/spool.ts";
import type { BlockSource, ReadCursor } from "./block-reader.ts";
import { type ContentStore, DiskContent, MemoryContent } from "./whole-file-content.ts";

export interface WholeFileReaderOptions {
  readonly cache: BlockCache;
  readonly spool: Spool;
  /** Larger files go to the disk; bytes. */
  readonly memoryMax: number;
  /** Bytes on the disk for files that nobody has open, and how many files. */
  readonly diskMax: number;
  readonly diskFiles: number;
  /** How long a download goes on that nobody has open any more: programs open a file several times in a row. Milliseconds. */
  readonly lingerMs: number;
}

export class WholeFileReader {
  readonly #options: WholeFileReaderOptions;
  /** In order of use, the longest unused first. */
  readonly #downloads = new Map<ObjectId, Download>();

  constructor(options: WholeFileReaderOptions) {
    this.#options = options;
  }

  /** Bytes [start, end) clipped to the version's size. `cursor`: who has the file open, until `release`. Rejects as the source does. */
  async read(
    source: BlockSource,
    cursor: ReadCursor | undefined,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const to = Math.min(end, source.size);
    if (start >= to) return [];
    const cached = MemoryContent.cached(this.#options.cache, source, start, to);
    if (cached !== undefined) return cached;
    const download = this.#downloads.get(source.id) ?? this.#begin(source);
    this.#downloads.delete(source.id);
    this.#downloads.set(source.id, download);
    return download.read(cursor, start, to, signal);
  }

  /** Whether the version can be read without any request. */
  holds(id: ObjectId, size: number): boolean {
    return this.#downloads.get(id)?.isComplete === true || this.#options.cache.holds(id, size);
  }

  /** The reader is gone. */
  release(cursor: ReadCursor): void {
    for (const download of this.#downloads.values()) download.release(cursor);
    this.#evict();
  }

  /** Breaks off what is under way and gives the disk back. */
  async close(): Promise<void> {
    const downloads = [...this.#downloads.values()];
    this.#downloads.clear();
    await Promise.all(downloads.map((download) => download.discard()));
  }

  #begin(source: BlockSource): Download {
    const { cache, spool, memoryMax, lingerMs } = this.#options;
    const inMemory = source.size <= Math.min(memoryMax, cache.limit / 4);
    const content = inMemory ? new MemoryContent(cache, source) : new DiskContent(spool, source.size);
    const isCurrent = () => this.#downloads.get(source.id) === download;
    const download = new Download(source, content, lingerMs, (isKept) => {
      if (!isKept && isCurrent()) this.#downloads.delete(source.id);
      this.#evict();
    });
    void download.run();
    return download;
  }

  #evict(): void {
    const kept = [...this.#downloads].filter(([, download]) => download.onDisk > 0);
    let bytes = kept.reduce((sum, [, download]) => sum + download.onDisk, 0);
    let files = kept.length;
    for (const [id, download] of kept) {
      if (bytes <= this.#options.diskMax && files <= this.#options.diskFiles) return;
      if (!download.isIdle) continue;
      this.#downloads.delete(id);
      void download.discard();
      bytes -= download.onDisk;
      files--;
    }
  }
}

/** One version on its way, or here. */
class Download {
  readonly #source: BlockSource;
  readonly #content: ContentStore;
  readonly #lingerMs: number;
  /** Told when it has ended, and whether there is something to keep. */
  readonly #ended: (isKept: boolean) => void;
  readonly #controller = new AbortController();
  readonly #cursors = new Set<ReadCursor>();
  readonly #waiters = new Set<{ readonly end: number; resolve(): void; reject(reason: unknown): void }>();
  #received = 0;
  /** Reads under way. */
  #reads = 0;
  #linger: NodeJS.Timeout | undefined;

  constructor(source: BlockSource, content: ContentStore, lingerMs: number, ended: (isKept: boolean) => void) {
    this.#source = source;
    this.#content = content;
    this.#lingerMs = lingerMs;
    this.#ended = ended;
  }

  get isComplete(): boolean {
    return this.#received === this.#source.size;
  }

  /** Bytes of the disk that it takes, or will have taken when it is complete. */
  get onDisk(): number {
    return this.#content.onDisk;
  }

  /** Nobody has it open, and nobody waits for it. */
  get isIdle(): boolean {
    return this.#cursors.size === 0 && this.#reads === 0;
  }

  async run(): Promise<void> {
    try {
      for await (const chunk of this.#source.fetch(0, this.#source.size, this.#controller.signal)) {
        if (this.#received + chunk.length > this.#source.size)
          throw new Error("the server sent more than was asked for");
        await this.#content.append(chunk, this.#received);
        this.#received += chunk.length;
        this.#answer();
      }
      if (!this.isComplete) throw new Error("the server sent less than was asked for");
      this.#ended(this.#content.finish());
    } catch (error) {
      this.#ended(false);
      for (const waiter of this.#waiters) waiter.reject(error);
      this.#waiters.clear();
      await this.#content.discard();
    }
  }

  async read(
    cursor: ReadCursor | undefined,
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly Uint8Array[]> {
    clearTimeout(this.#linger);
    if (cursor !== undefined) this.#cursors.add(cursor);
    this.#reads++;
    try {
      if (this.#received < end) await this.#arrived(end, signal);
      return await this.#content.read(start, end);
    } finally {
      this.#reads--;
      this.#lingerIfIdle();
    }
  }

  release(cursor: ReadCursor): void {
    if (this.#cursors.delete(cursor)) this.#lingerIfIdle();
  }

  async discard(): Promise<void> {
    clearTimeout(this.#linger);
    this.#controller.abort();
    if (this.isComplete) await this.#content.discard();
  }

  async #arrived(end: number, signal: AbortSignal | undefined): Promise<void> {
    const arrival = deferred<void>();
    arrival.promise.catch(() => {});
    const waiter = { end, resolve: () => arrival.resolve(), reject: arrival.reject };
    this.#waiters.add(waiter);
    try {
      await raceAbort(arrival.promise, signal);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  #answer(): void {
    for (const waiter of this.#waiters) {
      if (waiter.end > this.#received) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #lingerIfIdle(): void {
    if (!this.isIdle || this.isComplete) return;
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => {
      this.#ended(false);
      this.#controller.abort();
    }, this.#lingerMs).unref();
  }
}
