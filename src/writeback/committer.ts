/**
 * Pushes dirty files to the server: now (commit, for close and fsync) or later (retry, for what could not be stored).
 * Invariants: one commit per target at a time; a file whose commit failed stays pending and is tried again with growing pauses
 * until it is stored, discarded, or the mount ends; nothing counts as stored before the server said so.
 * Called by vfs/file-commits.ts.
 */
import pLimit from "p-limit";
import type { Logger } from "../observe/log.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { Library } from "../seafile/library.ts";
import { fileIdOf } from "../seafile/object-id.ts";
import type { Change, Content, ObjectId, RemoteEntry } from "../seafile/types.ts";
import { deferred, raceAbort } from "../util/abort.ts";
import { joinPath, splitPath } from "../util/paths.ts";
import { conflictName } from "./conflict.ts";
import type { DirtyFile } from "./dirty-file.ts";

/** What the committer needs to know of a file at the moment of its commit. */
export interface CommitRequest {
  readonly library: Library;
  readonly path: string;
  readonly dirty: DirtyFile;
  /** Whole seconds, as the server keeps them. */
  readonly mtime: number;
  /** The version expected at the path; null: no such name. */
  readonly base: ObjectId | null;
  /** The content of an earlier upload to the path whose outcome is not known: it may be replaced like the base. */
  readonly attempted: ObjectId | undefined;
  /** Store a copy when somebody else changed the file; otherwise the commit rejects with kind "conflict". */
  readonly keepBoth: boolean;
  /** Told the id of the content when this upload's own outcome is not known. */
  readonly uncertain: (id: ObjectId) => void;
}

/** Above this size an upload of unknown outcome is not recognised by its content: reading it all would take too long. */
const IDENTIFY_MAX = 256 * 1024 * 1024;

export interface CommitterOptions {
  readonly log: Logger;
  /** Named in conflict copies. */
  readonly user: string;
  readonly parallel: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

interface Retry {
  readonly timer: NodeJS.Timeout;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #retries = new Map<number, Retry>();
  #stopped = false;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#limit = pLimit(options.parallel);
  }

  /**
   * Stores the file and says how the server has it. When somebody else changed it meanwhile both versions stay: ours under a
   * conflict name, which is then the name of the returned entry. Rejects with SeafileError or an error of the local disk.
   */
  async commit(request: CommitRequest, signal?: AbortSignal): Promise<RemoteEntry> {
    const giveBack = await this.#slot(signal);
    try {
      return await request.dirty.commit((content) => this.#store(request, content, signal), signal);
    } finally {
      giveBack();
    }
  }

  async #store(request: CommitRequest, content: Content, signal: AbortSignal | undefined): Promise<RemoteEntry> {
    const { library, path, mtime, base, attempted } = request;
    const { parent, name } = splitPath(path);
    try {
      const entry = await put(library, { path, content, mtime, base, attempted }, signal);
      if (entry.name !== name) this.#sayConflict(path, entry.name);
      return entry;
    } catch (error) {
      if (request.keepBoth && error instanceof SeafileError && error.kind === "conflict") {
        const aside = joinPath(parent, conflictName(name, this.#options.user, new Date()));
        const copy = await put(library, { path: aside, content, mtime, base: null, attempted: undefined }, signal);
        this.#sayConflict(path, copy.name);
        return copy;
      }
      const isOpen = !(error instanceof SeafileError && error.unapplied);
      if (isOpen && content.size <= IDENTIFY_MAX) request.uncertain(await fileIdOf(content));
      throw error;
    }
  }

  /** One of the places for uploads; waiting for it can be given up. Resolves with the function that gives it back. */
  async #slot(signal: AbortSignal | undefined): Promise<() => void> {
    const granted = deferred<void>();
    const done = deferred<void>();
    void this.#limit(async () => {
      granted.resolve();
      await done.promise;
    });
    try {
      await raceAbort(granted.promise, signal);
    } catch (error) {
      done.resolve();
      throw error;
    }
    return done.resolve;
  }

  /** Tries `work` again after a pause, and again, until it resolves. `key` is the inode; one retry per key. */
  retry(key: number, work: () => Promise<void>, attempt = 0): void {
    if (this.#stopped || this.#retries.has(key)) return;
    const pause = Math.min(this.#options.retryMaxMs, this.#options.retryFirstMs * 2 ** attempt);
    const timer = setTimeout(() => {
      this.#retries.delete(key);
      work().catch(() => this.retry(key, work, attempt + 1));
    }, pause);
    timer.unref();
    this.#retries.set(key, { timer });
  }

  /** The file was stored, removed or discarded: no retry is needed any more. */
  settled(key: number): void {
    const retry = this.#retries.get(key);
    if (retry !== undefined) clearTimeout(retry.timer);
    this.#retries.delete(key);
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** No retries from here on; what is still pending is the caller's to drain. */
  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
  }

  #sayConflict(path: string, stored: string): void {
    this.#options.log.warn(
      { path, stored },
      `${path} was changed by somebody else meanwhile; both versions are kept, yours as "${stored}"`,
    );
  }
}

async function put(
  library: Library,
  change: Omit<Extract<Change, { op: "put" }>, "op">,
  signal: AbortSignal | undefined,
): Promise<RemoteEntry> {
  const [result] = await library.apply([{ op: "put", ...change }], signal);
  if (result?.ok && result.entry !== undefined) return result.entry;
  if (result?.ok === false) throw result.error;
  throw new SeafileError("protocol", "The server accepted an upload without saying what it stored.");
}
