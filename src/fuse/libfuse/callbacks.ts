/**
 * The callbacks of struct fuse_operations as fuse-native's addon calls them: arguments decoded, the answer encoded.
 * Invariant: each gives exactly the payload that its signal needs, with a failure as well; a buffer of the kernel's is touched only
 * before the answer. Called by libfuse-session.ts. Source of arguments and payloads: fuse-native 2.2.6, fuse-native.c.
 */
import { asksForLength, namesValue } from "../system/xattr-room.ts";
import type { Attr } from "../transport.ts";
import { DIRENT_STAT, decodeTimes, encodeAttr, encodeStatfs, joinUint64, NO_STAT, NO_STATFS } from "./encode.ts";
import type { ThreadLocals } from "./native-binding.ts";
import type { PathOperations } from "./path-operations.ts";

/** uid_t and gid_t that mean "unchanged" to chown(2). */
const UNCHANGED = 0xffffffff;

export interface Answer {
  /** A count or 0. */
  readonly result: number;
  readonly payload: readonly unknown[];
}

export interface Callback<A extends readonly unknown[] = readonly never[]> {
  readonly run: (ops: PathOperations, thread: ThreadLocals, ...args: A) => Promise<Answer>;
  /** What the signal needs beside a negative errno. */
  readonly failed: (...args: A) => readonly unknown[];
}

type Run<A extends readonly unknown[], T> = (ops: PathOperations, ...args: A) => Promise<T>;

const DONE: Answer = { result: 0, payload: [] };

/** Answers 0. */
function plain<A extends readonly unknown[]>(run: Run<A, void>): Callback<A> {
  return {
    run: async (ops, _thread, ...args) => {
      await run(ops, ...args);
      return DONE;
    },
    failed: () => [],
  };
}

/** Answers 0, and the attributes. */
function stat<A extends readonly unknown[]>(run: Run<A, Attr>): Callback<A> {
  return {
    run: async (ops, _thread, ...args) => ({ result: 0, payload: [encodeAttr(await run(ops, ...args))] }),
    failed: () => [NO_STAT],
  };
}

/** Answers 0, and the number of a handle. */
function handle<A extends readonly unknown[]>(run: Run<A, number>): Callback<A> {
  return {
    run: async (ops, _thread, ...args) => ({ result: 0, payload: [await run(ops, ...args)] }),
    failed: () => [0],
  };
}

/** Answers a count. The kernel's buffer, the argument of this index, goes back with the answer and is gone from then on. */
function counted<A extends readonly unknown[]>(
  index: number,
  run: Run<A, number>,
  payloadOf: (buffer: ArrayBufferLike) => readonly unknown[] = (buffer) => [buffer],
): Callback<A> {
  const payload = (args: A) => payloadOf((args[index] as Buffer).buffer);
  return {
    run: async (ops, _thread, ...args) => ({ result: await run(ops, ...args), payload: payload(args) }),
    failed: (...args) => payload(args),
  };
}

/** As `counted`; the signals of read and write have a number before the buffer that they do not look at. */
function transferred<A extends readonly unknown[]>(run: Run<A, number>): Callback<A> {
  return counted(2, run, (buffer) => [0, buffer]);
}

/** By the names of struct fuse_operations (libfuse 2.9, fuse.h); what is not here is not registered. */
export const CALLBACK_TABLE = {
  access: plain((ops, path: string, mask: number) => ops.access(path, mask)),
  statfs: {
    run: async (ops, _thread, path: string) => ({ result: 0, payload: [encodeStatfs(await ops.statfs(path))] }),
    failed: () => [NO_STATFS],
  } satisfies Callback<[path: string]>,
  getattr: stat((ops, path: string) => ops.getattr(path)),
  fgetattr: stat((ops, _path: string, id: number) => ops.fgetattr(id)),
  flush: plain((ops, _path: string, id: number) => ops.flush(id)),
  fsync: plain((ops, _path: string, datasync: number, id: number) => ops.fsync(id, datasync !== 0)),
  readdir: {
    run: async (ops, _thread, path: string) => {
      const entries = await ops.readdir(path);
      return { result: 0, payload: [entries.map(({ name }) => name), entries.map(({ kind }) => DIRENT_STAT[kind])] };
    },
    failed: () => [[], []],
  } satisfies Callback<[path: string]>,
  truncate: plain((ops, path: string, low: number, high: number) => ops.setattr(path, { size: joinUint64(low, high) })),
  ftruncate: plain((ops, _path: string, id: number, low: number, high: number) =>
    ops.ftruncate(id, joinUint64(low, high)),
  ),
  utimens: {
    run: async (ops, thread, path: string, atimeLow: number, atimeHigh: number) => {
      await ops.setattr(path, decodeTimes(thread, atimeLow, atimeHigh));
      return DONE;
    },
    failed: () => [],
  } satisfies Callback<[path: string, atimeLow: number, atimeHigh: number]>,
  chown: plain((ops, path: string, uid: number, gid: number) =>
    ops.setattr(path, { ...(uid === UNCHANGED ? {} : { uid }), ...(gid === UNCHANGED ? {} : { gid }) }),
  ),
  chmod: plain((ops, path: string, mode: number) => ops.setattr(path, { mode })),
  mknod: plain((ops, path: string, mode: number) => ops.mknod(path, mode)),
  setxattr: counted(2, async (ops, path: string, name: string, value: Buffer, _position: number, flags: number) => {
    await ops.setxattr(path, name, value, flags);
    return 0;
  }),
  getxattr: counted(2, async (ops, path: string, name: string, buffer: Buffer) =>
    fill(buffer, await ops.getxattr(path, name)),
  ),
  listxattr: counted(1, async (ops, path: string, buffer: Buffer) =>
    fill(buffer, namesValue(await ops.listxattr(path))),
  ),
  removexattr: plain((ops, path: string, name: string) => ops.removexattr(path, name)),
  open: handle((ops, path: string, flags: number) => ops.open(path, flags)),
  read: transferred(async (ops, _path: string, id: number, buffer: Buffer, size: number, low: number, high: number) => {
    let filled = 0;
    for (const slice of await ops.read(id, joinUint64(low, high), size)) {
      buffer.set(slice, filled);
      filled += slice.length;
    }
    return filled;
  }),
  write: transferred((ops, _path: string, id: number, buffer: Buffer, size: number, low: number, high: number) => {
    const offset = joinUint64(low, high);
    joinUint64(offset + size, 0);
    return ops.write(id, offset, buffer);
  }),
  release: plain((ops, _path: string, id: number) => ops.release(id)),
  create: handle((ops, path: string, mode: number) => ops.create(path, mode)),
  unlink: plain((ops, path: string) => ops.unlink(path)),
  rename: {
    run: async (ops, thread, from: string, to: string) => {
      await ops.rename(thread, from, to);
      return DONE;
    },
    failed: () => [],
  } satisfies Callback<[from: string, to: string]>,
  link: plain((ops, path: string, newPath: string) => ops.link(path, newPath)),
  symlink: plain((ops, target: string, path: string) => ops.symlink(target, path)),
  mkdir: plain((ops, path: string, mode: number) => ops.mkdir(path, mode)),
  rmdir: plain((ops, path: string) => ops.rmdir(path)),
} satisfies Readonly<Record<string, Callback>>;

export type CallbackName = keyof typeof CALLBACK_TABLE;

/** How long the value is; it is in the buffer then, unless that is empty. Throws ERANGE. */
function fill(buffer: Buffer, value: Uint8Array): number {
  if (!asksForLength(value, buffer.length)) buffer.set(value);
  return value.length;
}
