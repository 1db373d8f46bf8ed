/**
 * The body of an upload, built by hand because every library escapes file names in a way that one of the two file servers
 * takes literally (WHATWG writes %22 for a quote). Invariant: exactly `length` bytes are handed out, the files among them as
 * they are, or the stream fails. Called by the endpoint functions; names.ts says which names fit.
 */
import { randomBytes } from "node:crypto";
import { chunksOf } from "./content.ts";
import { SeafileError } from "./errors.ts";
import type { RequestBody } from "./http-message.ts";
import type { Content } from "./types.ts";

export interface FilePart {
  /** Goes raw between quotes: must not hold a quote, a backslash or a control character. */
  readonly fileName: string;
  readonly size: number;
  /** Exactly `size` bytes, or a SeafileError. Read once. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** A whole content as a part; `progress` is told how much of it the connection has taken. */
export function partOf(
  fileName: string,
  content: Content,
  signal: AbortSignal | undefined,
  progress: ((bytesSent: number) => void) | undefined,
): FilePart {
  return {
    fileName,
    size: content.size,
    async *bytes() {
      let sent = 0;
      for await (const chunk of chunksOf(content, signal)) {
        yield chunk;
        sent += chunk.length;
        progress?.(sent);
      }
    },
  };
}

/** Makes the body of one POST; values of fields must be single lines. A repeated POST needs a new body. */
export function multipartBody(fields: Readonly<Record<string, string>>, files: readonly FilePart[]): RequestBody {
  const boundary = `seamount-${randomBytes(24).toString("hex")}`;
  const start = Buffer.from(
    Object.entries(fields)
      .map(([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
      .join(""),
  );
  const heads = files.map(({ fileName }) =>
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${fileName}"\r\n` +
        "Content-Type: application/octet-stream\r\n\r\n",
    ),
  );
  const end = Buffer.from(`--${boundary}--\r\n`);
  const lineBreak = Buffer.from("\r\n");
  const sizes = files.map((file, index) => heads[index]!.length + file.size + lineBreak.length);
  let complete = false;
  let failure: SeafileError | undefined;

  async function* stream(): AsyncGenerator<Uint8Array> {
    yield start;
    try {
      for (const [index, file] of files.entries()) {
        yield heads[index]!;
        yield* file.bytes();
        yield lineBreak;
      }
    } catch (error) {
      if (error instanceof SeafileError) failure = error;
      throw error;
    }
    complete = true;
    yield end;
  }

  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: start.length + sizes.reduce((sum, size) => sum + size, 0) + end.length,
    stream: stream(),
    isComplete: () => complete,
    failure: () => failure,
  };
}
