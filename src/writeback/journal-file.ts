/**
 * The file of a journal: appends, syncs, and replaces it whole. Invariant: the first `synced` bytes are on the disk and are never
 * touched again; after a failure the file is cut back to them before anything else is written, so that neither half a frame nor
 * a stale one can stand before or behind a good one. One call at a time; called by journal.ts.
 */
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const MODE = 0o600;

export class JournalFile {
  readonly #folder: string;
  #handle: FileHandle;
  #synced: number;
  #end: number;
  /** The file may hold anything behind #synced. */
  #isDamaged = false;
  /** After a crash the name may be missing, or still stand for the file of before the last replacement. */
  #isFolderUnsynced = true;

  private constructor(folder: string, handle: FileHandle, size: number) {
    this.#folder = folder;
    this.#handle = handle;
    this.#synced = size;
    this.#end = size;
  }

  /** Opens the journal of a folder and cuts it to `size` bytes, durably. Rejects with the disk's error. */
  static async open(folder: string, size: number): Promise<JournalFile> {
    const file = new JournalFile(folder, await open(join(folder, "journal"), "r+"), size);
    file.#isDamaged = true;
    return file.#synchronized();
  }

  /** Puts a new journal into a folder, in place of what is there. */
  static async create(folder: string, bytes: Buffer): Promise<JournalFile> {
    return new JournalFile(folder, await writeNew(folder, bytes), bytes.length).#synchronized();
  }

  /** Bytes in the file that are not known to be on the disk. */
  get unsynced(): number {
    return this.#end - this.#synced;
  }

  /** All of `bytes` or nothing. Rejects with the disk's error; then nothing behind the synced part is in the file any more. */
  async append(bytes: Buffer): Promise<void> {
    if (this.#isDamaged) await this.#cutBack();
    await this.#orDamaged(() => writeAll(this.#handle, bytes, this.#end));
    this.#end += bytes.length;
  }

  /** Resolves when all of the file is on the disk. Rejects as `append` does. */
  async sync(): Promise<void> {
    if (this.#isDamaged) await this.#cutBack();
    await this.#orDamaged(async () => {
      // Without the folder, a crash could bring back the file of before a replacement, without what was appended since.
      if (this.#isFolderUnsynced) await syncFolder(this.#folder);
      this.#isFolderUnsynced = false;
      // After a failed fdatasync the kernel counts the pages as clean, so another one would prove nothing: they are written again.
      if (this.unsynced > 0) await this.#handle.datasync();
    });
    this.#synced = this.#end;
  }

  /** Replaces the whole file; `sync` makes it durable under its name. Rejects with the disk's error; then the file is as before. */
  async replace(bytes: Buffer): Promise<void> {
    const handle = await writeNew(this.#folder, bytes);
    await this.#handle.close().catch(() => {});
    this.#handle = handle;
    this.#synced = bytes.length;
    this.#end = bytes.length;
    this.#isDamaged = false;
    this.#isFolderUnsynced = true;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #synchronized(): Promise<this> {
    try {
      await this.sync();
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #orDamaged(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#isDamaged = true;
      await this.#cutBack().catch(() => {});
      throw error;
    }
  }

  async #cutBack(): Promise<void> {
    await this.#handle.truncate(this.#synced);
    await this.#handle.datasync();
    this.#end = this.#synced;
    this.#isDamaged = false;
  }
}

/** Makes the names in a folder durable: fsync(2) of a file does not do that for its name. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeNew(folder: string, bytes: Buffer): Promise<FileHandle> {
  const path = join(folder, "journal.new");
  await rm(path, { force: true });
  const handle = await open(path, "wx+", MODE);
  try {
    await writeAll(handle, bytes, 0);
    await handle.datasync();
    await rename(path, join(folder, "journal"));
    return handle;
  } catch (error) {
    await handle.close().catch(() => {});
    await rm(path, { force: true }).catch(() => {});
    throw error;
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
