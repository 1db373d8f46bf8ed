/** Open files and directories by the number that the kernel has of them (Fh). Numbers grow and are never reused. Called by filesystem.ts. */
import { FsError } from "./errno.ts";

export class HandleTable<T> {
  readonly #handles = new Map<number, T>();
  #next = 1;

  add(handle: T): number {
    const fh = this.#next++;
    this.#handles.set(fh, handle);
    return fh;
  }

  /** Throws EBADF for a number that was never given or is released. */
  get(fh: number): T {
    const handle = this.#handles.get(fh);
    if (handle === undefined) throw new FsError("EBADF", `no open handle ${fh}`);
    return handle;
  }

  take(fh: number): T {
    const handle = this.get(fh);
    this.#handles.delete(fh);
    return handle;
  }
}
