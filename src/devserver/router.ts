/**
 * Seahub's front: finds the view of an address, and does what Django and its REST layer do around every view: slash
 * redirect, content negotiation, authentication, throttle, method check, the common headers.
 * Invariant: a view never sees a request that was refused here. Called by index.ts for each request at the seahub origin.
 */
import { ApiError, type ApiReply, crash, crashPage, detail, notFoundPage, render, rest } from "./api-reply.ts";
import { ApiRequest, readApiBody } from "./api-request.ts";
import { authenticate } from "./auth.ts";
import { ConnectionLost, type Exchange, type Header, type WireReply } from "./exchange.ts";
import { failureReply } from "./fault-reply.ts";
import { MultipartError } from "./multipart.ts";
import type { Services } from "./services.ts";

export type Method = "GET" | "POST" | "PUT" | "DELETE";
export type View = (request: ApiRequest, services: Services) => ApiReply | Promise<ApiReply>;

export interface Route {
  /** Of the whole path; captures become the request's params. */
  readonly pattern: RegExp;
  /** Stable name for log and faults, when it depends on the request: computed from it. */
  readonly kind: string | ((request: ApiRequest) => string);
  readonly views: Partial<Record<Method, View>>;
  /**
   * Routes without token, and the throttle they count in. "page": a web page, which the REST layer has no part in: any
   * Accept will do, and no Allow is sent.
   */
  readonly anonymous?: "anon" | "none" | "page";
  /** What OPTIONS tells about the view. */
  readonly about?: { readonly name: string; readonly description: string };
}

const COMMON: readonly Header[] = [
  ["Server", "gunicorn"],
  ["Vary", "Accept-Language, Cookie"],
  ["Content-Language", "en"],
];

/** A library id in a route: lower-case hex and dashes; anything else is an unknown address. */
export const REPO = "([-0-9a-f]{36})";

/** The token of a public link in a route. */
const TOKEN = "([0-9a-f]+)";

/** `path` with REPO where it says {id} and TOKEN where it says {token}. */
export function route(path: string): RegExp {
  return new RegExp(`^${path.replaceAll("{id}", REPO).replaceAll("{token}", TOKEN)}$`);
}

export class Router {
  readonly #routes: readonly Route[];
  readonly #services: Services;

  constructor(routes: readonly Route[], services: Services) {
    this.#routes = routes;
    this.#services = services;
  }

  async handle(exchange: Exchange): Promise<void> {
    const { method, url: target = "/" } = exchange.request;
    const lineLength = `${method} ${target} HTTP/1.1`.length;
    if (lineLength > 8190) return exchange.send(lineTooLong(lineLength));
    const host = exchange.header("host");
    const url = new URL(target, host === undefined ? this.#services.seahubUrl() : `http://${host}`);
    const found = this.#find(url.pathname);
    if (found === undefined) return this.#handleUnknown(exchange, url);
    const request = await this.#read(exchange, url, found.params);
    if (request === undefined) {
      await exchange.begin("unknown");
      return exchange.send(toWire(crashPage, undefined));
    }
    const { kind } = found.route;
    const failure = await exchange.begin(typeof kind === "string" ? kind : kind(request));
    if (failure !== undefined) return exchange.send(failureReply("seahub", failure));
    const reply = await this.#answer(found.route, request);
    return exchange.send(toWire(reply, indentOf(request.header("accept"))));
  }

  #find(path: string): { route: Route; params: string[] } | undefined {
    for (const candidate of this.#routes) {
      const match = candidate.pattern.exec(path);
      if (match !== null) return { route: candidate, params: match.slice(1) };
    }
    return undefined;
  }

  async #handleUnknown(exchange: Exchange, url: URL): Promise<void> {
    const failure = await exchange.begin("unknown");
    if (failure !== undefined) return exchange.send(failureReply("seahub", failure));
    if (this.#find(`${url.pathname}/`) === undefined) return exchange.send(toWire(notFoundPage, undefined));
    const location = `${url.pathname}/${url.search}`;
    const headers: Header[] = [
      ["Transfer-Encoding", "chunked"],
      ["Content-Type", "text/html; charset=utf-8"],
      ["Location", location],
    ];
    return exchange.send({ status: 301, headers: [...COMMON, ...headers], body: Buffer.alloc(0) });
  }

