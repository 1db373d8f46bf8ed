/**
 * HTTP to the two services of one Seafile server: connection pools, timeouts, limits on simultaneous requests, streaming.
 * Invariants: redirects are never followed; the token goes to Seahub's own address and nowhere else; every failure leaves
 * as a SeafileError or as the abort reason; one attempt is one request (retry.ts repeats). Called by the endpoint functions.
 */
import type { Readable } from "node:stream";
import pLimit, { type LimitFunction } from "p-limit";
import { type Dispatcher, Pool } from "undici";
import type { Logger } from "../observe/log.ts";
import { abortReason, deferred, raceAbort } from "../util/abort.ts";
import { errorFromAnswer, errorFromTransport, SeafileError, type Side } from "./errors.ts";
import type { HttpAnswer, HttpRequest, HttpStream } from "./http-message.ts";
import type { Limits } from "./limits.ts";
import type { RetryPolicy } from "./retry.ts";
import { parseServer, prefixOf } from "./server-address.ts";

/** All in milliseconds. */
export interface Timeouts {
  readonly connect: number;
  /** From the end of a request to the head of its answer. */
  readonly headers: number;
  /** The same for an upload, which the server stores before it answers. */
  readonly uploadHeaders: number;
  /** Longest silence within a body. */
  readonly body: number;
}

export const DEFAULT_TIMEOUTS: Timeouts = { connect: 5_000, headers: 20_000, uploadHeaders: 120_000, body: 20_000 };

export interface ClientOptions {
  /** Base URL of Seahub, with or without a path and a trailing slash. */
  readonly server: string;
  /** Absent or empty: nobody is logged in. */
  readonly token?: string;
  /** Replaces scheme, host and prefix of the links to the file server, e.g. "https://x/seafhttp". */
  readonly fileServer?: string;
  readonly log: Logger;
  readonly userAgent?: string;
  readonly timeouts?: Partial<Timeouts>;
  readonly retry?: Partial<RetryPolicy>;
  readonly limits?: Partial<Limits>;
  /** Simultaneous requests to each of the two services; default 8. */
  readonly maxRequests?: number;
  /** Milliseconds since 1970; default Date.now. */
  readonly clock?: () => number;
}

interface Payload {
  readonly headers: Record<string, string>;
  readonly body: Readable | string | null;
}

/** Idle connections are closed by us before a proxy does it under a request (nginx: 65-75 s, Apache announces its 5 s). */
const KEEP_ALIVE_MS = 15_000;
const MAX_ERROR_BODY = 64 * 1024;

export class HttpClient {
  readonly timeouts: Timeouts;
  readonly #base: URL;
  readonly #prefix: string;
  readonly #token: string | undefined;
  readonly #userAgent: string;
  readonly #maxRequests: number;
  readonly #clock: () => number;
  readonly #limits: Record<Side, LimitFunction>;
  readonly #pools = new Map<string, Pool>();
  readonly #closing = new AbortController();
  #skewMs = 0;
  #isOnline = true;
  #downloaded = 0;

  constructor(options: ClientOptions) {
    this.#base = parseServer(options.server);
    this.#prefix = prefixOf(this.#base);
    this.#token = options.token;
    this.#userAgent = options.userAgent ?? "seamount";
    this.#maxRequests = options.maxRequests ?? 8;
    this.#clock = options.clock ?? Date.now;
    this.timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#limits = { seahub: pLimit(this.#maxRequests), "file-server": pLimit(this.#maxRequests) };
  }

  /** Whether the server answered the last time that it was asked. */
  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** Bytes of answers from the file server since the start. */
  get downloaded(): number {
    return this.#downloaded;
  }

