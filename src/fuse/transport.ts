/**
 * The seam between the filesystem and whatever carries kernel requests: types only. A transport (kernel/, libfuse/)
 * calls Operations; the adapter implements them. Invariant: every Operations method either returns its answer or throws
 * ErrnoError; the transport sends exactly one reply per request whatever happens.
 * Inode numbers and file handles are JavaScript integers below 2^53. Names arrive decoded from valid UTF-8, without "/" or NUL.
 */
import type { Logger } from "../observe/log.ts";
import type { Timespec } from "../util/timespec.ts";

export type { Timespec };

/** Which process asks; with fuse-native this process itself, as the addon does not say. */
export interface OpContext {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Aborts when the kernel sends INTERRUPT for this request, or when the session ends. */
  readonly signal: AbortSignal;
}

/** struct fuse_attr (include/uapi/linux/fuse.h). `mode` includes the file type. `blocks` counts 512-byte units. */
export interface Attr {
  readonly ino: number;
  readonly size: number;
  readonly blocks: number;
  readonly atime: Timespec;
  readonly mtime: Timespec;
  readonly ctime: Timespec;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly blksize: number;
}

/** struct fuse_attr_out: an Attr and how long the kernel may keep it. */
export interface AttrReply {
  readonly attr: Attr;
  readonly attrTtlMs: number;
}

/** struct fuse_entry_out. Each one sent adds 1 to the kernel's lookup count of attr.ino. */
export interface EntryReply extends AttrReply {
  readonly generation: number;
  readonly entryTtlMs: number;
}

/** struct fuse_open_out. keepCache = FOPEN_KEEP_CACHE, directIo = FOPEN_DIRECT_IO. */
export interface OpenReply {
  readonly fh: number;
  readonly keepCache?: boolean;
  readonly directIo?: boolean;
}

/** struct fuse_setattr_in: only what is to change is present. */
export interface SetAttr {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly atime?: Timespec | "now";
  readonly mtime?: Timespec | "now";
  readonly fh?: number;
}

/** One directory entry. `offset` is where a later readdir continues *after* this entry (> 0). `kind` feeds d_type. */
export interface Dirent {
  readonly name: string;
  readonly ino: number;
  readonly kind: "file" | "dir";
  readonly offset: number;
}

/** Takes entries until its buffer is full: `add` returns false when the entry did not fit and was not taken. */
export interface DirSink {
  /** READDIRPLUS: pass an EntryReply (its lookup counts only if add returned true), or undefined for "." and "..". */
  add(entry: Dirent, plus?: EntryReply): boolean;
}

/** struct fuse_kstatfs. */
export interface Statfs {
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly bsize: number;
  readonly frsize: number;
  readonly namelen: number;
}

/** RENAME_NOREPLACE is true when `noReplace`; RENAME_EXCHANGE and unknown flags never get here (the transport answers EINVAL). */
export interface RenameFlags {
  readonly noReplace: boolean;
}

/** The operations of a mounted filesystem, in the order of enum fuse_opcode. Flags of open/create are the O_* of open(2). */
export interface Operations {
  /** Throws ENOENT for a missing name (which the kernel may remember for negativeTtlMs). */
  lookup(ctx: OpContext, parent: number, name: string): Promise<EntryReply>;
  forget(ino: number, nlookup: number): void;
  getattr(ctx: OpContext, ino: number, fh: number | undefined): Promise<AttrReply>;
  setattr(ctx: OpContext, ino: number, set: SetAttr): Promise<AttrReply>;
  readlink(ctx: OpContext, ino: number): Promise<string>;
  symlink(ctx: OpContext, parent: number, name: string, target: string): Promise<EntryReply>;
  /** Regular files only; `mode` includes the file type. */
  mknod(ctx: OpContext, parent: number, name: string, mode: number): Promise<EntryReply>;
  mkdir(ctx: OpContext, parent: number, name: string, mode: number): Promise<EntryReply>;
  unlink(ctx: OpContext, parent: number, name: string): Promise<void>;
  rmdir(ctx: OpContext, parent: number, name: string): Promise<void>;
  rename(
    ctx: OpContext,
    parent: number,
    name: string,
    newParent: number,
    newName: string,
    flags: RenameFlags,
  ): Promise<void>;
  link(ctx: OpContext, ino: number, newParent: number, newName: string): Promise<EntryReply>;
  open(ctx: OpContext, ino: number, flags: number): Promise<OpenReply>;
  create(
    ctx: OpContext,
    parent: number,
    name: string,
    mode: number,
    flags: number,
  ): Promise<{ readonly entry: EntryReply; readonly open: OpenReply }>;
  /** Fewer than `size` bytes only at the end of the file. Slices are sent in one writev, without a copy. */
  read(ctx: OpContext, ino: number, fh: number, offset: number, size: number): Promise<readonly Uint8Array[]>;
  /** `data` belongs to the transport's buffer: it is valid until the returned promise settles, not longer. */
  write(ctx: OpContext, ino: number, fh: number, offset: number, data: Uint8Array): Promise<number>;
  /** One per close(2) of a descriptor; may be called several times per handle. */
  flush(ctx: OpContext, ino: number, fh: number): Promise<void>;
  fsync(ctx: OpContext, ino: number, fh: number, datasync: boolean): Promise<void>;
  /** Exactly one per successful open or create; its error reaches nobody. */
  release(ctx: OpContext, ino: number, fh: number): Promise<void>;
  fallocate(ctx: OpContext, ino: number, fh: number, offset: number, length: number, mode: number): Promise<void>;
  opendir(ctx: OpContext, ino: number): Promise<OpenReply>;
  readdir(ctx: OpContext, ino: number, fh: number, offset: number, plus: boolean, sink: DirSink): Promise<void>;
  releasedir(ctx: OpContext, ino: number, fh: number): Promise<void>;
  fsyncdir(ctx: OpContext, ino: number, fh: number): Promise<void>;
  statfs(ctx: OpContext, ino: number): Promise<Statfs>;
  /** `mask` is a combination of R_OK 4, W_OK 2, X_OK 1. */
  access(ctx: OpContext, ino: number, mask: number): Promise<void>;
  getxattr(ctx: OpContext, ino: number, name: string): Promise<Uint8Array>;
  listxattr(ctx: OpContext, ino: number): Promise<readonly string[]>;
  setxattr(ctx: OpContext, ino: number, name: string, value: Uint8Array, flags: number): Promise<void>;
  removexattr(ctx: OpContext, ino: number, name: string): Promise<void>;
  /** The kernel ended the filesystem (FUSE_DESTROY), or the session is gone without it. Called once. */
  destroy(): void;
  /** How long the kernel may remember that a name does not exist; 0: not at all. */
  readonly negativeTtlMs: number;
}

