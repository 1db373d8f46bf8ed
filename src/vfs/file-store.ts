/**
 * The content of files: reading a version through the block reader, writing into a dirty file, committing it.
 * Invariants: an open file's content is one version, or what is written here, never a mixture of two versions; `modified` is true
 * whenever the server lacks something that was written; a dirty file exists as long as anybody may write to it or it is not stored.
 * Called by filesystem and namespace; background retries come back through it.
 */
import { SEED_MAX, TOUCH_UPLOAD_MAX } from "../cache/policy.ts";
import type { Logger } from "../observe/log.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { RemoteEntry } from "../seafile/types.ts";
import { now, type Timespec } from "../util/timespec.ts";
import type { Committer } from "../writeback/committer.ts";
import { DirtyFile } from "../writeback/dirty-file.ts";
import type { Spool } from "../writeback/spool.ts";
import { type BlockReader, type BlockSource, ReadCursor } from "./block-reader.ts";
import type { Directories } from "./directory.ts";
import { FsError, failureOf } from "./errno.ts";
import { type FileInode, type FileVersionState, pathOf } from "./inode.ts";
import type { Locks } from "./locks.ts";
import type { Superblock } from "./superblock.ts";

/** At the end of a mount a commit that failed less than this ago is not tried once more. */
const JUST_NOW_MS = 30_000;
/** How long the end of a mount tries to complete a file that it keeps locally from its base on the server. */
const RECOVER_MS = 5_000;

export interface FileStoreParts {
  readonly superblock: Superblock;
  readonly directories: Directories;
  readonly reader: BlockReader;
  readonly spool: Spool;
  readonly committer: Committer;
  readonly locks: Locks;
  readonly log: Logger;
}

export class FileStore {
  readonly #parts: FileStoreParts;

  constructor(parts: FileStoreParts) {
    this.#parts = parts;
  }

  sizeOf(inode: FileInode): number {
    return inode.dirty?.size ?? inode.version?.size ?? 0;
  }

