/**
 * A filesystem in memory behind the transport's seam, small enough to be obviously right: the tests of the kernel protocol
 * mount it. Invariant: keeps POSIX semantics for what the tests do. Four names are special: reads of "blocked" and
 * "blocked-direct" (opened with direct I/O) and flushes of "held-flush" wait until their signal aborts, mkdir of "held" until letGo().
 * Used by mount-child.ts and the session tests.
 */
import type {
  Attr,
  AttrReply,
  DirSink,
  EntryReply,
  OpContext,
  OpenReply,
  Operations,
  RenameFlags,
  SetAttr,
  Statfs,
  Timespec,
} from "../../src/fuse/transport.ts";
import { type Deferred, deferred, sleep } from "../../src/util/abort.ts";
import { ErrnoError } from "../../src/util/errno.ts";

interface Node {
  readonly ino: number;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  atime: Timespec;
  mtime: Timespec;
  /** Of a file or a symbolic link's target. */
  data: Buffer;
  /** Of a directory; undefined for a file. */
  readonly children: Map<string, Node> | undefined;
  readonly xattrs: Map<string, Buffer>;
}

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const O_TRUNC = 0o1000;

export class MemoryOperations implements Operations {
  readonly calls: string[] = [];
  readonly nodes = new Map<number, Node>();
  readonly #root: Node;
  readonly #ttlMs: number;
  readonly negativeTtlMs: number;
  #nextIno = 1;
  #nextFh = 1;
  destroyed = 0;
  readonly #held: Deferred<void> = deferred();

  constructor(options: { readonly ttlMs?: number; readonly negativeTtlMs?: number } = {}) {
    this.#ttlMs = options.ttlMs ?? 1000;
    this.negativeTtlMs = options.negativeTtlMs ?? 0;
    this.#root = this.#make(S_IFDIR | 0o755, process.getuid!(), process.getgid!());
  }

  async lookup(_ctx: OpContext, parent: number, name: string): Promise<EntryReply> {
    this.calls.push(`lookup ${name}`);
    return this.#entry(this.#child(parent, name));
  }

  forget(ino: number, nlookup: number): void {
    this.calls.push(`forget ${ino} ${nlookup}`);
  }

  async getattr(_ctx: OpContext, ino: number): Promise<AttrReply> {
    this.calls.push("getattr");
    return this.#attrReply(this.#node(ino));
  }

  async setattr(_ctx: OpContext, ino: number, set: SetAttr): Promise<AttrReply> {
    this.calls.push("setattr");
    const node = this.#node(ino);
    if (set.mode !== undefined) node.mode = (node.mode & 0o170000) | (set.mode & 0o7777);
    if (set.uid !== undefined) node.uid = set.uid;
    if (set.gid !== undefined) node.gid = set.gid;
    if (set.size !== undefined) resize(node, set.size);
    if (set.atime !== undefined) node.atime = set.atime === "now" ? now() : set.atime;
    if (set.mtime !== undefined) node.mtime = set.mtime === "now" ? now() : set.mtime;
    return this.#attrReply(node);
  }

  async readlink(_ctx: OpContext, ino: number): Promise<string> {
    return this.#node(ino).data.toString();
  }

  async symlink(ctx: OpContext, parent: number, name: string, target: string): Promise<EntryReply> {
    const node = this.#make(S_IFLNK | 0o777, ctx.uid, ctx.gid, Buffer.from(target));
    return this.#add(parent, name, node);
  }

  async mknod(ctx: OpContext, parent: number, name: string, mode: number): Promise<EntryReply> {
    return this.#add(parent, name, this.#make(mode, ctx.uid, ctx.gid));
  }

  async mkdir(ctx: OpContext, parent: number, name: string, mode: number): Promise<EntryReply> {
    this.calls.push(`mkdir ${name}`);
    if (name === "held") await this.#held.promise;
    return this.#add(parent, name, this.#make(S_IFDIR | (mode & 0o7777), ctx.uid, ctx.gid));
  }

  async unlink(_ctx: OpContext, parent: number, name: string): Promise<void> {
    this.#child(parent, name).nlink--;
    this.#folder(parent).delete(name);
  }

