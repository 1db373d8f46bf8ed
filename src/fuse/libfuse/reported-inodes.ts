/**
 * Which inode the kernel was last told of under a path. The kernel keeps one inode per path, and for a moment its size and its name: a
 * file that somebody else replaced since must not be opened before the kernel has looked again, or it would be read at the old size.
 * Invariants: where the kernel believes in an inode that is no more, the answer is ESTALE, on which it looks the path up again, once;
 * of the lookup counts that come with a path one is kept, so that its inode keeps its number. libfuse says nothing of what the kernel
 * forgets, so only the latest paths are kept: forgetting one costs a look-up and nothing else. Called by path-operations.ts.
 */
import { ErrnoError } from "../../util/errno.ts";
import { isBelow, type Resolved } from "./path-resolver.ts";

const MOST_PATHS = 4096;
const S_IFMT = 0o170000;

interface Reported {
  readonly resolved: Resolved;
  /** The file type bits of its mode. */
  readonly type: number;
}

const lookAgain = (path: string) => new ErrnoError("ESTALE", `The kernel has to look up ${path} again`);

export class ReportedInodes {
  readonly #inodes = new Map<string, Reported>();

  /** The kernel is told the attributes of this inode, with this mode, as those of `path`. Takes over its lookup count. */
  report(path: string, resolved: Resolved, mode: number): void {
    const known = this.#inodes.get(path)?.resolved;
    const keepsKnown = known?.ino === resolved.ino && known.held;
    // Deleted and set again: the order of the map is that of use.
    this.#inodes.delete(path);
    this.#inodes.set(path, { resolved: keepsKnown ? known : resolved, type: mode & S_IFMT });
    (keepsKnown ? resolved : known)?.release();
    if (this.#inodes.size <= MOST_PATHS) return;
    const [oldest] = this.#inodes.keys();
    this.drop(oldest!);
  }

  /** Throws ESTALE when the kernel may believe that `path` is another inode. */
  check(path: string, ino: number): void {
    if (this.#inodes.get(path)?.resolved.ino !== ino) throw lookAgain(path);
  }

  /** Throws ESTALE, once, when `path` was something else before: the kernel takes a new type for an I/O error otherwise. */
  checkType(path: string, mode: number): void {
    const known = this.#inodes.get(path);
    if (known === undefined || known.type === (mode & S_IFMT)) return;
    this.drop(path);
    throw lookAgain(path);
  }

  /** What to answer when there is nothing at `path`: ESTALE, once, when there was, so that the kernel forgets the name, too. */
  missing(path: string, error: unknown): unknown {
    if (!this.#inodes.has(path)) return error;
    this.drop(path);
    return lookAgain(path);
  }

  /** The kernel moves the names it knows at and below `from`, and forgets what it knew at `to`. */
  move(from: string, to: string): void {
    this.dropTree(to);
    for (const [path, known] of [...this.#inodes]) {
      if (path !== from && !isBelow(path, from)) continue;
      this.#inodes.delete(path);
      this.#inodes.set(to + path.slice(from.length), known);
    }
  }

  /** The path means nothing any more, or something else. */
  drop(path: string): void {
    this.#inodes.get(path)?.resolved.release();
    this.#inodes.delete(path);
  }

  /** The same for everything below a directory, too. */
  dropTree(directory: string): void {
    this.drop(directory);
    for (const path of [...this.#inodes.keys()]) if (isBelow(path, directory)) this.drop(path);
  }
}
