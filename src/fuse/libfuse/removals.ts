/**
 * Removals of open files. libfuse 2 says "rename b to .fuse_hidden..." both for unlink(b) and before rename(a, b), and in the second case
 * the filesystem must see one rename, at no moment without b. Only the next call of the same thread tells the two apart.
 * Invariant: after `begin` the file is either removed, once, or replaced by the rename that follows; whoever asks for its name
 * meanwhile waits. Called by path-operations.ts. Source: libfuse 2.9 lib/fuse.c, fuse_lib_unlink() and fuse_lib_rename().
 */
import { type Deferred, deferred } from "../../util/abort.ts";
import { isBelow } from "./path-resolver.ts";

/** How long the rename of the same thread may take to arrive, in milliseconds. It needs microseconds. */
const RENAME_WITHIN_MS = 20;

interface Removal {
  readonly path: string;
  readonly hiddenPath: string;
  readonly remove: () => Promise<void>;
  readonly settled: Deferred<void>;
  timer: NodeJS.Timeout | undefined;
}

export class Removals {
  /** What its thread has not decided yet. */
  readonly #undecided = new Map<object, Removal>();
  readonly #unsettled = new Set<Removal>();

  /** `remove` must not reject. It runs soon, unless `thread` renames something to `path` next. */
  begin(thread: object, path: string, hiddenPath: string, remove: () => Promise<void>): void {
    const removal: Removal = { path, hiddenPath, remove, settled: deferred(), timer: undefined };
    this.#undecided.set(thread, removal);
    this.#unsettled.add(removal);
    // A call that has arrived already comes before the immediate, however late the timer is.
    const decide = () => setImmediate(() => this.#decide(thread, removal));
    removal.timer = setTimeout(decide, RENAME_WITHIN_MS);
  }

  /** Call first in every operation: `target` is where a rename goes, which may say that nothing is removed. */
  next(thread: object, target: string | undefined): void {
    const removal = this.#undecided.get(thread);
    if (removal === undefined) return;
    if (removal.path === target) {
      this.#undecided.delete(thread);
      this.#settle(removal);
    } else this.#decide(thread, removal);
  }

  /** Waits for the removals of this path, and with `below` for those under it. */
  async wait(path: string, below: boolean): Promise<void> {
    const concerned = [...this.#unsettled].filter(
      (removal) => removal.path === path || removal.hiddenPath === path || (below && isBelow(removal.path, path)),
    );
    await Promise.all(concerned.map((removal) => removal.settled.promise));
  }

  get pending(): boolean {
    return this.#unsettled.size > 0;
  }

  /** Runs what is undecided now, and waits for all. */
  async finish(): Promise<void> {
    for (const [thread, removal] of this.#undecided) this.#decide(thread, removal);
    await Promise.all([...this.#unsettled].map((removal) => removal.settled.promise));
  }

  #decide(thread: object, removal: Removal): void {
    if (this.#undecided.get(thread) !== removal) return;
    this.#undecided.delete(thread);
    void removal.remove().finally(() => this.#settle(removal));
  }

  #settle(removal: Removal): void {
    clearTimeout(removal.timer);
    this.#unsettled.delete(removal);
    removal.settled.resolve();
  }
}
