/**
 * The commit of one file as the committer's queue sees it: what is sent, and what the answer means for the inode.
 * Invariants: what is sent is sealed content; a file counts as stored only when the server said so for its newest sealed
 * content; somebody else's version is never replaced unless the mount was told to. Made by file-commits.ts.
 */
import type { Logger } from "../observe/log.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { Library } from "../seafile/library.ts";
import { DEFAULT_LIMITS } from "../seafile/limits.ts";
import type { Change, Content, ObjectId, RemoteEntry } from "../seafile/types.ts";
import { joinPath, splitPath } from "../util/paths.ts";
import { now } from "../util/timespec.ts";
import type { Backlog } from "../writeback/backlog.ts";
import { conflictName } from "../writeback/conflict.ts";
import type { DirtyFile } from "../writeback/dirty-file.ts";
import type { Attempt, AttemptResult, Task } from "../writeback/task.ts";
import type { Directories } from "./directory.ts";
import { type DirInode, type FileInode, pathOf } from "./inode.ts";
import type { Locks } from "./locks.ts";

/** What happens when somebody else changed the file: a copy beside it, an error until somebody decides, or theirs is replaced. */
export type OnConflict = "copy" | "fail" | "overwrite";

export interface PutParts {
  readonly backlog: Backlog;
  readonly directories: Directories;
  readonly locks: Locks;
  readonly log: Logger;
  /** Tells whoever asks for the status. */
  readonly note: (message: string) => void;
  readonly onConflict: OnConflict;
  /** Named in conflict copies. */
  readonly user: string;
  /** The inode has another name on the server. */
  readonly renamed: (inode: FileInode, dir: DirInode, name: string) => void;
  /** Nobody needs the inode's local content any more, perhaps. */
  readonly settle: (inode: FileInode) => Promise<void>;
}

/** The name that the content gets instead, since somebody else changed the file that had this name and this base. */
interface Aside {
  readonly of: string;
  readonly base: ObjectId | null;
  readonly name: string;
  /** As an inode has it, of the name. */
  attempted: ObjectId | undefined;
}

/** Where content goes, and what the server has there or may have there without our knowing. */
export interface PutPlace {
  readonly path: string;
  readonly expects: ObjectId | null;
  readonly attempted: ObjectId | undefined;
}

export function placeOf(inode: FileInode): PutPlace {
  return { path: pathOf(inode), expects: inode.baseId, attempted: inode.attempted };
}

/** Above this size an upload of unknown outcome is not recognised by its content: reading it all would take too long. */
const IDENTIFY_MAX = 256 * 1024 * 1024;
/** The id that the server will give the content; undefined when it is too large to read it for that, or no key is known. */
export async function identify(library: Library, content: Content): Promise<ObjectId | undefined> {
  return content.size <= IDENTIFY_MAX ? library.idOf(content) : undefined;
}

export class PutTask implements Task {
  readonly op = "put";
  readonly id: number;
  readonly inode: FileInode;
  readonly #parts: PutParts;
  #aside: Aside | undefined;
  #replacesTheirs = false;
  /** An earlier process may have stored this very content. */
  #mayBeStored: boolean;

  /** The content of the attempt under way. */
  #sent: Content | undefined;
  #attempt: Promise<ObjectId | undefined> | undefined;

  constructor(id: number, inode: FileInode, mayBeStored: boolean, parts: PutParts) {
    this.id = id;
    this.inode = inode;
    this.#mayBeStored = mayBeStored;
    this.#parts = parts;
  }

  get library(): Library {
    return this.inode.library;
  }

  get path(): string {
    return pathOf(this.inode);
  }

  get size(): number {
    return this.inode.sealed?.size ?? 0;
  }

  get isSmall(): boolean {
    const { sealed } = this.inode;
    return sealed === undefined || (sealed.size <= DEFAULT_LIMITS.groupedFileMax && !sealed.needsBase);
  }

  get lockOrder(): number {
    return this.inode.ino;
  }

