/**
 * The content of files: reading a version through the block reader, writing into a dirty file over it.
 * Invariants: an open file's content is one version, or what is written here, never a mixture of two versions; sealed content
 * is never written to, what comes after goes into content forked from it. Called by filesystem, namespace, renames and file-commits.
 */
import { TOUCH_UPLOAD_MAX } from "../cache/policy.ts";
import { SeafileError } from "../seafile/errors.ts";
import { now, type Timespec } from "../util/timespec.ts";
import type { Backlog, BaseVersion, Destination } from "../writeback/backlog.ts";
import type { DirtyFile } from "../writeback/dirty-file.ts";
import { type BlockReader, type BlockSource, ReadCursor } from "./block-reader.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import { type FileInode, type FileVersionState, isUnstored, pathOf } from "./inode.ts";
import type { WholeFileReader } from "./whole-file-reader.ts";

export interface FileStoreParts {
  readonly directories: Directories;
  readonly reader: BlockReader;
  /** For encrypted libraries. */
  readonly whole: WholeFileReader;
  readonly backlog: Backlog;
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
    if (inode.dirty !== undefined || version === null || this.#holds(inode, version)) return;
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
    if (this.#holds(inode, version)) return;
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
    const source = this.#source(inode, inode.version);
    if (inode.library.info.encrypted) return this.#parts.whole.read(source, cursor, start, end, signal);
    return this.#parts.reader.read(source, cursor, start, end, signal);
  }

  release(cursor: ReadCursor): void {
    this.#parts.reader.release(cursor);
    this.#parts.whole.release(cursor);
  }

  async write(inode: FileInode, offset: number, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    // Sealed between the two: the content forked from it takes the write.
    while (!(await (await this.writable(inode)).write(offset, data, signal)));
    markModified(inode);
  }

  async truncate(inode: FileInode, size: number, signal?: AbortSignal): Promise<void> {
    if (size === this.sizeOf(inode) && (inode.version !== null || inode.dirty !== undefined)) return;
    while (!(await (await this.writable(inode, size === 0)).truncate(size, signal)));
    markModified(inode);
  }

  /** A new, empty file that exists only here until its first commit. */
  begin(inode: FileInode): void {
    inode.dirty = this.#parts.backlog.create(destinationOf(inode));
    inode.dirty.touch();
    markModified(inode);
  }

  /**
   * Sets the modification time. It reads back as set while mounted; a server that keeps times gets it with the next upload, for
   * which a file of moderate size counts as changed.
   */
  async setMtime(inode: FileInode, mtime: Timespec, signal?: AbortSignal): Promise<void> {
    inode.mtime = mtime;
    inode.ctime = now();
    inode.generation++;
    if (isUnstored(inode) || inode.unlinked || inode.version === null || mtime.sec === inode.serverMtime) return;
    if (!inode.writable || inode.library.isLocked || this.sizeOf(inode) > TOUCH_UPLOAD_MAX) return;
    if (!(await inode.library.keepsMtimes(signal))) return;
    await this.pin(inode, signal);
    // Somebody may have written meanwhile.
    if (isUnstored(inode)) return;
    (await this.writable(inode)).touch();
    inode.onlyTime = true;
  }

  /** The content that takes a change: what is being written, or new content over what is there; empty when that is not needed. */
  async writable(inode: FileInode, withoutBase = false): Promise<DirtyFile> {
    const present = inode.dirty;
    if (present !== undefined && !present.isSealed) return present;
    const made = this.#make(inode, present, withoutBase);
    inode.dirty = made;
    if (withoutBase) await present?.release();
    return made;
  }

  /**
   * How content that was begun over a version gets at the bytes of that version: through the inode's name, or through the name
   * `at` for the copy of another file.
   */
  baseOf(inode: FileInode, version: FileVersionState, at?: string): BaseVersion {
    const { reader, whole } = this.#parts;
    const source = this.#source(inode, version, at);
    const read = (start: number, end: number, signal?: AbortSignal) =>
      inode.library.info.encrypted
        ? whole.read(source, undefined, start, end, signal)
        : reader.read(source, new ReadCursor(), start, end, signal);
    return { ...version, read };
  }

  #make(inode: FileInode, present: DirtyFile | undefined, withoutBase: boolean): DirtyFile {
    const { backlog } = this.#parts;
    const to = destinationOf(inode);
    if (present !== undefined && !withoutBase) return backlog.fork(present, to);
    const { version } = inode;
    const isBaseNeeded = !withoutBase && version !== null && version.size > 0;
    return backlog.create(to, isBaseNeeded ? this.baseOf(inode, version) : undefined);
  }

  /** Keeps the content of a dirty file in memory as the version that it was stored as. */
  async seed(version: FileVersionState, dirty: DirtyFile): Promise<void> {
    await this.#parts.reader.seed(version.id, version.size, (start, end) => dirty.read(start, end));
  }

  #holds(inode: FileInode, { id, size }: FileVersionState): boolean {
    const { reader, whole } = this.#parts;
    return inode.library.info.encrypted ? whole.holds(id, size) : reader.holds(id, size);
  }

  #source(inode: FileInode, version: FileVersionState, at?: string): BlockSource {
    return {
      id: version.id,
      size: version.size,
      fetch: (start, end, signal) => inode.library.read({ path: at ?? pathOf(inode), ...version }, start, end, signal),
    };
  }
}

/** Where the inode's content belongs. */
export function destinationOf(inode: FileInode): Destination {
  return { library: inode.library.id, path: pathOf(inode), expects: inode.baseId };
}

function markModified(inode: FileInode): void {
  inode.onlyTime = false;
  inode.generation++;
  inode.mtime = now();
  inode.ctime = inode.mtime;
}
