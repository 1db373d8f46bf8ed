/**
 * The filesystem's operations in the words of the kernel, each a few lines over namespace, directory and file-store. Knows inodes
 * and handles, no FUSE structures and no HTTP. Failures are thrown (FsError, SeafileError, disk errors); vfs/errno.ts maps them.
 * Invariant: every handle given out is counted on its inode and uncounted exactly once, at its release. Called by fuse/adapter.ts.
 */
import { constants } from "node:fs";
import { QUOTA_LIFETIME_MS } from "../cache/policy.ts";
import type { Library } from "../seafile/library.ts";
import type { Source } from "../seafile/source.ts";
import type { Quota } from "../seafile/types.ts";
import { HandleTable } from "../util/handle-table.ts";
import { now, type Timespec } from "../util/timespec.ts";
import { ReadCursor } from "./block-reader.ts";
import type { Directories, DirectoryLines } from "./directory.ts";
import { FsError } from "./errno.ts";
import type { FileCommits } from "./file-commits.ts";
import type { FileStore } from "./file-store.ts";
import type { DirInode, FileInode, Inode } from "./inode.ts";
import type { Namespace, Place } from "./namespace.ts";
import type { RemoteXattr, RemoteXattrs } from "./remote-xattrs.ts";
import type { Superblock } from "./superblock.ts";
import { assertContentWritable, assertOpenable, assertOurs, assertWritable } from "./writable.ts";
import type { Xattrs } from "./xattrs.ts";

const { O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY } = constants;
const O_ACCMODE = 3;
const FALLOC_FL_KEEP_SIZE = 1;

interface FileHandle {
  readonly inode: FileInode;
  readonly writes: boolean;
  readonly cursor: ReadCursor;
}

interface DirHandle {
  readonly dir: DirInode;
  lines: DirectoryLines;
}

export interface OpenResult {
  readonly fh: number;
  /** The kernel's pages of the inode are of its version: another version has another inode. */
  readonly keepCache: true;
}

/** What setattr may change; absent means unchanged. Times are resolved by the caller ("now"). */
export interface Changes {
  readonly mode?: number;
  readonly size?: number;
  readonly atime?: Timespec;
  readonly mtime?: Timespec;
  /** Present when an open file is changed, absent when a name is. */
  readonly fh?: number;
}

export interface FileSystemParts {
  readonly superblock: Superblock;
  readonly directories: Directories;
  readonly namespace: Namespace;
  readonly files: FileStore;
  readonly commits: FileCommits;
  readonly xattrs: Xattrs;
  readonly remoteXattrs: RemoteXattrs;
  readonly account: Source;
}

export class FileSystem {
  readonly #superblock: Superblock;
  readonly #directories: Directories;
  readonly #namespace: Namespace;
  readonly #files: FileStore;
  readonly #commits: FileCommits;
  readonly #xattrs: Xattrs;
  readonly #remoteXattrs: RemoteXattrs;
  readonly #account: Source;
  readonly #openFiles = new HandleTable<FileHandle>();
  readonly #openDirs = new HandleTable<DirHandle>();
  readonly #quotas = new Map<Library | undefined, { readonly quota: Quota; readonly at: number }>();

  constructor(parts: FileSystemParts) {
    this.#superblock = parts.superblock;
    this.#directories = parts.directories;
    this.#namespace = parts.namespace;
    this.#files = parts.files;
    this.#commits = parts.commits;
    this.#xattrs = parts.xattrs;
    this.#remoteXattrs = parts.remoteXattrs;
    this.#account = parts.account;
  }

  /** The kernel was told of the inode once more. */
  remember(inode: Inode): void {
    inode.nlookup++;
  }

  forget(ino: number, nlookup: number): void {
    this.#superblock.forget(ino, nlookup);
  }

  inode(ino: number): Inode {
    const inode = this.#superblock.get(ino);
    if (inode === undefined) throw new FsError("ESTALE", `inode ${ino} is not known any more`);
    return inode;
  }

  sizeOf(inode: Inode): number {
    return inode.kind === "file" ? this.#files.sizeOf(inode) : 0;
  }

  /** Value of an extended attribute. undefined: the inode has none of that name. */
  xattr(ino: number, name: string): string | undefined {
    return this.#xattrs.get(this.inode(ino), name);
  }

  /** As xattr, for those that the server is asked for. */
  remoteXattr(ino: number, name: RemoteXattr, signal: AbortSignal): Promise<string | undefined> {
    return this.#remoteXattrs.get(this.inode(ino), name, signal);
  }

