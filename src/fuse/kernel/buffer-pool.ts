/**
 * The buffers that requests are read into, used again and again.
 * Invariant: a buffer is with one user at a time; at most KEPT idle ones are kept. Owned by kernel-session.ts.
 */
import { REQUEST_BUFFER_SIZE } from "./init.ts";

const KEPT = 8;

export class BufferPool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(REQUEST_BUFFER_SIZE);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < KEPT) this.#free.push(buffer);
  }
}
