/**
 * What earlier processes promised and did not live to do: brought back as files that wait in the queue. They are shown where
 * they belong as soon as their directory is; until then (or for ever, in a library that this mount does not show) they are
 * files of a detached directory. Invariant: nothing that a journal or the spool knows is dropped silently. Called by mount.ts
 * at the start, by directory.ts when a directory is looked at, and by renames.ts when one moves.
 */
import type { Logger } from "../observe/log.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { Library } from "../seafile/library.ts";
import type { LibraryId } from "../seafile/types.ts";
import { joinPath, splitPath } from "../util/paths.ts";
import { fromSeconds } from "../util/timespec.ts";
import type { Backlog } from "../writeback/backlog.ts";
import type { Committer } from "../writeback/committer.ts";
import { recoveredName } from "../writeback/conflict.ts";
import type { DirtyFile } from "../writeback/dirty-file.ts";
import { isAtOrBelow, type Move, moved, type Pending, type PendingContent } from "../writeback/records.ts";
import { follow } from "../writeback/recovery.ts";
import type { Spool } from "../writeback/spool.ts";
import type { FileCommits } from "./file-commits.ts";
import type { FileStore } from "./file-store.ts";
import { type DirInode, pathOf } from "./inode.ts";
import type { Removals, Unmade } from "./removals.ts";
import type { Superblock } from "./superblock.ts";

export interface RecoveredParts {
  readonly superblock: Superblock;
  readonly files: FileStore;
  readonly commits: FileCommits;
  readonly removals: Removals;
  readonly backlog: Backlog;
  readonly spool: Spool;
  readonly committer: Committer;
  readonly log: Logger;
  /** Moves content that has no place any more out of the spool and says where it is. */
  readonly keep: (spoolName: string, name: string) => Promise<string>;
}

export class Recovered {
  /** Files of the spool that were taken up. */
  readonly #spoolNames = new Set<string>();
  /** Detached folders with files that are not shown yet, and names that are to be removed. */
  readonly #folders = new Map<string, { readonly library: Library; readonly path: string; dir: DirInode }>();

