/**
 * Writes the structs that several replies share (fuse_attr, fuse_entry_out, fuse_attr_out, fuse_open_out) into a buffer.
 * Invariant: the target bytes are all written or were zero before; a value that does not fit its field throws RangeError,
 * which the session answers with EIO. Called by reply.ts and dir-buffer.ts.
 */
import type { Attr, AttrReply, EntryReply, OpenReply, Timespec } from "../transport.ts";
import { FOPEN, SIZE } from "./abi.ts";

const TWO_32 = 0x1_0000_0000;
/** Kernel lifetimes end at MAX_JIFFIES anyway; this keeps Infinity out of the arithmetic. */
const LONGEST_MS = 1e12;

/** A 64-bit integer, two's complement for negative values. Throws RangeError for what is no integer within +-2^53. */
export function writeI64(b: Buffer, at: number, value: number): void {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no 64-bit integer`);
  const high = Math.floor(value / TWO_32);
  b.writeUInt32LE(value - high * TWO_32, at);
  b.writeInt32LE(high, at + 4);
}

/** A lifetime of a name or of attributes: seconds at `secAt`, the nanoseconds of the rest at `nsecAt`. */
function writeLifetime(b: Buffer, secAt: number, nsecAt: number, ms: number): void {
  const clipped = Math.min(Math.max(ms, 0), LONGEST_MS);
  const sec = Math.floor(clipped / 1000);
  writeI64(b, secAt, sec);
  b.writeUInt32LE(Math.floor((clipped - sec * 1000) * 1e6), nsecAt);
}

function writeTime(b: Buffer, secAt: number, nsecAt: number, time: Timespec): void {
  writeI64(b, secAt, time.sec);
  b.writeUInt32LE(time.nsec, nsecAt);
}

function writeAttr(b: Buffer, at: number, attr: Attr): void {
  writeI64(b, at, attr.ino);
  writeI64(b, at + 8, attr.size);
  writeI64(b, at + 16, attr.blocks);
  writeTime(b, at + 24, at + 48, attr.atime);
  writeTime(b, at + 32, at + 52, attr.mtime);
  writeTime(b, at + 40, at + 56, attr.ctime);
  b.writeUInt32LE(attr.mode, at + 60);
  b.writeUInt32LE(attr.nlink, at + 64);
  b.writeUInt32LE(attr.uid, at + 68);
  b.writeUInt32LE(attr.gid, at + 72);
  b.writeUInt32LE(attr.blksize, at + 80);
}

/** struct fuse_attr_out, SIZE.attr_out bytes. */
export function writeAttrOut(b: Buffer, at: number, reply: AttrReply): void {
  writeLifetime(b, at, at + 8, reply.attrTtlMs);
  writeAttr(b, at + SIZE.attr_out - SIZE.attr, reply.attr);
}

/** struct fuse_entry_out, SIZE.entry_out bytes. */
export function writeEntryOut(b: Buffer, at: number, entry: EntryReply): void {
  writeI64(b, at, entry.attr.ino);
  writeI64(b, at + 8, entry.generation);
  writeLifetime(b, at + 16, at + 32, entry.entryTtlMs);
  writeLifetime(b, at + 24, at + 36, entry.attrTtlMs);
  writeAttr(b, at + SIZE.entry_out - SIZE.attr, entry.attr);
}

/** struct fuse_entry_out with nodeid 0: the kernel remembers for `ttlMs` that the name does not exist. */
export function writeNegativeEntry(b: Buffer, at: number, ttlMs: number): void {
  writeLifetime(b, at + 16, at + 32, ttlMs);
}

/** struct fuse_open_out, SIZE.open_out bytes. */
export function writeOpenOut(b: Buffer, at: number, open: OpenReply): void {
  writeI64(b, at, open.fh);
  b.writeUInt32LE((open.keepCache ? FOPEN.KEEP_CACHE : 0) | (open.directIo ? FOPEN.DIRECT_IO : 0), at + 8);
}
