/**
 * The body of an upload, built by hand because every library escapes file names in a way that one of the two file servers
 * takes literally (WHATWG writes %22 for a quote). Invariant: exactly `length` bytes are handed out, the content among
 * them as it is, or the stream fails. Called by the endpoint functions; names.ts says which names fit.
 */
import { randomBytes } from "node:crypto";
import { SeafileError } from "./errors.ts";
import type { RequestBody } from "./http.ts";
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
      yield* exactly(content, signal);
    } catch (cause) {
      failure =
        cause instanceof SeafileError
          ? cause
          : new SeafileError("invalid", `The content to be stored as "${fileName}" could not be read.`, { cause });
      throw failure;
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

/** The content, checked against its announced size: too few bytes would hang the server, too many would be cut silently. */
async function* exactly(content: Content, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  let seen = 0;
  if (content.size > 0) {
    for await (const chunk of content.open(signal)) {
      seen += chunk.length;
      if (seen > content.size) break;
      if (chunk.length > 0) yield chunk;
    }
  }
  if (seen !== content.size) {
    throw new SeafileError("invalid", `The content to be stored has not the announced ${content.size} bytes.`);
  }
}