  /** Shows in the directory what was recovered there, and hides what is still to be removed. */
  adopt(dir: DirInode, superblock: Superblock): void {
    if (this.#folders.size === 0 || dir.library === undefined) return;
    const key = keyOf(dir.library, pathOf(dir));
    const folder = this.#folders.get(key);
    if (folder === undefined) return;
    this.#folders.delete(key);
    for (const inode of [...folder.dir.children.values()]) superblock.move(inode, dir, inode.name);
    for (const [name, task] of folder.dir.removed) {
      task.place.dir = dir;
      dir.removed.set(name, task);
    }
    folder.dir.removed.clear();
  }

  /** A directory was moved on the server: what was recovered below it belongs there. */
  moved(library: Library, from: string, to: string): void {
    for (const [key, folder] of [...this.#folders]) {
      if (!isAtOrBelow({ library: folder.library.id, path: folder.path }, library.id, from)) continue;
      this.#folders.delete(key);
      const path = moved(folder.path, from, to);
      folder.dir.top = path;
      this.#folders.set(keyOf(library, path), { ...folder, path });
    }
  }

  /** Brings back what is pending. Resolves with the places of content that belongs to no library of the account any more. */
  async revive(
    pending: Pending,
    libraryOf: (id: LibraryId) => Library | undefined,
    parts: RecoveredParts,
  ): Promise<string[]> {
    const { backlog, log, keep } = parts;
    await settleMoves(pending, libraryOf, backlog);
    const kept: string[] = [];
    const revived = new Map<number, DirtyFile>();
    for (const content of pending.contents.values()) {
      const library = libraryOf(content.library);
      this.#spoolNames.add(content.spool);
      if (library !== undefined)
        await this.#revive(content, library, { revived, isHeld: pending.held.has(content.id) }, parts);
      else {
        const place = await keep(content.spool, splitPath(content.path).name);
        backlog.done(content.id);
        kept.push(place);
        log.error(
          { path: content.path, kept: place },
          `${content.path} belongs to a library that is not there any more; it is kept in ${place}`,
        );
      }
    }
    parts.removals.resume(unmadeOf(pending, libraryOf, backlog), (library, path) => {
      return this.#dirFor(library, path, parts.superblock);
    });
    for (const { task } of parts.committer.queue()) if (pending.held.has(task.id)) parts.committer.hold(task);
    kept.push(...(await this.#tidy(pending.finished, parts)));
    return kept;
  }

  /** What else is in the spool: remains of what is over, and what no journal explains, which is kept for the user. */
  async #tidy(finished: ReadonlySet<string>, { spool, keep, log }: RecoveredParts): Promise<string[]> {
    const kept: string[] = [];
    for (const name of await spool.names()) {
      if (this.#spoolNames.has(name)) continue;
      if (finished.has(name) || (await spool.sizeOf(name)) === 0) await spool.existing(name).remove();
      else {
        const place = await keep(name, "unknown");
        kept.push(place);
        log.error({ kept: place }, `the journal does not know what a file of the spool is; it is kept in ${place}`);
      }
    }
    return kept;
  }

  async #revive(
    content: PendingContent,
    library: Library,
    { revived, isHeld }: { readonly revived: Map<number, DirtyFile>; readonly isHeld: boolean },
    parts: RecoveredParts,
  ): Promise<void> {
    const { superblock, files, commits, committer, backlog, spool, log } = parts;
    const onDisk = await spool.sizeOf(content.spool);
    if (onDisk === undefined) {
      // Its file goes before the record that it is over gets into the journal.
      backlog.done(content.id);
      log.warn({ path: content.path }, `${content.path} was removed or stored right before the mount ended`);
      return;
    }
    const size = content.sealed ? content.size : Math.max(content.size, onDisk);
    const under = content.over === undefined ? undefined : revived.get(content.over);
    // What has no base is noted by its file alone.
    const hasWritten = content.sealed || content.changed || (content.baseLimit === 0 && onDisk > 0);
    if (!hasWritten) {
      backlog
        .adopt(content, size, {})
        .release()
        .catch(() => {});
      backlog.done(content.id);
      return;
    }
    const { parent, name } = splitPath(content.path);
    const dir = this.#dirFor(library, parent, superblock);
    const inode = superblock.createFile(dir, content.sealed ? name : recoveredName(name, new Date(content.created)));
    // A copy has a name of its own; what it was begun over is where the file is.
    const at = content.basePath === pathOf(inode) ? undefined : content.basePath;
    const base = content.base === null ? undefined : files.baseOf(inode, content.base, at);
    if (content.over !== undefined) under?.retain();
    const dirty = backlog.adopt(content, size, { base, under });
    revived.set(content.id, dirty);
    inode.dirty = dirty;
    if (content.sealed) {
      inode.onlyTime = !content.changed;
      inode.baseId = content.expects;
      inode.attempted = content.attempted;
      inode.mtime = fromSeconds(content.mtime ?? Math.floor(content.created / 1000));
      await commits.adopt(inode);
      // Before the queue looks.
      if (isHeld) committer.hold(inode.task!);
      const fate = isHeld ? "is held by the user" : "is stored now";
      log.info({ path: content.path, library: library.info.name }, `${name} was accepted before and ${fate}`);
      return;
    }
    log.warn(
      { path: pathOf(inode), library: library.info.name },
      `${name} was being written when the mount ended; what is there is kept as "${inode.name}"`,
    );
    await commits.seal(inode).catch((error: unknown) => {
      // It is in the journal as it was, and is accepted when there is room at the end of the mount.
      log.error({ path: pathOf(inode), err: error }, `${inode.name} is not accepted by the local disk yet`);
    });
    commits.schedule(inode, 0);
  }

  #dirFor(library: Library, path: string, superblock: Superblock): DirInode {
    const key = keyOf(library, path);
    const known = this.#folders.get(key);
    if (known !== undefined) return known.dir;
    const dir = superblock.detachedDir(library, path);
    this.#folders.set(key, { library, path, dir });
    return dir;
  }
}

function unmadeOf(
  { contents, removals }: Pending,
  libraryOf: (id: LibraryId) => Library | undefined,
  backlog: Backlog,
): Unmade[] {
  const unmade: Unmade[] = [];
  const sealed = [...contents.values()].filter((content) => content.sealed);
  for (const [id, removal] of removals) {
    const library = libraryOf(removal.library);
    // Removing a file, and renaming it away, begins with this record. The content is still there: that had not been accepted.
    const isBegun = sealed.some((content) => content.library === removal.library && content.path === removal.path);
    backlog.adoptRemoval(id, removal);
    if (library === undefined || isBegun) backlog.done(id);
    else unmade.push({ id, library, removal });
  }
  return unmade;
}

function keyOf(library: Library, path: string): string {
  return `${library.id} ${path}`;
}

/** Asks the server about moves of unknown outcome; what belongs below a move that was made follows it. */
export async function settleMoves(
  pending: Pending,
  libraryOf: (id: LibraryId) => Library | undefined,
  backlog: Backlog,
): Promise<void> {
  for (const [id, move] of pending.moves) {
    const library = libraryOf(move.library);
    const isMade = library !== undefined && (await isMadeNow(library, move));
    for (const replaced of isMade ? follow(pending, move) : []) backlog.done(replaced);
    // Asked now only: later somebody may have made a folder with the old name again.
    backlog.moveSettled(id, isMade);
  }
}

/** Whether the server made a move whose answer nobody lived to see. Of two steps it may have made one: then the other is made now. */
async function isMadeNow(library: Library, { from, to, kind, object }: Move): Promise<boolean> {
  const entryAt = async (path: string) => {
    const { parent, name } = splitPath(path);
    try {
      const listing = await library.list(parent);
      return listing === "unchanged" ? undefined : listing.entries.find((entry) => entry.name === name);
    } catch (error) {
      if (error instanceof SeafileError && error.kind === "not-found") return undefined;
      throw error;
    }
  };
  if ((await entryAt(from)) !== undefined) return false;
  if ((await entryAt(to)) !== undefined) return true;
  const interim = joinPath(splitPath(to).parent, splitPath(from).name);
  const entry = await entryAt(interim);
  if (entry?.kind !== kind || (object !== undefined && entry.id !== object)) return false;
  const [result] = await library.apply([{ op: "move", from: interim, to, kind }]);
  return result?.ok === true;
}
