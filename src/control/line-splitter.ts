/**
 * Cuts a byte stream into lines, for both ends of the control socket.
 * Invariant: never holds more than `maxBytes` of an unfinished line, and a character that was cut in two arrives whole.
 */
import { ControlError } from "./protocol.ts";

const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that are complete now, without their ends. Throws ControlError "too-large"; nothing may be pushed after that. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#keep(chunk.subarray(start, end));
      lines.push(Buffer.concat(this.#pieces).toString("utf8"));
      this.#pieces = [];
      this.#length = 0;
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#length > this.#maxBytes)
      throw new ControlError("too-large", `A line is longer than ${this.#maxBytes} bytes.`);
    if (piece.length > 0) this.#pieces.push(piece);
  }
}
