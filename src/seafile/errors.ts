/**
 * Everything that can go wrong with a Seafile server as one error class, and the only place where an HTTP status becomes
 * a kind. Invariant: a message is one sentence for a person and never holds a token, a password or a link.
 * Seahub and the file server use the same numbers for different things (440), so who answered is always asked for.
 */

import { type Reason, readReason } from "./error-text.ts";

export type Kind =
  | "unauthorized"
  | "forbidden"
  | "not-found"
  | "exists"
  | "conflict"
  | "invalid-name"
  | "name-too-long"
  | "quota"
  | "too-large"
  | "too-many-files"
  | "encrypted"
  | "wrong-password"
  | "read-only"
  | "throttled"
  | "busy"
  | "unreachable"
  | "timeout"
  | "server"
  | "protocol"
  | "gone"
  | "bad-credentials"
  | "otp-required"
  | "invalid";

export interface SeafileErrorOptions {
  readonly status?: number | undefined;
  readonly cause?: unknown;
  /** The same request may succeed later. */
  readonly transient?: boolean;
  /** It is certain that the server changed nothing. */
  readonly unapplied?: boolean;
  /** Milliseconds the server asks to wait (Retry-After). */
  readonly retryAfterMs?: number | undefined;
}

export class SeafileError extends Error {
  override readonly name = "SeafileError";
  readonly kind: Kind;
  readonly status?: number;
  readonly transient: boolean;
  readonly unapplied: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(kind: Kind, message: string, options: SeafileErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    if (options.status !== undefined) this.status = options.status;
    this.transient = options.transient ?? false;
    this.unapplied = options.unapplied ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Does it say that what was asked for is not there? */
export function isMissing(error: unknown): boolean {
  return error instanceof SeafileError && error.kind === "not-found";
}

const NEEDS_PASSWORD = "the library is encrypted, and the server needs its password";

/** Does it say that the server has no key of an encrypted library, or no longer has it? */
export function isLocked(error: unknown): error is SeafileError {
  return error instanceof SeafileError && error.kind === "encrypted";
}

/** Who answered: the web application or the service that moves bytes. */
export type Side = "seahub" | "file-server";

/** An answer that is not a success, with as much of its body as is needed to tell why. */
export interface FailedAnswer {
  readonly side: Side;
  /** What was attempted, as the beginning of a sentence: `Listing "/a"`. */
  readonly what: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Turns a refused request into an error of the right kind. */
export function errorFromAnswer(answer: FailedAnswer): SeafileError {
  const reason = readReason(answer.body);
  const [kind, sentence] =
    answer.side === "seahub"
      ? seahubFailure(answer.status, reason, answer.headers)
      : fileServerFailure(answer.status, reason);
  const said = reason.text === "" ? "" : ` (${reason.text})`;
  return new SeafileError(kind, `${answer.what} failed: ${sentence}${said}.`, {
    status: answer.status,
    transient: kind === "throttled" || kind === "busy" || kind === "server" || answer.status === 416,
    unapplied: answer.status < 500 || answer.status === 503,
    retryAfterMs: retryAfter(answer),
  });
}

function seahubFailure(
  status: number,
  { text, shape }: Reason,
  headers: FailedAnswer["headers"],
): [kind: Kind, sentence: string] {
  if (status >= 300 && status < 400) {
    return ["protocol", `the server redirects to ${redirectTarget(headers)}; use the address it redirects to`];
  }
  switch (status) {
    case 400:
      // seahub/api2/views.py ObtainAuthToken.
      if (headers["x-seafile-otp"] === "required") return ["otp-required", "the account needs a one-time code"];
      if (shape === "login") return ["bad-credentials", "the server does not accept the user name and password"];
      return badRequest(text);
    case 401:
      return ["unauthorized", "the server no longer accepts the token; log in again"];
    case 403:
      if (shape === "detail") return ["unauthorized", "the server asks for a login; log in again"];
      return ["forbidden", "the server does not permit it"];
    case 404:
      if (shape === "html") return ["protocol", "the server has no such address; is it a Seafile server?"];
      return ["not-found", "it does not exist on the server"];
    case 409:
      return ["busy", "the server is busy with the library"];
    case 413:
      return ["too-large", "the server refuses so many bytes at once"];
    case 429:
      return ["throttled", "the server limits the number of requests; try again later"];
    case 440:
    case 441:
      return ["encrypted", NEEDS_PASSWORD];
    case 443:
      return ["quota", "the quota of the library's owner is used up"];
    case 447:
      return ["too-many-files", "the library holds as many files as the server allows"];
    case 520:
      // Up to 6.x a used-up quota is a 520 "Above quota" (seahub/api2/views.py).
      if (/quota/i.test(text)) return ["quota", "the quota of the library's owner is used up"];
      return ["server", "the server could not do it"];
    default:
      if (status >= 500) return ["server", `the server answered ${status}`];
      return ["protocol", `the server answered ${status}`];
  }
}

function badRequest(text: string): [kind: Kind, sentence: string] {
  if (/too long/i.test(text)) return ["name-too-long", "the server refuses the name as too long"];
  if (/\b(new)?name\b.*invalid|invalid.*(file)?name/i.test(text))
    return ["invalid-name", "the server refuses the name"];
  if (/(incorrect|wrong) password/i.test(text)) return ["wrong-password", "the library has another password"];
  if (/encrypted/i.test(text)) return ["encrypted", NEEDS_PASSWORD];
  return ["invalid", "the server refuses the request"];
}

/** Statuses of the file server: server/upload-file.c, server/access-file.c, fileserver/fileop.go. */
function fileServerFailure(status: number, { text, shape }: Reason): [kind: Kind, sentence: string] {
  if (/not writable/i.test(text)) return ["read-only", "the library is read-only at present"];
  if (/repo is encrypted/i.test(text)) return ["encrypted", NEEDS_PASSWORD];
  switch (status) {
    case 400:
      if (/doesn't exist|bad repo id/i.test(text)) return ["not-found", "the folder does not exist on the server"];
      if (/same name/i.test(text)) return ["exists", "the folder holds too many files of this name"];
      return badRequest(text);
    case 401:
    case 403:
      return ["forbidden", "the file server does not accept the link"];
    case 404:
      return ["protocol", "the file server has no such address; is its address right?"];
    case 409:
      return ["busy", "the server is cleaning up the library"];
    case 413:
    case 442:
      return ["too-large", "the file is larger than the server accepts"];
    case 440:
      return ["invalid-name", "the server refuses the name"];
    case 441:
    case 444:
      return ["not-found", "it does not exist on the server"];
    case 429:
      return ["throttled", "the file server limits the number of requests; try again later"];
    case 443:
      return ["quota", "the quota of the library's owner is used up"];
    default:
      if (status >= 500) return ["server", `the file server answered ${status}`];
      return ["protocol", `the file server answered ${status}${shape === "html" ? " with a web page" : ""}`];
  }
}

/** Where a redirect leads, without query and credentials. */
function redirectTarget(headers: FailedAnswer["headers"]): string {
  const location = headers["location"];
  const text = Array.isArray(location) ? location[0] : location;
  if (text === undefined) return "nowhere";
  const api = /\/api(2|\/v2\.1)\/.*$/;
  if (!URL.canParse(text)) return JSON.stringify((text.split("?")[0] ?? "").slice(0, 200));
  const url = new URL(text);
  return `${url.origin}${url.pathname.replace(api, "")}`;
}

/** RFC 9110 §10.2.3: seconds or a date; the REST layer also says it in words. Milliseconds. */
function retryAfter({ status, headers, body }: FailedAnswer): number | undefined {
  if (status !== 429 && status !== 503 && status !== 409) return undefined;
  const header = headers["retry-after"];
  const text = (Array.isArray(header) ? header[0] : header) ?? /available in (\d+) second/.exec(body)?.[1];
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** No connection was made, so no byte of the request can have been read. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "ECONNABORTED",
  "UND_ERR_CONNECT_TIMEOUT",
]);
const TIMEOUTS = new Set([
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "ETIMEDOUT",
  "ESOCKETTIMEDOUT",
]);
const UNTRUSTED = /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH)/;

/**
 * Turns a failure below HTTP (undici's and node's `code`) into an error.
 * `incomplete` says that the body of the request was certainly not sent to its end.
 */
export function errorFromTransport(what: string, cause: unknown, incomplete: boolean): SeafileError {
  const code = codeOf(cause);
  if (UNTRUSTED.test(code)) {
    return new SeafileError("protocol", `${what} failed: the server's certificate is not trusted (${code}).`, {
      cause,
    });
  }
  if (cause instanceof Error && cause.name === "HTTPParserError") {
    return new SeafileError("protocol", `${what} failed: the server does not speak HTTP.`, { cause });
  }
  const unapplied = incomplete || NEVER_SENT.has(code);
  if (TIMEOUTS.has(code)) {
    return new SeafileError("timeout", `${what} failed: the server did not answer in time.`, {
      cause,
      transient: true,
      unapplied,
    });
  }
  const why = NEVER_SENT.has(code) ? "the server is not reachable" : "the connection to the server broke";
  return new SeafileError("unreachable", `${what} failed: ${why}${code === "" ? "" : ` (${code})`}.`, {
    cause,
    transient: code !== "UND_ERR_DESTROYED" && code !== "UND_ERR_CLOSED",
    unapplied,
  });
}

function codeOf(cause: unknown): string {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : "";
}
