/**
 * The inode table and the tree over it: creates inodes, puts them under names, moves and removes them, forgets them.
 * Invariants: one inode per (directory, name); an inode number never means two files; nothing that holds unstored data or an
 * open handle, or that a program gave times or a mode, is forgotten. Pure memory, no I/O. Called by directory, namespace, filesystem.
 */
import type { Library } from "../seafile/library.ts";
import type { RemoteEntry } from "../seafile/types.ts";
import { now } from "../util/timespec.ts";
import {
  type DirInode,
  type FileInode,
  type FileVersionState,
  type Ino,
  type Inode,
  isHeldHere,
  ROOT_INO,
} from "./inode.ts";

export class Superblock {
  readonly root: DirInode;
  readonly #inodes = new Map<number, Inode>();
  #next = ROOT_INO + 1;

  /** `library` undefined: the root shows libraries; else it is the folder `top` of that library. */
  constructor(library: Library | undefined, top: string | undefined, writable: boolean) {
    this.root = newDir(ROOT_INO, null, "", { library, top, writable, mtime: Math.floor(Date.now() / 1000) });
    this.#inodes.set(ROOT_INO, this.root);
  }

  get(ino: number): Inode | undefined {
    return this.#inodes.get(ino);
  }

  all(): IterableIterator<Inode> {
    return this.#inodes.values();
  }

  /** The number that `name` has or will have, without making an inode. */
  promise(dir: DirInode, name: string): Ino {
    const known = dir.children.get(name)?.ino ?? dir.promised.get(name);
    if (known !== undefined) return known;
    const ino = this.#next++ as Ino;
    dir.promised.set(name, ino);
    return ino;
  }

  /**
   * The inode for an entry of a listing: the old one if name and kind match, else a new one. A file that somebody else changed
   * gets a new inode as long as the kernel knows the old one, as if it had been replaced by a rename: who has the old one open
   * keeps its version, and no size or page of one version is ever seen with the other. What is held here stays as it is.
   */
  adopt(dir: DirInode, entry: RemoteEntry, library?: Library): Inode {
    const present = dir.children.get(entry.name);
    if (present === undefined) return this.#place(dir, entry, library);
    if (isHeldHere(present)) return present;
    const isOther = present.kind !== entry.kind || (library !== undefined && present.library !== library);
    if (isOther || (present.kind === "file" && present.version?.id !== entry.id)) {
      this.unlink(present);
      const inode = this.#place(dir, entry, library);
      if (!isOther) inode.mode = present.mode;
      return inode;
    }
    // A folder that we changed a moment ago may be younger than the listing above it says.
    present.serverMtime = present.kind === "dir" ? Math.max(present.serverMtime, entry.mtime) : entry.mtime;
    present.writable = entry.writable;
    return present;
  }

  /** A folder of a library that this mount shows elsewhere, later or not at all: a place for files that are to be stored. */
  detachedDir(library: Library, path: string): DirInode {
    const ino = this.#next++ as Ino;
    return newDir(ino, null, path, { library, top: path, writable: true, mtime: Math.floor(Date.now() / 1000) });
  }