export interface TransportOptions {
  /** Absolute path of an existing directory. */
  readonly mountpoint: string;
  /** Shown as the source in /proc/mounts; commas and backslashes are escaped by the transport. */
  readonly fsname: string;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
  /** Ask the kernel to check modes against the caller (goes with allowOther). */
  readonly defaultPermissions: boolean;
  /** Further mount(8) options passed through (noatime, nodev, nosuid, noexec ...), already checked. */
  readonly extraOptions: readonly string[];
  readonly log: Logger;
}

/** What differs between transports; tests and SEMANTICS name these instead of testing for a transport. */
export interface TransportCapabilities {
  /** KernelCache has an effect. */
  readonly invalidation: boolean;
  /** Times are kept to the nanosecond, also before 1970; without it to the millisecond, and never before 1970. */
  readonly nanosecondTimes: boolean;
  /** utimensat(2) with UTIME_OMIT for one of the times sets the other; without it nothing is set. */
  readonly singleTimes: boolean;
  /** A signal ends a request that waits. */
  readonly interrupts: boolean;
  /** renameat2(2) with RENAME_NOREPLACE; without it EINVAL. */
  readonly renameNoReplace: boolean;
  /** fallocate(2); without it EOPNOTSUPP. */
  readonly fallocate: boolean;
  /** mknod(2) of a regular file reports a failure to store it. */
  readonly mknodErrors: boolean;
  /** A name with U+FFFD can be used; without it such a name cannot be told from one that is not valid UTF-8. */
  readonly replacementCharacter: boolean;
  /** The new version of a file that somebody else changed can be opened while the old one is open here; without it ESTALE. */
  readonly versionPerOpen: boolean;
  /** unlink(2) of a file that is open here has reached the server when it returns; without it a moment later. */
  readonly unlinksOpenFilesAtOnce: boolean;
  /** A folder can be removed although a file that was in it is open here; without it ENOTEMPTY. */
  readonly removesFoldersOfOpenFiles: boolean;
}

/** Telling the kernel what changed behind its back. Never awaited inside an operation on the same inode. */
export interface KernelCache {
  /** FUSE_NOTIFY_INVAL_ENTRY: forget the name (and negative entry) in the directory. */
  invalidateEntry(parent: number, name: string): void;
  /** FUSE_NOTIFY_INVAL_INODE: forget attributes and, from `offset` on (length 0 = to the end), cached pages. */
  invalidateInode(ino: number, offset: number, length: number): void;
}

/** One live mount. */
export interface Session {
  readonly kernelCache: KernelCache;
  /** Resolves when the kernel has ended the session (unmounted by anyone) and all requests are answered. */
  readonly closed: Promise<void>;
  /** Unmounts; rejects with ErrnoError EBUSY while files are open, unless lazy (MNT_DETACH, then the session ends when the last file closes). */
  unmount(options?: { readonly lazy?: boolean }): Promise<void>;
  /** Ends serving at once: open files answer ENOTCONN from here on. For shutdown after a lazy unmount. */
  abort(): void;
}

export type Transport = (operations: Operations, options: TransportOptions) => Promise<Session>;
