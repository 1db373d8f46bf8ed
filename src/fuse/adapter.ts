/**
 * Implements Operations over FileSystem: attributes with modes and owners, lifetimes, the entries of directories, logging, and the one
 * place where a failure becomes an ErrnoError. Invariant: nothing but ErrnoError leaves it, and each lookup the kernel was told of
 * is counted. Called by the transports; knows no wire format.
 */
import { constants } from "node:fs";
import type { Logger } from "../observe/log.ts";
import { ErrnoError } from "../util/errno.ts";
import { fromSeconds, now } from "../util/timespec.ts";
import { FsError, failureOf } from "../vfs/errno.ts";
import type { FileSystem } from "../vfs/filesystem.ts";
import type { Inode } from "../vfs/inode.ts";
import { isRemoteXattr } from "../vfs/remote-xattrs.ts";
import { assertWritable } from "../vfs/writable.ts";
import { isFact } from "../vfs/xattrs.ts";
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
} from "./transport.ts";

const { S_IFMT, S_IFREG, S_IFDIR, W_OK, X_OK } = constants;
/** What a program should read or write at a time (st_blksize): one request of the kernel's own read-ahead. */
const BLKSIZE = 128 * 1024;
const STATFS_BLOCK = 4096;
/** Shown as the size of an account without quota: 1 PiB. */
const UNLIMITED_BYTES = 2 ** 50;

/** What the adapter asks of a filesystem, so that another one can stand behind it. */
export type FileSystemCalls = Pick<FileSystem, keyof FileSystem>;

export interface AdapterOptions {
  readonly fileSystem: FileSystemCalls;
  readonly uid: number;
  readonly gid: number;
  readonly umask: number;
  readonly readOnly: boolean;
  /** How long the kernel may remember names and attributes, and that a name does not exist. */
  readonly lifetimes: { readonly ttlMs: number; readonly negativeTtlMs: number };
  readonly log: Logger;
}

export class Adapter implements Operations {
  readonly negativeTtlMs: number;
  readonly #fs: FileSystemCalls;
  readonly #options: AdapterOptions;
  readonly #log: Logger;
  /** Directory handles from which something was read: the next read at offset 0 is a rewinddir. */
  readonly #started = new Set<number>();

  constructor(options: AdapterOptions) {
    this.#fs = options.fileSystem;
    this.#options = options;
    this.negativeTtlMs = options.lifetimes.negativeTtlMs;
    this.#log = options.log;
  }

