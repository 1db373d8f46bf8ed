/**
 * Reads typed arguments and NUL-terminated names, one after the other, from the bytes of one kernel request.
 * Invariant: never reads outside [start, end); what is not there is a ProtocolError, nothing else is ever thrown except
 * ErrnoError for names that are not valid UTF-8 (the kernel may send any bytes; seamount's names are text).
 * Called by request.ts only.
 */
import { isUtf8 } from "node:buffer";
import { type Code, ErrnoError } from "../../util/errno.ts";

/** The bytes of a request do not have the shape that include/uapi/linux/fuse.h gives them. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

const TWO_32 = 0x1_0000_0000;

export class Cursor {
  readonly #buffer: Buffer;
  readonly #end: number;
  #at: number;

  constructor(buffer: Buffer, start: number, end: number) {
    if (start > end || end > buffer.length) throw new ProtocolError(`no bytes ${start} to ${end} in ${buffer.length}`);
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  /** An unsigned 64-bit integer as a number: exact below 2^53, rounded above. */
  u64(): number {
    const at = this.#take(8);
    return this.#buffer.readUInt32LE(at + 4) * TWO_32 + this.#buffer.readUInt32LE(at);
  }

  /** A signed 64-bit integer as a number: exact within +-2^53, rounded outside. */
  i64(): number {
    const at = this.#take(8);
    return this.#buffer.readInt32LE(at + 4) * TWO_32 + this.#buffer.readUInt32LE(at);
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  /** The next `length` bytes, not copied: a view of the request's buffer. */
  bytes(length: number): Buffer {
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  /** A string up to its NUL. Throws ErrnoError(`invalid`) if it is not valid UTF-8. */
  text(invalid: Code): string {
    const nul = this.#buffer.indexOf(0, this.#at);
    if (nul < 0 || nul >= this.#end) throw new ProtocolError("a name without its NUL");
    const at = this.#at;
    this.#at = nul + 1;
    const text = this.#buffer.toString("utf8", at, nul);
    if (text.includes("\ufffd") && !isUtf8(this.#buffer.subarray(at, nul))) {
      throw new ErrnoError(invalid, "The name is not valid UTF-8");
    }
    return text;
  }

  /** A file name: a text that is neither empty nor contains "/". */
  name(invalid: Code): string {
    const name = this.text(invalid);
    if (name === "" || name.includes("/")) throw new ProtocolError("an empty name, or a name with a slash");
    return name;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#end) throw new ProtocolError(`ends ${at + bytes - this.#end} bytes too early`);
    this.#at = at + bytes;
    return at;
  }
}
