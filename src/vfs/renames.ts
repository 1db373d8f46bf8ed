/**
 * rename(2). Decides what the server is asked now, and what is left to the queue.
 * Invariants: what waits in the queue follows its name, in memory and in the journal; a rename onto an existing file stores the
 * content at the target before it removes the source, so no crash leaves the target missing. Called by namespace.
 */
import { SeafileError } from "../seafile/errors.ts";
import { deferred } from "../util/abort.ts";
import { joinPath } from "../util/paths.ts";
import { now } from "../util/timespec.ts";
import type { Backlog } from "../writeback/backlog.ts";
import type { Directories } from "./directory.ts";
import { FsError } from "./errno.ts";
import type { FileCommits } from "./file-commits.ts";
import type { FileStore } from "./file-store.ts";
import {
  type DirInode,
  expectedOf,
  type FileInode,
  type Inode,
  isHeldHere,
  isOnServer,
  isWithin,
  pathOf,
  takePlace,
} from "./inode.ts";
import type { NameChanges } from "./name-changes.ts";
import type { Recovered } from "./recovered.ts";
import type { Removals } from "./removals.ts";
import type { Superblock } from "./superblock.ts";
import { assertOurs, assertWritable, storableName } from "./writable.ts";

export interface Place {
  readonly dir: DirInode;
  readonly name: string;
}

export interface RenamesParts {
  readonly superblock: Superblock;
  readonly directories: Directories;
  readonly files: FileStore;
  readonly commits: FileCommits;
  readonly removals: Removals;
  readonly recovered: Recovered;
  readonly backlog: Backlog;
}

export class Renames {
  readonly #changes: NameChanges;
  readonly #superblock: Superblock;
  readonly #directories: Directories;
  readonly #files: FileStore;
  readonly #commits: FileCommits;
  readonly #removals: Removals;
  readonly #recovered: Recovered;
  readonly #backlog: Backlog;

  constructor(changes: NameChanges, parts: RenamesParts) {
    this.#changes = changes;
    this.#superblock = parts.superblock;
    this.#directories = parts.directories;
    this.#files = parts.files;
    this.#commits = parts.commits;
    this.#removals = parts.removals;
    this.#recovered = parts.recovered;
    this.#backlog = parts.backlog;
  }

  /** rename(2) within one library; across libraries EXDEV, so that mv copies. */
  async rename(from: Place, wanted: Place, noReplace: boolean, signal?: AbortSignal): Promise<void> {
    try {
      await this.#rename(from, wanted, noReplace, signal);
    } catch (error) {
      // Somebody made the target a moment ago: with a new listing it is there to be replaced.
      if (noReplace || !(error instanceof SeafileError) || error.kind !== "exists") throw error;
      this.#directories.expire(wanted.dir);
      await this.#rename(from, wanted, noReplace, signal);
    }
  }

