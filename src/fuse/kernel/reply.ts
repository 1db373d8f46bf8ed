/**
 * Typed reply -> the buffers of one write to /dev/fuse: struct fuse_out_header, then the struct of that reply.
 * Invariants: file data is passed on by reference, never copied together; a reply is written before the next one is encoded, so
 * that all replies of one size share a buffer. Called by kernel-session.ts.
 */
import type { AttrReply, EntryReply, OpenReply, Statfs } from "../transport.ts";
import { SIZE } from "./abi.ts";
import type { InitOut } from "./init.ts";
import {
  viewOf,
  writeAttrOut,
  writeEntryOut,
  writeI64,
  writeNegativeEntry,
  writeOpenOut,
  writeU32,
} from "./structs.ts";

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
      return [message(unique, 0).bytes];
    case "error":
      return [message(unique, 0, -reply.errno).bytes];
    case "data":
      return withData(unique, reply.slices);
    case "negative-entry":
      return [fixed(unique, SIZE.entry_out, (v, at) => writeNegativeEntry(v, at, reply.ttlMs))];
    case "entry":
      return [fixed(unique, SIZE.entry_out, (v, at) => writeEntryOut(v, at, reply.entry))];
    case "attr":
      return [fixed(unique, SIZE.attr_out, (v, at) => writeAttrOut(v, at, reply.attr))];
    case "open":
      return [fixed(unique, SIZE.open_out, (v, at) => writeOpenOut(v, at, reply.open))];
    case "create":
      return [
        fixed(unique, SIZE.entry_out + SIZE.open_out, (v, at) => {
          writeEntryOut(v, at, reply.entry);
          writeOpenOut(v, at + SIZE.entry_out, reply.open);
        }),
      ];
    case "written":
    case "xattr-size":
      return [fixed(unique, SIZE.write_out, (v, at) => writeU32(v, at, reply.size))];
    case "statfs":
      return [fixed(unique, SIZE.statfs_out, (v, at) => writeStatfs(v, at, reply.statfs))];
    case "init":
      return [fixed(unique, SIZE.init_out, (v, at) => writeInit(v, at, reply.init))];
  }
}

interface Message {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** By the size of the struct after the header, of which there are a few. */
const messages = new Map<number, Message>();

/** A zeroed message of header plus `size` bytes. */
function message(unique: number, size: number, error = 0): Message {
  const message = messages.get(size) ?? newMessage(size);
  message.bytes.fill(0);
  writeU32(message.view, 0, message.bytes.length);
  message.view.setInt32(4, error, true);
  writeI64(message.view, 8, unique);
  return message;
}

function newMessage(size: number): Message {
  const bytes = Buffer.alloc(SIZE.out_header + size);
  const message = { bytes, view: viewOf(bytes) };
  messages.set(size, message);
  return message;
}

function fixed(unique: number, size: number, write: (v: DataView, at: number) => void): Buffer {
  const { bytes, view } = message(unique, size);
  write(view, SIZE.out_header);
  return bytes;
}

function withData(unique: number, slices: readonly Uint8Array[]): readonly Uint8Array[] {
  const { bytes: header, view } = message(unique, 0);
  let length: number = SIZE.out_header;
  for (const slice of slices) length += slice.length;
  writeU32(view, 0, length);
  if (slices.length <= MOST_SLICES) return [header, ...slices];
  return [header, ...slices.slice(0, MOST_SLICES - 1), Buffer.concat(slices.slice(MOST_SLICES - 1))];
}

function writeStatfs(v: DataView, at: number, s: Statfs): void {
  writeI64(v, at, s.blocks);
  writeI64(v, at + 8, s.bfree);
  writeI64(v, at + 16, s.bavail);
  writeI64(v, at + 24, s.files);
  writeI64(v, at + 32, s.ffree);
  writeU32(v, at + 40, s.bsize);
  writeU32(v, at + 44, s.namelen);
  writeU32(v, at + 48, s.frsize);
}

function writeInit(v: DataView, at: number, init: InitOut): void {
  writeU32(v, at, init.major);
  writeU32(v, at + 4, init.minor);
  writeU32(v, at + 8, init.maxReadahead);
  writeU32(v, at + 12, init.flags);
  v.setUint16(at + 16, init.maxBackground, true);
  v.setUint16(at + 18, init.congestionThreshold, true);
  writeU32(v, at + 20, init.maxWrite);
  writeU32(v, at + 24, init.timeGran);
  v.setUint16(at + 28, init.maxPages, true);
}
