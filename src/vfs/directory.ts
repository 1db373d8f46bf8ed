/**
 * Directories as programs see them: the server's listing plus what exists only here, as inodes.
 * Invariants: a fresh listing answers without I/O, also that a name does not exist; a name from the server that no file name can
 * be ("/", ".", "..", empty, NUL) never becomes an inode; what the server no longer lists loses its name here.
 * Called by namespace, file-store and filesystem.
 */
import type { Listing, ListingCache } from "../cache/listing-cache.ts";
import type { Logger } from "../observe/log.ts";
import { toNfc } from "../seafile/names.ts";
import { type ObjectId, type RemoteEntry, type RemoteListing, ZERO_ID } from "../seafile/types.ts";
import { raceAbort } from "../util/abort.ts";
import { now } from "../util/timespec.ts";
import { FsError } from "./errno.ts";
import { type DirInode, type Ino, type Inode, isHeldHere, movingAbove, pathOf } from "./inode.ts";
import type { LibraryRoot } from "./library-root.ts";
import type { Recovered } from "./recovered.ts";
import type { Superblock } from "./superblock.ts";

export interface DirectoryLine {
  readonly name: string;
  readonly kind: "file" | "dir";
}

/** What a directory showed when it was listed. Numbers and inodes are made when they are asked for: most programs want names only. */
export interface DirectoryLines {
  readonly dir: DirInode;
  readonly shown: readonly DirectoryLine[];
  /** The number that the line has or will have. */
  ino(line: DirectoryLine): Ino;
  /** undefined: it is gone by now. */
  inode(line: DirectoryLine): Inode | undefined;
}

export class Directories {
  readonly #superblock: Superblock;
  readonly #listings: ListingCache;
  readonly #libraries: LibraryRoot | undefined;
  readonly #recovered: Recovered;
  readonly #log: Logger;
  readonly #warned = new Set<number>();

  constructor(
    superblock: Superblock,
    listings: ListingCache,
    libraries: LibraryRoot | undefined,
    recovered: Recovered,
    log: Logger,
  ) {
    this.#superblock = superblock;
    this.#recovered = recovered;
    this.#listings = listings;
    this.#libraries = libraries;
    this.#log = log;
  }

  /** The inode of a name in a fresh listing. undefined: find() must tell. */
  known(dir: DirInode, name: string): Inode | undefined {
    const listing = dir.unlinked ? undefined : this.#listings.fresh(dir.ino);
    return listing && this.#take(dir, listing, name);
  }

  /** The inode of a name, or undefined. At most one request, none when the listing is fresh. */
  async find(dir: DirInode, name: string, signal?: AbortSignal): Promise<Inode | undefined> {
    const listing = await this.#listing(dir, signal);
    // Programs may spell a name decomposed; the server composes every name that it stores.
    return this.#take(dir, listing, name) ?? this.#take(dir, listing, toNfc(name));
  }

  async lines(dir: DirInode, signal?: AbortSignal): Promise<DirectoryLines> {
    const listing = await this.#listing(dir, signal);
    const shown: DirectoryLine[] = [];
    for (const entry of listing.entries.values()) {
      if (isFileName(entry.name) && !dir.removed.has(entry.name)) shown.push(entry);
    }
    for (const child of dir.children.values()) {
      const { name, kind } = child;
      const isListed = listing.entries.has(name) && !dir.removed.has(name);
      if (!isListed && isHeldHere(child)) shown.push({ name, kind });
    }
    return {
      dir,
      shown,
      ino: ({ name }) => this.#superblock.promise(dir, name),
      inode: ({ name }) => this.#take(dir, listing, name),
    };
  }

  /**
   * Throws ENOTEMPTY while anything is shown in the directory. Answers with what the server had there when it was listed
   * (undefined: that is not known any more), of which everything was removed here.
   */
  async assertEmpty(dir: DirInode, signal?: AbortSignal): Promise<ObjectId | undefined> {
    const listing = await this.#listing(dir, signal);
    const isShown = [...listing.entries.keys()].some((name) => !dir.removed.has(name));
    if (isShown || [...dir.children.values()].some(isHeldHere))
      throw new FsError("ENOTEMPTY", `${dir.name} is not empty`);
    return listing.id;
  }

