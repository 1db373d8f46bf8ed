/**
 * The development server: Seafile's web API and file server, on two origins, over Seafile's own object model, with faults on
 * demand. It is product code (`seamount dev-server`, `seamount/devserver`) and imports nothing of the client, so that it can
 * disagree with it. What it must reproduce is written down from a real 11.0.13 server; unknown addresses answer 404.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { routes } from "./api-routes.ts";
import { CONTROL_PREFIX, controlApi } from "./control-api.ts";
import { type Conditions, ConnectionLost, Exchange } from "./exchange.ts";
import { Faults } from "./faults.ts";
import { FileServer } from "./file-server.ts";
import { DEFAULT_POLICY, type LinkPolicy } from "./link-options.ts";
import { AccessTokens } from "./links.ts";
import type { Mailer } from "./mail.ts";
import { Origin } from "./origin.ts";
import { PartialFiles } from "./partial-files.ts";
import { RateLimit } from "./rate-limit.ts";
import { RequestLog } from "./request-log.ts";
import { Router } from "./router.ts";
import type { Flavour, Services } from "./services.ts";
import { Store, type UserOptions } from "./store.ts";

export interface DevServerOptions {
  /** Folder to keep everything in; memory when absent. */
  readonly data?: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Of the web API; default 0: any free port. */
  readonly port?: number;
  /** Of the file server, an origin of its own; default 0. */
  readonly fileServerPort?: number;
  /** Which file server is imitated; default "c". */
  readonly flavour?: Flavour;
  /** Default 11; 12 honours last_modify. */
  readonly compat?: 11 | 12;
  /** Seahub's ENABLE_RESUMABLE_FILEUPLOAD, which only announces what the file server does anyway; default false. */
  readonly announcesChunks?: boolean;
  /** Milliseconds before each answer. */
  readonly latencyMs?: number;
  /** Bytes per second of each request and response body. */
  readonly bandwidth?: number;
  /** Milliseconds; the clock of links, commits and times. Default Date.now. */
  readonly now?: () => number;
  /** Milliseconds; default one hour. */
  readonly linkLifetimeMs?: number;
  /** What passwords and expiries of public links must be; seahub's defaults for what is not said. */
  readonly linkPolicy?: Partial<LinkPolicy>;
  /** Takes the mails that announce public links; without it e-mail is not configured, as seahub is delivered. */
  readonly mailer?: Mailer;
  /** Requests per user (or address) in a sliding window; without it nothing is throttled. */
  readonly throttle?: { readonly requests: number; readonly perMs: number };
  /** Default: test@example.com with password testpass123. */
  readonly users?: readonly UserOptions[];
  /** Serves /_dev/… at the web API's origin, for tests in other processes. Anyone who can connect may use it. */
  readonly controlApi?: boolean;
}

export interface DevServer {
  /** "http://127.0.0.1:PORT" */
  readonly url: string;
  readonly fileServerUrl: string;
  readonly store: Store;
  readonly faults: Faults;
  readonly requests: RequestLog;
  /** API token of a user. Throws for an unknown one. */
  token(email: string): string;
  /** Milliseconds. */
  advanceClock(ms: number): void;
  close(): Promise<void>;
}

const DEFAULT_USERS: readonly UserOptions[] = [{ email: "test@example.com", password: "testpass123" }];
const HOUR = 3_600_000;
const isControl = (url: string) => url.startsWith(CONTROL_PREFIX);

/** Starts it; rejects when it cannot listen or the data folder cannot be read. */
export async function createDevServer(options: DevServerOptions = {}): Promise<DevServer> {
  const { host = "127.0.0.1", now: clock = Date.now } = options;
  let offset = 0;
  const now = () => clock() + offset;
  const advanceClock = (ms: number) => {
    offset += ms;
  };
  const store = new Store({ data: options.data, now, users: options.users ?? DEFAULT_USERS });
  const links = new AccessTokens(now, options.linkLifetimeMs ?? HOUR);
  const partials = new PartialFiles(options.data);
  const requests = new RequestLog();
  const origins: Origin[] = [];
  const faults = new Faults({
    expireLinks: () => links.expireAll(),
    setDown: (down) => {
      for (const origin of origins) origin.setDown(down);
    },
  });
  const urlOf = (index: number) => `http://${host.includes(":") ? `[${host}]` : host}:${origins[index]!.port}`;
  const services: Services = {
    store,
    links,
    partials,
    announcesChunks: options.announcesChunks ?? false,
    now,
    flavour: options.flavour ?? "c",
    compat: options.compat ?? 11,
    tasks: new Set(),
    rateLimit: options.throttle && new RateLimit(options.throttle.requests, options.throttle.perMs, now),
    linkPolicy: { ...DEFAULT_POLICY, ...options.linkPolicy },
    mailer: options.mailer,
    seahubUrl: () => urlOf(0),
    fileServerUrl: () => urlOf(1),
  };
  const conditions = { log: requests, faults, latencyMs: options.latencyMs ?? 0, bandwidth: options.bandwidth };
  const router = new Router(routes, services);
  const fileServer = new FileServer(services);
  const control = options.controlApi ? controlApi({ faults, requests, advanceClock }) : undefined;
  const seahub = async (request: IncomingMessage, response: ServerResponse) => {
    if (control !== undefined && isControl(request.url ?? "")) return control(request, response);
    return serve(request, response, conditions, (exchange) => router.handle(exchange));
  };
  origins.push(await Origin.listen(host, options.port ?? 0, seahub, control && isControl));
  try {
    const bytes = async (request: IncomingMessage, response: ServerResponse) => {
      // The C server sends no Date; neither server announces that it keeps connections.
      response.sendDate = services.flavour === "go";
      response.removeHeader("Connection");
      return serve(request, response, conditions, (exchange) => fileServer.handle(exchange));
    };
    origins.push(await Origin.listen(host, options.fileServerPort ?? 0, bytes));
  } catch (error) {
    await origins[0]!.close();
    throw error;
  }
  return {
    url: services.seahubUrl(),
    fileServerUrl: services.fileServerUrl(),
    store,
    faults,
    requests,
    advanceClock,
    token: (email) => {
      const user = store.user(email);
      if (user === undefined) throw new Error(`The development server has no user ${email}.`);
      return user.token;
    },
    close: async () => {
      await Promise.all(origins.map((origin) => origin.close()));
      await partials.close();
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  conditions: Conditions,
  handle: (exchange: Exchange) => Promise<void>,
): Promise<void> {
  try {
    await handle(new Exchange(request, response, conditions));
  } catch (error) {
    if (error instanceof ConnectionLost || request.destroyed) return;
    throw error;
  }
}
