/**
 * The commit of one file as the committer's queue sees it: what is sent, and what the answer means for the inode.
 * Invariants: what is sent is sealed content; a file counts as stored only when the server said so for its newest sealed
 * content; somebody else's version is never replaced unless the mount was told to. Made by file-commits.ts.
 */
import type { Logger } from "../observe/log.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { Library } from "../seafile/library.ts";
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
  readonly onConflict: OnConflict;
  /** Named in conflict copies. */
  readonly user: string;
  /** The inode has another name on the server. */
  readonly renamed: (inode: FileInode, dir: DirInode, name: string) => void;
  /** Nobody needs the inode's local content any more, perhaps. */
  readonly settle: (inode: FileInode) => Promise<void>;
}

/** Above this size an upload of unknown outcome is not recognised by its content: reading it all would take too long. */
const IDENTIFY_MAX = 256 * 1024 * 1024;
/** Up to this size files go together in one request. */
const SMALL = 1024 * 1024;

/** The id that the server will give the content; undefined when it is too large to read it for that, or no key is known. */
export async function identify(library: Library, content: Content): Promise<ObjectId | undefined> {
  return content.size <= IDENTIFY_MAX ? library.idOf(content) : undefined;
}

export class PutTask implements Task {
  readonly op = "put";
  readonly id: number;
  readonly inode: FileInode;
  readonly #parts: PutParts;
  /** Where the content goes instead, since somebody else changed the file. */
  #aside: string | undefined;
  #replacesTheirs = false;
  /** An earlier process may have stored this very content. */
  #mayBeStored: boolean;

  /** The content of the attempt under way; not of one that goes elsewhere. */
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
    return sealed === undefined || (sealed.size <= SMALL && !sealed.needsBase);
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
      if (this.#mayBeStored && inode.onlyTime && (await this.#isGone(signal))) {
        await this.#dropTime();
        await release();
        return undefined;
      }
      const { generation } = inode;
      const content = await dirty.content(signal);
      if (this.#mayBeStored && inode.attempted === undefined) await this.#rememberAttempt(content);
      this.#mayBeStored = false;
      if (this.#aside === undefined) this.#sent = content;
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
    if (this.#aside !== undefined) {
      return { op: "put", path: this.#aside, content, mtime, base: null } as const;
    }
    const path = pathOf(inode);
    const theirs = this.#replacesTheirs ? ((await this.library.stat(path, signal))?.id ?? null) : undefined;
    return {
      op: "put",
      path,
      content,
      mtime,
      base: theirs === undefined ? inode.baseId : theirs,
      attempted: inode.attempted,
    } as const;
  }

  async #finish(
    dirty: DirtyFile,
    generation: number,
    change: Extract<Change, { op: "put" }>,
    result: AttemptResult,
  ): Promise<"done" | "again"> {
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
    if (inode.dirty !== undefined && inode.dirty !== dirty) await inode.dirty.detach();
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
    const { directories, backlog, onConflict, user, log } = this.#parts;
    if (error instanceof SeafileError && error.kind === "conflict" && this.#aside === undefined) {
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
        const { parent, name } = splitPath(path);
        this.#aside = joinPath(parent, conflictName(name, user, new Date()));
        return "again";
      }
    }
    const isOpen = !(error instanceof SeafileError && error.unapplied);
    if (!isOpen) throw error;
    // The answer may have been lost after the server stored the file.
    if (base === null && this.#aside === undefined) inode.perhapsStored = true;
    await this.#rememberAttempt(content).catch((cause: unknown) => log.debug({ err: cause }, "unidentified upload"));
    if (inode.sealed !== undefined && inode.attempted !== undefined)
      backlog.placed(inode.sealed, pathOf(inode), inode.baseId, inode.attempted);
    throw error;
  }

  async #rememberAttempt(content: Extract<Change, { op: "put" }>["content"]): Promise<void> {
    if (this.#aside === undefined)
      this.inode.attempted = (await identify(this.library, content)) ?? this.inode.attempted;
  }

  /**
   * What is being written or closed just now is to replace what is sent: after a crash that must not look like somebody else's. Who
   * closes later asks `attempt`.
   */
  async #announce(dirty: DirtyFile): Promise<void> {
    const { inode } = this;
    const told = new Set([dirty]);
    const untold = () => [inode.sealed, inode.dirty].find((it) => it !== undefined && !told.has(it));
    for (let newer = untold(); newer !== undefined; newer = untold()) {
      const attempted = await this.attempt;
      if (attempted === undefined) return;
      told.add(newer);
      this.#parts.backlog.placed(newer, pathOf(inode), inode.baseId, attempted);
      await this.#parts.backlog.sync();
    }
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
    this.#parts.log.warn(
      { path, asked, stored },
      `${path} was changed by somebody else meanwhile; both versions are kept, yours as "${stored}"`,
    );
  }
}
