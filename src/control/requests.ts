/**
 * From one line of a client to one line of answer: checks the request, calls the mount, and turns every failure into an error
 * with a code. Invariant: answerTo() never rejects, and nothing unchecked reaches MountControl. Called by server.ts.
 */
import { isAbsolute } from "node:path";
import type { Logger } from "../observe/log.ts";
import {
  type Answer,
  ControlError,
  MAX_ANSWER_BYTES,
  MAX_WAIT_MS,
  type Method,
  type MountControl,
  type Request,
} from "./protocol.ts";

type Params = Readonly<Record<string, unknown>>;
type Handler = (control: MountControl, params: Params, signal: AbortSignal) => unknown;

const HANDLERS: Readonly<Record<Method, Handler>> = {
  status: (control) => control.status(),
  queue: (control) => control.queue(),
  locate: (control, params, signal) => control.locate(placeOf(params) ?? "/", signal),
  retry: (control, params) => (params["ids"] === undefined ? control.retry() : control.retry(idsOf(params))),
  hold: (control, params) => control.hold(idsOf(params)),
  release: (control, params) => control.release(idsOf(params)),
  discard: (control, params) => control.discard(idsOf(params)),
  export: (control, params) => control.export(idOf(params["id"]), destinationOf(params, control.status().mountpoint)),
  sync: (control, params, signal) => {
    const timeoutMs = waitOf(params, "timeoutMs");
    const deadline = timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)];
    return control.sync(placeOf(params), AbortSignal.any([signal, ...deadline]));
  },
  unlock: (control, params, signal) => control.unlock(textOf(params, "library"), textOf(params, "password"), signal),
  unmount: (control, params) => control.unmount(waitOf(params, "drainMs")),
};

/** The answer to one line, with its newline. `signal` aborts when nobody waits for it any more. */
export async function answerTo(line: string, control: MountControl, signal: AbortSignal, log: Logger): Promise<string> {
  let id: number | null = null;
  try {
    const request = parse(line);
    id = request.id;
    log.debug({ id, method: request.method }, "control request");
    const handler = Object.hasOwn(HANDLERS, request.method) ? HANDLERS[request.method as Method] : undefined;
    if (handler === undefined) throw new ControlError("unknown-method", `There is no method "${request.method}".`);
    const result = await handler(control, paramsOf(request), signal);
    return encode({ id, result: result ?? null });
  } catch (error) {
    if (error instanceof TypeError || error instanceof ReferenceError)
      log.error({ err: error }, "a control request failed");
    return encode({
      id,
      error: { message: error instanceof Error ? error.message : String(error), code: codeOf(error) },
    });
  }
}

function encode(answer: Answer): string {
  const text = JSON.stringify(answer);
  if (Buffer.byteLength(text) < MAX_ANSWER_BYTES) return `${text}\n`;
  throw new ControlError("too-large", `The answer is larger than ${MAX_ANSWER_BYTES} bytes.`);
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "failed";
}

function parse(line: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ControlError("bad-request", "The line is not JSON.");
  }
  const request = value as Partial<Request> | null;
  if (!Number.isSafeInteger(request?.id) || typeof request?.method !== "string")
    throw new ControlError("bad-request", 'A request is {"id": NUMBER, "method": NAME, "params": {...}}.');
  return request as Request;
}

function paramsOf(request: Request): Params {
  const params = request.params ?? {};
  if (typeof params !== "object" || Array.isArray(params)) throw wrong("params", "an object");
  return params as Params;
}

function idOf(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw wrong("id", "a positive whole number");
  return value as number;
}

function idsOf(params: Params): readonly number[] {
  const ids = params["ids"];
  if (!Array.isArray(ids)) throw wrong("ids", "a list of positive whole numbers");
  return ids.map(idOf);
}

/** Milliseconds that a timer can wait. */
function waitOf(params: Params, name: string): number | undefined {
  const value = params[name];
  if (value === undefined) return undefined;
  const isWait = Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_WAIT_MS;
  if (!isWait) throw wrong(name, `a number of milliseconds up to ${MAX_WAIT_MS}`);
  return value as number;
}

function textOf(params: Params, name: string): string {
  const value = params[name];
  if (typeof value !== "string" || value === "") throw wrong(name, "a text");
  return value;
}

/** A place in the mount. */
function placeOf(params: Params): string | undefined {
  const path = params["path"];
  if (path === undefined) return undefined;
  if (!isLocalPath(path)) throw wrong("path", "an absolute path");
  return path;
}

/** Where to export to: never below the mount point, where the mounting process would wait for itself. */
function destinationOf(params: Params, mountpoint: string): string {
  const path = params["path"];
  if (!isLocalPath(path)) throw wrong("path", "an absolute path");
  if (path === mountpoint || path.startsWith(`${mountpoint}/`))
    throw new ControlError("bad-request", `${path} is in the mount itself.`);
  return path;
}

/** No "..", so that a comparison of beginnings is a comparison of places. */
function isLocalPath(path: unknown): path is string {
  return typeof path === "string" && isAbsolute(path) && !path.includes("\0") && !path.split("/").includes("..");
}

const wrong = (name: string, what: string) => new ControlError("bad-request", `"${name}" must be ${what}.`);
