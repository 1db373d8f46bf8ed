/**
 * The file server's answers to uploads and updates, as the C and the Go server give them: the only place that knows how
 * their bodies, types and reason phrases differ. Called by upload.ts, chunk-upload.ts and file-server.ts.
 */
import type { Header, WireReply } from "./exchange.ts";
import { goJson, spacedJson } from "./json-text.ts";
import type { Flavour } from "./services.ts";

const ACCESS_CONTROL: readonly Header[] = [
  [
    "Access-Control-Allow-Headers",
    "x-requested-with, content-type, content-range, content-disposition, accept, origin, authorization",
  ],
  ["Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["Access-Control-Allow-Origin", "*"],
  ["Access-Control-Max-Age", "86400"],
];

const JSON_TYPE = "application/json; charset=utf-8";
/** What Go's http package makes of a body without a type. */
const GO_TEXT_TYPE = "text/plain; charset=utf-8";

export interface StoredName {
  readonly name: string;
  readonly id: string;
  readonly size: number;
}

/** An upload that ends with an error after its body was read (or, with `early`, before). */
export class UploadError extends Error {
  override readonly name = "UploadError";
  readonly status: number;
  /** The C server refuses before the body is read, without CORS headers, and closes. */
  readonly early: boolean;

  /** `text` as the server writes it, with its newline if it has one. */
  constructor(status: number, text: string, options: { early?: boolean } = {}) {
    super(text);
    this.status = status;
    this.early = options.early ?? false;
  }
}

/** libevhtp and Go have their own phrases for statuses they do not know. */
function reason(status: number, flavour: Flavour): string | undefined {
  if (status < 440 || status > 447) return undefined;
  return flavour === "c" ? "DERP" : `status code ${status}`;
}

export function uploadError(error: UploadError, flavour: Flavour): WireReply {
  const { status, message, early } = error;
  const accessControl = early ? [] : ACCESS_CONTROL;
  if (flavour === "go") {
    const reply = goText(status, message === "" || early ? message : `{"error": "${message}"}`);
    return { ...reply, headers: [...accessControl, ...reply.headers] };
  }
  const headers: Header[] = [...accessControl, ["Content-Type", JSON_TYPE]];
  const body = Buffer.from(`{"error": "${message}"}`);
  return { status, reason: reason(status, flavour), headers, body, close: early };
}

/** Go's http.Error: text/plain and a newline. */
export function goText(status: number, text: string): WireReply {
  const headers: Header[] = [
    ["Content-Type", GO_TEXT_TYPE],
    ["X-Content-Type-Options", "nosniff"],
  ];
  return { status, reason: reason(status, "go"), headers, body: Buffer.from(`${text}\n`) };
}

/** OPTIONS: what browsers ask before they upload. */
export function preflight(): WireReply {
  return { status: 200, headers: [...ACCESS_CONTROL, ["Content-Type", JSON_TYPE]], body: Buffer.alloc(0) };
}

/** A chunk that is not the last. The C server says JSON only to those who ask for it (send_success_reply_ie8_compatible). */
export function chunkAccepted(accept: string | undefined, flavour: Flavour): WireReply {
  const asJson = flavour === "go" || accept?.includes("application/json");
  return success('{"success": true}', asJson ? JSON_TYPE : "text/plain");
}

/** `asJson`: ret-json was given; `ajax`: an …-aj address, which always answers JSON. */
export function uploaded(
  files: readonly StoredName[],
  options: { asJson: boolean; ajax: boolean },
  flavour: Flavour,
): WireReply {
  const json = options.asJson || options.ajax;
  const text = json ? listJson(files, flavour) : files.map((file) => file.id).join("\t");
  return success(text, flavour === "c" ? (options.ajax ? "text/plain" : JSON_TYPE) : json ? JSON_TYPE : GO_TEXT_TYPE);
}

function listJson(files: readonly StoredName[], flavour: Flavour): string {
  return flavour === "c"
    ? spacedJson(files.map(({ name, id, size }) => ({ name, id, size })))
    : goJson(files.map(({ name, id, size }) => ({ id, name, size })));
}

/** update-api answers with the bare id, update-aj with a list of one. */
export function updated(file: StoredName, ajax: boolean, flavour: Flavour): WireReply {
  if (ajax) return uploaded([file], { asJson: true, ajax }, flavour);
  return success(file.id, flavour === "c" ? JSON_TYPE : GO_TEXT_TYPE);
}

function success(text: string, type: string): WireReply {
  return { status: 200, headers: [...ACCESS_CONTROL, ["Content-Type", type]], body: Buffer.from(text) };
}
