/**
 * Which inode the kernel was last told of under a path. The kernel keeps one inode per path, and for a moment its size: a file that
 * somebody else replaced since must not be opened before the kernel has looked again, or it would be read at the old size.
 * Invariant: an open whose inode was not the last one told is refused with ESTALE, on which the kernel looks the path up and opens it
 * again, once. Forgetting a path costs that look-up and nothing else, so few are kept. Called by path-operations.ts.
 */
import { ErrnoError } from "../../util/errno.ts";

const MOST_PATHS = 4096;

export class ReportedInodes {
  readonly #inodes = new Map<string, number>();

  /** The kernel is told the attributes of `ino` as those of `path`. */
  report(path: string, ino: number): void {
    this.#inodes.delete(path);
    this.#inodes.set(path, ino);
    if (this.#inodes.size <= MOST_PATHS) return;
    const [oldest] = this.#inodes.keys();
    this.#inodes.delete(oldest!);
  }

  /** Throws ESTALE when the kernel may believe that `path` is another inode. */
  check(path: string, ino: number): void {
    if (this.#inodes.get(path) !== ino) throw new ErrnoError("ESTALE", `The kernel has to look up ${path} again`);
  }
}