  /** A file that exists only here until it is committed. */
  createFile(dir: DirInode, name: string): FileInode {
    const at = now();
    const inode = newFile(this.#takePromised(dir, name), dir, name, { writable: true, mtime: at.sec, version: null });
    inode.mtime = at;
    this.#inodes.set(inode.ino, inode);
    dir.children.set(name, inode);
    return inode;
  }

  /** Puts the inode under another name; what was there is unlinked. The number stays. */
  move(inode: Inode, newParent: DirInode, newName: string): void {
    const replaced = newParent.children.get(newName);
    if (replaced !== undefined && replaced !== inode) this.unlink(replaced);
    this.#detach(inode);
    inode.parent = newParent;
    inode.name = newName;
    newParent.promised.delete(newName);
    newParent.children.set(newName, inode);
  }

  /** Takes the inode out of the tree; it lives on for its handles and until the kernel forgets it. */
  unlink(inode: Inode): void {
    this.#detach(inode);
    inode.unlinked = true;
    if (inode.kind === "dir")
      for (const child of [...inode.children.values()]) if (!isHeldHere(child)) this.unlink(child);
    this.#evict(inode);
  }

  forget(ino: number, nlookup: number): void {
    const inode = this.#inodes.get(ino);
    if (inode === undefined) return;
    inode.nlookup = Math.max(0, inode.nlookup - nlookup);
    this.#evict(inode);
  }

  /** Lets go of an inode that nobody needs. Call after releasing a handle or dropping a dirty file. */
  evictIfUnused(inode: Inode): void {
    this.#evict(inode);
  }

  #place(dir: DirInode, entry: RemoteEntry, library: Library | undefined): Inode {
    const ino = this.#takePromised(dir, entry.name);
    const inode: Inode =
      entry.kind === "dir"
        ? newDir(ino, dir, entry.name, {
            library: library ?? dir.library,
            top: library === undefined ? undefined : "/",
            writable: entry.writable,
            mtime: entry.mtime,
          })
        : newFile(ino, dir, entry.name, {
            writable: entry.writable,
            mtime: entry.mtime,
            version: { id: entry.id, size: entry.size },
          });
    this.#inodes.set(ino, inode);
    dir.children.set(entry.name, inode);
    return inode;
  }

  #takePromised(dir: DirInode, name: string): Ino {
    const ino = this.promise(dir, name);
    dir.promised.delete(name);
    // The name's present inode may be held by handles: it was detached before, so its number is never taken again here.
    return this.#inodes.has(ino) ? (this.#next++ as Ino) : ino;
  }

  #detach(inode: Inode): void {
    if (inode.parent?.children.get(inode.name) === inode) inode.parent.children.delete(inode.name);
  }

  #evict(inode: Inode): void {
    if (inode.nlookup > 0 || inode === this.root || !this.#inodes.has(inode.ino)) return;
    if (inode.kind === "file" && (inode.handles > 0 || inode.sealed !== undefined || inode.dirty !== undefined)) return;
    if (inode.kind === "dir" && !inode.unlinked && (inode.children.size > 0 || inode.removed.size > 0)) return;
    const remembers = inode.mtime ?? inode.atime ?? inode.mode;
    if (remembers !== undefined && !inode.unlinked) return;
    this.#inodes.delete(inode.ino);
    if (inode.parent?.children.get(inode.name) === inode) {
      inode.parent.children.delete(inode.name);
      inode.parent.promised.set(inode.name, inode.ino);
    }
    if (inode.parent !== null && !inode.unlinked) this.#evict(inode.parent);
  }
}

interface NewDir {
  readonly library: Library | undefined;
  readonly top: string | undefined;
  readonly writable: boolean;
  readonly mtime: number;
}

function newDir(ino: Ino, parent: DirInode | null, name: string, facts: NewDir): DirInode {
  return {
    kind: "dir",
    children: new Map(),
    promised: new Map(),
    removed: new Map(),
    moving: undefined,
    library: facts.library,
    top: facts.top,
    ...common(ino, parent, name, facts.writable, facts.mtime),
  };
}

interface NewFile {
  readonly writable: boolean;
  readonly mtime: number;
  readonly version: FileVersionState | null;
}

function newFile(ino: Ino, dir: DirInode, name: string, facts: NewFile): FileInode {
  return {
    kind: "file",
    library: dir.library!,
    version: facts.version,
    baseId: facts.version?.id ?? null,
    dirty: undefined,
    sealed: undefined,
    task: undefined,
    instead: [],
    onlyTime: false,
    generation: 0,
    attempted: undefined,
    handles: 0,
    writers: 0,
    perhapsStored: false,
    // Last, because V8 takes 40 us for an object that grows by so many fields after a spread, and 2 us so.
    ...common(ino, dir, name, facts.writable, facts.mtime),
  };
}

function common(ino: Ino, parent: DirInode | null, name: string, writable: boolean, serverMtime: number) {
  return {
    ino,
    parent,
    name,
    nlookup: 0,
    unlinked: false,
    writable,
    serverMtime,
    mtime: undefined,
    atime: undefined,
    ctime: undefined,
    mode: undefined,
  };
}
