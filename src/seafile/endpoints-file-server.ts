/**
 * The requests to the file server: a ranged download, an upload and an update, as server/access-file.c, server/upload-file.c and
 * fileserver/fileop.go take them. One request each; no retries, no decisions. Links are secrets and stay out of messages.
 * Called by reader.ts and library-put.ts.
 */
import type { HttpClient } from "./http.ts";
import type { HttpStream } from "./http-message.ts";
import { multipartBody } from "./multipart.ts";
import { nameOf } from "./names.ts";
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

export interface Upload {
  /** Folder below the root without leading slash, "" for the root; made when missing. */
  readonly folder: string;
  readonly name: string;
  readonly content: Content;
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

/** POST {upload-api}?ret-json=1 with a link for the library's root. */
export async function postUpload(
  http: HttpClient,
  link: string,
  upload: Upload,
  signal?: AbortSignal,
): Promise<Uploaded> {
  const what = `Storing ${JSON.stringify(upload.name)}`;
  const body = multipartBody({
    fields: {
      parent_dir: "/",
      ...(upload.folder === "" ? {} : { relative_path: upload.folder }),
      // Only the form field counts on the C server, only 0 and 1 are taken by the Go one.
      replace: upload.replace ? "1" : "0",
      last_modify: rfc3339(upload.mtime),
    },
    fileName: upload.name,
    content: upload.content,
    signal,
  });
  const answer = await http.call({
    side: "file-server",
    what,
    method: "POST",
    target: link,
    query: { "ret-json": "1" },
    body,
    headersTimeoutMs: http.timeouts.uploadHeaders,
    signal,
  });
  const [stored] = parse(uploaded, answer.body, what);
  return { ...stored!, now: http.serverNow() };
}

export interface Update {
  /** Absolute in the library; a single line. */
  readonly path: string;
  readonly content: Content;
  /** Unix seconds; honoured from server 12 on. */
  readonly mtime: number;
}

/** POST {update-api}: new content for an existing file, whose name may be any that fits a form field. Answers with a bare id. */
export async function postUpdate(
  http: HttpClient,
  link: string,
  { path, content, mtime }: Update,
  signal?: AbortSignal,
): Promise<Uploaded> {
  const what = `Storing ${JSON.stringify(nameOf(path))}`;
  const body = multipartBody({
    fields: { target_file: path, last_modify: rfc3339(mtime) },
    fileName: "content",
    content,
    signal,
  });
  const answer = await http.call({
    side: "file-server",
    what,
    method: "POST",
    target: link,
    body,
    headersTimeoutMs: http.timeouts.uploadHeaders,
    signal,
  });
  const id = parseObjectId(answer.body.trim().replaceAll('"', ""), what);
  return { name: nameOf(path), id, size: content.size, now: http.serverNow() };
}
