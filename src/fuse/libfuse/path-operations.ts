/**
 * The operations as libfuse 2 asks for them, by path, over Operations, which go by inode. What has a handle goes by its handle.
 * Invariants: a path that is open means its inode until it is closed (open-paths.ts); every lookup counted here is given back;
 * a name that may have been invalid UTF-8 is never made. Throws ErrnoError, or what Operations throw. Called by callbacks.ts.
 */
import type { Logger } from "../../observe/log.ts";
import { ErrnoError } from "../../util/errno.ts";
import { HandleTable } from "../../util/handle-table.ts";
import type { Attr, Dirent, OpContext, Operations, SetAttr, Statfs } from "../transport.ts";
import { type OpenPath, OpenPaths } from "./open-paths.ts";
import { PathResolver, type Resolved, ROOT_INO, splitPath, unheld } from "./path-resolver.ts";
import { Removals } from "./removals.ts";
import { ReportedInodes } from "./reported-inodes.ts";

const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const S_IFREG = 0o100000;
const W_OK = 2;
/** What the addon makes of bytes that are not UTF-8. */
const REPLACEMENT_CHARACTER = "\ufffd";
/** Attributes that cannot exist on a Seafile file: the kernel asks for them before every write. */
const SECURITY = "security.";

/** The addon cuts handles to 32 bits and takes 0 for "none", so the filesystem's own numbers stay here. */
const MOST_HANDLES = 2 ** 31 - 1;
/** Calls that concern what lies below their path. */
const DEEP: ReadonlySet<string> = new Set(["readdir", "rmdir", "rename"]);

interface FileHandle {
  readonly fh: number;
  readonly open: OpenPath;
  /** The last that was heard of it is a flush or a release: close(2) has been called, most likely. */
  flushed: boolean;
}

export class PathOperations {
  readonly #operations: Operations;
  readonly #ctx: OpContext;
  readonly #log: Logger;
  readonly #resolver: PathResolver;
  readonly #open = new OpenPaths();
  readonly #handles = new HandleTable<FileHandle>(MOST_HANDLES);
  readonly #removals = new Removals();
  readonly #reported = new ReportedInodes();

  constructor(operations: Operations, ctx: OpContext, log: Logger) {
    this.#operations = operations;
    this.#ctx = ctx;
    this.#log = log;
    this.#resolver = new PathResolver(operations);
  }

