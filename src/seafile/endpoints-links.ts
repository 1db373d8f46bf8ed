/**
 * One function per endpoint about public links: those to download from and those to upload to. One request each; no retries, no
 * decisions. Called by share-links.ts, upload-links.ts and upload-link.ts.
 */
import type { HttpClient } from "./http.ts";
import { parse, success } from "./schema.ts";
import {
  mailed,
  type ShareLinkLine,
  shareLink,
  shareLinks,
  type UploadLinkLine,
  uploadAddress,
  uploadLink,
  uploadLinks,
} from "./schema-sharing.ts";
import type { LibraryId } from "./types.ts";

/** What is linked to. */
export interface LinkPlace {
  readonly library: LibraryId;
  /** Absolute in the library; absent: anywhere in it. */
  readonly path?: string | undefined;
}

/** How a link is made, in the words of the server; absent means no limit. */
export interface LinkForm {
  readonly password?: string | undefined;
  readonly expire_days?: number | undefined;
  /** ISO 8601 with a zone. */
  readonly expiration_time?: string | undefined;
  readonly permissions?:
    | {
        readonly can_edit: boolean;
        readonly can_download: boolean;
        readonly can_upload: boolean;
      }
    | undefined;
}

export type LinkKind = "share" | "upload";

function queryOf(place: LinkPlace | undefined): Record<string, string> {
  if (place === undefined) return {};
  return place.path === undefined ? { repo_id: place.library } : { repo_id: place.library, path: place.path };
}

function list(http: HttpClient, kind: LinkKind, what: string, place?: LinkPlace, signal?: AbortSignal) {
  const target = `/api/v2.1/${kind}-links/`;
  return http.call({ side: "seahub", what, method: "GET", target, query: queryOf(place), signal });
}

/** GET api/v2.1/share-links/: all, of a library, or of a path. */
export async function getShareLinks(
  http: HttpClient,
  place?: LinkPlace,
  signal?: AbortSignal,
): Promise<readonly ShareLinkLine[]> {
  const what = "Listing the share links";
  return parse(shareLinks, (await list(http, "share", what, place, signal)).body, what);
}

/** GET api/v2.1/upload-links/: as getShareLinks; old versions answer with all of them. */
export async function getUploadLinks(
  http: HttpClient,
  place?: LinkPlace,
  signal?: AbortSignal,
): Promise<readonly UploadLinkLine[]> {
  const what = "Listing the upload links";
  return parse(uploadLinks, (await list(http, "upload", what, place, signal)).body, what);
}

/** GET api/v2.1/share-links/{token}/ */
export async function getShareLink(http: HttpClient, token: string, signal?: AbortSignal): Promise<ShareLinkLine> {
  const what = "Looking up the share link";
  const target = `/api/v2.1/share-links/${token}/`;
  return parse(shareLink, (await http.call({ side: "seahub", what, method: "GET", target, signal })).body, what);
}

/** GET api/v2.1/upload-links/{token}/ */
export async function getUploadLinkInfo(
  http: HttpClient,
  token: string,
  signal?: AbortSignal,
): Promise<UploadLinkLine> {
  const what = "Looking up the upload link";
  const target = `/api/v2.1/upload-links/${token}/`;
  return parse(uploadLink, (await http.call({ side: "seahub", what, method: "GET", target, signal })).body, what);
}

const create = (http: HttpClient, kind: LinkKind, what: string, place: Required<LinkPlace>, form: LinkForm) =>
  http.call({
    side: "seahub",
    what,
    method: "POST",
    target: `/api/v2.1/${kind}-links/`,
    json: { repo_id: place.library, path: place.path, ...form },
  });

/** POST api/v2.1/share-links/: 400 when the account has a link to the path. */
export async function postShareLink(
  http: HttpClient,
  place: Required<LinkPlace>,
  form: LinkForm,
): Promise<ShareLinkLine> {
  const what = `Making a share link to ${JSON.stringify(place.path)}`;
  return parse(shareLink, (await create(http, "share", what, place, form)).body, what);
}

/** POST api/v2.1/upload-links/: answers with the link that is there, and forgets the form, when the account has one to the path. */
export async function postUploadLink(
  http: HttpClient,
  place: Required<LinkPlace>,
  form: LinkForm,
): Promise<UploadLinkLine> {
  const what = `Making an upload link to ${JSON.stringify(place.path)}`;
  return parse(uploadLink, (await create(http, "upload", what, place, form)).body, what);
}

/** PUT api2/repos/{id}/file/shared-link/: the address of the link to the path, which is made when there is none. */
export async function putSharedLink(
  http: HttpClient,
  { library, path }: Required<LinkPlace>,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const answer = await http.call({
    side: "seahub",
    what: `Making a share link to ${JSON.stringify(path)}`,
    method: "PUT",
    target: `/api2/repos/${library}/file/shared-link/`,
    form: { p: path! },
    signal,
  });
  return answer.header("location");
}

/** DELETE api/v2.1/share-links/{token}/ or upload-links: success also when there is none. */
export async function deleteLink(http: HttpClient, kind: LinkKind, token: string, signal?: AbortSignal): Promise<void> {
  const what = `Removing the ${kind} link`;
  const target = `/api/v2.1/${kind}-links/${token}/`;
  parse(success, (await http.call({ side: "seahub", what, method: "DELETE", target, signal })).body, what);
}

export interface MailAnswer {
  readonly success: readonly string[];
  readonly failed: readonly { readonly email: string; readonly error_msg: string }[];
}

/** POST api2/send-share-link/ or send-upload-link: one mail to each address. */
export async function postSendLink(
  http: HttpClient,
  kind: LinkKind,
  mail: { readonly token: string; readonly email: string; readonly extra_msg?: string },
): Promise<MailAnswer> {
  const what = `Sending the ${kind} link`;
  const target = `/api2/send-${kind}-link/`;
  return parse(
    mailed,
    (await http.call({ side: "seahub", what, method: "POST", target, form: { ...mail } })).body,
    what,
  );
}

/**
 * GET api/v2.1/upload-links/{token}/upload/: an address on the file server, good for an hour. It needs no account, but for a link with
 * a password the `cookie` of a session in which that was given (else 403); 404 when the link is gone.
 */
export async function getUploadAddress(
  http: HttpClient,
  token: string,
  signal?: AbortSignal,
  cookie?: string,
): Promise<string> {
  const what = "Asking for the upload address";
  const target = `/api/v2.1/upload-links/${token}/upload/`;
  const headers = cookie ? { cookie } : {};
  const answer = await http.call({ side: "seahub", what, method: "GET", target, headers, signal });
  return parse(uploadAddress, answer.body, what).upload_link;
}
