/**
 * A small HTTP server for the tests of src/seafile: each test says what it answers, and sees what arrived. Knows nothing
 * of Seafile, so that a test shows the exact bytes that a real server sent. Both services answer at one address here;
 * `hits` keeps them apart by path.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { silentLogger } from "../../src/observe/log.ts";
import { Account } from "../../src/seafile/account.ts";
import type { ClientOptions } from "../../src/seafile/http.ts";
import type { Library } from "../../src/seafile/library.ts";
import type { CommitId, Content, LibraryId, LibraryInfo, ObjectId } from "../../src/seafile/types.ts";

export interface Hit {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export type Handler = (hit: Hit, response: ServerResponse, count: number) => void;

export interface TestServer {
  readonly url: string;
  readonly hits: Hit[];
  /** "METHOD path" of every request so far. */
  readonly lines: () => string[];
  close(): Promise<void>;
}

/** `handler` gets the number of earlier requests of the same method and path. */
export async function startServer(handler: Handler): Promise<TestServer> {
  const hits: Hit[] = [];
  const counts = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "/", "http://x");
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return;
    }
    const { method = "", headers } = request;
    const hit = { method, path: url.pathname, query: url.searchParams, headers, body: Buffer.concat(parts) };
    const key = `${method} ${url.pathname}`;
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    hits.push(hit);
    handler(hit, response, count);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hits,
    lines: () => hits.map(({ method, path }) => `${method} ${path}`),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export function json(
  response: ServerResponse,
  value: unknown,
  headers: Record<string, string> = {},
  status = 200,
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
}

export const TOKEN = "f".repeat(40);
export const LIBRARY = "20befdaf-0d9c-442f-b302-eb86c32b481c" as LibraryId;
export const LINK_ID = "47fa82a1-a27d-443e-87e0-0c23eb4d1617";
export const idOf = (digit: string) => digit.repeat(40) as ObjectId;

export const INFO: LibraryInfo = {
  id: LIBRARY,
  name: "Docs",
  ownerName: "test",
  ownerEmail: "test@example.com",
  kind: "own",
  writable: true,
  encrypted: false,
  size: 6,
  mtime: 1795289577,
  head: "8".repeat(40) as CommitId,
};

/** Waits so short that a test with several attempts takes milliseconds. */
export const FAST = { deadlineMs: 5_000, firstDelayMs: 2, maxDelayMs: 10, maxServerErrors: 4, maxRetryAfterMs: 5_000 };

export function accountAt(url: string, options: Partial<ClientOptions> = {}): Account {
  return new Account({ server: url, token: TOKEN, log: silentLogger(), retry: FAST, ...options });
}

export function libraryAt(url: string, options: Partial<ClientOptions> = {}, info = INFO): [Library, Account] {
  const account = accountAt(url, options);
  return [account.library(info), account];
}

export function contentOf(bytes: string | Buffer, chunk = 1 << 16): Content & { opened: number } {
  const buffer = Buffer.from(bytes);
  const content = {
    size: buffer.length,
    opened: 0,
    async *open() {
      content.opened++;
      for (let at = 0; at < buffer.length; at += chunk) yield buffer.subarray(at, at + chunk);
    },
  };
  return content;
}

export async function bytesOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString("latin1");
}

/** The fields and the file of a multipart body, taken apart as the C file server does it: raw text between the quotes. */
export function multipartOf(hit: Hit): { fields: Record<string, string>; fileName: string; file: Buffer } {
  const boundary = /boundary=(.+)$/.exec(hit.headers["content-type"] ?? "")?.[1] ?? "";
  const text = hit.body.toString("latin1");
  const fields: Record<string, string> = {};
  let fileName = "";
  let file = Buffer.alloc(0);
  for (const part of text.split(`--${boundary}`).slice(1, -1)) {
    const split = part.indexOf("\r\n\r\n");
    const head = Buffer.from(part.slice(0, split), "latin1").toString("utf8");
    const value = Buffer.from(part.slice(split + 4, -2), "latin1");
    const name = / name="([^"]*)"/.exec(head)?.[1] ?? "";
    const named = /filename="([^\n]*)"/.exec(head)?.[1];
    if (named === undefined) fields[name] = value.toString("utf8");
    else [fileName, file] = [named, value];
  }
  return { fields, fileName, file };
}
