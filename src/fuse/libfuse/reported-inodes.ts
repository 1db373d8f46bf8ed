/**
 * Which inode the kernel was last told of under a path. The kernel keeps one inode per path, and for a moment its size: a file that
 * somebody else replaced since must not be opened before the kernel has looked again, or it would be read at the old size.
 * Invariants: an open whose inode was not the last one told is refused with ESTALE, on which the kernel looks the path up and opens it
 * again, once; a path that is kept holds one lookup count, so that its inode keeps its number. libfuse says nothing of what the kernel
 * forgets, so only the latest paths are kept: forgetting one costs a look-up and nothing else. Called by path-operations.ts.
 */
import { ErrnoError } from "../../util/errno.ts";
import type { Resolved } from "./path-resolver.ts";

const MOST_PATHS = 4096;

export class ReportedInodes {
  readonly #inodes = new Map<string, Resolved>();

  /** The kernel is told the attributes of this inode as those of `path`. Takes over its lookup count. */
  report(path: string, resolved: Resolved): void {
    const known = this.#inodes.get(path);
    const isSame = known?.ino === resolved.ino;
    // Deleted and set again: the order of the map is that of use.
    this.#inodes.delete(path);
    this.#inodes.set(path, isSame ? known : resolved);
    (isSame ? resolved : known)?.release();
    if (this.#inodes.size <= MOST_PATHS) return;
    const [oldest] = this.#inodes.keys();
    this.drop(oldest!);
  }

  /** Throws ESTALE when the kernel may believe that `path` is another inode. */
  check(path: string, ino: number): void {
    if (this.#inodes.get(path)?.ino !== ino) throw new ErrnoError("ESTALE", `The kernel has to look up ${path} again`);
  }

  /** The path means nothing any more, or something else. */
  drop(path: string): void {
    this.#inodes.get(path)?.release();
    this.#inodes.delete(path);
  }

  clear(): void {
    for (const path of [...this.#inodes.keys()]) this.drop(path);
  }
}
