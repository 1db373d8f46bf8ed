/**
 * A filesystem in memory with the shape of vfs/filesystem.ts, so that the benchmark measures a transport with the real Adapter and
 * the real inode table, but no server and no disk. Folders "d..." hold 10,000 empty files "f00000" ... each and are made when they
 * are looked up; files "r..." have 512 MiB to read; whatever is created can be written. Invariant: no operation waits for anything.
 * Made by serve.ts.
 */
import type { FileSystemCalls } from "../../src/fuse/adapter.ts";
import type { ObjectId, RemoteEntry } from "../../src/seafile/types.ts";
import { HandleTable } from "../../src/util/handle-table.ts";
import type { Timespec } from "../../src/util/timespec.ts";
import type { DirectoryLines } from "../../src/vfs/directory.ts";
import { FsError } from "../../src/vfs/errno.ts";
import type { DirInode, FileInode, Inode } from "../../src/vfs/inode.ts";
import { Superblock } from "../../src/vfs/superblock.ts";

export const FILES_PER_FOLDER = 10_000;
export const READABLE_BYTES = 512 * 2 ** 20;
/** Reads are answered in slices of a block cache's size; writes go round in a store of this size, so that memory stays bounded. */
const BLOCK = 2 ** 20;
const STORE = 16 * BLOCK;
const MTIME = 1_700_000_000;

const remote = (name: string, kind: "file" | "dir", size = 0): RemoteEntry => ({
  name,
  kind,
  id: `id-of-${name}` as ObjectId,
  size,
  mtime: MTIME,
  writable: true,
});

const FILES = Array.from({ length: FILES_PER_FOLDER }, (_, n) => remote(`f${String(n).padStart(5, "0")}`, "file"));
const BY_NAME = new Map(FILES.map((entry) => [entry.name, entry]));

export class MemoryFileSystem implements FileSystemCalls {
  readonly #superblock = new Superblock(undefined, "/", true);
  readonly #files = new HandleTable<FileInode>();
  readonly #dirs = new HandleTable<DirectoryLines>();
  /** Of files that were created here. */
  readonly #sizes = new Map<Inode, number>();
  readonly #block = Buffer.alloc(BLOCK, "seamount");
  readonly #store = Buffer.alloc(STORE);

  remember(inode: Inode): void {
    inode.nlookup++;
  }

  forget(ino: number, nlookup: number): void {
    this.#superblock.forget(ino, nlookup);
  }

  inode(ino: number): Inode {
    const inode = this.#superblock.get(ino);
    if (inode === undefined) throw new FsError("ESTALE", `inode ${ino} is not known`);
    return inode;
  }

  sizeOf(inode: Inode): number {
    return this.#sizes.get(inode) ?? (inode.kind === "file" ? (inode.version?.size ?? 0) : 0);
  }

  async remoteXattr(): Promise<undefined> {}

  async setRemoteXattr(): Promise<void> {}

  async removeRemoteXattr(): Promise<void> {}

  xattr(): undefined {}

  known(parent: number, name: string): Inode | undefined {
    const dir = this.#dir(parent);
    const entry = dir === this.#superblock.root ? topEntry(name) : BY_NAME.get(name);
    return dir.children.get(name) ?? (entry && this.#superblock.adopt(dir, entry));
  }

  async lookup(_parent: number, name: string): Promise<Inode> {
    throw new FsError("ENOENT", `no ${name}`);
  }

  async setattr(ino: number, changes: { readonly size?: number; readonly mtime?: Timespec }): Promise<Inode> {
    const inode = this.inode(ino);
    if (changes.size !== undefined) this.#sizes.set(inode, changes.size);
    if (changes.mtime !== undefined) inode.mtime = changes.mtime;
    return inode;
  }

  async create(parent: number, name: string) {
    const inode = this.#superblock.createFile(this.#dir(parent), name);
    this.#sizes.set(inode, 0);
    return { inode, open: await this.open(inode.ino) };
  }

  async mknod(parent: number, name: string): Promise<Inode> {
    return this.#superblock.createFile(this.#dir(parent), name);
  }

  async unlink(parent: number, name: string): Promise<void> {
    const inode = this.#dir(parent).children.get(name);
    if (inode === undefined) throw new FsError("ENOENT", `no ${name}`);
    this.#sizes.delete(inode);
    this.#superblock.unlink(inode);
  }

  async open(ino: number) {
    const inode = this.inode(ino);
    if (inode.kind !== "file") throw new FsError("EISDIR", "a directory");
    inode.handles++;
    return { fh: this.#files.add(inode), keepCache: true as const };
  }

  async read(fh: number, offset: number, size: number): Promise<readonly Uint8Array[]> {
    const end = Math.min(offset + size, this.sizeOf(this.#files.get(fh)));
    const slices: Uint8Array[] = [];
    for (let at = offset; at < end; ) {
      const start = at % BLOCK;
      const length = Math.min(BLOCK - start, end - at);
      slices.push(this.#block.subarray(start, start + length));
      at += length;
    }
    return slices;
  }

  async write(fh: number, offset: number, data: Uint8Array): Promise<number> {
    const inode = this.#files.get(fh);
    const at = offset % STORE;
    const first = Math.min(data.length, STORE - at);
    this.#store.set(data.subarray(0, first), at);
    this.#store.set(data.subarray(first), 0);
    this.#sizes.set(inode, Math.max(this.sizeOf(inode), offset + data.length));
    return data.length;
  }

  async release(fh: number): Promise<void> {
    const inode = this.#files.take(fh);
    inode.handles--;
    this.#superblock.evictIfUnused(inode);
  }

  async flush(): Promise<void> {}

  async store(): Promise<void> {}

  async opendir(ino: number): Promise<number> {
    const dir = this.#dir(ino);
    return this.#dirs.add({
      dir,
      shown: dir === this.#superblock.root ? [] : FILES,
      ino: ({ name }) => this.#superblock.promise(dir, name),
      inode: ({ name }) => this.#superblock.adopt(dir, BY_NAME.get(name)!),
    });
  }

  async lines(fh: number) {
    return this.#dirs.get(fh);
  }

  releasedir(fh: number): void {
    this.#dirs.take(fh);
  }

  async quota() {
    return { used: 0, total: null };
  }

  mkdir = unused;
  rmdir = unused;
  rename = unused;
  fallocate = unused;

  #dir(ino: number): DirInode {
    const inode = this.inode(ino);
    if (inode.kind !== "dir") throw new FsError("ENOTDIR", "not a directory");
    return inode;
  }
}

function topEntry(name: string): RemoteEntry | undefined {
  if (name.startsWith("d")) return remote(name, "dir");
  if (name.startsWith("r")) return remote(name, "file", READABLE_BYTES);
  return undefined;
}

async function unused(): Promise<never> {
  throw new FsError("EOPNOTSUPP", "not part of the benchmark");
}
