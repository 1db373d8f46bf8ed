/**
 * One function per endpoint of Seahub that reads: account, libraries, listings, links. Each makes exactly one request and
 * validates the answer; no retries, no decisions. Names of endpoints as in the server's urls.py. Called by Account,
 * Library, LinkCache and settle.ts through retry().
 */
import type { HttpClient } from "./http.ts";
import {
  accountInfo,
  type DownloadInfo,
  downloadInfo,
  fileDetail,
  type LibraryDetail,
  type LibraryHead,
  type LibraryLine,
  libraries,
  libraryDetail,
  libraryHead,
  listing,
  parse,
  parseObjectId,
  serverInfo,
  stringAnswer,
  tokenAnswer,
} from "./schema.ts";
import type { LibraryId, ObjectId } from "./types.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly otp?: string | undefined;
}

/** POST api2/auth-token/ */
export async function postAuthToken(http: HttpClient, { username, password, otp }: Credentials): Promise<string> {
  const what = "Logging in";
  const answer = await http.call({
    side: "seahub",
    what,
    method: "POST",
    target: "/api2/auth-token/",
    form: { username, password },
    ...(otp === undefined ? {} : { headers: { "x-seafile-otp": otp } }),
  });
  return parse(tokenAnswer, answer.body, what).token;
}

/** GET api2/auth/ping/: is the token accepted? */
export async function getAuthPing(http: HttpClient, signal?: AbortSignal): Promise<void> {
  const what = "Checking the login";
  const answer = await http.call({ side: "seahub", what, method: "GET", target: "/api2/auth/ping/", signal });
  parse(stringAnswer, answer.body, what);
}

/** GET api2/ping/: does a Seafile server answer at all? Needs no token. */
export async function getPing(http: HttpClient, signal?: AbortSignal): Promise<void> {
  const what = "Asking the server";
  const answer = await http.call({ side: "seahub", what, method: "GET", target: "/api2/ping/", signal });
  parse(stringAnswer, answer.body, what);
}

export interface ServerInfo {
  readonly version: string;
  readonly features: readonly string[];
}

/** GET api2/server-info/ */
export async function getServerInfo(http: HttpClient, signal?: AbortSignal): Promise<ServerInfo> {
  const what = "Asking for the server's version";
  const answer = await http.call({ side: "seahub", what, method: "GET", target: "/api2/server-info/", signal });
  return parse(serverInfo, answer.body, what);
}

export interface AccountInfo {
  readonly email: string;
  readonly name: string;
  readonly contact_email: string;
  readonly login_id: string;
  readonly department: string;
  readonly institution: string;
  readonly is_staff: boolean;
  readonly usage: number;
  readonly total: number;
}

/** GET api2/account/info/ */
export async function getAccountInfo(http: HttpClient, signal?: AbortSignal): Promise<AccountInfo> {
  const what = "Asking for the account";
  const answer = await http.call({ side: "seahub", what, method: "GET", target: "/api2/account/info/", signal });
  return parse(accountInfo, answer.body, what);
}

/** GET api2/repos/: one line per library and way of sharing. */
export async function getLibraries(http: HttpClient, signal?: AbortSignal): Promise<readonly LibraryLine[]> {
  const what = "Listing the libraries";
  const answer = await http.call({ side: "seahub", what, method: "GET", target: "/api2/repos/", signal });
  return parse(libraries, answer.body, what);
}

/** GET api/v2.1/repos/{id}/ */
export async function getLibrary(http: HttpClient, library: LibraryId, signal?: AbortSignal): Promise<LibraryDetail> {
  const what = "Asking for the library";
  const target = `/api/v2.1/repos/${library}/`;
  const answer = await http.call({ side: "seahub", what, method: "GET", target, signal });
  return parse(libraryDetail, answer.body, what);
}

/** GET api2/repos/{id}/ */
export async function getLibraryHead(http: HttpClient, library: LibraryId, signal?: AbortSignal): Promise<LibraryHead> {
  const what = "Asking for the library";
  const answer = await http.call({ side: "seahub", what, method: "GET", target: `/api2/repos/${library}/`, signal });
  return parse(libraryHead, answer.body, what);
}

