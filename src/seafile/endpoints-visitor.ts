/**
 * Requests to public links, without an account: listings, the address of a download or an upload, and the web page that takes a
 * password (seahub/api2/views.py SharedDirView, seahub/views/file.py, seahub/share/views.py). One function per
 * request; no retries, no decisions. Called by link-session.ts, share-link.ts and upload-link.ts.
 */
import { createHash } from "node:crypto";
import type { HttpClient } from "./http.ts";
import type { HttpAnswer } from "./http-message.ts";
import { dirents, linkFile, listing, parse } from "./schema.ts";
import type { ObjectId } from "./types.ts";

export interface LinkEntry {
  readonly type: "file" | "dir";
  readonly name: string;
  readonly id: ObjectId;
  readonly mtime: number;
  readonly size?: number;
}

/** GET api2/d/{token}/dir/: a folder of a folder link. 400 "Invalid path", 400 "Invalid token" (also expired), 403 for passwords. */
export async function getSharedDir(
  http: HttpClient,
  token: string,
  path: string,
  password: string | undefined,
  signal?: AbortSignal,
): Promise<readonly LinkEntry[]> {
  const what = `Listing ${JSON.stringify(path)}`;
  const query = { p: path, ...(password === undefined ? {} : { password }) };
  const answer = await http.call({
    side: "seahub",
    what,
    method: "GET",
    target: `/api2/d/${token}/dir/`,
    query,
    signal,
  });
  const entries = parse(listing, answer.body, what);
  return entries === "uptodate" ? [] : entries;
}

/**
 * GET api/v2.1/share-links/{token}/dirents/: the same without ids, which are made of what it tells; 403 unless the session has given
 * the password, 404 also for an unknown token.
 */
export async function getDirents(
  http: HttpClient,
  token: string,
  path: string,
  cookie: string,
  signal?: AbortSignal,
): Promise<readonly LinkEntry[]> {
  const what = `Listing ${JSON.stringify(path)}`;
  const target = `/api/v2.1/share-links/${token}/dirents/`;
  const query = { path };
  const headers = cookieHeader(cookie);
  const answer = await http.call({ side: "seahub", what, method: "GET", target, query, headers, signal });
  return parse(dirents, answer.body, what).dirent_list.map((entry) => {
    const mtime = entry.last_modified;
    if (entry.is_dir) return { type: "dir", name: entry.folder_name, id: madeId(path, entry.folder_name), mtime };
    const { file_name: name, size } = entry;
    return { type: "file", name, id: madeId(path, name, size, mtime), mtime, size };
  });
}

function madeId(...facts: readonly (string | number)[]): ObjectId {
  return createHash("sha1").update(JSON.stringify(facts)).digest("hex") as ObjectId;
}

/** GET api2/f/{token}/detail/: the file of a file link. */
export async function getSharedFile(
  http: HttpClient,
  token: string,
  password: string | undefined,
  signal?: AbortSignal,
): Promise<LinkEntry> {
  const what = "Looking at the link";
  const query: Record<string, string> = password === undefined ? {} : { password };
  const target = `/api2/f/${token}/detail/`;
  const answer = await http.call({ side: "seahub", what, method: "GET", target, query, signal });
  return { type: "file", ...parse(linkFile, answer.body, what) };
}

/**
 * GET of a page that redirects to the file server. undefined: it did not, but showed a page; Seahub answers an expired link, a
 * missing password and a missing file with 200.
 */
export async function getRedirect(
  http: HttpClient,
  page: { readonly target: string; readonly query: Readonly<Record<string, string>>; readonly cookie: string },
  what: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const { target, query } = page;
  const headers = cookieHeader(page.cookie);
  const answer = await http.call({
    side: "seahub",
    what,
    method: "GET",
    target,
    query,
    headers,
    redirects: true,
    signal,
  });
  return answer.status >= 300 ? answer.header("location") : undefined;
}

/** GET of the link's web page. */
export function getLinkPage(http: HttpClient, page: string, cookie: string, signal?: AbortSignal): Promise<HttpAnswer> {
  const headers = cookieHeader(cookie);
  return http.call({ side: "seahub", what: "Opening the link", method: "GET", target: page, headers, signal });
}

/** POST of the password to the link's web page, as its form does: the session that the answer sets may use the link. */
export function postLinkPassword(
  http: HttpClient,
  page: string,
  form: { readonly password: string; readonly token: string; readonly csrfmiddlewaretoken: string },
  sender: { readonly cookie: string; readonly referer: string },
  signal?: AbortSignal,
): Promise<HttpAnswer> {
  return http.call({
    side: "seahub",
    what: "Opening the link",
    method: "POST",
    target: page,
    form,
    headers: { ...cookieHeader(sender.cookie), referer: sender.referer },
    redirects: true,
    signal,
  });
}

function cookieHeader(cookie: string): Record<string, string> {
  return cookie === "" ? {} : { cookie };
}