  async rmdir(_ctx: OpContext, parent: number, name: string): Promise<void> {
    if (this.#child(parent, name).children!.size > 0) throw new ErrnoError("ENOTEMPTY");
    this.#folder(parent).delete(name);
  }

  async rename(
    _ctx: OpContext,
    parent: number,
    name: string,
    newParent: number,
    newName: string,
    flags: RenameFlags,
  ): Promise<void> {
    const node = this.#child(parent, name);
    if (flags.noReplace && this.#folder(newParent).has(newName)) throw new ErrnoError("EEXIST");
    this.#folder(parent).delete(name);
    this.#folder(newParent).set(newName, node);
  }

  async link(_ctx: OpContext, ino: number, newParent: number, newName: string): Promise<EntryReply> {
    const node = this.#node(ino);
    node.nlink++;
    return this.#add(newParent, newName, node);
  }

  async open(_ctx: OpContext, ino: number, flags: number): Promise<OpenReply> {
    this.calls.push("open");
    if (flags & O_TRUNC) resize(this.#node(ino), 0);
    return { fh: this.#nextFh++, directIo: this.#isNamed("blocked-direct", ino) };
  }

  async create(
    ctx: OpContext,
    parent: number,
    name: string,
    mode: number,
  ): Promise<{ entry: EntryReply; open: OpenReply }> {
    this.calls.push(`create ${name}`);
    const entry = this.#add(parent, name, this.#make(S_IFREG | (mode & 0o7777), ctx.uid, ctx.gid));
    return { entry, open: { fh: this.#nextFh++ } };
  }

  async read(ctx: OpContext, ino: number, _fh: number, offset: number, size: number): Promise<readonly Uint8Array[]> {
    this.calls.push(`read ${offset} ${size}`);
    const node = this.#node(ino);
    if (this.#isNamed("blocked", ino) || this.#isNamed("blocked-direct", ino)) await this.#untilAborted(ctx.signal);
    return [node.data.subarray(offset, offset + size)];
  }

  async write(_ctx: OpContext, ino: number, _fh: number, offset: number, data: Uint8Array): Promise<number> {
    this.calls.push(`write ${offset} ${data.length}`);
    const node = this.#node(ino);
    if (offset + data.length > node.data.length) resize(node, offset + data.length);
    node.data.set(data, offset);
    node.mtime = now();
    return data.length;
  }

  async flush(ctx: OpContext, ino: number): Promise<void> {
    this.calls.push("flush");
    if (this.#isNamed("held-flush", ino)) await this.#untilAborted(ctx.signal);
  }

  async fsync(): Promise<void> {
    this.calls.push("fsync");
  }

  async release(): Promise<void> {
    this.calls.push("release");
  }

  async fallocate(
    _ctx: OpContext,
    ino: number,
    _fh: number,
    offset: number,
    length: number,
    mode: number,
  ): Promise<void> {
    if (mode !== 0) throw new ErrnoError("EOPNOTSUPP");
    const node = this.#node(ino);
    if (offset + length > node.data.length) resize(node, offset + length);
  }

  async opendir(): Promise<OpenReply> {
    return { fh: this.#nextFh++ };
  }

  async readdir(
    _ctx: OpContext,
    ino: number,
    _fh: number,
    offset: number,
    plus: boolean,
    sink: DirSink,
  ): Promise<void> {
    this.calls.push(plus ? "readdirplus" : "readdir");
    const names = [".", "..", ...this.#folder(ino).keys()];
    for (let at = offset; at < names.length; at++) {
      const name = names[at]!;
      const node = at < 2 ? this.#node(ino) : this.#child(ino, name);
      const kind = node.children === undefined ? "file" : "dir";
      const entry = plus && at >= 2 ? this.#entry(node) : undefined;
      if (!sink.add({ name, ino: node.ino, kind, offset: at + 1 }, entry)) return;
    }
  }

  async releasedir(): Promise<void> {}

  async fsyncdir(): Promise<void> {
    this.calls.push("fsyncdir");
  }

  async statfs(): Promise<Statfs> {
    return { blocks: 1e6, bfree: 5e5, bavail: 4e5, files: 1000, ffree: 900, bsize: 4096, frsize: 4096, namelen: 255 };
  }

  async access(): Promise<void> {}

  async getxattr(_ctx: OpContext, ino: number, name: string): Promise<Uint8Array> {
    this.calls.push(`getxattr ${name}`);
    const value = this.#node(ino).xattrs.get(name);
    if (value === undefined) throw new ErrnoError("ENODATA");
    return value;
  }

  async listxattr(_ctx: OpContext, ino: number): Promise<readonly string[]> {
    return [...this.#node(ino).xattrs.keys()];
  }

  async setxattr(_ctx: OpContext, ino: number, name: string, value: Uint8Array): Promise<void> {
    this.#node(ino).xattrs.set(name, Buffer.from(value));
  }

  async removexattr(_ctx: OpContext, ino: number, name: string): Promise<void> {
    if (!this.#node(ino).xattrs.delete(name)) throw new ErrnoError("ENODATA");
  }

  destroy(): void {
    this.destroyed++;
  }

  /** Lets the mkdir of "held" go on. */
  letGo(): void {
    this.#held.resolve();
  }

  /** Changes a file behind the kernel's back. */
  poke(name: string, text: string): number {
    const node = this.#root.children!.get(name) ?? this.#make(S_IFREG | 0o644, 0, 0);
    this.#root.children!.set(name, node);
    node.data = Buffer.from(text);
    return node.ino;
  }

  #isNamed(name: string, ino: number): boolean {
    return this.#root.children!.get(name)?.ino === ino;
  }

  async #untilAborted(signal: AbortSignal): Promise<never> {
    await sleep(2 ** 31 - 1, signal).finally(() => this.calls.push("aborted"));
    throw new Error("not reached");
  }

  #make(mode: number, uid: number, gid: number, data: Buffer = Buffer.alloc(0)): Node {
    const isDir = (mode & 0o170000) === S_IFDIR;
    const node: Node = {
      ino: this.#nextIno++,
      mode,
      uid,
      gid,
      nlink: isDir ? 2 : 1,
      atime: now(),
      mtime: now(),
      data,
      children: isDir ? new Map() : undefined,
      xattrs: new Map(),
    };
    this.nodes.set(node.ino, node);
    return node;
  }

  #add(parent: number, name: string, node: Node): EntryReply {
    const folder = this.#folder(parent);
    if (folder.has(name)) throw new ErrnoError("EEXIST");
    folder.set(name, node);
    return this.#entry(node);
  }

  #node(ino: number): Node {
    const node = this.nodes.get(ino);
    if (node === undefined) throw new ErrnoError("ESTALE");
    return node;
  }

  #folder(ino: number): Map<string, Node> {
    const { children } = this.#node(ino);
    if (children === undefined) throw new ErrnoError("ENOTDIR");
    return children;
  }

  #child(parent: number, name: string): Node {
    const node = this.#folder(parent).get(name);
    if (node === undefined) throw new ErrnoError("ENOENT");
    return node;
  }

  #attr(node: Node): Attr {
    const { ino, mode, uid, gid, nlink, atime, mtime, data } = node;
    const blocks = Math.ceil(data.length / 512);
    return { ino, mode, uid, gid, nlink, atime, mtime, ctime: mtime, size: data.length, blocks, blksize: 4096 };
  }

  #attrReply(node: Node): AttrReply {
    return { attr: this.#attr(node), attrTtlMs: this.#ttlMs };
  }

  #entry(node: Node): EntryReply {
    return { ...this.#attrReply(node), generation: 0, entryTtlMs: this.#ttlMs };
  }
}

/** Grows into twice the room that is needed, so that appending stays linear. */
function resize(node: Node, size: number): void {
  const old = node.data;
  const room = old.byteOffset === 0 ? old.buffer.byteLength : 0;
  if (size <= room) {
    node.data = Buffer.from(old.buffer, 0, size);
    if (size > old.length) node.data.fill(0, old.length);
    return;
  }
  const grown = Buffer.from(new ArrayBuffer(size * 2), 0, size);
  old.copy(grown);
  node.data = grown;
}

function now(): Timespec {
  const ms = Date.now();
  return { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1e6 };
}
