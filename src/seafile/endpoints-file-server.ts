/**
 * The requests to the file server: a ranged download, an upload and an update, as server/access-file.c, server/upload-file.c and
 * fileserver/fileop.go take them. One request each; no retries, no decisions. Links are secrets and stay out of messages.
 * Called by reader.ts and the library-put*.ts files.
 */
import { SeafileError } from "./errors.ts";
import type { HttpClient } from "./http.ts";
import type { HttpStream } from "./http-message.ts";
import { multipartBody, partOf } from "./multipart.ts";
import { isNumbered, nameOf } from "./names.ts";
import { parse, parseObjectId, uploaded } from "./schema.ts";
import type { Content, FileVersion, ObjectId } from "./types.ts";

/** GET {files}: bytes [start, end), or everything without a Range when `range` is undefined. No conditional headers: any answers 304. */
export function getContent(
  http: HttpClient,
  link: string,
  version: FileVersion,
  range: { readonly start: number; readonly end: number } | undefined,
  signal?: AbortSignal,
): Promise<HttpStream> {
  return http.stream({
    side: "file-server",
    what: `Reading ${JSON.stringify(version.path)}`,
    method: "GET",
    target: link,
    ...(range === undefined ? {} : { headers: { range: `bytes=${range.start}-${range.end - 1}` } }),
    signal,
  });
}

export interface UploadFile {
  readonly name: string;
  readonly content: Content;
  /** Told how many bytes of the content the connection has taken. */
  readonly progress?: ((bytesSent: number) => void) | undefined;
}

export interface Upload {
  /** What the link is for: the root of the library unless said. */
  readonly top?: string;
  /** Folder below that without leading slash, "" for itself; made when missing. */
  readonly folder: string;
  /** At least one; each name once. */
  readonly files: readonly UploadFile[];
  readonly replace: boolean;
  /** Unix seconds; honoured from server 12 on. */
  readonly mtime: number;
}

export interface Uploaded {
  /** The name under which it was stored: without `replace` it may be "x (1)". */
  readonly name: string;
  readonly id: ObjectId;
  readonly size: number;
  /** The server's clock when it answered, Unix seconds. */
  readonly now: number;
}

/** RFC 3339 has the years 0001 to 9999 and here no fractions: what lies outside is moved to the nearest end. */
function rfc3339(seconds: number): string {
  const clamped = Math.min(253_402_300_799, Math.max(-62_135_596_800, Math.floor(seconds)));
  return new Date(clamped * 1000).toISOString().replace(".000Z", "+00:00");
}

/** The fields of an upload. */
export function fieldsOf({ top = "/", folder, replace, mtime }: Omit<Upload, "files">): Record<string, string> {
  return {
    parent_dir: top,
    ...(folder === "" ? {} : { relative_path: folder }),
    // Only the form field counts on the C server, only 0 and 1 are taken by the Go one.
    replace: replace ? "1" : "0",
    last_modify: rfc3339(mtime),
  };
}

/** Bytes per second that a server is expected to turn what it has received into blocks with. */
const INDEXING_SPEED = 10_000_000;

/** Milliseconds that a server may take to store so many bytes after it has received them. */
export function storingTime(bytes: number): number {
  return Math.ceil((bytes / INDEXING_SPEED) * 1000);
}

/** POST {upload-api}?ret-json=1 with a link for the library's root: one commit. Answers in the order of the files. */
export async function postUpload(
  http: HttpClient,
  link: string,
  upload: Upload,
  signal?: AbortSignal,
): Promise<Uploaded[]> {
  const { files } = upload;
  const what = `Storing ${JSON.stringify(files[0]!.name)}${files.length > 1 ? ` and ${files.length - 1} more` : ""}`;
  const parts = files.map(({ name, content, progress }) => partOf(name, content, signal, progress));
  const body = multipartBody(fieldsOf(upload), parts);
  const answer = await http.call({
    side: "file-server",
    what,
    method: "POST",
    target: link,
    query: { "ret-json": "1" },
    body,
    headersTimeoutMs: http.timeouts.uploadHeaders + storingTime(body.length),
    signal,
  });
  const now = http.serverNow();
  return inOrderOf(files, parse(uploaded, answer.body, what), what).map((stored) => ({ ...stored, now }));
}

type Stored = Omit<Uploaded, "now">;

/** The C server answers in reverse, the Go one in order; a name that was taken comes back with a number. */
function inOrderOf(files: readonly UploadFile[], stored: readonly Stored[], what: string): readonly Stored[] {
  if (files.length === 1) return stored.slice(0, 1);
  const fits = (order: readonly Stored[]) =>
    order.length === files.length &&
    order.every(({ name, size }, index) => {
      const sent = files[index]!;
      return size === sent.content.size && (name === sent.name || isNumbered(name, sent.name));
    });
  const found = [stored, stored.toReversed()].find(fits);
  if (found !== undefined) return found;
  // Stored it is, in a way that the answer does not tell: a look at the folder will.
  const message = `${what} failed: the server answered for other files than those sent.`;
  throw new SeafileError("protocol", message, { transient: true });
}

export interface Update {
  /** Absolute in the library; a single line. */
  readonly path: string;
  readonly content: Content;
  readonly progress?: ((bytesSent: number) => void) | undefined;
  /** Unix seconds; honoured from server 12 on. */
  readonly mtime: number;
}

/** POST {update-api}: new content for an existing file, whose name may be any that fits a form field. Answers with a bare id. */
export async function postUpdate(
  http: HttpClient,
  link: string,
  { path, content, mtime, progress }: Update,
  signal?: AbortSignal,
): Promise<Uploaded> {
  const what = `Storing ${JSON.stringify(nameOf(path))}`;
  const part = partOf("content", content, signal, progress);
  const answer = await http.call({
    side: "file-server",
    what,
    method: "POST",
    target: link,
    body: multipartBody({ target_file: path, last_modify: rfc3339(mtime) }, [part]),
    headersTimeoutMs: http.timeouts.uploadHeaders + storingTime(content.size),
    signal,
  });
  const id = parseObjectId(answer.body.trim().replaceAll('"', ""), what);
  return { name: nameOf(path), id, size: content.size, now: http.serverNow() };
}

/** GET protocol-version of the file server that a link leads to: does it answer here? Needs no token. */
export async function getProtocolVersion(http: HttpClient, link: string, signal?: AbortSignal): Promise<void> {
  const what = "Asking the file server";
  const target = link.replace(/\/upload-api\/.*$/, "/protocol-version");
  await http.call({ side: "file-server", what, method: "GET", target, signal });
}