  async begin(signal: AbortSignal): Promise<Attempt | undefined> {
    const { inode } = this;
    const unlock = await this.#parts.locks.files([inode], signal);
    const dirty = inode.sealed;
    if (dirty === undefined || inode.unlinked) {
      unlock();
      return undefined;
    }
    dirty.retain();
    const release = async () => {
      unlock();
      await dirty.release();
    };
    try {
      const isStale = this.#mayBeStored && inode.onlyTime && (await this.#isGone(signal));
      // Somebody may have written and closed meanwhile.
      if (isStale && inode.onlyTime && inode.sealed === dirty) {
        await this.#dropTime();
        await release();
        return undefined;
      }
      const { generation } = inode;
      const content = await dirty.content(signal);
      if (this.#mayBeStored && inode.attempted === undefined) await this.#rememberAttempt(content);
      this.#mayBeStored = false;
      this.#sent = content;
      await this.#announce(dirty);
      const change = await this.#change(content, signal);
      const finish = async (result: AttemptResult) => {
        try {
          return await this.#finish(dirty, generation, change, result);
        } finally {
          this.#over();
          await release();
        }
      };
      return { change, finish };
    } catch (error) {
      this.#over();
      await release();
      throw error;
    }
  }

  /** The id of what the server may have by now without our knowing, while an attempt is under way; undefined: nothing is. */
  get attempt(): Promise<ObjectId | undefined> | undefined {
    if (this.#sent === undefined) return undefined;
    this.#attempt ??= identify(this.library, this.#sent).catch((error: unknown) => {
      this.#parts.log.debug({ err: error }, "unidentified upload");
      return undefined;
    });
    return this.#attempt;
  }

  /** Where the file's content goes by the next attempt. */
  get place(): PutPlace {
    const { inode } = this;
    const copy = this.#copy;
    if (copy === undefined) return placeOf(inode);
    return { path: joinPath(pathOf(inode.parent!), copy.name), expects: null, attempted: copy.attempted };
  }

