/**
 * Writes the structs that several replies share (fuse_attr, fuse_entry_out, fuse_attr_out, fuse_open_out) into a DataView, whose
 * stores V8 compiles to single instructions, which it does not do for Buffer.writeUInt32LE.
 * Invariant: the target bytes are all written or were zero before; a value that does not fit its field throws RangeError,
 * which the session answers with EIO. Called by reply.ts and dir-buffer.ts.
 */
import type { Attr, AttrReply, EntryReply, OpenReply, Timespec } from "../transport.ts";
import { FOPEN, SIZE } from "./abi.ts";

const TWO_32 = 0x1_0000_0000;
/** Kernel lifetimes end at MAX_JIFFIES anyway; this keeps Infinity out of the arithmetic. */
const LONGEST_MS = 1e12;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** A 64-bit integer, two's complement for negative values. Throws RangeError for what is no integer within +-2^53. */
export function writeI64(v: DataView, at: number, value: number): void {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no 64-bit integer`);
  const high = Math.floor(value / TWO_32);
  v.setUint32(at, value - high * TWO_32, true);
  v.setInt32(at + 4, high, true);
}

/** An unsigned 32-bit integer. Throws RangeError for what is none. */
export function writeU32(v: DataView, at: number, value: number): void {
  if (value >>> 0 !== value) throw new RangeError(`${value} is no unsigned 32-bit integer`);
  v.setUint32(at, value, true);
}

/** A lifetime of a name or of attributes: seconds at `secAt`, the nanoseconds of the rest at `nsecAt`. */
function writeLifetime(v: DataView, secAt: number, nsecAt: number, ms: number): void {
  const clipped = Math.min(Math.max(ms, 0), LONGEST_MS);
  const sec = Math.floor(clipped / 1000);
  writeI64(v, secAt, sec);
  writeU32(v, nsecAt, Math.floor((clipped - sec * 1000) * 1e6));
}

function writeTime(v: DataView, secAt: number, nsecAt: number, time: Timespec): void {
  writeI64(v, secAt, time.sec);
  writeU32(v, nsecAt, time.nsec);
}

function writeAttr(v: DataView, at: number, attr: Attr): void {
  writeI64(v, at, attr.ino);
  writeI64(v, at + 8, attr.size);
  writeI64(v, at + 16, attr.blocks);
  writeTime(v, at + 24, at + 48, attr.atime);
  writeTime(v, at + 32, at + 52, attr.mtime);
  writeTime(v, at + 40, at + 56, attr.ctime);
  writeU32(v, at + 60, attr.mode);
  writeU32(v, at + 64, attr.nlink);
  writeU32(v, at + 68, attr.uid);
  writeU32(v, at + 72, attr.gid);
  writeU32(v, at + 80, attr.blksize);
}

/** struct fuse_attr_out, SIZE.attr_out bytes. */
export function writeAttrOut(v: DataView, at: number, reply: AttrReply): void {
  writeLifetime(v, at, at + 8, reply.attrTtlMs);
  writeAttr(v, at + SIZE.attr_out - SIZE.attr, reply.attr);
}

/** struct fuse_entry_out, SIZE.entry_out bytes. */
export function writeEntryOut(v: DataView, at: number, entry: EntryReply): void {
  writeI64(v, at, entry.attr.ino);
  writeI64(v, at + 8, entry.generation);
  writeLifetime(v, at + 16, at + 32, entry.entryTtlMs);
  writeLifetime(v, at + 24, at + 36, entry.attrTtlMs);
  writeAttr(v, at + SIZE.entry_out - SIZE.attr, entry.attr);
}

/** struct fuse_entry_out with nodeid 0: the kernel remembers for `ttlMs` that the name does not exist. */
export function writeNegativeEntry(v: DataView, at: number, ttlMs: number): void {
  writeLifetime(v, at + 16, at + 32, ttlMs);
}

/** struct fuse_open_out, SIZE.open_out bytes. */
export function writeOpenOut(v: DataView, at: number, open: OpenReply): void {
  writeI64(v, at, open.fh);
  writeU32(v, at + 8, (open.keepCache ? FOPEN.KEEP_CACHE : 0) | (open.directIo ? FOPEN.DIRECT_IO : 0));
}
