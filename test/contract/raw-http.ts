/**
 * One HTTP exchange as curl would do it: the address is sent as it is written, redirects are not followed, and the answer
 * comes back undecoded. Multipart bodies are put together byte by byte, so that a test can send file names that no library
 * would. Used by replay.ts and stage.ts; a new connection for every request, as the recordings were made.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { bytesOf, type Part } from "./recording.ts";

export interface RawRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export interface RawResponse {
  /** Code and reason phrase: "200 OK". */
  readonly status: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export function exchange({ method, url, headers = {}, body }: RawRequest): Promise<RawResponse> {
  const [, host, port, path] = /^http:\/\/([^/:]+):(\d+)(.*)$/.exec(url) ?? [];
  const chunked = headers["Transfer-Encoding"] === "chunked";
  const length = body === undefined || chunked ? {} : { "Content-Length": body.length };
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { host, port, path, method, headers: { ...length, ...headers }, agent: false },
      (incoming) => {
        const status = `${incoming.statusCode} ${incoming.statusMessage}`;
        if (method === "HEAD") {
          // A body may follow where none is allowed (the C file server does so): like curl, look no further.
          outgoing.destroy();
          return resolve({ status, headers: incoming.headers, body: Buffer.alloc(0) });
        }
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => resolve({ status, headers: incoming.headers, body: Buffer.concat(chunks) }));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const BOUNDARY = "------------------------d74496d66958873e";

export function multipart(parts: readonly Part[]): { contentType: string; body: Buffer } {
  const chunks = parts.flatMap((part) => {
    const filename = part.disposition ?? (part.filename === undefined ? undefined : `filename="${part.filename}"`);
    const disposition = `Content-Disposition: form-data; name="${part.name}"${filename === undefined ? "" : `; ${filename}`}`;
    const type = filename === undefined ? "" : "Content-Type: application/octet-stream\r\n";
    const head = `--${BOUNDARY}\r\n${disposition}\r\n${type}\r\n`;
    return [Buffer.from(head, part.encoding ?? "utf8"), bytesOf(part.content), Buffer.from("\r\n")];
  });
  return {
    contentType: `multipart/form-data; boundary=${BOUNDARY}`,
    body: Buffer.concat([...chunks, Buffer.from(`--${BOUNDARY}--\r\n`)]),
  };
}
