/**
 * Typed reply -> the buffers of one write to /dev/fuse: struct fuse_out_header, then the struct of that reply.
 * Invariants: file data is passed on by reference, never copied together; a reply is written before the next one is encoded, so
 * that all replies of one size share a buffer. Called by kernel-session.ts.
 */
import type { AttrReply, EntryReply, OpenReply, Statfs } from "../transport.ts";
import { SIZE } from "./abi.ts";
import type { InitOut } from "./init.ts";
import { writeAttrOut, writeEntryOut, writeI64, writeNegativeEntry, writeOpenOut } from "./structs.ts";

export type Reply =
  /** Success without a value. */
  | { readonly kind: "ok" }
  /** `errno` is positive. */
  | { readonly kind: "error"; readonly errno: number }
  | { readonly kind: "entry"; readonly entry: EntryReply }
  | { readonly kind: "negative-entry"; readonly ttlMs: number }
  | { readonly kind: "attr"; readonly attr: AttrReply }
  | { readonly kind: "open"; readonly open: OpenReply }
  | { readonly kind: "create"; readonly entry: EntryReply; readonly open: OpenReply }
  | { readonly kind: "data"; readonly slices: readonly Uint8Array[] }
  | { readonly kind: "written"; readonly size: number }
  | { readonly kind: "statfs"; readonly statfs: Statfs }
  /** How long an extended attribute, or the list of them, is. */
  | { readonly kind: "xattr-size"; readonly size: number }
  | { readonly kind: "init"; readonly init: InitOut };

/** writev(2) takes IOV_MAX = 1,024 buffers, and a reply must be one write. */
const MOST_SLICES = 1023;

/** The buffers of the reply to request `unique`, valid until the next call. Throws RangeError if a value does not fit its field. */
export function encodeReply(unique: number, reply: Reply): readonly Uint8Array[] {
  switch (reply.kind) {
    case "ok":
      return [message(unique, 0)];
    case "error":
      return [message(unique, 0, -reply.errno)];
    case "data":
      return withData(unique, reply.slices);
    case "negative-entry":
      return [fixed(unique, SIZE.entry_out, (b, at) => writeNegativeEntry(b, at, reply.ttlMs))];
    case "entry":
      return [fixed(unique, SIZE.entry_out, (b, at) => writeEntryOut(b, at, reply.entry))];
    case "attr":
      return [fixed(unique, SIZE.attr_out, (b, at) => writeAttrOut(b, at, reply.attr))];
    case "open":
      return [fixed(unique, SIZE.open_out, (b, at) => writeOpenOut(b, at, reply.open))];
    case "create":
      return [
        fixed(unique, SIZE.entry_out + SIZE.open_out, (b, at) => {
          writeEntryOut(b, at, reply.entry);
          writeOpenOut(b, at + SIZE.entry_out, reply.open);
        }),
      ];
    case "written":
    case "xattr-size":
      return [fixed(unique, SIZE.write_out, (b, at) => b.writeUInt32LE(reply.size, at))];
    case "statfs":
      return [fixed(unique, SIZE.statfs_out, (b, at) => writeStatfs(b, at, reply.statfs))];
    case "init":
      return [fixed(unique, SIZE.init_out, (b, at) => writeInit(b, at, reply.init))];
  }
}

/** By the size of the struct after the header, of which there are a few. */
const messages = new Map<number, Buffer>();

/** A zeroed message of header plus `size` bytes. */
function message(unique: number, size: number, error = 0): Buffer {
  let b = messages.get(size)?.fill(0);
  if (b === undefined) {
    b = Buffer.alloc(SIZE.out_header + size);
    messages.set(size, b);
  }
  b.writeUInt32LE(b.length, 0);
  b.writeInt32LE(error, 4);
  writeI64(b, 8, unique);
  return b;
}

function fixed(unique: number, size: number, write: (b: Buffer, at: number) => void): Buffer {
  const b = message(unique, size);
  write(b, SIZE.out_header);
  return b;
}

function withData(unique: number, slices: readonly Uint8Array[]): readonly Uint8Array[] {
  const header = message(unique, 0);
  let length: number = SIZE.out_header;
  for (const slice of slices) length += slice.length;
  header.writeUInt32LE(length, 0);
  if (slices.length <= MOST_SLICES) return [header, ...slices];
  return [header, ...slices.slice(0, MOST_SLICES - 1), Buffer.concat(slices.slice(MOST_SLICES - 1))];
}

function writeStatfs(b: Buffer, at: number, s: Statfs): void {
  writeI64(b, at, s.blocks);
  writeI64(b, at + 8, s.bfree);
  writeI64(b, at + 16, s.bavail);
  writeI64(b, at + 24, s.files);
  writeI64(b, at + 32, s.ffree);
  b.writeUInt32LE(s.bsize, at + 40);
  b.writeUInt32LE(s.namelen, at + 44);
  b.writeUInt32LE(s.frsize, at + 48);
}

function writeInit(b: Buffer, at: number, init: InitOut): void {
  b.writeUInt32LE(init.major, at);
  b.writeUInt32LE(init.minor, at + 4);
  b.writeUInt32LE(init.maxReadahead, at + 8);
  b.writeUInt32LE(init.flags, at + 12);
  b.writeUInt16LE(init.maxBackground, at + 16);
  b.writeUInt16LE(init.congestionThreshold, at + 18);
  b.writeUInt32LE(init.maxWrite, at + 20);
  b.writeUInt32LE(init.timeGran, at + 24);
  b.writeUInt16LE(init.maxPages, at + 28);
}
