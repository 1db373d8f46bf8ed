/**
 * The reverse of src/fuse/kernel/request.ts, as the kernel builds requests: typed request -> bytes. Fields that the decoder
 * skips are zero. Used by the tests only, to compare with captures and to drive a session over a FakeChannel.
 */
import { FATTR, OPCODE } from "../../src/fuse/kernel/abi.ts";
import type { Request, RequestHeader } from "../../src/fuse/kernel/request.ts";
import type { SetAttr, Timespec } from "../../src/fuse/transport.ts";

export type HeaderFields = Partial<Omit<RequestHeader, "len" | "opcode">>;

const OPCODE_OF: Readonly<Record<Exclude<Request["op"], "rename" | "unknown">, number>> = {
  lookup: OPCODE.LOOKUP,
  forget: OPCODE.FORGET,
  getattr: OPCODE.GETATTR,
  setattr: OPCODE.SETATTR,
  readlink: OPCODE.READLINK,
  symlink: OPCODE.SYMLINK,
  mknod: OPCODE.MKNOD,
  mkdir: OPCODE.MKDIR,
  unlink: OPCODE.UNLINK,
  rmdir: OPCODE.RMDIR,
  link: OPCODE.LINK,
  open: OPCODE.OPEN,
  read: OPCODE.READ,
  write: OPCODE.WRITE,
  statfs: OPCODE.STATFS,
  release: OPCODE.RELEASE,
  fsync: OPCODE.FSYNC,
  setxattr: OPCODE.SETXATTR,
  getxattr: OPCODE.GETXATTR,
  listxattr: OPCODE.LISTXATTR,
  removexattr: OPCODE.REMOVEXATTR,
  flush: OPCODE.FLUSH,
  init: OPCODE.INIT,
  opendir: OPCODE.OPENDIR,
  readdir: OPCODE.READDIR,
  releasedir: OPCODE.RELEASEDIR,
  fsyncdir: OPCODE.FSYNCDIR,
  access: OPCODE.ACCESS,
  create: OPCODE.CREATE,
  interrupt: OPCODE.INTERRUPT,
  destroy: OPCODE.DESTROY,
  ioctl: OPCODE.IOCTL,
  notify_reply: OPCODE.NOTIFY_REPLY,
  batch_forget: OPCODE.BATCH_FORGET,
  fallocate: OPCODE.FALLOCATE,
  readdirplus: OPCODE.READDIRPLUS,
};

/** One request as read(2) of /dev/fuse returns it. */
export function encodeRequest(header: HeaderFields, request: Request): Buffer {
  const opcode =
    request.op === "rename" ? OPCODE.RENAME2 : request.op === "unknown" ? OPCODE.LSEEK : OPCODE_OF[request.op];
  return encodeRaw(header, opcode, body(request));
}

/** A request with any opcode and body. */
export function encodeRaw(header: HeaderFields, opcode: number, rest: Buffer): Buffer {
  const { unique = 0, nodeid = 0, uid = 0, gid = 0, pid = 0 } = header;
  return Buffer.concat([u32(40 + rest.length, opcode), u64(unique, nodeid), u32(uid, gid, pid), Buffer.alloc(4), rest]);
}

function u32(...values: readonly number[]): Buffer {
  const b = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) b.writeUInt32LE(value, index * 4);
  return b;
}

function u64(...values: readonly number[]): Buffer {
  const b = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) b.writeBigInt64LE(BigInt(value), index * 8);
  return b;
}

const text = (value: string) => Buffer.from(`${value}\0`);
const zero = (bytes: number) => Buffer.alloc(bytes);

function body(r: Request): Buffer {
  switch (r.op) {
    case "lookup":
    case "unlink":
    case "rmdir":
    case "removexattr":
      return text(r.name);
    case "forget":
      return u64(r.nlookup);
    case "getattr":
      return Buffer.concat([u32(r.fh === undefined ? 0 : 1, 0), u64(r.fh ?? 0)]);
    case "setattr":
      return setattr(r.set);
    case "readlink":
    case "statfs":
    case "destroy":
      return zero(0);
    case "symlink":
      return Buffer.concat([text(r.name), text(r.target)]);
    case "mknod":
      return Buffer.concat([u32(r.mode, 0, 0, 0), text(r.name)]);
    case "mkdir":
      return Buffer.concat([u32(r.mode, 0), text(r.name)]);
    case "rename":
      return Buffer.concat([u64(r.newParent), u32(r.flags, 0), text(r.name), text(r.newName)]);
    case "link":
      return Buffer.concat([u64(r.ino), text(r.newName)]);
    case "open":
    case "opendir":
      return u32(r.flags, 0);
    case "create":
      return Buffer.concat([u32(r.flags, r.mode, 0, 0), text(r.name)]);
    case "read":
    case "readdir":
    case "readdirplus":
      return Buffer.concat([u64(r.fh, r.offset), u32(r.size), zero(20)]);
    case "write":
      return Buffer.concat([u64(r.fh, r.offset), u32(r.data.length), zero(20), r.data]);
    case "release":
    case "releasedir":
    case "flush":
      return Buffer.concat([u64(r.fh), zero(16)]);
    case "fsync":
    case "fsyncdir":
      return Buffer.concat([u64(r.fh), u32(r.datasync ? 1 : 0, 0)]);
    case "setxattr":
      return Buffer.concat([u32(r.value.length, r.flags), text(r.name), r.value]);
    case "getxattr":
      return Buffer.concat([u32(r.size, 0), text(r.name)]);
    case "listxattr":
      return u32(r.size, 0);
    case "access":
      return u32(r.mask, 0);
    case "fallocate":
      return Buffer.concat([u64(r.fh, r.offset, r.length), u32(r.mode, 0)]);
    case "init":
      return Buffer.concat([u32(r.major, r.minor, r.maxReadahead, r.flags), zero(48)]);
    case "interrupt":
      return u64(r.unique);
    case "batch_forget":
      return Buffer.concat([u32(r.forgets.length, 0), ...r.forgets.map(({ ino, nlookup }) => u64(ino, nlookup))]);
    case "notify_reply":
      return zero(40);
    case "ioctl":
      return zero(32);
    case "unknown":
      return zero(24);
  }
}

function setattr(set: SetAttr): Buffer {
  let valid = 0;
  if (set.mode !== undefined) valid |= FATTR.MODE;
  if (set.uid !== undefined) valid |= FATTR.UID;
  if (set.gid !== undefined) valid |= FATTR.GID;
  if (set.size !== undefined) valid |= FATTR.SIZE;
  if (set.fh !== undefined) valid |= FATTR.FH;
  if (set.atime !== undefined) valid |= FATTR.ATIME | (set.atime === "now" ? FATTR.ATIME_NOW : 0);
  if (set.mtime !== undefined) valid |= FATTR.MTIME | (set.mtime === "now" ? FATTR.MTIME_NOW : 0);
  const time = (t: Timespec | "now" | undefined) => (t === undefined || t === "now" ? { sec: 0, nsec: 0 } : t);
  const [atime, mtime] = [time(set.atime), time(set.mtime)];
  return Buffer.concat([
    u32(valid, 0),
    u64(set.fh ?? 0, set.size ?? 0, 0, atime.sec, mtime.sec, 0),
    u32(atime.nsec, mtime.nsec, 0, set.mode ?? 0, 0, set.uid ?? 0, set.gid ?? 0, 0),
  ]);
}