  /** The server's idea of now in Unix seconds, learned from its Date headers. */
  serverNow(): number {
    return Math.floor((this.#clock() + this.#skewMs) / 1000);
  }

  /** How far the server's clock is ahead of this one, in milliseconds; 0 below two seconds, which its dates cannot tell. */
  get clockSkewMs(): number {
    return this.#skewMs;
  }

  /** Makes one request and reads the whole answer. Rejects unless the status is 2xx, or a redirect where that is asked for. */
  async call(request: HttpRequest): Promise<HttpAnswer> {
    const { status, header, headers, chunks } = await this.stream(request);
    const parts: Buffer[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    return { status, header, headers, body: Buffer.concat(parts).toString("utf8") };
  }

  /** Makes one request and hands out the body as it arrives. Rejects unless the status is 2xx. */
  async stream(request: HttpRequest): Promise<HttpStream> {
    const release = await this.#slot(request);
    try {
      if (this.closing.aborted) throw abortReason(this.closing);
      const answer = await this.#send(request);
      this.#isOnline = true;
      const headers = (name: string) => [answer.headers[name] ?? []].flat();
      const header = (name: string) => headers(name)[0];
      this.#noteDate(header("date"));
      if (!isSuccess(request, answer.statusCode)) throw await refusal(request, answer);
      const count = (bytes: number) => {
        if (request.side === "file-server") this.#downloaded += bytes;
      };
      const discard = () => {
        answer.body.on("error", () => {}).destroy();
        release();
      };
      return { status: answer.statusCode, header, headers, chunks: bodyOf(request, answer, release, count), discard };
    } catch (error) {
      release();
      const failure = toFailure(request, error);
      if (failure instanceof SeafileError && (failure.kind === "unreachable" || failure.kind === "timeout"))
        this.#isOnline = false;
      throw failure;
    }
  }

  /** Aborts when the client is closed: for work that belongs to no caller. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Breaks off what is under way; nothing is requested any more. */
  async close(): Promise<void> {
    this.#closing.abort(new SeafileError("unreachable", "The connection to the server has been closed."));
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }

  /** Waits for one of the account's places at this service; the result gives it back and may be called twice. */
  async #slot(request: HttpRequest): Promise<() => void> {
    const granted = deferred<() => void>();
    let wanted = true;
    void this.#limits[request.side](() => {
      const held = deferred<void>();
      granted.resolve(() => held.resolve());
      return wanted ? held.promise : undefined;
    });
    try {
      return await raceAbort(granted.promise, request.signal);
    } catch (error) {
      wanted = false;
      void granted.promise.then((release) => release());
      throw error;
    }
  }

  #send(request: HttpRequest): Promise<Dispatcher.ResponseData> {
    const url = this.#urlOf(request);
    return this.#pool(url.origin).request({
      path: url.pathname + url.search,
      method: request.method,
      ...this.#payloadOf(request),
      headersTimeout: request.headersTimeoutMs ?? this.timeouts.headers,
      bodyTimeout: this.timeouts.body,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
  }

  #urlOf({ side, target, query }: HttpRequest): URL {
    const url = side === "seahub" ? new URL(this.#prefix + target, this.#base) : new URL(target);
    for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, value);
    return url;
  }

  #payloadOf(request: HttpRequest): Payload {
    const headers: Record<string, string> = { "user-agent": this.#userAgent, ...request.headers };
    if (request.side === "seahub" && this.#token) headers["authorization"] = `Token ${this.#token}`;
    if (request.body !== undefined) {
      headers["content-type"] = request.body.contentType;
      headers["content-length"] = String(request.body.length);
      // undici's types name Readable only; its writer takes any async iterable.
      return { headers, body: request.body.stream as Readable };
    }
    if (request.json !== undefined) {
      headers["content-type"] = "application/json";
      return { headers, body: JSON.stringify(request.json) };
    }
    if (request.form !== undefined) {
      headers["content-type"] = "application/x-www-form-urlencoded";
      return { headers, body: new URLSearchParams(request.form).toString() };
    }
    return { headers, body: null };
  }

  #pool(origin: string): Pool {
    let pool = this.#pools.get(origin);
    if (pool === undefined) {
      pool = new Pool(origin, {
        connections: this.#maxRequests,
        // The C file server answers pipelined requests with mixed-up headers.
        pipelining: 1,
        connect: { timeout: this.timeouts.connect },
        keepAliveTimeout: KEEP_ALIVE_MS,
      });
      this.#pools.set(origin, pool);
    }
    return pool;
  }

  /** Date has whole seconds, so a difference below two is no difference. */
  #noteDate(date: string | undefined): void {
    const time = date === undefined ? Number.NaN : Date.parse(date);
    if (Number.isNaN(time)) return;
    const skew = time - this.#clock();
    this.#skewMs = Math.abs(skew) < 2000 ? 0 : skew;
  }
}

function isSuccess({ redirects }: HttpRequest, status: number): boolean {
  return (status >= 200 && status < 300) || (redirects === true && status >= 300 && status < 400);
}

async function refusal(request: HttpRequest, answer: Dispatcher.ResponseData): Promise<SeafileError> {
  let body = "";
  for await (const chunk of answer.body) {
    body += (chunk as Buffer).toString("utf8");
    if (body.length > MAX_ERROR_BODY) break;
  }
  const { side, what } = request;
  return errorFromAnswer({ side, what, status: answer.statusCode, headers: answer.headers, body });
}

async function* bodyOf(
  request: HttpRequest,
  answer: Dispatcher.ResponseData,
  release: () => void,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of answer.body) {
      count((chunk as Buffer).length);
      yield chunk as Buffer;
    }
  } catch (error) {
    throw toFailure(request, error);
  } finally {
    release();
  }
}

function toFailure(request: HttpRequest, error: unknown): unknown {
  if (request.signal?.aborted) return abortReason(request.signal);
  if (error instanceof SeafileError) return error;
  return request.body?.failure() ?? errorFromTransport(request.what, error, request.body?.isComplete() === false);
}