  /** Of a file that has another name or base by now nothing is known to be in the way. */
  get #copy(): Aside | undefined {
    const { name, baseId } = this.inode;
    return this.#aside?.of === name && this.#aside.base === baseId ? this.#aside : undefined;
  }

  #over(): void {
    this.#sent = undefined;
    this.#attempt = undefined;
  }

  /** Whether the version that a crash kept from getting a time, or another name, is not there any more. */
  async #isGone(signal: AbortSignal): Promise<boolean> {
    return (await this.library.stat(this.path, signal))?.id !== this.inode.baseId;
  }

  async #change(content: Extract<Change, { op: "put" }>["content"], signal: AbortSignal) {
    const { inode } = this;
    const mtime = (inode.mtime ?? now()).sec;
    const { path, expects, attempted } = this.place;
    const base = this.#replacesTheirs ? ((await this.library.stat(path, signal))?.id ?? null) : expects;
    return { op: "put", path, content, mtime, base, attempted } as const;
  }

  async #finish(
    dirty: DirtyFile,
    generation: number,
    change: Extract<Change, { op: "put" }>,
    result: AttemptResult,
  ): Promise<"done" | "again"> {
    if (!result.ok && result.isUnsent) throw result.error;
    if (!result.ok) return this.#refused(change, result.error);
    if (result.entry === undefined)
      throw new SeafileError("protocol", "The server accepted an upload without saying what it stored.");
    return this.#stored(dirty, generation, change, result.entry);
  }

  async #stored(
    dirty: DirtyFile,
    generation: number,
    change: Extract<Change, { op: "put" }>,
    entry: RemoteEntry,
  ): Promise<"done" | "again"> {
    const { inode } = this;
    const { backlog, directories } = this.#parts;
    const dir = inode.parent!;
    const { name } = inode;
    const isNew = inode.baseId === null;
    inode.version = { id: entry.id, size: entry.size };
    inode.baseId = entry.id;
    inode.serverMtime = entry.mtime;
    inode.perhapsStored = false;
    inode.attempted = undefined;
    this.#aside = undefined;
    this.#replacesTheirs = false;
    if (entry.name !== name) {
      this.#sayConflict(change.path, joinPath(splitPath(change.path).parent, name), entry.name);
      this.#parts.renamed(inode, dir, entry.name);
    }
    if (isNew || entry.name !== name) directories.added(dir, entry);
    else directories.replaced(dir, entry);
    // What goes on from here must not need this content any more.
    if (inode.dirty !== undefined && inode.dirty !== dirty) {
      await inode.dirty.detach();
      await backlog.sync();
    }
    // Not before: what was being written may have been closed meanwhile.
    const isNewest = inode.sealed === dirty;
    if (isNewest && inode.generation !== generation && inode.dirty === dirty) return "again"; // Another time was set meanwhile.
    backlog.done(dirty.id);
    for (const later of [inode.sealed, inode.dirty]) {
      if (later !== undefined && later !== dirty) backlog.placed(later, pathOf(inode), entry.id);
    }
    if (!isNewest) return "again";
    inode.sealed = undefined;
    inode.onlyTime = false;
    await dirty.release();
    await this.#parts.settle(inode);
    return "done";
  }

  async #refused({ path, content, base }: Extract<Change, { op: "put" }>, error: unknown): Promise<"done" | "again"> {
    const { inode } = this;
    const { directories, onConflict, user, log } = this.#parts;
    if (error instanceof SeafileError && error.kind === "conflict" && this.#copy === undefined) {
      if (inode.onlyTime) {
        // The time set here was that of a version which is gone.
        await this.#dropTime();
        directories.expire(inode.parent!);
        return "done";
      }
      if (onConflict === "overwrite") {
        this.#replacesTheirs = true;
        return "again";
      }
      if (onConflict === "copy") {
        const name = conflictName(splitPath(path).name, user, new Date());
        this.#aside = { of: inode.name, base: inode.baseId, name, attempted: undefined };
        return "again";
      }
    }
    const isOpen = !(error instanceof SeafileError && error.unapplied);
    if (!isOpen) throw error;
    // The answer may have been lost after the server stored the file.
    if (base === null && this.#copy === undefined) inode.perhapsStored = true;
    await this.#rememberAttempt(content).catch((cause: unknown) => log.debug({ err: cause }, "unidentified upload"));
    if (inode.sealed !== undefined) this.#noted(inode.sealed, this.place.attempted);
    throw error;
  }

  async #rememberAttempt(content: Extract<Change, { op: "put" }>["content"]): Promise<void> {
    const target = this.#copy ?? this.inode;
    target.attempted = (await identify(this.library, content)) ?? target.attempted;
  }

  /**
   * What is being written or closed just now is to replace what is sent: after a crash that must not look like somebody else's.
   * Neither must a conflict copy, which would be made again. Who closes later asks `attempt`.
   */
  async #announce(dirty: DirtyFile): Promise<void> {
    const { inode } = this;
    const isAside = this.#copy !== undefined;
    const told = new Set(isAside ? [] : [dirty]);
    const untold = () => [dirty, inode.sealed, inode.dirty].find((it) => it !== undefined && !told.has(it));
    for (let newer = untold(); newer !== undefined; newer = untold()) {
      const attempted = await this.attempt;
      if (attempted === undefined && !isAside) return;
      told.add(newer);
      this.#noted(newer, attempted);
      await this.#parts.backlog.sync();
    }
  }

  #noted(content: DirtyFile, attempted: ObjectId | undefined): void {
    const { path, expects } = this.place;
    this.#parts.backlog.placed(content, path, expects, attempted);
  }

  async #dropTime(): Promise<void> {
    const { inode } = this;
    const { sealed } = inode;
    inode.sealed = undefined;
    inode.onlyTime = false;
    if (sealed !== undefined) {
      this.#parts.backlog.done(sealed.id);
      await sealed.release();
    }
    await this.#parts.settle(inode);
  }

  #sayConflict(asked: string, path: string, stored: string): void {
    const message = `${path} was changed by somebody else meanwhile; both versions are kept, yours as "${stored}"`;
    this.#parts.log.warn({ path, asked, stored }, message);
    this.#parts.note(message);
  }
}