  async #rename(from: Place, wanted: Place, noReplace: boolean, signal: AbortSignal | undefined): Promise<void> {
    assertWritable(from.dir);
    const to = { dir: wanted.dir, name: storableName(wanted.dir, wanted.name) };
    if (from.dir.library !== to.dir.library)
      throw new FsError("EXDEV", "the directories belong to different libraries");
    const { kind } = await this.#changes.lookup(from.dir, from.name, signal);
    await this.#changes.locked(kind === "dir" ? "exclusive" : "shared", [from.dir, to.dir], signal, async () => {
      const source = await this.#changes.lookup(from.dir, from.name, signal);
      const target = await this.#directories.find(to.dir, to.name, signal);
      if (source.kind !== kind) throw new FsError("ESTALE", `${from.name} was replaced meanwhile`);
      if (source === target) return;
      if (target !== undefined && noReplace) throw new FsError("EEXIST", `${to.name} exists`);
      assertOurs(source);
      if (target !== undefined) assertOurs(target);
      if (source.kind === "dir") await this.#renameDir(source, to, target, signal);
      else if (target?.kind === "dir") throw new FsError("EISDIR", `${to.name} is a directory`);
      else await this.#renameFile(source, to, target, signal);
      source.ctime = now();
    });
  }

  async #renameDir(
    source: DirInode,
    to: Place,
    target: Inode | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (isWithin(to.dir, source)) throw new FsError("EINVAL", "a directory cannot be moved into itself");
    if (target?.kind === "file") throw new FsError("ENOTDIR", `${to.name} is not a directory`);
    if (target !== undefined) await this.#changes.removeEmpty(to.dir, target, signal);
    await this.#moveOnServer(source, to, signal);
  }

  async #renameFile(
    source: FileInode,
    to: Place,
    target: FileInode | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (target !== undefined) await this.#files.keepReadable(target, signal);
    const release = await this.#changes.lockedFiles(target === undefined ? [source] : [source, target], signal);
    try {
      const replaces = target !== undefined && isOnServer(target);
      if (!isOnServer(source)) await this.#retarget(source, to, target, signal);
      else if (!replaces) await this.#moveFile(source, to, target, signal);
      else if (source.sealed !== undefined && !this.#commits.waits)
        await this.#storeElsewhere(source, to, target, signal);
      else await this.#replace(source, to, target, signal);
    } finally {
      release();
      if (target?.unlinked) await this.#commits.drop(target);
      await this.#commits.settle(source);
    }
  }

  /** The server knows nothing of the source yet: its first commit will go to the new place, replacing what is there. */
  async #retarget(
    source: FileInode,
    to: Place,
    target: FileInode | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const before = target === undefined ? await this.#removals.takeOver(to.dir, to.name, signal) : undefined;
    // What the source itself took the place of is still to be removed where it was.
    const left = source.instead.splice(0);
    const old = { dir: source.parent!, name: source.name, baseId: source.baseId };
    source.baseId = target?.baseId ?? null;
    source.perhapsStored = target?.perhapsStored ?? false;
    source.attempted = target?.attempted;
    if (target !== undefined) source.instead.push(...target.instead.splice(0));
    takePlace(source, before);
    this.#superblock.move(source, to.dir, to.name);
    await this.#commits.placed(source);
    for (const id of left) {
      await this.#removals.remove(
        old.dir,
        old.name,
        { kind: "file", expects: old.baseId ?? undefined, inner: new Map() },
        signal,
      );
      this.#backlog.done(id);
    }
    this.#directories.touch(old.dir);
    this.#directories.touch(to.dir);
    this.#commits.schedule(source);
  }

  /** The source's newest content is not stored yet: it becomes the target's next version, and the source's name is removed. */
  async #storeElsewhere(
    source: FileInode,
    to: Place,
    target: FileInode,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const old = { dir: source.parent!, name: source.name };
    const removed = { kind: "file", expects: expectedOf(source), inner: new Map() } as const;
    // A commit reads gaps of the content through the name that they are stored under.
    await source.sealed!.content(signal);
    // In the journal first: after a crash between the two the content is still at the old name, and stands above this.
    const id = await this.#removals.announce(old.dir, old.name, removed);
    try {
      await this.#retarget(source, to, target, signal);
    } catch (error) {
      this.#backlog.done(id);
      throw error;
    }
    await this.#removals.remove(old.dir, old.name, removed, signal, id);
  }

  /**
   * Both names are on the server, which can only move to a free name: the source's content is stored as a new version of the
   * target (one commit, history kept), then the source's name is removed. A crash between leaves both.
   */
  async #replace(source: FileInode, to: Place, target: FileInode, signal: AbortSignal | undefined): Promise<void> {
    const from = { dir: source.parent!, name: source.name, path: pathOf(source) };
    const path = joinPath(pathOf(to.dir), to.name);
    const { entry, ...upload } = await this.#commits.upload(source, path, target, signal);
    this.#directories.added(to.dir, entry);
    try {
      await this.#changes.apply(from.dir, { op: "remove", path: from.path, kind: "file" }, signal);
    } catch (error) {
      // The source is still there, unchanged, and the target has its content: say so, and let both listings be read again.
      this.#superblock.adopt(to.dir, entry);
      this.#directories.expire(from.dir);
      this.#directories.expire(to.dir);
      await this.#commits.uploaded(source, upload, false);
      throw error;
    }
    await this.#commits.uploaded(source, upload, true);
    Object.assign(source, { version: { id: entry.id, size: entry.size }, baseId: entry.id, serverMtime: entry.mtime });
    Object.assign(source, { attempted: undefined, perhapsStored: false });
    if (entry.name === to.name) this.#superblock.move(source, to.dir, entry.name);
    else this.#commits.rename(source, to.dir, entry.name);
    this.#directories.removed(from.dir, from.name);
    await this.#commits.placed(source);
  }

  async #moveFile(
    source: FileInode,
    to: Place,
    target: FileInode | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await this.#moveOnServer(source, to, signal);
      await this.#commits.placed(source);
    } catch (error) {
      // Gone from the server, or never arrived there; what is here will be stored at the new place.
      if (!(error instanceof SeafileError) || error.kind !== "not-found" || !isHeldHere(source)) throw error;
      await this.#retarget(source, to, target, signal);
    }
  }

  async #moveOnServer(source: Inode, to: Place, signal: AbortSignal | undefined): Promise<void> {
    const from = { dir: source.parent!, name: source.name };
    const path = joinPath(pathOf(to.dir), to.name);
    const change = { op: "move", from: pathOf(source), to: path, kind: source.kind } as const;
    await this.#removals.flush(to.dir, to.name, signal);
    const object = source.kind === "file" && source.baseId !== null ? { object: source.baseId } : {};
    const { op: _op, ...move } = change;
    await this.#backlog.moving({ library: source.library!.id, ...move, ...object }, () =>
      whileMoving(source, async () => {
        const moved = await this.#changes.apply(from.dir, change, signal);
        if (source.kind === "dir") this.#recovered.moved(source.library!, change.from, path);
        const known = this.#directories.entry(from.dir, from.name);
        // At once: whoever waits for the move, and whatever is noted in the journal after it, needs the new path.
        this.#superblock.move(source, to.dir, to.name);
        this.#directories.removed(from.dir, from.name);
        this.#directories.added(to.dir, moved ?? { ...known!, name: to.name });
      }),
    );
  }
}

/** Lets those wait who list a directory below its old path, until it is known where it is. */
async function whileMoving<T>(inode: Inode, move: () => Promise<T>): Promise<T> {
  if (inode.kind === "file") return move();
  const { promise, resolve } = deferred<void>();
  inode.moving = promise;
  try {
    return await move();
  } finally {
    inode.moving = undefined;
    resolve();
  }
}