/** GET api2/repos/{id}/download-info/: the server makes a token for synchronising and lists it among the account's devices. */
export async function getDownloadInfo(
  http: HttpClient,
  library: LibraryId,
  signal?: AbortSignal,
): Promise<DownloadInfo> {
  const what = "Asking how the library is synchronised";
  const target = `/api2/repos/${library}/download-info/`;
  const answer = await http.call({ side: "seahub", what, method: "GET", target, signal });
  return parse(downloadInfo, answer.body, what);
}

export interface DirAnswer {
  readonly id: ObjectId;
  /** Seahub's word for the folder's permission; undefined when it did not say. */
  readonly permission: string | undefined;
  readonly entries: readonly {
    readonly type: "file" | "dir";
    readonly name: string;
    readonly id: ObjectId;
    readonly mtime: number;
    readonly size?: number;
    readonly permission?: string | null | undefined;
  }[];
}

/** GET api2/repos/{id}/dir/: "unchanged" when the folder still has the id `known`. */
export async function getDir(
  http: HttpClient,
  library: LibraryId,
  path: string,
  known?: ObjectId,
  signal?: AbortSignal,
): Promise<DirAnswer | "unchanged"> {
  const what = `Listing ${JSON.stringify(path)}`;
  const answer = await http.call({
    side: "seahub",
    what,
    method: "GET",
    target: `/api2/repos/${library}/dir/`,
    query: known === undefined ? { p: path } : { p: path, oid: known },
    signal,
  });
  const entries = parse(listing, answer.body, what);
  if (entries === "uptodate") return "unchanged";
  return { id: parseObjectId(answer.header("oid"), what), permission: answer.header("dir_perm"), entries };
}

export interface FileDetail {
  readonly id: ObjectId;
  readonly name: string;
  readonly size: number;
  readonly mtime: number;
  readonly permission?: string | null | undefined;
}

/** GET api2/repos/{id}/file/detail/: kind "not-found" for folders too. */
export async function getFileDetail(
  http: HttpClient,
  library: LibraryId,
  path: string,
  signal?: AbortSignal,
): Promise<FileDetail> {
  const what = `Looking up ${JSON.stringify(path)}`;
  const target = `/api2/repos/${library}/file/detail/`;
  const answer = await http.call({ side: "seahub", what, method: "GET", target, query: { p: path }, signal });
  return parse(fileDetail, answer.body, what);
}

/** GET api2/repos/{id}/file/?reuse=1: a link to the content the path has now, and that content's id. */
export async function getFileLink(
  http: HttpClient,
  library: LibraryId,
  path: string,
  signal?: AbortSignal,
): Promise<{ link: string; id: ObjectId }> {
  const what = `Opening ${JSON.stringify(path)}`;
  const answer = await http.call({
    side: "seahub",
    what,
    method: "GET",
    target: `/api2/repos/${library}/file/`,
    query: { p: path, reuse: "1" },
    signal,
  });
  return { link: parse(stringAnswer, answer.body, what), id: parseObjectId(answer.header("oid"), what) };
}

/** GET api2/repos/{id}/upload-link/ for the library's root: one link for all folders below it. */
export function getUploadLink(http: HttpClient, library: LibraryId, signal?: AbortSignal): Promise<string> {
  return getStoreLink(http, `/api2/repos/${library}/upload-link/`, signal);
}

/** GET api2/repos/{id}/update-link/: one link for all files of the library. */
export function getUpdateLink(http: HttpClient, library: LibraryId, signal?: AbortSignal): Promise<string> {
  return getStoreLink(http, `/api2/repos/${library}/update-link/`, signal);
}

async function getStoreLink(http: HttpClient, target: string, signal: AbortSignal | undefined): Promise<string> {
  const what = "Asking for leave to store";
  const answer = await http.call({ side: "seahub", what, method: "GET", target, query: { p: "/" }, signal });
  return parse(stringAnswer, answer.body, what);
}
