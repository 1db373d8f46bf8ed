/**
 * A typed request -> the call of Operations -> a typed reply: one small function per operation, in a table.
 * Invariant: every request of type Answered has an entry (the table does not compile without); opcodes that seamount has no
 * use for are answered ENOSYS, on which the kernel stops sending them and does the work itself.
 * Called by kernel-session.ts, which turns what is thrown here into the errno of the reply.
 */
import { ErrnoError } from "../../util/errno.ts";
import { asksForLength, namesValue } from "../system/xattr-room.ts";
import type { OpContext, Operations } from "../transport.ts";
import { RENAME_NOREPLACE, S_IFMT, S_IFREG } from "./abi.ts";
import type { DirReader } from "./dir-reader.ts";
import type { Reply } from "./reply.ts";
import type { Request } from "./request.ts";

/** The requests that concern the session itself and never reach Operations through this table. */
type SessionOp = "init" | "destroy" | "forget" | "batch_forget" | "interrupt" | "notify_reply";
export type Answered = Exclude<Request, { op: SessionOp }>;

/** The member of Answered that has `O` among its values of `op`. */
type RequestOf<O, R = Answered> = R extends { readonly op: infer P } ? (O extends P ? R : never) : never;

type Handler<R> = (ops: Operations, ctx: OpContext, ino: number, request: R, dirs: DirReader) => Promise<Reply>;

const OK: Reply = { kind: "ok" };

/** Runs the operation. `dirs` reads directories by the same `ops`. Rejects with what the operation throws. */
export async function dispatch(
  ops: Operations,
  dirs: DirReader,
  ctx: OpContext,
  ino: number,
  request: Answered,
): Promise<Reply> {
  const handler = HANDLERS[request.op] as Handler<Answered>;
  return handler(ops, ctx, ino, request, dirs);
}

const HANDLERS: { readonly [O in Answered["op"]]: Handler<RequestOf<O>> } = {
  lookup,
  getattr: async (ops, ctx, ino, r) => ({ kind: "attr", attr: await ops.getattr(ctx, ino, r.fh) }),
  setattr: async (ops, ctx, ino, r) => {
    if (r.set.size !== undefined) checkRange(r.set.size, 0);
    return { kind: "attr", attr: await ops.setattr(ctx, ino, r.set) };
  },
  readlink: async (ops, ctx, ino) => ({ kind: "data", slices: [Buffer.from(await ops.readlink(ctx, ino))] }),
  symlink: async (ops, ctx, ino, r) => ({ kind: "entry", entry: await ops.symlink(ctx, ino, r.name, r.target) }),
  mknod: async (ops, ctx, ino, r) => {
    const type = r.mode & S_IFMT;
    if (type !== S_IFREG && type !== 0) throw new ErrnoError("EPERM", "Only regular files can be made");
    return { kind: "entry", entry: await ops.mknod(ctx, ino, r.name, r.mode) };
  },
  mkdir: async (ops, ctx, ino, r) => ({ kind: "entry", entry: await ops.mkdir(ctx, ino, r.name, r.mode) }),
  unlink: async (ops, ctx, ino, r) => done(ops.unlink(ctx, ino, r.name)),
  rmdir: async (ops, ctx, ino, r) => done(ops.rmdir(ctx, ino, r.name)),
  rename: async (ops, ctx, ino, r) => {
    if (r.flags & ~RENAME_NOREPLACE) throw new ErrnoError("EINVAL", "Names cannot be exchanged");
    const flags = { noReplace: (r.flags & RENAME_NOREPLACE) !== 0 };
    return done(ops.rename(ctx, ino, r.name, r.newParent, r.newName, flags));
  },
  link: async (ops, ctx, ino, r) => ({ kind: "entry", entry: await ops.link(ctx, r.ino, ino, r.newName) }),
  open: async (ops, ctx, ino, r) => ({ kind: "open", open: await ops.open(ctx, ino, r.flags) }),
  create: async (ops, ctx, ino, r) => ({ kind: "create", ...(await ops.create(ctx, ino, r.name, r.mode, r.flags)) }),
  read: async (ops, ctx, ino, r) => ({ kind: "data", slices: await ops.read(ctx, ino, r.fh, r.offset, r.size) }),
  write: async (ops, ctx, ino, r) => {
    checkRange(r.offset, r.data.length);
    return { kind: "written", size: await ops.write(ctx, ino, r.fh, r.offset, r.data) };
  },
  flush: async (ops, ctx, ino, r) => done(ops.flush(ctx, ino, r.fh)),
  fsync: async (ops, ctx, ino, r) => done(ops.fsync(ctx, ino, r.fh, r.datasync)),
  release: async (ops, ctx, ino, r) => done(ops.release(ctx, ino, r.fh)),
  fallocate: async (ops, ctx, ino, r) => {
    checkRange(r.offset, r.length);
    return done(ops.fallocate(ctx, ino, r.fh, r.offset, r.length, r.mode));
  },
  opendir: async (ops, ctx, ino) => ({ kind: "open", open: await ops.opendir(ctx, ino) }),
  readdir: async (_ops, ctx, ino, r, dirs) => ({ kind: "data", slices: [await dirs.read(ctx, ino, r, false)] }),
  readdirplus: async (_ops, ctx, ino, r, dirs) => ({ kind: "data", slices: [await dirs.read(ctx, ino, r, true)] }),
  releasedir: async (ops, ctx, ino, r, dirs) => {
    dirs.release(r.fh);
    return done(ops.releasedir(ctx, ino, r.fh));
  },
  fsyncdir: async (ops, ctx, ino, r) => done(ops.fsyncdir(ctx, ino, r.fh)),
  statfs: async (ops, ctx, ino) => ({ kind: "statfs", statfs: await ops.statfs(ctx, ino) }),
  access: async (ops, ctx, ino, r) => done(ops.access(ctx, ino, r.mask)),
  getxattr: async (ops, ctx, ino, r) => xattrReply(await ops.getxattr(ctx, ino, r.name), r.size),
  listxattr: async (ops, ctx, ino, r) => xattrReply(namesValue(await ops.listxattr(ctx, ino)), r.size),
  setxattr: async (ops, ctx, ino, r) => done(ops.setxattr(ctx, ino, r.name, r.value, r.flags)),
  removexattr: async (ops, ctx, ino, r) => done(ops.removexattr(ctx, ino, r.name)),
  ioctl: async () => ({ kind: "error", errno: new ErrnoError("ENOTTY").errno }),
  unknown: async () => ({ kind: "error", errno: new ErrnoError("ENOSYS").errno }),
};

async function done(work: Promise<void>): Promise<Reply> {
  await work;
  return OK;
}

async function lookup(ops: Operations, ctx: OpContext, ino: number, r: RequestOf<"lookup">): Promise<Reply> {
  try {
    return { kind: "entry", entry: await ops.lookup(ctx, ino, r.name) };
  } catch (error) {
    const remember = error instanceof ErrnoError && error.code === "ENOENT" && ops.negativeTtlMs > 0;
    if (!remember) throw error;
    return { kind: "negative-entry", ttlMs: ops.negativeTtlMs };
  }
}

function xattrReply(value: Uint8Array, size: number): Reply {
  return asksForLength(value, size) ? { kind: "xattr-size", size: value.length } : { kind: "data", slices: [value] };
}

/** Offsets are JavaScript numbers: what would be rounded is beyond any file seamount can hold. */
function checkRange(offset: number, length: number): void {
  if (!Number.isSafeInteger(offset + length)) throw new ErrnoError("EFBIG");
}
