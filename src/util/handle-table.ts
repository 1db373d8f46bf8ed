/**
 * What is open, by the number that somebody else knows it by. Invariant: a number is positive, at most the table's highest and not in
 * use when it is given out; numbers grow, and begin again only after the highest. Called by vfs/filesystem.ts and by the libfuse transport.
 */
import { ErrnoError } from "./errno.ts";

export class HandleTable<T> {
  readonly #highest: number;
  readonly #handles = new Map<number, T>();
  #last = 0;

  constructor(highest = Number.MAX_SAFE_INTEGER) {
    this.#highest = highest;
  }

  add(handle: T): number {
    do this.#last = (this.#last % this.#highest) + 1;
    while (this.#handles.has(this.#last));
    this.#handles.set(this.#last, handle);
    return this.#last;
  }

  /** Throws EBADF for a number that was never given or is released. */
  get(id: number): T {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new ErrnoError("EBADF", `no open handle ${id}`);
    return handle;
  }

  /** Releases the number. Throws EBADF. */
  take(id: number): T {
    const handle = this.get(id);
    this.#handles.delete(id);
    return handle;
  }

  all(): readonly T[] {
    return [...this.#handles.values()];
  }
}
