/**
 * The body of an upload, built by hand because every library escapes file names in a way that one of the two file servers
 * takes literally (WHATWG writes %22 for a quote). Invariant: exactly `length` bytes are handed out, the content among
 * them as it is, or the stream fails. Called by the endpoint functions; names.ts says which names fit.
 */
import { randomBytes } from "node:crypto";
import { chunksOf } from "./content.ts";
import { SeafileError } from "./errors.ts";
import type { RequestBody } from "./http-message.ts";
import type { Content } from "./types.ts";

export interface MultipartOptions {
  /** Fields in front of the file; values must be single lines. */
  readonly fields: Readonly<Record<string, string>>;
  /** Goes raw between quotes: must not hold a quote, a backslash or a control character. */
  readonly fileName: string;
  readonly content: Content;
  readonly signal?: AbortSignal | undefined;
}

/** Makes the body of one POST. A repeated POST needs a new one. */
export function multipartBody({ fields, fileName, content, signal }: MultipartOptions): RequestBody {
  const boundary = `seamount-${randomBytes(24).toString("hex")}`;
  const head = Buffer.from(
    Object.entries(fields)
      .map(([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
      .join("") +
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${fileName}"\r\n` +
      "Content-Type: application/octet-stream\r\n\r\n",
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  let complete = false;
  let failure: SeafileError | undefined;

  async function* stream(): AsyncGenerator<Uint8Array> {
    yield head;
    try {
      yield* chunksOf(content, signal);
    } catch (error) {
      if (error instanceof SeafileError) failure = error;
      throw error;
    }
    complete = true;
    yield tail;
  }

  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: head.length + content.size + tail.length,
    stream: stream(),
    isComplete: () => complete,
    failure: () => failure,
  };
}
