/**
 * multipart/form-data as a stream (RFC 7578, RFC 2046 5.1.1): one part after the other, bodies in pieces, never a whole file
 * in memory. What a part's header means is left to the caller, because the C and the Go file server disagree about it.
 * Called by the uploads and by the form parser of the web API.
 */

/** The body is cut short or is not multipart at all. */
export class MultipartError extends Error {
  override readonly name = "MultipartError";
}

export interface Part {
  /** Raw header lines without the final CRLF. */
  readonly header: Buffer;
  /** May be read once, and only before the next part is asked for. */
  readonly body: AsyncGenerator<Buffer>;
}

const HEADER_LIMIT = 64 * 1024;

/** The boundary of a Content-Type header; undefined when it is not multipart/form-data. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const match = /^multipart\/form-data\s*;.*?boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType ?? "");
  return match?.[1] ?? match?.[2];
}

export class MultipartReader {
  readonly #source: AsyncIterator<Buffer>;
  readonly #delimiter: Buffer;
  #buffer: Buffer = Buffer.from("\r\n");
  #ended = false;
  #body: AsyncGenerator<Buffer> | undefined;

  constructor(source: AsyncIterable<Buffer>, boundary: string) {
    this.#source = source[Symbol.asyncIterator]();
    this.#delimiter = Buffer.from(`\r\n--${boundary}`);
  }

  /** The next part; undefined after the last. Throws MultipartError. */
  async next(): Promise<Part | undefined> {
    if (this.#body === undefined) await this.#expectFirstDelimiter();
    else for await (const _ of this.#body);
    if (this.#ended) {
      await this.#skipEpilogue();
      return undefined;
    }
    const header = await this.#header();
    this.#body = this.#read();
    return { header, body: this.#body };
  }

  async #expectFirstDelimiter(): Promise<void> {
    while (this.#buffer.length < this.#delimiter.length + 2) await this.#more();
    if (!this.#buffer.subarray(0, this.#delimiter.length).equals(this.#delimiter)) {
      throw new MultipartError("The body does not begin with its boundary.");
    }
    this.#buffer = this.#buffer.subarray(this.#delimiter.length);
    this.#ended = this.#buffer.subarray(0, 2).equals(Buffer.from("--"));
  }

  /** The buffer begins with the CRLF that ends the delimiter's line. */
  async #header(): Promise<Buffer> {
    for (;;) {
      const end = this.#buffer.indexOf("\r\n\r\n");
      if (end >= 0) {
        const header = this.#buffer.subarray(2, Math.max(2, end));
        this.#buffer = this.#buffer.subarray(end + 4);
        return header;
      }
      if (this.#buffer.length > HEADER_LIMIT) throw new MultipartError("The header of a part is too long.");
      await this.#more();
    }
  }

  async *#read(): AsyncGenerator<Buffer> {
    for (;;) {
      const at = this.#buffer.indexOf(this.#delimiter);
      if (at < 0) {
        const safe = this.#buffer.length - this.#delimiter.length + 1;
        if (safe > 0) yield this.#take(safe);
        await this.#more();
        continue;
      }
      const after = at + this.#delimiter.length;
      while (this.#buffer.length < after + 2) await this.#more();
      const tail = this.#buffer.subarray(after, after + 2).toString("latin1");
      if (tail !== "--" && tail !== "\r\n") {
        // Data that looks like the delimiter but goes on.
        yield this.#take(after);
        continue;
      }
      if (at > 0) yield this.#take(at);
      this.#buffer = this.#buffer.subarray(this.#delimiter.length);
      this.#ended = tail === "--";
      return;
    }
  }

  /** A request that is not read to its end keeps the next one on the same connection from being answered. */
  async #skipEpilogue(): Promise<void> {
    while (!(await this.#source.next()).done);
  }

  #take(length: number): Buffer {
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#source.next();
    if (done) throw new MultipartError("The body ends before its last boundary.");
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value]);
  }
}

/** Reads a small part as a whole; what exceeds `limit` bytes is an error. */
export async function readSmall(body: AsyncIterable<Buffer>, limit = 1024 * 1024): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw new MultipartError("A form field is too long.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
