/**
 * Attributes, file system sizes and times in the arrays of 32-bit numbers that the addon takes, and the times it gives.
 * Invariant: what does not fit is scaled or clamped to the nearest value that is true, never wrapped.
 * Called by callbacks.ts. Source: fuse-native 2.2.6, fuse-native.c (populate_stat, populate_statvfs, fuse_thread_locals_t).
 */
import { ErrnoError } from "../../util/errno.ts";
import { fromMillis } from "../../util/timespec.ts";
import type { Attr, Dirent, Statfs, Timespec } from "../transport.ts";
import type { ThreadLocals } from "./native-binding.ts";

const TWO_32 = 2 ** 32;
const MOST_UINT32 = TWO_32 - 1;
const STAT_INTS = 18;
const STATFS_INTS = 11;
const { S_IFDIR, S_IFREG } = { S_IFDIR: 0o040000, S_IFREG: 0o100000 };

/** Bytes from the beginning of fuse_thread_locals_t to its `atime`; `mtime` follows. By platform, 64 bits. */
const ATIME_OFFSET: Readonly<Partial<Record<NodeJS.Platform, number>>> = { linux: 104, darwin: 96 };

/** struct stat. The inode number is libfuse's own; times are cut to milliseconds, and none is before 1970. */
export function encodeAttr(attr: Attr): Uint32Array {
  const ints = new Uint32Array(STAT_INTS);
  ints[0] = attr.mode;
  ints[1] = attr.uid;
  ints[2] = attr.gid;
  setUint64(ints, 3, attr.size);
  ints[6] = attr.nlink;
  ints[9] = attr.blksize;
  setUint64(ints, 10, attr.blocks);
  setUint64(ints, 12, millisOf(attr.atime));
  setUint64(ints, 14, millisOf(attr.mtime));
  setUint64(ints, 16, millisOf(attr.ctime));
  return ints;
}

/** For failures: the addon copies an array, whatever the result. */
export const NO_STAT: Uint32Array = new Uint32Array(STAT_INTS);
export const NO_STATFS: Uint32Array = new Uint32Array(STATFS_INTS);

/** Of readdir's attributes libfuse uses the file type only. */
export const DIRENT_STAT: Readonly<Record<Dirent["kind"], Uint32Array>> = {
  dir: new Uint32Array(STAT_INTS).fill(S_IFDIR, 0, 1),
  file: new Uint32Array(STAT_INTS).fill(S_IFREG, 0, 1),
};

/** struct statvfs. Counts beyond 32 bits are given in larger blocks. */
export function encodeStatfs(statfs: Statfs): Uint32Array {
  let unit = 1;
  while (statfs.blocks / unit > MOST_UINT32) unit *= 2;
  const blocks = (count: number) => Math.floor(count / unit);
  const files = (count: number) => Math.min(count, MOST_UINT32);
  const ints = new Uint32Array(STATFS_INTS);
  ints[0] = statfs.bsize * unit;
  ints[1] = statfs.frsize * unit;
  ints[2] = blocks(statfs.blocks);
  ints[3] = blocks(statfs.bfree);
  ints[4] = blocks(statfs.bavail);
  ints[5] = files(statfs.files);
  ints[6] = files(statfs.ffree);
  ints[7] = files(statfs.ffree);
  ints[10] = statfs.namelen;
  return ints;
}

/** A 64-bit number that the addon gave as two halves. Throws EFBIG beyond what a JavaScript number counts exactly. */
export function joinUint64(low: number, high: number): number {
  const value = high * TWO_32 + low;
  if (!Number.isSafeInteger(value)) throw new ErrnoError("EFBIG");
  return value;
}

/**
 * Both times of utimens. The addon's arguments say atime twice, but mtime is in the thread's memory beside it. Throws ENOTSUP
 * when the memory is not laid out as expected: no time is better than a wrong one.
 */
export function decodeTimes(
  thread: ThreadLocals,
  atimeLow: number,
  atimeHigh: number,
): { readonly atime: Timespec; readonly mtime: Timespec } {
  const at = ATIME_OFFSET[process.platform];
  const isThere = at !== undefined && thread.readUInt32LE(at) === atimeLow && thread.readUInt32LE(at + 4) === atimeHigh;
  if (!isThere) throw new ErrnoError("ENOTSUP", "This build of fuse-native does not give the times that are to be set");
  const timeAt = (offset: number) => fromMillis(Number(thread.readBigInt64LE(offset)));
  return { atime: timeAt(at), mtime: timeAt(at + 8) };
}

const millisOf = ({ sec, nsec }: Timespec) => Math.max(0, sec * 1000 + Math.floor(nsec / 1e6));

function setUint64(ints: Uint32Array, at: number, value: number): void {
  ints[at] = value % TWO_32;
  ints[at + 1] = Math.floor(value / TWO_32);
}