  lookup(ctx: OpContext, parent: number, name: string): Promise<EntryReply> {
    return this.#run("lookup", { parent, name }, async () =>
      // Most names are known, and making a signal costs more than answering.
      this.#entry(this.#fs.known(parent, name) ?? (await this.#fs.lookup(parent, name, ctx.signal))),
    );
  }

  forget(ino: number, nlookup: number): void {
    this.#fs.forget(ino, nlookup);
  }

  getattr(_ctx: OpContext, ino: number): Promise<AttrReply> {
    return this.#run("getattr", { ino }, async () => this.#attr(this.#fs.inode(ino)));
  }

  setattr(ctx: OpContext, ino: number, set: SetAttr): Promise<AttrReply> {
    return this.#run("setattr", { ino }, async () => {
      const time = (value: SetAttr["mtime"]) => (value === "now" ? now() : value);
      const atime = time(set.atime);
      const mtime = time(set.mtime);
      const inode = await this.#fs.setattr(
        ino,
        {
          ...(set.mode === undefined ? {} : { mode: set.mode }),
          ...(set.size === undefined ? {} : { size: set.size }),
          ...(set.fh === undefined ? {} : { fh: set.fh }),
          ...(atime === undefined ? {} : { atime }),
          ...(mtime === undefined ? {} : { mtime }),
        },
        ctx.signal,
      );
      return this.#attr(inode);
    });
  }

  readlink(_ctx: OpContext, ino: number): Promise<string> {
    return this.#refuse("readlink", { ino }, "EINVAL", "Seafile stores no symbolic links");
  }

  symlink(_ctx: OpContext, parent: number, name: string): Promise<EntryReply> {
    return this.#refuse("symlink", { parent, name }, "EPERM", "Seafile stores no symbolic links");
  }

  link(_ctx: OpContext, ino: number, newParent: number, newName: string): Promise<EntryReply> {
    return this.#refuse("link", { ino, newParent, newName }, "EPERM", "Seafile stores no hard links");
  }

  mknod(ctx: OpContext, parent: number, name: string, mode: number): Promise<EntryReply> {
    return this.#run("mknod", { parent, name }, async () => {
      if ((mode & S_IFMT) !== S_IFREG) throw new FsError("EPERM", "Seafile stores regular files and directories only");
      return this.#entry(await this.#fs.mknod(parent, name, this.#creationMode(mode), ctx.signal));
    });
  }

  mkdir(ctx: OpContext, parent: number, name: string, mode: number): Promise<EntryReply> {
    return this.#run("mkdir", { parent, name }, async () =>
      this.#entry(await this.#fs.mkdir(parent, name, this.#creationMode(mode), ctx.signal)),
    );
  }

  unlink(ctx: OpContext, parent: number, name: string): Promise<void> {
    return this.#run("unlink", { parent, name }, () => this.#fs.unlink(parent, name, ctx.signal));
  }

  rmdir(ctx: OpContext, parent: number, name: string): Promise<void> {
    return this.#run("rmdir", { parent, name }, () => this.#fs.rmdir(parent, name, ctx.signal));
  }

  rename(
    ctx: OpContext,
    parent: number,
    name: string,
    newParent: number,
    newName: string,
    flags: RenameFlags,
  ): Promise<void> {
    return this.#run("rename", { parent, name, newParent, newName }, () =>
      this.#fs.rename({ parent, name }, { parent: newParent, name: newName }, flags.noReplace, ctx.signal),
    );
  }

  open(ctx: OpContext, ino: number, flags: number): Promise<OpenReply> {
    return this.#run("open", { ino, flags }, () => this.#fs.open(ino, flags, ctx.signal));
  }

  create(
    ctx: OpContext,
    parent: number,
    name: string,
    mode: number,
    flags: number,
  ): Promise<{ readonly entry: EntryReply; readonly open: OpenReply }> {
    return this.#run("create", { parent, name, flags }, async () => {
      const { inode, open } = await this.#fs.create(parent, name, this.#creationMode(mode), flags, ctx.signal);
      return { entry: this.#entry(inode), open };
    });
  }

  read(ctx: OpContext, ino: number, fh: number, offset: number, size: number): Promise<readonly Uint8Array[]> {
    return this.#run("read", { ino, offset, size }, () => this.#fs.read(fh, offset, size, ctx.signal));
  }

  write(ctx: OpContext, ino: number, fh: number, offset: number, data: Uint8Array): Promise<number> {
    return this.#run("write", { ino, offset, size: data.length }, () => this.#fs.write(fh, offset, data, ctx.signal));
  }

  flush(ctx: OpContext, ino: number, fh: number): Promise<void> {
    return this.#run("flush", { ino }, () => this.#fs.flush(fh, ctx.signal));
  }

  fsync(ctx: OpContext, ino: number, fh: number): Promise<void> {
    return this.#run("fsync", { ino }, () => this.#fs.store(fh, ctx.signal));
  }

  release(_ctx: OpContext, ino: number, fh: number): Promise<void> {
    return this.#run("release", { ino }, () => this.#fs.release(fh));
  }

  fallocate(ctx: OpContext, ino: number, fh: number, offset: number, length: number, mode: number): Promise<void> {
    return this.#run("fallocate", { ino, offset, length, mode }, () =>
      this.#fs.fallocate(fh, offset, length, mode, ctx.signal),
    );
  }

  opendir(ctx: OpContext, ino: number): Promise<OpenReply> {
    return this.#run("opendir", { ino }, async () => ({ fh: await this.#fs.opendir(ino, ctx.signal) }));
  }

  readdir(ctx: OpContext, ino: number, fh: number, offset: number, plus: boolean, sink: DirSink): Promise<void> {
    return this.#run("readdir", { ino, offset }, async () => {
      const lines = await this.#fs.lines(fh, offset === 0 && this.#started.has(fh), ctx.signal);
      this.#started.add(fh);
      const dots = [
        { name: ".", ino: lines.dir.ino },
        { name: "..", ino: lines.dir.parent?.ino ?? lines.dir.ino },
      ];
      for (let at = offset; at < dots.length; at++) {
        if (!sink.add({ ...dots[at]!, kind: "dir", offset: at + 1 })) return;
      }
      for (let at = Math.max(0, offset - dots.length); at < lines.shown.length; at++) {
        const line = lines.shown[at]!;
        const inode = plus ? lines.inode(line) : undefined;
        // Removed since opendir: a plain name without an inode would be shown as an error by ls.
        if (plus && inode === undefined) continue;
        const ino = inode?.ino ?? lines.ino(line);
        const dirent = { name: line.name, ino, kind: line.kind, offset: at + dots.length + 1 };
        if (inode === undefined ? !sink.add(dirent) : !this.#addPlus(sink, dirent, inode)) return;
      }
    });
  }

  releasedir(_ctx: OpContext, ino: number, fh: number): Promise<void> {
    return this.#run("releasedir", { ino }, async () => {
      this.#started.delete(fh);
      this.#fs.releasedir(fh);
    });
  }

  async fsyncdir(): Promise<void> {
    // Every change of a directory is on the server or in the journal when its operation returns.
  }

  statfs(ctx: OpContext, ino: number): Promise<Statfs> {
    return this.#run("statfs", { ino }, async () => {
      const { used, total } = await this.#fs.quota(ino, ctx.signal);
      const bytes = total ?? Math.max(UNLIMITED_BYTES, used);
      const free = Math.floor(Math.max(0, bytes - used) / STATFS_BLOCK);
      return {
        blocks: Math.ceil(bytes / STATFS_BLOCK),
        bfree: free,
        bavail: free,
        files: 2 ** 32,
        ffree: 2 ** 32,
        bsize: STATFS_BLOCK,
        frsize: STATFS_BLOCK,
        namelen: 255,
      };
    });
  }

  access(_ctx: OpContext, ino: number, mask: number): Promise<void> {
    return this.#run("access", { ino, mask }, async () => {
      const inode = this.#fs.inode(ino);
      if ((mask & W_OK) !== 0) {
        if (this.#options.readOnly) throw new FsError("EROFS", "mounted read-only");
        if (inode.kind === "file" || inode.library !== undefined) assertWritable(inode);
      }
      if ((mask & X_OK) !== 0 && (this.#mode(inode) & 0o111) === 0) throw new FsError("EACCES", "not executable");
    });
  }

  getxattr(ctx: OpContext, ino: number, name: string): Promise<Uint8Array> {
    return this.#run("getxattr", { ino, name }, async () => {
      const value = isRemoteXattr(name) ? await this.#fs.remoteXattr(ino, name, ctx.signal) : this.#fs.xattr(ino, name);
      if (value === undefined) throw new FsError("ENODATA", "no such attribute");
      return Buffer.from(value);
    });
  }

  async listxattr(): Promise<readonly string[]> {
    return [];
  }

  setxattr(ctx: OpContext, ino: number, name: string, value: Uint8Array, flags: number): Promise<void> {
    if (isRemoteXattr(name)) {
      return this.#run("setxattr", { ino, name }, () =>
        this.#fs.setRemoteXattr(ino, name, { value, flags }, ctx.signal),
      );
    }
    if (isFact(name)) return this.#refuse("setxattr", { ino, name }, "EPERM", `${name} is a fact`);
    return this.#refuse("setxattr", { ino, name }, "ENOTSUP", "Seafile stores no extended attributes");
  }

  removexattr(ctx: OpContext, ino: number, name: string): Promise<void> {
    if (isRemoteXattr(name)) {
      return this.#run("removexattr", { ino, name }, () => this.#fs.removeRemoteXattr(ino, name, ctx.signal));
    }
    if (isFact(name)) return this.#refuse("removexattr", { ino, name }, "EPERM", `${name} is a fact`);
    return this.#refuse("removexattr", { ino, name }, "ENODATA", "no such attribute");
  }

  destroy(): void {
    this.#log.debug("the kernel ended the filesystem");
  }

  #addPlus(sink: DirSink, dirent: Parameters<DirSink["add"]>[0], inode: Inode): boolean {
    const taken = sink.add(dirent, this.#entryOf(inode));
    if (taken) this.#fs.remember(inode);
    return taken;
  }

  #entry(inode: Inode): EntryReply {
    this.#fs.remember(inode);
    return this.#entryOf(inode);
  }

  #entryOf(inode: Inode): EntryReply {
    const { attr, attrTtlMs } = this.#attr(inode);
    return { attr, attrTtlMs, generation: 0, entryTtlMs: this.#options.lifetimes.ttlMs };
  }

  #attr(inode: Inode): AttrReply {
    const size = this.#fs.sizeOf(inode);
    const mtime = inode.mtime ?? fromSeconds(inode.serverMtime);
    const attr: Attr = {
      ino: inode.ino,
      size,
      blocks: Math.ceil(size / 512),
      mtime,
      atime: inode.atime ?? mtime,
      ctime: inode.ctime ?? mtime,
      mode: (inode.kind === "dir" ? S_IFDIR : S_IFREG) | this.#mode(inode),
      // 1 for directories too: find(1) then does not guess the number of sub-folders from it.
      nlink: inode.unlinked ? 0 : 1,
      uid: this.#options.uid,
      gid: this.#options.gid,
      blksize: BLKSIZE,
    };
    return { attr, attrTtlMs: this.#options.lifetimes.ttlMs };
  }

  #mode(inode: Inode): number {
    const plain = inode.mode ?? (inode.kind === "dir" ? 0o777 : 0o666) & ~this.#options.umask;
    const isWritable = inode.writable && !this.#options.readOnly;
    return isWritable ? plain : plain & ~0o222;
  }

  /** The program's own umask is applied by the kernel already, the mount's is not. */
  #creationMode(mode: number): number {
    return mode & 0o777 & ~this.#options.umask;
  }

  #refuse<T>(operation: string, about: object, code: FsError["code"], message: string): Promise<T> {
    return this.#run<T>(operation, about, () => Promise.reject(new FsError(code, message)));
  }

  async #run<T>(operation: string, about: object, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code, level } = failureOf(error);
      this.#log[level]({ operation, ...about, code }, `${operation}: ${(error as Error).message}`);
      if (code === "EIO" && level === "error") this.#log.debug({ err: error }, "the failure above, in full");
      throw error instanceof ErrnoError ? error : new ErrnoError(code, (error as Error).message, { cause: error });
    }
  }
}