  /** Call when a call arrives, before its operation: orders it after the removals of open files that it has to do with. */
  async arrive(thread: object, call: string, path: string, target?: string): Promise<void> {
    if (!this.#removals.pending) return;
    this.#removals.next(thread, call === "rename" ? target : undefined);
    await this.#removals.wait(path, DEEP.has(call));
    if (target !== undefined) await this.#removals.wait(target, true);
  }

  /** Waits for what was promised to libfuse. Call when no call will follow. */
  async finish(): Promise<void> {
    await this.#removals.finish();
    this.#reported.dropTree("/");
  }

  async getattr(path: string): Promise<Attr> {
    const resolved = await this.#resolve(path).catch((error: unknown) => {
      throw isMissing(error) ? this.#reported.missing(path, error) : error;
    });
    try {
      const { attr } = await this.#operations.getattr(this.#ctx, resolved.ino, undefined);
      this.#reported.checkType(path, attr.mode);
      this.#reported.report(path, resolved, attr.mode);
      return attr;
    } catch (error) {
      resolved.release();
      throw error;
    }
  }

  async fgetattr(id: number): Promise<Attr> {
    const { fh, open } = this.#handles.get(id);
    const { attr } = await this.#operations.getattr(this.#ctx, open.ino, fh);
    this.#reported.report(open.path, unheld(open.ino), attr.mode);
    return attr;
  }

  async setattr(path: string, set: SetAttr): Promise<void> {
    await this.#at(path, (ino) => this.#operations.setattr(this.#ctx, ino, set));
  }

  async ftruncate(id: number, size: number): Promise<void> {
    const { fh, open } = this.#handles.get(id);
    await this.#operations.setattr(this.#ctx, open.ino, { size, fh });
  }

  access(path: string, mask: number): Promise<void> {
    return this.#at(path, (ino) => this.#operations.access(this.#ctx, ino, mask));
  }

  statfs(path: string): Promise<Statfs> {
    return this.#at(path, (ino) => this.#operations.statfs(this.#ctx, ino));
  }

  /** The whole directory as it is now: libfuse keeps it for the handle, and asks again after a rewinddir. */
  readdir(path: string): Promise<readonly Dirent[]> {
    return this.#at(path, async (ino) => {
      const entries: Dirent[] = [];
      const { fh } = await this.#operations.opendir(this.#ctx, ino);
      try {
        const sink = { add: (entry: Dirent) => entries.push(entry) > 0 };
        await this.#operations.readdir(this.#ctx, ino, fh, 0, false, sink);
      } finally {
        await this.#operations.releasedir(this.#ctx, ino, fh);
      }
      return entries;
    });
  }

  /**
   * A number for the handle. ESTALE makes the kernel look the path up again, once; it stays ESTALE while the path is open and
   * means another file, or none, by now.
   */
  async open(path: string, flags: number): Promise<number> {
    const resolved = await (this.#open.at(path)?.hidden ? this.#resolve(path) : this.#lookUp(path)).catch((error) => {
      if (!isMissing(error)) throw error;
      // getattr shows the file for as long as it is open.
      throw this.#open.at(path) ? new ErrnoError("ESTALE") : this.#reported.missing(path, error);
    });
    try {
      if (this.#isClosing(path, resolved.ino)) await this.#open.untilClosed(path, this.#ctx.signal);
      this.#reported.check(path, resolved.ino);
    } catch (error) {
      resolved.release();
      throw error;
    }
    // Before the filesystem is asked, because O_TRUNC must not have an effect on what is refused here.
    const open = this.#open.open(path, resolved);
    try {
      const { fh } = await this.#operations.open(this.#ctx, open.ino, flags);
      return this.#handles.add({ fh, open, flushed: false });
    } catch (error) {
      this.#open.close(open);
      throw error;
    }
  }

  /**
   * The addon does not give the flags. O_EXCL is right for every caller: where somebody made the file a moment ago, ESTALE makes the
   * kernel look again, and then open it, or answer EEXIST to a caller that had said O_EXCL itself.
   */
  async create(path: string, mode: number): Promise<number> {
    if (this.#open.at(path) !== undefined) throw new ErrnoError("ESTALE", `${path} is open here`);
    const flags = O_RDWR | O_CREAT | O_EXCL;
    const { entry, open } = await this.#in(path, "make", (parent, name) =>
      this.#operations
        .create(this.#ctx, parent, name, mode | S_IFREG, flags)
        .catch((error: unknown) => Promise.reject(isExists(error) ? new ErrnoError("ESTALE") : error)),
    );
    const { ino } = entry.attr;
    try {
      const resolved = { ino, held: true, release: () => this.#operations.forget(ino, 1) };
      return this.#handles.add({ fh: open.fh, open: this.#open.open(path, resolved), flushed: false });
    } catch (error) {
      await this.#operations.release(this.#ctx, ino, open.fh);
      throw error;
    }
  }

  async read(id: number, offset: number, size: number): Promise<readonly Uint8Array[]> {
    const { fh, open } = this.#used(id);
    return this.#operations.read(this.#ctx, open.ino, fh, offset, size);
  }

  async write(id: number, offset: number, data: Uint8Array): Promise<number> {
    const { fh, open } = this.#used(id);
    return this.#operations.write(this.#ctx, open.ino, fh, offset, data);
  }

  async flush(id: number): Promise<void> {
    const handle = this.#handles.get(id);
    handle.flushed = true;
    const { fh, open } = handle;
    return this.#operations.flush(this.#ctx, open.ino, fh);
  }

  async fsync(id: number, datasync: boolean): Promise<void> {
    const { fh, open } = this.#handles.get(id);
    return this.#operations.fsync(this.#ctx, open.ino, fh, datasync);
  }

  async release(id: number): Promise<void> {
    const handle = this.#handles.get(id);
    handle.flushed = true;
    const { fh, open } = handle;
    try {
      await this.#operations.release(this.#ctx, open.ino, fh);
    } finally {
      this.#handles.take(id);
      this.#open.close(open);
    }
  }

  mknod(path: string, mode: number): Promise<void> {
    return this.#make(path, (parent, name) => this.#operations.mknod(this.#ctx, parent, name, mode));
  }

  mkdir(path: string, mode: number): Promise<void> {
    return this.#make(path, (parent, name) => this.#operations.mkdir(this.#ctx, parent, name, mode));
  }

  symlink(target: string, path: string): Promise<void> {
    return this.#make(path, (parent, name) => this.#operations.symlink(this.#ctx, parent, name, target));
  }

  link(path: string, newPath: string): Promise<void> {
    return this.#at(path, (ino) =>
      this.#make(newPath, (parent, name) => this.#operations.link(this.#ctx, ino, parent, name)),
    );
  }

  async unlink(path: string): Promise<void> {
    if (this.#open.drop(path)) {
      this.#reported.drop(path);
      return;
    }
    // libfuse hides what is open; without its path the addon would crash on the flush of its handle.
    if (this.#open.at(path) !== undefined) throw new ErrnoError("EBUSY", `${path} is open`);
    await this.#in(path, "find", (parent, name) => this.#operations.unlink(this.#ctx, parent, name));
    this.#reported.drop(path);
  }

  async rmdir(path: string): Promise<void> {
    this.#assertNothingOpenBelow(path);
    await this.#in(path, "find", (parent, name) => this.#operations.rmdir(this.#ctx, parent, name));
    this.#reported.drop(path);
  }

  async rename(thread: object, from: string, to: string): Promise<void> {
    if (this.#open.isHiding(from, to)) return this.#hide(thread, from, to);
    this.#assertNothingOpenBelow(to);
    await this.#in(from, "find", (parent, name) =>
      this.#in(to, "make", (newParent, newName) =>
        this.#operations.rename(this.#ctx, parent, name, newParent, newName, { noReplace: false }),
      ),
    );
    this.#open.move(from, to);
    this.#reported.move(from, to);
  }

  async getxattr(path: string, name: string): Promise<Uint8Array> {
    if (name.startsWith(SECURITY)) throw new ErrnoError("ENODATA");
    return this.#at(path, (ino) => this.#operations.getxattr(this.#ctx, ino, name));
  }

  listxattr(path: string): Promise<readonly string[]> {
    return this.#at(path, (ino) => this.#operations.listxattr(this.#ctx, ino));
  }

  setxattr(path: string, name: string, value: Uint8Array, flags: number): Promise<void> {
    return this.#at(path, (ino) => this.#operations.setxattr(this.#ctx, ino, name, value, flags));
  }

  removexattr(path: string, name: string): Promise<void> {
    return this.#at(path, (ino) => this.#operations.removexattr(this.#ctx, ino, name));
  }

  /** A failure that can be foreseen is told now; the removal itself is told to nobody (Removals). */
  async #hide(thread: object, from: string, to: string): Promise<void> {
    await this.#in(from, "find", (parent) => this.#operations.access(this.#ctx, parent, W_OK));
    this.#open.hide(from, to);
    this.#reported.drop(from);
    this.#removals.begin(thread, from, to, async () => {
      try {
        await this.#in(from, "find", (parent, name) => this.#operations.unlink(this.#ctx, parent, name));
      } catch (error) {
        if (isMissing(error)) return;
        this.#log.error({ err: error, path: from }, "a file that was removed while it was open is still there");
      }
    });
  }

  /** A directory whose files are open cannot go: libfuse would lose their paths, and the addon crashes without one. */
  #assertNothingOpenBelow(path: string): void {
    if (this.#open.anyBelow(path)) throw new ErrnoError("ENOTEMPTY", `Files below ${path} are open`);
  }

  #used(id: number): FileHandle {
    const handle = this.#handles.get(id);
    handle.flushed = false;
    return handle;
  }

  /** The path is open as another inode, but only until the kernel has sent the releases. */
  #isClosing(path: string, ino: number): boolean {
    const open = this.#open.at(path);
    if (open === undefined || open.ino === ino) return false;
    // An open that is under way is counted, and has no handle yet.
    return this.#handles.all().filter((handle) => handle.open === open && handle.flushed).length === open.handles;
  }

  /** What the path means: for an open one, what it meant when it was opened. */
  async #resolve(path: string): Promise<Resolved> {
    const open = this.#open.at(path);
    return open === undefined ? this.#lookUp(path) : unheld(open.ino);
  }

  async #lookUp(path: string): Promise<Resolved> {
    if (path.includes(REPLACEMENT_CHARACTER)) throw new ErrnoError("ENOENT", "No name that is not UTF-8 exists");
    return this.#resolver.resolve(this.#ctx, path);
  }

  async #at<T>(path: string, work: (ino: number) => Promise<T>): Promise<T> {
    if (path === "/") return work(ROOT_INO);
    const resolved = await this.#resolve(path);
    try {
      return await work(resolved.ino);
    } finally {
      resolved.release();
    }
  }

  async #in<T>(path: string, why: "find" | "make", work: (parent: number, name: string) => Promise<T>): Promise<T> {
    const { directory, name } = splitPath(path);
    if (name.includes(REPLACEMENT_CHARACTER)) {
      throw new ErrnoError(why === "make" ? "EINVAL" : "ENOENT", "The name may not be valid UTF-8");
    }
    return this.#at(directory, (parent) => work(parent, name));
  }

  /** The kernel looks up what was made by itself. */
  async #make(
    path: string,
    work: (parent: number, name: string) => Promise<{ readonly attr: { readonly ino: number } }>,
  ): Promise<void> {
    const { attr } = await this.#in(path, "make", work);
    this.#operations.forget(attr.ino, 1);
  }
}

const isExists = (error: unknown) => error instanceof ErrnoError && error.code === "EEXIST";
const isMissing = (error: unknown) => error instanceof ErrnoError && error.code === "ENOENT";
