/**
 * Which inode the path of an open file means, for as long as it is open. libfuse knows files by path only, and the kernel one inode per
 * path: if a path changed its meaning while it is open, pages of two versions would be mixed.
 * Invariants: an entry holds one lookup count of its inode until it ends; it moves with every rename. Paths are libfuse's own:
 * a file that was removed while it is open has a `.fuse_hidden...` path here, which the filesystem never hears of.
 * Called by path-operations.ts. Source: libfuse 2.9 lib/fuse.c, hide_node().
 */
import { type Deferred, deferred, sleep } from "../../util/abort.ts";
import { ErrnoError } from "../../util/errno.ts";
import { isBelow, type Resolved, splitPath } from "./path-resolver.ts";

/** One open file of libfuse. */
export interface OpenPath {
  readonly ino: number;
  readonly path: string;
  /** How many there are, those that are being opened included. */
  readonly handles: number;
  /** libfuse was told that the file is removed; it will remove this path when the last handle is released. */
  readonly hidden: boolean;
}

interface Entry extends OpenPath {
  path: string;
  hidden: boolean;
  handles: number;
  readonly resolved: Resolved;
  readonly ended: Deferred<void>;
}

/** The kernel says that a file is released a moment after close(2) has returned: how long is waited for that, in milliseconds. */
const RELEASE_WITHIN_MS = 2000;

export class OpenPaths {
  readonly #entries = new Map<string, Entry>();

  at(path: string): OpenPath | undefined {
    return this.#entries.get(path);
  }

  /** True when a file below the directory is open, removed ones included. */
  anyBelow(directory: string): boolean {
    return [...this.#entries.keys()].some((path) => isBelow(path, directory));
  }

  /**
   * Counts one handle. Takes over `resolved` if it is kept. Throws ESTALE when the path means another inode already: somebody else
   * replaced the file while it is open here.
   */
  open(path: string, resolved: Resolved): OpenPath {
    const known = this.#entries.get(path);
    if (known === undefined) {
      const entry: Entry = { ino: resolved.ino, path, hidden: false, handles: 1, resolved, ended: deferred() };
      this.#entries.set(path, entry);
      return entry;
    }
    const isSame = known.ino === resolved.ino;
    resolved.release();
    if (!isSame) throw new ErrnoError("ESTALE", `${path} was replaced by somebody else while it is open here`);
    known.handles++;
    return known;
  }

  /** Waits for the last release of a path that is being closed, but not long. Rejects with the signal's reason when it aborts. */
  async untilClosed(path: string, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    try {
      const late = sleep(RELEASE_WITHIN_MS, AbortSignal.any([signal, done.signal]));
      await Promise.race([this.#entries.get(path)?.ended.promise, late]);
    } finally {
      done.abort();
    }
  }

  /** Uncounts one handle. A hidden path stays until drop(). */
  close(open: OpenPath): void {
    const entry = open as Entry;
    entry.handles--;
    if (entry.handles === 0 && !entry.hidden) this.#end(entry);
  }

  /** What a rename of `from` to `to` means for what is open there or below. */
  move(from: string, to: string): void {
    for (const entry of [...this.#entries.values()]) {
      if (entry.path !== from && !isBelow(entry.path, from)) continue;
      this.#entries.delete(entry.path);
      entry.path = to + entry.path.slice(from.length);
      this.#entries.set(entry.path, entry);
    }
  }

  /** libfuse's way to remove an open file is a rename within its directory to such a name. */
  isHiding(from: string, to: string): boolean {
    const there = splitPath(to);
    return (
      this.#entries.has(from) &&
      /^\.fuse_hidden[0-9a-f]{16}$/.test(there.name) &&
      splitPath(from).directory === there.directory
    );
  }

  hide(from: string, to: string): void {
    this.move(from, to);
    this.#entries.get(to)!.hidden = true;
  }

  /** Ends a hidden path. False when there is none. */
  drop(path: string): boolean {
    const entry = this.#entries.get(path);
    if (entry === undefined || !entry.hidden) return false;
    this.#end(entry);
    return true;
  }

  #end(entry: Entry): void {
    this.#entries.delete(entry.path);
    entry.resolved.release();
    entry.ended.resolve();
  }
}
