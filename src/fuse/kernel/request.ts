/**
 * Bytes of /dev/fuse -> one typed request: a decoder per opcode, in the order of enum fuse_opcode.
 * Invariants: a buffer that is not a well-formed request gives ProtocolError; a name that is not valid UTF-8 gives
 * ErrnoError (ENOENT where the name must exist, EINVAL where it would be created), decided here and nowhere else.
 * Called by kernel-session.ts. The fields that seamount has no use for (lock owners, umask, padding) are skipped.
 */
import type { SetAttr, Timespec } from "../transport.ts";
import { FATTR, FUSE_FSYNC_FDATASYNC, FUSE_GETATTR_FH, OPCODE, SIZE } from "./abi.ts";
import { Cursor, ProtocolError } from "./cursor.ts";

/** struct fuse_in_header. `nodeid` is 0 where a request concerns no inode. */
export interface RequestHeader {
  readonly len: number;
  readonly opcode: number;
  readonly unique: number;
  readonly nodeid: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** The arguments after the header. `op` is the operation's name in Operations where there is one. */
export type Request =
  | { readonly op: "lookup" | "unlink" | "rmdir"; readonly name: string }
  | { readonly op: "forget"; readonly nlookup: number }
  | { readonly op: "getattr"; readonly fh: number | undefined }
  | { readonly op: "setattr"; readonly set: SetAttr }
  | { readonly op: "readlink" | "statfs" }
  | { readonly op: "symlink"; readonly name: string; readonly target: string }
  | { readonly op: "mknod" | "mkdir"; readonly name: string; readonly mode: number }
  | {
      readonly op: "rename";
      readonly name: string;
      readonly newParent: number;
      readonly newName: string;
      readonly flags: number;
    }
  | { readonly op: "link"; readonly ino: number; readonly newName: string }
  | { readonly op: "open" | "opendir"; readonly flags: number }
  | { readonly op: "create"; readonly name: string; readonly mode: number; readonly flags: number }
  | {
      readonly op: "read" | "readdir" | "readdirplus";
      readonly fh: number;
      readonly offset: number;
      readonly size: number;
    }
  | { readonly op: "write"; readonly fh: number; readonly offset: number; readonly data: Buffer }
  | { readonly op: "release" | "releasedir" | "flush"; readonly fh: number }
  | { readonly op: "fsync" | "fsyncdir"; readonly fh: number; readonly datasync: boolean }
  | { readonly op: "setxattr"; readonly name: string; readonly value: Buffer; readonly flags: number }
  | { readonly op: "getxattr"; readonly name: string; readonly size: number }
  | { readonly op: "listxattr"; readonly size: number }
  | { readonly op: "removexattr"; readonly name: string }
  | { readonly op: "access"; readonly mask: number }
  | {
      readonly op: "fallocate";
      readonly fh: number;
      readonly offset: number;
      readonly length: number;
      readonly mode: number;
    }
  | {
      readonly op: "init";
      readonly major: number;
      readonly minor: number;
      readonly maxReadahead: number;
      readonly flags: number;
    }
  | { readonly op: "interrupt"; readonly unique: number }
  | { readonly op: "batch_forget"; readonly forgets: readonly { readonly ino: number; readonly nlookup: number }[] }
  | { readonly op: "destroy" | "notify_reply" }
  | { readonly op: "ioctl" | "unknown" };

/** The header of the request in buffer[0, length). Throws ProtocolError if it is incomplete or its `len` is not `length`. */
export function decodeHeader(buffer: Buffer, length: number): RequestHeader {
  const c = new Cursor(buffer, 0, Math.min(length, SIZE.in_header));
  const header = {
    len: c.u32(),
    opcode: c.u32(),
    unique: c.u64(),
    nodeid: c.u64(),
    uid: c.u32(),
    gid: c.u32(),
    pid: c.u32(),
  };
  c.skip(4);
  return header;
}

/** The arguments of the request in buffer[0, header.len). Data of WRITE and SETXATTR is a view of the buffer. */
export function decodeRequest(header: RequestHeader, buffer: Buffer, length: number): Request {
  if (header.len !== length) throw new ProtocolError(`says ${header.len} bytes and has ${length}`);
  const decode = DECODERS[header.opcode];
  return decode === undefined ? { op: "unknown" } : decode(new Cursor(buffer, SIZE.in_header, length));
}

const DECODERS: Readonly<Record<number, (c: Cursor) => Request>> = {
  [OPCODE.LOOKUP]: (c) => ({ op: "lookup", name: c.name("ENOENT") }),
  [OPCODE.FORGET]: (c) => ({ op: "forget", nlookup: c.u64() }),
  [OPCODE.GETATTR]: getattr,
  [OPCODE.SETATTR]: setattr,
  [OPCODE.READLINK]: () => ({ op: "readlink" }),
  [OPCODE.SYMLINK]: (c) => ({ op: "symlink", name: c.name("EINVAL"), target: c.text("EINVAL") }),
  [OPCODE.MKNOD]: (c) => {
    const mode = c.u32();
    c.skip(12);
    return { op: "mknod", mode, name: c.name("EINVAL") };
  },
  [OPCODE.MKDIR]: (c) => {
    const mode = c.u32();
    c.skip(4);
    return { op: "mkdir", mode, name: c.name("EINVAL") };
  },
  [OPCODE.UNLINK]: (c) => ({ op: "unlink", name: c.name("ENOENT") }),
  [OPCODE.RMDIR]: (c) => ({ op: "rmdir", name: c.name("ENOENT") }),
  [OPCODE.RENAME]: (c) => ({ op: "rename", newParent: c.u64(), flags: 0, ...renameNames(c) }),
  [OPCODE.LINK]: (c) => ({ op: "link", ino: c.u64(), newName: c.name("EINVAL") }),
  [OPCODE.OPEN]: (c) => ({ op: "open", ...openFlags(c) }),
  [OPCODE.READ]: (c) => ({ op: "read", ...readArguments(c) }),
  [OPCODE.WRITE]: write,
  [OPCODE.STATFS]: () => ({ op: "statfs" }),
  [OPCODE.RELEASE]: (c) => ({ op: "release", ...releaseArguments(c) }),
  [OPCODE.FSYNC]: (c) => ({ op: "fsync", ...fsyncArguments(c) }),
  [OPCODE.SETXATTR]: (c) => {
    const size = c.u32();
    const flags = c.u32();
    return { op: "setxattr", flags, name: c.text("EINVAL"), value: c.bytes(size) };
  },
  [OPCODE.GETXATTR]: (c) => {
    const size = c.u32();
    c.skip(4);
    return { op: "getxattr", size, name: c.text("ENODATA") };
  },
  [OPCODE.LISTXATTR]: (c) => {
    const size = c.u32();
    c.skip(4);
    return { op: "listxattr", size };
  },
  [OPCODE.REMOVEXATTR]: (c) => ({ op: "removexattr", name: c.text("ENODATA") }),
  [OPCODE.FLUSH]: (c) => {
    const fh = c.u64();
    c.skip(16);
    return { op: "flush", fh };
  },
  [OPCODE.INIT]: init,
  [OPCODE.OPENDIR]: (c) => ({ op: "opendir", ...openFlags(c) }),
  [OPCODE.READDIR]: (c) => ({ op: "readdir", ...readArguments(c) }),
  [OPCODE.RELEASEDIR]: (c) => ({ op: "releasedir", ...releaseArguments(c) }),
  [OPCODE.FSYNCDIR]: (c) => ({ op: "fsyncdir", ...fsyncArguments(c) }),
  [OPCODE.ACCESS]: (c) => {
    const mask = c.u32();
    c.skip(4);
    return { op: "access", mask };
  },
  [OPCODE.CREATE]: (c) => {
    const flags = c.u32();
    const mode = c.u32();
    c.skip(8);
    return { op: "create", flags, mode, name: c.name("EINVAL") };
  },
  [OPCODE.INTERRUPT]: (c) => ({ op: "interrupt", unique: c.u64() }),
  [OPCODE.DESTROY]: () => ({ op: "destroy" }),
  [OPCODE.IOCTL]: () => ({ op: "ioctl" }),
  [OPCODE.NOTIFY_REPLY]: () => ({ op: "notify_reply" }),
  [OPCODE.BATCH_FORGET]: batchForget,
  [OPCODE.FALLOCATE]: (c) => {
    const args = { fh: c.u64(), offset: c.u64(), length: c.u64(), mode: c.u32() };
    c.skip(4);
    return { op: "fallocate", ...args };
  },
  [OPCODE.READDIRPLUS]: (c) => ({ op: "readdirplus", ...readArguments(c) }),
  [OPCODE.RENAME2]: (c) => {
    const newParent = c.u64();
    const flags = c.u32();
    c.skip(4);
    return { op: "rename", newParent, flags, ...renameNames(c) };
  },
};

function getattr(c: Cursor): Request {
  const flags = c.u32();
  c.skip(4);
  const fh = c.u64();
  return { op: "getattr", fh: flags & FUSE_GETATTR_FH ? fh : undefined };
}

function setattr(c: Cursor): Request {
  const valid = c.u32();
  c.skip(4);
  const [fh, size] = [c.u64(), c.u64()];
  c.skip(8);
  const [atime, mtime] = [c.i64(), c.i64()];
  c.skip(8);
  const [atimensec, mtimensec] = [c.u32(), c.u32()];
  c.skip(4);
  const mode = c.u32();
  c.skip(4);
  const [uid, gid] = [c.u32(), c.u32()];
  c.skip(4);
  const set: SetAttr = {
    ...(valid & FATTR.MODE && { mode }),
    ...(valid & FATTR.UID && { uid }),
    ...(valid & FATTR.GID && { gid }),
    ...(valid & FATTR.SIZE && { size }),
    ...(valid & FATTR.ATIME && { atime: valid & FATTR.ATIME_NOW ? "now" : timespec(atime, atimensec) }),
    ...(valid & FATTR.MTIME && { mtime: valid & FATTR.MTIME_NOW ? "now" : timespec(mtime, mtimensec) }),
    ...(valid & FATTR.FH && { fh }),
  };
  return { op: "setattr", set };
}

function timespec(sec: number, nsec: number): Timespec {
  if (nsec >= 1e9) throw new ProtocolError(`${nsec} nanoseconds`);
  return { sec, nsec };
}

function renameNames(c: Cursor): { name: string; newName: string } {
  return { name: c.name("ENOENT"), newName: c.name("EINVAL") };
}

function openFlags(c: Cursor): { flags: number } {
  const flags = c.u32();
  c.skip(4);
  return { flags };
}

function readArguments(c: Cursor): { fh: number; offset: number; size: number } {
  const args = { fh: c.u64(), offset: c.u64(), size: c.u32() };
  c.skip(20);
  return args;
}

function write(c: Cursor): Request {
  const [fh, offset, size] = [c.u64(), c.u64(), c.u32()];
  c.skip(20);
  return { op: "write", fh, offset, data: c.bytes(size) };
}

function releaseArguments(c: Cursor): { fh: number } {
  const fh = c.u64();
  c.skip(16);
  return { fh };
}

function fsyncArguments(c: Cursor): { fh: number; datasync: boolean } {
  const fh = c.u64();
  const flags = c.u32();
  c.skip(4);
  return { fh, datasync: (flags & FUSE_FSYNC_FDATASYNC) !== 0 };
}

/** struct fuse_init_in has grown with the protocol; its first four words were always there. */
function init(c: Cursor): Request {
  return { op: "init", major: c.u32(), minor: c.u32(), maxReadahead: c.u32(), flags: c.u32() };
}

function batchForget(c: Cursor): Request {
  const count = c.u32();
  c.skip(4);
  const list = c.bytes(count * SIZE.forget_one);
  const each = new Cursor(list, 0, list.length);
  return {
    op: "batch_forget",
    forgets: Array.from({ length: count }, () => ({ ino: each.u64(), nlookup: each.u64() })),
  };
}