  async setRemoteXattr(
    ino: number,
    name: RemoteXattr,
    { value, flags }: { readonly value: Uint8Array; readonly flags: number },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#remoteXattrs.set(this.inode(ino), name, value, flags, signal);
  }

  async removeRemoteXattr(ino: number, name: RemoteXattr, signal: AbortSignal): Promise<void> {
    await this.#remoteXattrs.remove(this.inode(ino), name, signal);
  }

  /** What lookup finds, if that takes no wait; else undefined, which says nothing about the name. */
  known(parent: number, name: string): Inode | undefined {
    return this.#directories.known(this.#dir(parent), name);
  }

  lookup(parent: number, name: string, signal: AbortSignal): Promise<Inode> {
    return this.#namespace.lookup(this.#dir(parent), name, signal);
  }

  async setattr(ino: number, changes: Changes, signal: AbortSignal): Promise<Inode> {
    const inode = this.inode(ino);
    if (inode.kind === "dir" && changes.size !== undefined) throw new FsError("EISDIR", `${inode.name} is a directory`);
    if (changes.fh === undefined && (changes.size !== undefined || inode.kind === "dir" || inode.handles === 0)) {
      assertNamed(inode);
    }
    if (inode.kind === "file" && inode.handles === 0) assertOurs(inode);
    const unlocking = changes.size === undefined ? assertWritable(inode) : assertContentWritable(inode, signal);
    if (unlocking !== undefined) await unlocking;
    if (changes.mode !== undefined) inode.mode = changes.mode & 0o777;
    if (changes.atime !== undefined) inode.atime = changes.atime;
    if (inode.kind === "file" && (changes.size !== undefined || changes.mtime !== undefined)) {
      await this.#commits.change(
        inode,
        async () => {
          if (changes.size !== undefined) await this.#files.truncate(inode, changes.size, signal);
          if (changes.mtime !== undefined) await this.#files.setMtime(inode, changes.mtime, signal);
        },
        signal,
      );
    } else if (changes.mtime !== undefined) inode.mtime = changes.mtime;
    inode.ctime = now();
    return inode;
  }

  /** A new file that is stored at once (mknod has no close to wait for). */
  async mknod(parent: number, name: string, mode: number, signal: AbortSignal): Promise<Inode> {
    const inode = await this.#namespace.create(this.#dir(parent), name, signal);
    inode.mode = mode;
    await this.#commits.accept(inode, signal);
    return inode;
  }

  async mkdir(parent: number, name: string, mode: number, signal: AbortSignal): Promise<Inode> {
    const inode = await this.#namespace.mkdir(this.#dir(parent), name, signal);
    inode.mode = mode;
    return inode;
  }

  unlink(parent: number, name: string, signal: AbortSignal): Promise<void> {
    return this.#namespace.unlink(this.#dir(parent), name, signal);
  }

  rmdir(parent: number, name: string, signal: AbortSignal): Promise<void> {
    return this.#namespace.rmdir(this.#dir(parent), name, signal);
  }

  rename(
    from: { readonly parent: number; readonly name: string },
    to: { readonly parent: number; readonly name: string },
    noReplace: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const place = (at: { readonly parent: number; readonly name: string }): Place => ({
      dir: this.#dir(at.parent),
      name: at.name,
    });
    return this.#namespace.rename(place(from), place(to), noReplace, signal);
  }

  async open(ino: number, flags: number, signal: AbortSignal): Promise<OpenResult> {
    const inode = this.#file(ino);
    const access = flags & O_ACCMODE;
    const truncates = (flags & O_TRUNC) !== 0;
    const writes = access !== O_RDONLY || truncates;
    const unlocking = writes ? assertContentWritable(inode, signal) : undefined;
    if (unlocking !== undefined) await unlocking;
    assertNamed(inode);
    assertOpenable(inode, access !== O_WRONLY);
    // Counted first: what is open for writing keeps its name whatever the server says meanwhile.
    const opened = this.#addHandle(inode, writes);
    try {
      // Who truncates needs no bytes of the version; who reads or writes parts of it must be able to get all of them.
      if (!truncates) await this.#files.pin(inode, signal);
      if (truncates) await this.#files.truncate(inode, 0, signal);
    } catch (error) {
      await this.release(opened.fh);
      throw error;
    }
    return opened;
  }

  /** O_CREAT: a new file, or without O_EXCL the one that somebody made since the kernel looked. */
  async create(
    parent: number,
    name: string,
    mode: number,
    flags: number,
    signal: AbortSignal,
  ): Promise<{ readonly inode: FileInode; readonly open: OpenResult }> {
    try {
      const inode = await this.#namespace.create(this.#dir(parent), name, signal);
      inode.mode = mode;
      return { inode, open: this.#addHandle(inode, true) };
    } catch (error) {
      if (!(error instanceof FsError) || error.code !== "EEXIST" || (flags & O_EXCL) !== 0) throw error;
      const { ino } = await this.lookup(parent, name, signal);
      return { inode: this.#file(ino), open: await this.open(ino, flags, signal) };
    }
  }

  read(fh: number, offset: number, size: number, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const { inode, cursor } = this.#openFiles.get(fh);
    return this.#files.read(inode, cursor, offset, offset + size, signal);
  }

  async write(fh: number, offset: number, data: Uint8Array, signal: AbortSignal): Promise<number> {
    const { inode } = this.#openFiles.get(fh);
    // O_APPEND is the kernel's: it sends the offset. Pages of a shared mapping may come through any handle of the file.
    await this.#files.write(inode, offset, data, signal);
    return data.length;
  }

  /** close(2) of a writer answers when what was written is safe, or with the reason why not. A reader has nothing to store. */
  async flush(fh: number, signal: AbortSignal): Promise<void> {
    const { inode, writes } = this.#openFiles.get(fh);
    if (writes) await this.#commits.accept(inode, signal);
  }

  /** fsync(2): what was written is durable when this resolves. */
  async store(fh: number, signal: AbortSignal): Promise<void> {
    await this.#commits.persist(this.#openFiles.get(fh).inode, signal);
  }

  async release(fh: number): Promise<void> {
    const { inode, writes, cursor } = this.#openFiles.take(fh);
    this.#files.release(cursor);
    inode.handles--;
    if (writes) inode.writers--;
    if (inode.writers === 0) await this.#commits.released(inode);
    this.#superblock.evictIfUnused(inode);
  }

  /** fallocate(2): mode 0 makes the file at least so long; space itself is not reserved anywhere. */
  async fallocate(fh: number, offset: number, length: number, mode: number, signal: AbortSignal): Promise<void> {
    const { inode } = this.#openFiles.get(fh);
    if ((mode & ~FALLOC_FL_KEEP_SIZE) !== 0) throw new FsError("EOPNOTSUPP", "only plain allocation is known");
    if (mode === 0 && offset + length > this.#files.sizeOf(inode)) {
      await this.#files.truncate(inode, offset + length, signal);
    }
  }

  async opendir(ino: number, signal: AbortSignal): Promise<number> {
    const dir = this.#dir(ino);
    return this.#openDirs.add({ dir, lines: await this.#directories.lines(dir, signal) });
  }

  /** The directory as of opendir, or of the last rewinddir. */
  async lines(fh: number, rewound: boolean, signal: AbortSignal): Promise<DirectoryLines> {
    const handle = this.#openDirs.get(fh);
    if (rewound) handle.lines = await this.#directories.lines(handle.dir, signal);
    return handle.lines;
  }

  releasedir(fh: number): void {
    this.#openDirs.take(fh);
  }

  /** Quota of the library's owner, or of the account at the top of a mount of all libraries. */
  async quota(ino: number, signal: AbortSignal): Promise<Quota> {
    const { library } = this.inode(ino);
    const known = this.#quotas.get(library);
    if (known !== undefined && Date.now() - known.at < QUOTA_LIFETIME_MS) return known.quota;
    const quota = await (library ?? this.#account).quota(signal);
    this.#quotas.set(library, { quota, at: Date.now() });
    return quota;
  }

  #addHandle(inode: FileInode, writes: boolean): OpenResult {
    inode.handles++;
    if (writes) inode.writers++;
    return { fh: this.#openFiles.add({ inode, writes, cursor: new ReadCursor() }), keepCache: true };
  }

  #dir(ino: number): DirInode {
    const inode = this.inode(ino);
    if (inode.kind !== "dir") throw new FsError("ENOTDIR", `${inode.name} is not a directory`);
    return inode;
  }

  #file(ino: number): FileInode {
    const inode = this.inode(ino);
    if (inode.kind !== "file") throw new FsError("EISDIR", `${inode.name} is a directory`);
    return inode;
  }
}

/**
 * The name that led here has another file by now, or none: the kernel looks it up again when it is told ESTALE. What was written
 * to a file without a name would be lost.
 */
function assertNamed(inode: Inode): void {
  if (inode.unlinked) throw new FsError("ESTALE", `${inode.name} was removed or replaced`);
}
