/**
 * Handles as libfuse gets them: the addon cuts them to 32 bits and takes 0 for "none", so the filesystem's own numbers stay here.
 * Invariant: a number is positive, below 2^31 and not in use when it is given out. Called by path-operations.ts.
 */
import { ErrnoError } from "../../util/errno.ts";

const MOST = 2 ** 31 - 1;

export class HandleTable<T> {
  readonly #handles = new Map<number, T>();
  #last = 0;

  add(handle: T): number {
    do this.#last = (this.#last % MOST) + 1;
    while (this.#handles.has(this.#last));
    this.#handles.set(this.#last, handle);
    return this.#last;
  }

  /** Throws EBADF. */
  get(id: number): T {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new ErrnoError("EBADF", `There is no handle ${id}`);
    return handle;
  }

  all(): readonly T[] {
    return [...this.#handles.values()];
  }

  take(id: number): T {
    const handle = this.get(id);
    this.#handles.delete(id);
    return handle;
  }
}
