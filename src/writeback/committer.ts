/**
 * Pushes dirty files to the server: now (commit, for close and fsync) or later (retry, for what could not be stored).
 * Invariants: one commit per target at a time; a file whose commit failed stays pending and is tried again with growing pauses
 * until it is stored, discarded, or the mount ends; nothing counts as stored before the server said so.
 * Called by vfs/file-store.ts; drained by mount.ts at the end.
 */
import pLimit from "p-limit";
import type { Logger } from "../observe/log.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { Library } from "../seafile/library.ts";
import type { ObjectId, RemoteEntry } from "../seafile/types.ts";
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
}

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
  commit(request: CommitRequest, signal?: AbortSignal): Promise<RemoteEntry> {
    return this.#limit(() =>
      request.dirty.commit(async (content) => {
        const { library, path, mtime, base } = request;
        const [result] = await library.apply([{ op: "put", path, content, mtime, base }], signal);
        if (result?.ok && result.entry !== undefined) {
          if (result.entry.name !== splitPath(path).name) this.#sayConflict(path, result.entry.name);
          return result.entry;
        }
        if (result?.ok === false && result.error.kind === "conflict") {
          const { parent, name } = splitPath(path);
          const aside = conflictName(name, this.#options.user, new Date());
          const [copy] = await library.apply(
            [{ op: "put", path: joinPath(parent, aside), content, mtime, base: null }],
            signal,
          );
          if (copy?.ok && copy.entry !== undefined) {
            this.#sayConflict(path, copy.entry.name);
            return copy.entry;
          }
          throw failure(copy);
        }
        throw failure(result);
      }, signal),
    );
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

function failure(result: { readonly ok: boolean; readonly error?: SeafileError } | undefined): Error {
  return result?.error ?? new SeafileError("protocol", "The server accepted an upload without saying what it stored.");
}
