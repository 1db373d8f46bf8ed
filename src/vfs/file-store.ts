/**
 * The content of files: reading a version through the block reader, writing into a dirty file over it.
 * Invariants: an open file's content is one version, or what is written here, never a mixture of two versions; `modified` is true
 * whenever the server lacks something that was written. Called by filesystem, namespace, and by file-commits, which stores it.
 */
import { TOUCH_UPLOAD_MAX } from "../cache/policy.ts";
import { SeafileError } from "../seafile/errors.ts";
import { now, type Timespec } from "../util/timespec.ts";
import { DirtyFile } from "../writeback/dirty-file.ts";
import type { Spool } from "../writeback/spool.ts";
import { type BlockReader, type BlockSource, ReadCursor } from "./block-reader.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import { type FileInode, type FileVersionState, pathOf } from "./inode.ts";

export interface FileStoreParts {
  readonly directories: Directories;
  readonly reader: BlockReader;
  readonly spool: Spool;
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

  /**
   * Before a name goes: whoever has the file open goes on reading, so the way to the bytes must be known while the name still
   * leads to them. Never fails; what cannot be secured will be answered ESTALE when it is read.
   */
  async keepReadable(inode: FileInode, signal?: AbortSignal): Promise<void> {
    const { version, dirty } = inode;
    if (inode.handles === 0 || version === null || (dirty !== undefined && !dirty.needsBase)) return;
    if (this.#parts.reader.holds(version.id, version.size)) return;
    await inode.library.pin({ path: pathOf(inode), ...version }, signal).catch(() => {});
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
    const dirty = await this.dirtyOf(inode);
    await dirty.write(offset, data, signal);
    markModified(inode);
  }

  async truncate(inode: FileInode, size: number, signal?: AbortSignal): Promise<void> {
    if (size === this.sizeOf(inode) && (inode.version !== null || inode.modified)) return;
    const dirty = await this.dirtyOf(inode, size === 0);
    await dirty.truncate(size, signal);
    markModified(inode);
  }

  /** A new, empty file that exists only here until its first commit. */
  async begin(inode: FileInode): Promise<void> {
    inode.dirty = await DirtyFile.create(this.#parts.spool);
    markModified(inode);
  }

  /**
   * Sets the modification time. It reads back as set while mounted; a server that keeps times gets it with the next upload, for
   * which the file counts as modified if it is of moderate size.
   */
  async setMtime(inode: FileInode, mtime: Timespec, signal?: AbortSignal): Promise<void> {
    inode.mtime = mtime;
    inode.ctime = now();
    if (inode.modified) inode.generation++;
    if (inode.modified || inode.unlinked || inode.version === null || mtime.sec === inode.serverMtime) return;
    if (!inode.writable || inode.library.info.encrypted || this.sizeOf(inode) > TOUCH_UPLOAD_MAX) return;
    if (!(await inode.library.keepsMtimes(signal))) return;
    await this.pin(inode, signal);
    await this.dirtyOf(inode);
    // Somebody may have written meanwhile.
    inode.onlyTime = !inode.modified;
    inode.modified = true;
    inode.generation++;
  }

  /** The inode's dirty file; made over its version, or empty where the version's bytes will not be needed. */
  async dirtyOf(inode: FileInode, withoutBase = false): Promise<DirtyFile> {
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

  /** Keeps the content of a dirty file in memory as the version that it was stored as. */
  async seed(version: FileVersionState, dirty: DirtyFile): Promise<void> {
    await this.#parts.reader.seed(version.id, version.size, (start, end) => dirty.read(start, end));
  }

  #source(inode: FileInode, version: FileVersionState): BlockSource {
    return {
      id: version.id,
      size: version.size,
      fetch: (start, end, signal) => inode.library.read({ path: pathOf(inode), ...version }, start, end, signal),
    };
  }
}

function markModified(inode: FileInode): void {
  inode.modified = true;
  inode.onlyTime = false;
  inode.generation++;
  inode.mtime = now();
  inode.ctime = inode.mtime;
}