  /**
   * Makes sure that the inode's version can be read from here on, whatever happens to its name. Throws ESTALE when the server
   * has another version by now; the kernel then looks the name up again and opens what it finds.
   */
  async pin(inode: FileInode, signal?: AbortSignal): Promise<void> {
    const { version } = inode;
    if (inode.dirty !== undefined || version === null || this.#parts.reader.holds(version.id, version.size)) return;
    const found = await inode.library.pin({ path: pathOf(inode), ...version }, signal).catch((error: unknown) => {
      if (error instanceof SeafileError && error.kind === "not-found") return undefined;
      throw error;
    });
    if (found === version.id) return;
    if (inode.parent !== null) this.#parts.directories.expire(inode.parent);
    throw new FsError("ESTALE", `${inode.name} was changed on the server`);
  }

  /** Bytes [start, end) clipped to the size of the file. */
  read(
    inode: FileInode,
    cursor: ReadCursor,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    if (inode.dirty !== undefined) return inode.dirty.read(start, end, signal);
    if (inode.version === null) return Promise.resolve([]);
    return this.#parts.reader.read(this.#source(inode, inode.version), cursor, start, end, signal);
  }

  release(cursor: ReadCursor): void {
    this.#parts.reader.release(cursor);
  }

  async write(inode: FileInode, offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    const dirty = await this.#dirty(inode);
    await dirty.write(offset, data, signal);
    this.#modified(inode);
  }

  async truncate(inode: FileInode, size: number, signal?: AbortSignal): Promise<void> {
    if (size === this.sizeOf(inode) && (inode.version !== null || inode.modified)) return;
    const dirty = await this.#dirty(inode, size === 0);
    await dirty.truncate(size, signal);
    this.#modified(inode);
  }

  /** A new, empty file that exists only here until its first commit. */
  async begin(inode: FileInode): Promise<void> {
    inode.dirty = await DirtyFile.create(this.#parts.spool);
    this.#modified(inode);
  }

  /**
   * Sets the modification time. It reads back as set while mounted; a server that keeps times gets it with the next upload, for
   * which the file counts as modified if it is of moderate size.
   */
  async setMtime(inode: FileInode, mtime: Timespec, signal?: AbortSignal): Promise<void> {
    inode.mtime = mtime;
    inode.ctime = now();
    if (inode.modified || inode.unlinked || inode.version === null || mtime.sec === inode.serverMtime) return;
    if (
      !inode.writable ||
      inode.library.info.encrypted ||
      this.sizeOf(inode) > TOUCH_UPLOAD_MAX ||
      !(await inode.library.keepsMtimes(signal))
    )
      return;
    await this.#dirty(inode);
    inode.modified = true;
    inode.generation++;
  }

  /**
   * Changes a file by its path, which has no close: afterwards it is stored, unless somebody has it open for writing, whose close
   * will do that.
   */
  async change(inode: FileInode, work: () => Promise<void>, signal?: AbortSignal): Promise<void> {
    // Counted as a writer, so that nobody lets go of the dirty file meanwhile.
    inode.writers++;
    try {
      await work();
    } finally {
      inode.writers--;
    }
    if (inode.writers > 0) return;
    if (inode.modified) await this.commit(inode, signal);
    else await this.settle(inode);
  }

  /**
   * Stores what was written; resolves when the server has it (or the file was removed). Rejects with the reason, and then goes on
   * trying in the background: the content stays readable here.
   */
  async commit(inode: FileInode, signal?: AbortSignal): Promise<void> {
    try {
      await this.#commitAll(inode, signal);
      this.#parts.committer.settled(inode.ino);
    } catch (error) {
      const { code } = failureOf(error);
      this.#parts.log.warn(
        { path: pathOf(inode), library: inode.library.info.name, code, reason: (error as Error).message },
        `${inode.name} is not stored yet and will be tried again`,
      );
      this.#parts.committer.retry(inode.ino, async () => {
        await this.#commitAll(inode, undefined);
        await this.settle(inode);
      });
      throw error;
    }
    if (inode.writers === 0) await this.settle(inode);
  }

  /** Lets go of the dirty file if nobody needs it any more; what was written stays in the block cache for reading back. */
  async settle(inode: FileInode): Promise<void> {
    const release = await this.#parts.locks.files([inode]);
    try {
      const { dirty } = inode;
      if (dirty === undefined || inode.writers > 0 || (inode.handles > 0 && inode.unlinked)) return;
      if (inode.modified && !inode.unlinked) return;
      if (!inode.unlinked && inode.version !== null && dirty.size <= SEED_MAX) {
        await this.#parts.reader.seed(inode.version.id, dirty.size, (start, end) => dirty.read(start, end));
        // Somebody may have begun to write meanwhile.
        if (inode.writers > 0 || inode.modified) return;
      }
      inode.dirty = undefined;
      inode.modified = false;
      await dirty.discard();
    } finally {
      release();
      this.#parts.superblock.evictIfUnused(inode);
    }
  }

  /**
   * Uploads the file's content to `path`, which is where the inode is or is about to be. The caller holds the file's lock and the
   * library's tree. Resolves with what the server stored.
   */
  async upload(inode: FileInode, path: string, base: FileInode["baseId"], signal?: AbortSignal): Promise<RemoteEntry> {
    const controller = new AbortController();
    inode.upload = controller;
    const dirty = await this.#dirty(inode);
    const generation = inode.generation;
    try {
      const entry = await this.#parts.committer.commit(
        { library: inode.library, path, dirty, mtime: (inode.mtime ?? now()).sec, base },
        signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]),
      );
      inode.version = { id: entry.id, size: entry.size };
      inode.baseId = entry.id;
      inode.serverMtime = entry.mtime;
      inode.perhapsStored = false;
      if (inode.generation === generation) inode.modified = false;
      return entry;
    } catch (error) {
      // The answer may have been lost after the server stored the file.
      if (base === null && !(error instanceof SeafileError && error.unapplied)) inode.perhapsStored = true;
      throw error;
    } finally {
      inode.upload = undefined;
    }
  }

  /** Files with something the server lacks. */
  #unstored(): FileInode[] {
    const files: FileInode[] = [];
    for (const inode of this.#parts.superblock.all()) {
      if (inode.kind === "file" && inode.modified && !inode.unlinked) files.push(inode);
    }
    return files;
  }

  async sync(signal?: AbortSignal): Promise<void> {
    await Promise.all(this.#unstored().map((inode) => this.commit(inode, signal).catch(() => {})));
  }

  /** The last handle that could write is gone. Pages of a shared mapping may have been written after the last close. */
  async released(inode: FileInode): Promise<void> {
    const isNews = inode.modified && !inode.unlinked && inode.failure?.generation !== inode.generation;
    // Nobody is left to be told of a failure; what failed before is tried again in the background anyway.
    if (isNews) await this.commit(inode).catch(() => {});
    else await this.settle(inode);
  }

  /** Stores everything that can be stored; what cannot is kept outside the spool, and the places are returned. */
  async drain(signal?: AbortSignal): Promise<string[]> {
    this.#parts.committer.stop();
    const kept: string[] = [];
    await Promise.all(
      this.#unstored().map(async (inode) => {
        try {
          // What failed a moment ago would only fail again, and the mount must end.
          if (!hasJustFailed(inode)) await this.#commitAll(inode, signal);
        } catch {
          // Said by #commitAll's caller where somebody waited; here the content is what matters.
        }
        if (inode.modified && !inode.unlinked) kept.push(...(await this.#recover(inode)));
      }),
    );
    return kept;
  }

  async #recover(inode: FileInode): Promise<string[]> {
    inode.modified = false;
    const place = await inode.dirty?.recover(inode.name, AbortSignal.timeout(RECOVER_MS));
    if (place === undefined) return [];
    const about = { path: pathOf(inode), library: inode.library.info.name, kept: place };
    this.#parts.log.error(about, `${inode.name} could not be stored on the server; its content is kept in ${place}`);
    return [place];
  }

  async #commitAll(inode: FileInode, signal: AbortSignal | undefined): Promise<void> {
    try {
      while (inode.modified && !inode.unlinked) await this.#commitOnce(inode, signal);
      inode.failure = undefined;
    } catch (error) {
      inode.failure = { generation: inode.generation, at: performance.now() };
      throw error;
    }
  }

  async #commitOnce(inode: FileInode, signal: AbortSignal | undefined): Promise<void> {
    const { locks, directories, superblock } = this.#parts;
    const releaseTree = await locks.tree(inode.library.id, "shared", signal);
    let releaseFile: (() => void) | undefined;
    try {
      releaseFile = await locks.files([inode], signal);
      if (!inode.modified || inode.unlinked) return;
      const dir = inode.parent!;
      const { name } = inode;
      const isNew = inode.baseId === null;
      const entry = await this.upload(inode, pathOf(inode), inode.baseId, signal);
      if (entry.name !== name) {
        superblock.move(inode, dir, entry.name);
        directories.expire(dir);
      }
      if (isNew || entry.name !== name) directories.added(dir, entry);
      else directories.replaced(dir, entry);
    } catch (error) {
      // An unlink that gave up our upload waits for the file's lock: let it have it, then see what is left to do.
      if (signal?.aborted || !isAbort(error)) throw error;
    } finally {
      releaseFile?.();
      releaseTree();
    }
  }

  async #dirty(inode: FileInode, withoutBase = false): Promise<DirtyFile> {
    if (inode.dirty !== undefined) return inode.dirty;
    const version = inode.version;
    const base =
      withoutBase || version === null || version.size === 0
        ? undefined
        : {
            size: version.size,
            read: (start: number, end: number, signal?: AbortSignal) =>
              this.#parts.reader.read(this.#source(inode, version), new ReadCursor(), start, end, signal),
          };
    const dirty = await DirtyFile.create(this.#parts.spool, base);
    // Two first writes may have come at once.
    if (inode.dirty !== undefined) await dirty.discard();
    else inode.dirty = dirty;
    return inode.dirty;
  }

  #modified(inode: FileInode): void {
    inode.modified = true;
    inode.generation++;
    inode.mtime = now();
    inode.ctime = inode.mtime;
  }

  #source(inode: FileInode, version: FileVersionState): BlockSource {
    return {
      id: version.id,
      size: version.size,
      fetch: (start, end, signal) => inode.library.read({ path: pathOf(inode), ...version }, start, end, signal),
    };
  }
}

function hasJustFailed({ failure, generation }: FileInode): boolean {
  return failure?.generation === generation && performance.now() - failure.at < JUST_NOW_MS;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
