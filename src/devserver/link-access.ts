/**
 * What a request without an account may do with a public link: which session it carries, whether the link's password was
 * given, where a path of the link lies in the library, and the file server's links that follow from it. Called by the API
 * views and the web pages of links.
 */
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Dirent } from "./objects.ts";
import { joinPath, normalizeDirectory, quote } from "./paths.ts";
import type { PublicLink } from "./public-links.ts";
import type { Services } from "./services.ts";

export const SESSION_COOKIE = "sessionid";

/** "" when the request has none. */
export function cookieOf(request: ApiRequest, name: string): string {
  for (const pair of request.header("cookie")?.split(";") ?? []) {
    const [key, ...value] = pair.trim().split("=");
    if (key === name) return value.join("=");
  }
  return "";
}

/** Whether a link has no password, or the session has given it. */
export function isOpen(link: PublicLink, request: ApiRequest, { store }: Services): boolean {
  return link.password === "" || store.sessions.hasOpened(cookieOf(request, SESSION_COOKIE), link.token);
}

/** posixpath.join of the shared folder and a path below it, with a final slash. ".." is a name like any other. */
export function folderBelow(link: PublicLink, path: string): string {
  const below = path.replace(/^\/+|\/+$/g, "");
  return normalizeDirectory(below === "" ? link.path : joinPath(link.path, below));
}

export function fileBelow(link: PublicLink, path: string): string {
  return joinPath(link.path, path.replace(/^\/+/, ""));
}

/** Address of a file's content at the file server. "view" shows it in the browser, "download" saves it. */
export function contentAddress(
  link: PublicLink,
  entry: Dirent,
  options: { op: "download" | "view"; oneTime: boolean },
  services: Services,
): string {
  const { libraryId, ownerId: userId } = link;
  const token = services.links.issue({ libraryId, userId, target: entry.id, ...options });
  return `${services.fileServerUrl()}/files/${token}/${quote(entry.name)}`;
}

/** Address to upload to; what is sent there must name `folder` as its parent_dir. */
export function uploadAddress(link: PublicLink, folder: string, services: Services): string {
  const { libraryId, ownerId: userId } = link;
  const token = services.links.issue({ libraryId, userId, op: "upload", target: folder, oneTime: false });
  return `${services.fileServerUrl()}/upload-api/${token}`;
}

/** The owner deletes a link; one that is not there is deleted as well. */
export function deleteLink(link: PublicLink | undefined, request: ApiRequest, services: Services): ApiReply {
  if (link === undefined) return rest({ success: true });
  if (link.ownerId !== request.user.id) throw apiError(403, "Permission denied.");
  services.store.publicLinks.remove((candidate) => candidate === link);
  return rest({ success: true });
}