  /** Records a change of our own that the server has confirmed. */
  added(dir: DirInode, entry: RemoteEntry): void {
    this.#listings.patch(dir.ino, { set: entry });
    this.touch(dir);
  }

  /** A directory of our own that the server has just made: empty, without asking. */
  made(dir: DirInode): void {
    this.#listings.made(dir.ino, { id: ZERO_ID, writable: dir.writable, entries: [] });
  }

  /** Like added, for an entry whose name was there before: the directory itself did not change. */
  replaced(dir: DirInode, entry: RemoteEntry): void {
    this.#listings.patch(dir.ino, { set: entry });
  }

  removed(dir: DirInode, name: string): void {
    this.gone(dir, name);
    this.touch(dir);
  }

  /** The server does not have the name any more, which was hidden before. */
  gone(dir: DirInode, name: string): void {
    this.#listings.patch(dir.ino, { delete: name });
  }

  /** What the listing last said of the name. */
  entry(dir: DirInode, name: string): RemoteEntry | undefined {
    return this.#listings.peek(dir.ino)?.entries.get(name);
  }

  /** The server is known to have something else than the listing says. */
  expire(dir: DirInode): void {
    this.#listings.expire(dir.ino);
  }

  forget(dir: DirInode): void {
    this.#listings.drop(dir.ino);
    this.#warned.delete(dir.ino);
  }

  /** A name came or went: what a program set as the time of the directory is over. */
  touch(dir: DirInode): void {
    dir.mtime = undefined;
    dir.ctime = now();
    dir.serverMtime = dir.ctime.sec;
  }

  async #listing(dir: DirInode, signal: AbortSignal | undefined): Promise<Listing> {
    if (dir.unlinked) throw new FsError("ENOENT", `${dir.name} was removed`);
    this.#recovered.adopt(dir, this.#superblock);
    const fresh = this.#listings.fresh(dir.ino);
    if (fresh !== undefined) return fresh;
    const { listing, changed } = await this.#listings.refresh(
      dir.ino,
      (known, fetchSignal) => this.#fetch(dir, known, fetchSignal),
      signal,
    );
    if (changed) this.#reconcile(dir, listing);
    return listing;
  }

  async #fetch(dir: DirInode, known: ObjectId | undefined, signal: AbortSignal): Promise<RemoteListing | "unchanged"> {
    if (dir.library === undefined) return this.#libraries!.list(signal);
    for (;;) {
      const path = pathOf(dir);
      // A folder that is moved meanwhile leaves its old path to nothing, or to another folder: what came is not its listing.
      const isMoved = () => !dir.unlinked && pathOf(dir) !== path;
      try {
        const answer = await dir.library.list(path, known, signal);
        if (isMoved()) continue;
        if (answer !== "unchanged") this.#warnOfHidden(dir, path, answer);
        return answer;
      } catch (error) {
        // The server may have moved it already while its answer to us is still on the way.
        await raceAbort(movingAbove(dir) ?? Promise.resolve(), signal);
        if (!isMoved()) throw error;
      }
    }
  }

  #warnOfHidden(dir: DirInode, path: string, { entries }: RemoteListing): void {
    const names = new Set(entries.map((entry) => entry.name).filter(isFileName));
    if (names.size === entries.length || this.#warned.has(dir.ino)) return;
    this.#warned.add(dir.ino);
    this.#log.warn(
      { library: dir.library?.info.name, path },
      "the server lists names here that are not file names, or one name twice; those entries are not shown",
    );
  }

  #take(dir: DirInode, listing: Listing, name: string): Inode | undefined {
    const child = dir.children.get(name);
    if (child !== undefined && isHeldHere(child)) return child;
    const entry = dir.removed.has(name) ? undefined : listing.entries.get(name);
    if (entry !== undefined) {
      return this.#superblock.adopt(dir, entry, dir.library === undefined ? this.#libraries!.library(name) : undefined);
    }
    if (child !== undefined) this.#superblock.unlink(child);
    return undefined;
  }

  #reconcile(dir: DirInode, listing: Listing): void {
    for (const child of [...dir.children.values()]) {
      if (!listing.entries.has(child.name) && !isHeldHere(child)) this.#superblock.unlink(child);
    }
    for (const name of dir.promised.keys()) if (!listing.entries.has(name)) dir.promised.delete(name);
  }
}

function isFileName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !name.includes("/") && !name.includes("\0");
}
