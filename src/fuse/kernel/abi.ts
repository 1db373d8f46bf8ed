/**
 * The numbers of the FUSE protocol, under the kernel's names (include/uapi/linux/fuse.h, protocol 7.31 where sizes differ).
 * Invariant: nothing here is chosen by seamount; what seamount chooses stands in init.ts.
 * All integers on the wire have the byte order of the host; only little-endian hosts are supported.
 */

export const FUSE_KERNEL_VERSION = 7;

/** enum fuse_opcode, with STATX (7.39) and COPY_FILE_RANGE_64 (7.45), which kernels send whatever minor was agreed on. */
export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

const NAMES = new Map<number, string>(Object.entries(OPCODE).map(([name, opcode]) => [opcode, name]));

/** The kernel's name of an opcode for log lines, for instance "LOOKUP" or "opcode 4096". */
export function opcodeName(opcode: number): string {
  return NAMES.get(opcode) ?? `opcode ${opcode}`;
}

/** sizeof the structs, in bytes. */
export const SIZE = {
  in_header: 40,
  out_header: 16,
  attr: 88,
  entry_out: 128,
  attr_out: 104,
  open_out: 16,
  write_out: 8,
  statfs_out: 80,
  getxattr_out: 8,
  init_out: 64,
  dirent: 24,
  forget_one: 16,
  notify_inval_inode_out: 24,
  notify_inval_entry_out: 16,
} as const;

/** INIT flags of the first flags word. */
export const INIT_FLAG = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  FLOCK_LOCKS: 1 << 10,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  HANDLE_KILLPRIV_V2: 1 << 28,
} as const;

/** fuse_setattr_in.valid. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
} as const;

export const FUSE_GETATTR_FH = 1 << 0;
export const FUSE_FSYNC_FDATASYNC = 1 << 0;

/** fuse_open_out.open_flags. */
export const FOPEN = { DIRECT_IO: 1 << 0, KEEP_CACHE: 1 << 1 } as const;

/** enum fuse_notify_code. */
export const NOTIFY = { INVAL_INODE: 2, INVAL_ENTRY: 3 } as const;

/** renameat2(2) flags (include/uapi/linux/fs.h). */
export const RENAME_NOREPLACE = 1 << 0;

/** File types of st_mode and, shifted right by 12, of fuse_dirent.type (include/uapi/linux/stat.h). */
export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
