/**
 * A request as a seahub view sees it: query, form (request.POST, never JSON) and data (request.data, form or JSON), the user.
 * Values are Django's: of a repeated name the last one counts. Built by the router, read by the handlers.
 */
import type { IncomingMessage } from "node:http";
import { detail } from "./api-reply.ts";
import { boundaryOf, MultipartReader, readSmall } from "./multipart.ts";
import { parseLikeGo } from "./part-header.ts";
import type { UserRecord } from "./state-file.ts";

export interface ApiBody {
  readonly form: URLSearchParams;
  /** Parsed JSON; undefined when the body is none. */
  readonly json: unknown;
  /** Set when the body is JSON that does not parse or is of a type no view reads. */
  readonly problem: (() => Error) | undefined;
}

const EMPTY: ApiBody = { form: new URLSearchParams(), json: undefined, problem: undefined };

/** Reads the whole body (they are small at this origin). */
export async function readApiBody(contentType: string | undefined, body: AsyncIterable<Buffer>): Promise<ApiBody> {
  const boundary = boundaryOf(contentType);
  if (boundary !== undefined) return { ...EMPTY, form: await readForm(new MultipartReader(body, boundary)) };
  const text = (await readSmall(body, 16 * 1024 * 1024)).toString("utf8");
  if (text === "") return EMPTY;
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  if (type === "application/x-www-form-urlencoded") return { ...EMPTY, form: new URLSearchParams(text) };
  if (type !== "application/json") {
    return { ...EMPTY, problem: () => detail(415, `Unsupported media type "${contentType ?? ""}" in request.`) };
  }
  try {
    return { ...EMPTY, json: JSON.parse(text) };
  } catch (error) {
    return { ...EMPTY, problem: () => detail(400, `JSON parse error - ${(error as Error).message}`) };
  }
}

async function readForm(reader: MultipartReader): Promise<URLSearchParams> {
  const form = new URLSearchParams();
  for (let part = await reader.next(); part !== undefined; part = await reader.next()) {
    const value = await readSmall(part.body);
    const disposition = parseLikeGo(part.header);
    if (disposition !== undefined && disposition.fileName === undefined) {
      form.append(disposition.name, value.toString("utf8"));
    }
  }
  return form;
}

export interface ApiRequestParts {
  readonly message: IncomingMessage;
  readonly url: URL;
  readonly params: readonly string[];
  readonly body: ApiBody;
}

export class ApiRequest {
  readonly method: string;
  /** Captures of the route's pattern. */
  readonly params: readonly string[];
  readonly #parts: ApiRequestParts;
  #user: UserRecord | undefined;

  constructor(parts: ApiRequestParts) {
    this.#parts = parts;
    this.method = parts.message.method ?? "";
    this.params = parts.params;
  }

  /** Who sent the token; only where the route asks for one. */
  get user(): UserRecord {
    if (this.#user === undefined) throw new Error("This route has no user.");
    return this.#user;
  }

  set user(user: UserRecord) {
    this.#user = user;
  }

  /** "http://host:port" as the client addressed it. */
  get origin(): string {
    return this.#parts.url.origin;
  }

  get path(): string {
    return this.#parts.url.pathname;
  }

  get address(): string {
    return this.#parts.message.socket.remoteAddress ?? "";
  }

  header(name: string): string | undefined {
    const value = this.#parts.message.headers[name];
    return typeof value === "string" ? value : undefined;
  }

  query(name: string): string | undefined {
    return this.#parts.url.searchParams.getAll(name).at(-1);
  }

  queryAll(name: string): string[] {
    return this.#parts.url.searchParams.getAll(name);
  }

  /** request.POST.get(name, ""): "" for JSON bodies. */
  form(name: string): string {
    return this.#parts.body.form.getAll(name).at(-1) ?? "";
  }

  /** request.POST.getlist(name). */
  formAll(name: string): string[] {
    return this.#parts.body.form.getAll(name);
  }

  /** request.data.get(name) as text: form or JSON; undefined when absent or not a scalar. Throws for a bad body. */
  data(name: string): string | undefined {
    const value = this.dataValue(name);
    return typeof value === "string" ? value : typeof value === "number" ? String(value) : undefined;
  }

  dataValue(name: string): unknown {
    const { body } = this.#parts;
    if (body.problem !== undefined) throw body.problem();
    if (typeof body.json === "object" && body.json !== null) return (body.json as Record<string, unknown>)[name];
    return body.form.getAll(name).at(-1);
  }

  /** A form field for the request's kind, whatever the body is; never throws. */
  peek(name: string): string {
    const { form, json } = this.#parts.body;
    const value = typeof json === "object" && json !== null ? (json as Record<string, unknown>)[name] : form.get(name);
    return typeof value === "string" ? value.toLowerCase() : "";
  }
}
