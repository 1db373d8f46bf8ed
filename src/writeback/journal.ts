/**
 * The journal of a state folder: an append-only log that survives kill -9, power cuts and full disks.
 * Invariants: records are in the file in the order of the calls; when `sync` or `accept` has resolved, everything appended before is on
 * the disk. One loop (#run) does all work on the file. What is not yet on the disk is also in memory (#tail), because a failed write
 * cuts the file back to its synced part. Called by backlog.ts and write-state.ts; one process at a time, see state-dir.ts.
 */
import { constants } from "node:fs";
import { copyFile, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../observe/log.ts";
import { JournalFile } from "./journal-file.ts";
import { type DecodedLog, decodeLog, encodeFrame, HEADER } from "./journal-frame.ts";
import type { JournalRecord } from "./journal-record.ts";

export type { JournalRecord } from "./journal-record.ts";

export interface OpenedJournal {
  readonly journal: Journal;
  readonly records: readonly JournalRecord[];
  /** Where a damaged log was kept. Then records are missing, and files of the spool may be known to none. */
  readonly aside: string | undefined;
}

interface Entry {
  readonly order: number;
  readonly frame: Buffer;
}

interface Waiter {
  /** Waits for the entries up to this one. */
  readonly order: number;
  /** Taken out of the log when the wait fails. */
  readonly entries: readonly Entry[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Waits for the entries up to this one to be in the file. */
interface Onlooker {
  readonly order: number;
  readonly resolve: () => void;
}

interface Compaction {
  readonly bytes: Buffer;
  readonly records: number;
  /** Entries up to this order are accounted for by the new log. */
  readonly upTo: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** So many bytes may be in the file without being synced: they are held in memory, too. */
const MAX_UNSYNCED = 1024 * 1024;

export class Journal {
  readonly #file: JournalFile;
  readonly #log: Logger;
  /** What is not known to be on the disk: the first #written entries are in the file. */
  #tail: Entry[] = [];
  #written = 0;
  #order = 0;
  #size: number;
  #records: number;
  #waiters: Waiter[] = [];
  #onlookers: Onlooker[] = [];
  #compactions: Compaction[] = [];
  #running: Promise<void> | undefined;
  #isFailing = false;
  #isClosed = false;

  private constructor(file: JournalFile, size: number, records: number, log: Logger) {
    this.#file = file;
    this.#size = size;
    this.#records = records;
    this.#log = log;
  }

  /**
   * Reads the log of a folder, or begins one. What an interrupted write left at the end is cut off. A damaged log counts up to the
   * damage and is kept aside as journal.torn-DATE. Rejects with the disk's error, or with a sentence when the log is in a newer
   * format; then nothing was changed.
   */
  static async open(folder: string, log: Logger): Promise<OpenedJournal> {
    const path = join(folder, "journal");
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return Buffer.alloc(0);
      throw error;
    });
    const { records, end, damage }: DecodedLog = decodeLog(bytes, path);
    const aside = damage === "corrupt" ? await keepAside(path) : undefined;
    if (aside !== undefined) {
      log.error(
        { at: end, size: bytes.length },
        `${path} is damaged; it counts up to the damage and is kept as ${aside}`,
      );
    } else if (end < bytes.length) {
      log.info({ path, at: end, size: bytes.length }, "cutting an interrupted write off the journal");
    }
    await rm(join(folder, "journal.new"), { force: true });
    const file = await (end === 0 ? JournalFile.create(folder, HEADER) : JournalFile.open(folder, end));
    const journal = new Journal(file, Math.max(end, HEADER.length), records.length, log);
    return { journal, records, aside };
  }

  /** Bytes of the log, with what is still to be written. */
  get size(): number {
    return this.#size;
  }

  /** Records in the log, likewise. */
  get records(): number {
    return this.#records;
  }

  /**
   * Adds a record. It is written soon, or as soon as the disk takes it, and is on the disk when a later `sync` has resolved: for what is
   * true whether or not it can be noted now. Throws TypeError or RangeError for a record that could not be read back.
   */
  append(record: JournalRecord): void {
    this.#add(encodeFrame(record));
    this.#wake();
  }

  /**
   * Resolves when everything appended before is in the file, where a kill of this process leaves it, synced or not; also when the
   * disk does not take it now.
   */
  async written(): Promise<void> {
    if (this.#isFailing || this.#tail.length === this.#written) return;
    await new Promise<void>((resolve) => {
      this.#onlookers.push({ order: this.#order, resolve });
      this.#wake();
    });
  }

  /**
   * Adds records and syncs: for promises, which need not be given. When it rejects, with the disk's error, the records are out of the log
   * again and never replayed, unless the process dies before a disk that does not even let the file be cut has done so.
   */
  async accept(...records: readonly JournalRecord[]): Promise<void> {
    const frames = records.map(encodeFrame);
    await this.#untilSynced(frames.map((frame) => this.#add(frame)));
  }

  /**
   * Resolves when everything appended before is on the disk. Who waits at the same time shares one fdatasync. Rejects with the disk's
   * error; what was appended is then tried again by the next call of any kind.
   */
  async sync(): Promise<void> {
    await this.#untilSynced([]);
  }

  /**
   * Replaces the log. `records` must amount to everything appended before the call, synced or not; what is appended later comes
   * behind them. When it rejects, the log is as before, or, if only the folder could not be synced, the new one.
   */
  async compact(records: readonly JournalRecord[]): Promise<void> {
    this.#assertOpen();
    const bytes = Buffer.concat([HEADER, ...records.map(encodeFrame)]);
    await new Promise<void>((resolve, reject) => {
      this.#compactions.push({ bytes, records: records.length, upTo: this.#order, resolve, reject });
      this.#wake();
    });
  }

  /** Syncs and closes. Rejects when what was appended cannot be synced; the file is closed all the same. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const synced = this.#untilSynced([]);
    this.#isClosed = true;
    try {
      await synced;
    } finally {
      await this.#running;
      await this.#file.close();
    }
  }

  #add(frame: Buffer): Entry {
    this.#assertOpen();
    const entry = { order: ++this.#order, frame };
    this.#tail.push(entry);
    this.#size += frame.length;
    this.#records++;
    return entry;
  }

  async #untilSynced(entries: readonly Entry[]): Promise<void> {
    this.#assertOpen();
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ order: this.#order, entries, resolve, reject });
      this.#wake();
    });
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new Error("the journal is closed");
  }

  #wake(): void {
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // Lets what is appended in the same turn become one write.
    await Promise.resolve();
    do {
      const compaction = this.#compactions.shift();
      // Before a compaction the log as it was then, so that no record is withdrawn that the new log counts in.
      const failure = await this.#flush(compaction?.upTo ?? this.#order);
      if (compaction !== undefined) await this.#compact(compaction, failure);
      // A disk that takes nothing is tried again at the next call, not in circles.
    } while (this.#waiters.length + this.#compactions.length > 0 || (!this.#isFailing && this.#unwritten.length > 0));
    this.#running = undefined;
  }

  get #unwritten(): readonly Entry[] {
    return this.#tail.slice(this.#written);
  }

  /** Writes the tail up to an entry, and syncs it when somebody waits for that. Who waits is told; resolves with what went wrong. */
  async #flush(upTo: number): Promise<unknown> {
    const waiters = this.#waiters.filter((waiter) => waiter.order <= upTo);
    this.#waiters = this.#waiters.filter((waiter) => waiter.order > upTo);
    try {
      const batch = this.#unwritten.filter((entry) => entry.order <= upTo);
      if (batch.length > 0) await this.#file.append(Buffer.concat(batch.map((entry) => entry.frame)));
      this.#written += batch.length;
      this.#tellOnlookers(upTo);
      if (waiters.length > 0 || this.#file.unsynced > MAX_UNSYNCED) {
        await this.#file.sync();
        this.#tail.splice(0, this.#written);
        this.#written = 0;
      }
      this.#isFailing = false;
      for (const waiter of waiters) waiter.resolve();
      return undefined;
    } catch (error) {
      this.#fail(error, waiters);
      return error;
    }
  }

  #tellOnlookers(upTo: number): void {
    for (const { order, resolve } of this.#onlookers) if (order <= upTo) resolve();
    this.#onlookers = this.#onlookers.filter(({ order }) => order > upTo);
  }

  #fail(error: unknown, waiters: readonly Waiter[]): void {
    const { code } = error as NodeJS.ErrnoException;
    if (!this.#isFailing) this.#log.warn({ code }, "the journal cannot be written");
    this.#isFailing = true;
    this.#tellOnlookers(this.#order);
    this.#written = 0;
    const withdrawn = new Set(waiters.flatMap((waiter) => waiter.entries));
    this.#tail = this.#tail.filter((entry) => !withdrawn.has(entry));
    this.#records -= withdrawn.size;
    this.#size -= byteLength([...withdrawn]);
    for (const waiter of waiters) waiter.reject(error);
    // They were asked for before their callers could know.
    for (const compaction of this.#compactions.splice(0)) compaction.reject(error);
  }

  async #compact({ bytes, records, upTo, resolve, reject }: Compaction, failure: unknown): Promise<void> {
    try {
      if (failure !== undefined) throw failure;
      await this.#file.replace(bytes);
      this.#tail = this.#tail.filter((entry) => entry.order > upTo);
      this.#written = 0;
      this.#records = records + this.#tail.length;
      this.#size = bytes.length + byteLength(this.#tail);
      await this.#file.sync();
      resolve();
    } catch (error) {
      reject(error);
    }
  }
}

function byteLength(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entry.frame.length, 0);
}

/** Copies a damaged log to a name that nobody reads, durably, and says where. */
async function keepAside(path: string): Promise<string> {
  const aside = `${path}.torn-${new Date().toISOString().replaceAll(/[:.]/g, "-")}`;
  await copyFile(path, aside, constants.COPYFILE_EXCL);
  const handle = await open(aside, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  return aside;
}