  async #read(exchange: Exchange, url: URL, params: string[]): Promise<ApiRequest | undefined> {
    try {
      const body = await readApiBody(exchange.header("content-type"), exchange.body());
      return new ApiRequest({ message: exchange.request, url, params, body });
    } catch (error) {
      if (error instanceof MultipartError) return undefined;
      throw error;
    }
  }

  async #answer(found: Route, request: ApiRequest): Promise<ApiReply> {
    const allow = allowed(found);
    try {
      const reply = await this.#callView(found, request);
      return found.anonymous === "page" ? reply : { ...reply, headers: [...reply.headers, ["Allow", allow]] };
    } catch (error) {
      if (error instanceof ConnectionLost) throw error;
      if (!(error instanceof ApiError)) {
        process.emitWarning(error as Error);
        return crashPage;
      }
      const { reply } = error;
      return reply.content.type === "html" ? reply : { ...reply, headers: [...reply.headers, ["Allow", allow]] };
    }
  }

  async #callView(found: Route, request: ApiRequest): Promise<ApiReply> {
    if (found.anonymous === "page") {
      const view = request.method === "GET" || request.method === "HEAD" ? found.views.GET : found.views.POST;
      return view!(request, this.#services);
    }
    if (!acceptsJson(request.header("accept"))) throw detail(406, "Could not satisfy the request Accept header.");
    if (found.anonymous === undefined)
      request.user = authenticate(request.header("authorization"), this.#services.store);
    if (found.anonymous !== "none") this.#throttle(found.anonymous === undefined ? request.user.id : request.address);
    const method = (request.method === "HEAD" ? "GET" : request.method) as Method;
    const view = found.views[method];
    if (request.method === "OPTIONS") return describe(found);
    if (view === undefined) throw detail(405, `Method "${request.method}" not allowed.`);
    // Seafile's RPC takes C strings: a path with a NUL makes the view crash.
    if (request.query("p")?.includes("\0")) throw crash();
    return view(request, this.#services);
  }

  #throttle(key: string): void {
    const wait = this.#services.rateLimit?.check(key);
    if (wait === undefined) return;
    const message = `Request was throttled. Expected available in ${wait} second${wait === 1 ? "" : "s"}.`;
    throw detail(429, message, [["Retry-After", String(wait)]]);
  }
}

function allowed(found: Route): string {
  const methods = (["GET", "POST", "PUT", "DELETE"] as const).filter((method) => found.views[method] !== undefined);
  const head = found.views.GET === undefined ? [] : ["HEAD"];
  return [...methods, ...head, "OPTIONS"].join(", ");
}

function describe(found: Route): ApiReply {
  return rest({
    ...(found.about ?? { name: "View", description: "" }),
    renders: ["application/json"],
    parses: ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
  });
}

function acceptsJson(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === "") return true;
  return accept.split(",").some((range) => /^\s*(\*\/\*|application\/(\*|json))\s*(;|$)/i.test(range));
}

function indentOf(accept: string | undefined): number | undefined {
  const match = /application\/json\s*;\s*indent=(\d)/i.exec(accept ?? "");
  return match === null ? undefined : Number(match[1]);
}

function toWire(reply: ApiReply, indent: number | undefined): WireReply {
  const { type, text } = render(reply.content, indent);
  const own = new Set(reply.headers.map(([name]) => name));
  const common = COMMON.filter(([name]) => !own.has(name));
  const typed: Header[] = type === "" ? [] : [["Content-Type", type]];
  return {
    status: reply.status,
    reason: [440, 441, 443, 447, 520].includes(reply.status) ? "Unknown Status Code" : undefined,
    headers: [...common, ...typed, ...reply.headers],
    body: Buffer.from(text, "utf8"),
  };
}

/** gunicorn's own answer, from before Django sees the request. */
function lineTooLong(length: number): WireReply {
  const text = `<html>
  <head>
    <title>Bad Request</title>
  </head>
  <body>
    <h1><p>Bad Request</p></h1>
    Request Line is too large (${length} &gt; 8190)
  </body>
</html>
`;
  return { status: 400, headers: [["Content-Type", "text/html"]], body: Buffer.from(text), close: true };
}
