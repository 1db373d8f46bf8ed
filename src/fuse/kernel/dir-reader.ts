/**
 * Answers READDIR and READDIRPLUS. While a program looks at the names that it got, the names that it will ask for next are packed.
 * Invariants: what is packed ahead is answered only for the very offset and size, and never after a rewind; nothing is packed ahead
 * that the kernel would count as a lookup; at most one buffer per open directory is kept, until it is released. Called by dispatch.ts.
 */
import type { OpContext, Operations } from "../transport.ts";
import { DirBuffer } from "./dir-buffer.ts";
import { MAX_WRITE } from "./init.ts";

export interface DirRead {
  readonly fh: number;
  /** 0, or that of the entry before the first one wanted. */
  readonly offset: number;
  /** Bytes at most. */
  readonly size: number;
}

interface Ahead {
  readonly read: DirRead;
  packed?: Promise<DirBuffer>;
}

export class DirReader {
  readonly #operations: Operations;
  readonly #ahead = new Map<number, Ahead>();

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  /** Rejects with what the operation throws. */
  async read(ctx: OpContext, ino: number, read: DirRead, plus: boolean): Promise<Buffer> {
    const ahead = this.#ahead.get(read.fh);
    this.#ahead.delete(read.fh);
    const isMeant = !plus && ahead?.read.offset === read.offset && ahead.read.size === read.size;
    const buffer = await ((isMeant ? ahead.packed : undefined) ?? this.#pack(ctx, ino, read, plus));
    // Who was given attributes will probably want them for the next entries, too.
    if (!plus && !buffer.isEmpty) this.#packNext(ctx, ino, { ...read, offset: buffer.nextOffset });
    return buffer.bytes();
  }

  release(fh: number): void {
    this.#ahead.delete(fh);
  }

  async #pack(ctx: OpContext, ino: number, { fh, offset, size }: DirRead, plus: boolean): Promise<DirBuffer> {
    const buffer = new DirBuffer(Math.min(size, MAX_WRITE), plus, offset);
    await this.#operations.readdir(ctx, ino, fh, offset, plus, buffer);
    return buffer;
  }

  /** After the reply is on its way, so that it does not wait for this. */
  #packNext(ctx: OpContext, ino: number, read: DirRead): void {
    const ahead: Ahead = { read };
    this.#ahead.set(read.fh, ahead);
    setImmediate(() => {
      if (this.#ahead.get(read.fh) !== ahead) return;
      ahead.packed = this.#pack(ctx, ino, read, false);
      // Who asks for it is told.
      ahead.packed.catch(() => {});
    });
  }
}
