/**
 * Reading what is to be stored. Invariant: exactly the announced number of bytes comes out, or a SeafileError; too few
 * bytes would leave the server waiting, too many would be cut off silently. Called by multipart.ts, object-id.ts and
 * library-chunks.ts.
 */
import { abortReason } from "../util/abort.ts";
import { SeafileError } from "./errors.ts";
import type { Content } from "./types.ts";

/** The bytes in order. Rejects with the abort reason, or kind "protocol" with the reader's own error as cause. */
export async function* chunksOf(content: Content, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  let seen = 0;
  try {
    if (content.size > 0) {
      for await (const chunk of content.open(signal)) {
        seen += chunk.length;
        if (seen > content.size) break;
        if (chunk.length > 0) yield chunk;
      }
    }
  } catch (cause) {
    if (signal?.aborted) throw abortReason(signal);
    throw new SeafileError("protocol", "The content to be stored could not be read.", { cause, unapplied: true });
  }
  if (seen !== content.size) {
    const message = `The content to be stored has not the announced ${content.size} bytes.`;
    throw new SeafileError("protocol", message, { unapplied: true });
  }
}

/** One reading of a content from its beginning. */
interface Pass {
  readonly chunks: AsyncGenerator<Uint8Array>;
  at: number;
  /** Read and not yet handed out. */
  rest: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/**
 * Reads a content range by range. A range that follows the last one read goes on where that ended; any other, and one after
 * a range that was broken off, reads from the beginning again, because that is all a content can do.
 */
export class ContentCursor {
  readonly #content: Content;
  readonly #signal: AbortSignal | undefined;
  #pass: Pass | undefined;

  constructor(content: Content, signal: AbortSignal | undefined) {
    this.#content = content;
    this.#signal = signal;
  }

  /** Bytes [start, end). Fails as chunksOf() does; with the last byte also when there are more than announced. */
  async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
    // Taken away until the range is complete: a request that broke may still hold on to its reading.
    const pass = this.#passBefore(start);
    this.#pass = undefined;
    try {
      while (pass.at < start) await take(pass, start - pass.at);
      while (pass.at < end) yield await take(pass, end - pass.at);
      if (end === this.#content.size) await pass.chunks.next();
      this.#pass = pass;
    } finally {
      if (this.#pass !== pass) await pass.chunks.return(undefined);
    }
  }

  async close(): Promise<void> {
    const pass = this.#pass;
    this.#pass = undefined;
    await pass?.chunks.return(undefined);
  }

  #passBefore(start: number): Pass {
    if (this.#pass !== undefined && this.#pass.at <= start) return this.#pass;
    void this.close();
    return { chunks: chunksOf(this.#content, this.#signal), at: 0, rest: NOTHING };
  }
}

async function take(pass: Pass, max: number): Promise<Uint8Array> {
  if (pass.rest.length === 0) {
    const { done, value } = await pass.chunks.next();
    if (done) throw new SeafileError("protocol", "The content to be stored has ended too early.", { unapplied: true });
    pass.rest = value;
  }
  const piece = pass.rest.subarray(0, max);
  pass.rest = pass.rest.subarray(piece.length);
  pass.at += piece.length;
  return piece;
}
