/**
 * Seahub's views of share links: api2's PUT file/shared-link and shared-links, v2.1's share-links. Listed in api-routes.ts.
 * Invariant: only its maker lists, changes or deletes a link; there is one per path, and a second one is refused in v2.1
 * and silently the first one in api2.
 */
import { demand, isEncrypted, isoTime, libraryById, libraryOf, permissionOf } from "./api-common.ts";
import { type ApiReply, apiError, dumped, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Library } from "./library.ts";
import { deleteLink } from "./link-access.ts";
import { daysToExpiry, expiryOf, passwordOf, permissionsOf } from "./link-options.ts";
import { isEditable } from "./listing.ts";
import { isDirectory } from "./objects.ts";
import { basename, normalizeDirectory, normalizeFile } from "./paths.ts";
import { isExpired, type LinkPermissions, type PublicLink, type ShareLink, VIEW_AND_DOWNLOAD } from "./public-links.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

/** "/" of a whole library. */
export function nameOf(link: PublicLink): string {
  return link.path === "/" ? "/" : basename(link.path.replace(/\/+$/, ""));
}

export function linkAddress(link: PublicLink, services: Services): string {
  const prefix = { file: "f", folder: "d", upload: "u/d" }[link.kind];
  return `${services.seahubUrl()}/${prefix}/${link.token}/`;
}

export function expiryFields(link: PublicLink, services: Services) {
  return {
    expire_date: link.expires === null ? "" : isoTime(link.expires),
    is_expired: isExpired(link, services.now()),
  };
}

/** Id of what a link points to now; "" when there is nothing of its kind. */
export function targetId(link: PublicLink, services: Services): string {
  const library = services.store.library(link.libraryId);
  if (library === undefined) return "";
  if (link.kind !== "file") return library.directoryId(link.path) ?? "";
  const entry = library.find(link.path);
  return entry === undefined || isDirectory(entry) ? "" : entry.id;
}

function described(link: ShareLink, services: Services) {
  const identity = {
    username: link.ownerId,
    repo_id: link.libraryId,
    repo_name: services.store.library(link.libraryId)?.record.name ?? "",
    path: link.path,
    obj_name: nameOf(link),
  };
  const rest = {
    is_dir: link.kind === "folder",
    token: link.token,
    link: linkAddress(link, services),
    view_cnt: link.views,
    ctime: isoTime(link.created),
    ...expiryFields(link, services),
    permissions: link.permissions,
    password: link.password,
  };
  return { identity, rest };
}

/** One link by itself. */
function linkItem(link: ShareLink, services: Services) {
  const { identity, rest } = described(link, services);
  const id = targetId(link, services);
  return { ...identity, obj_id: id, ...rest, can_edit: link.kind === "file" && id !== "" && isEditable(nameOf(link)) };
}

/** One line of the list. */
function listedItem(link: ShareLink, services: Services) {
  const { identity, rest } = described(link, services);
  const library = services.store.library(link.libraryId);
  const permission = library === undefined ? undefined : services.store.permission(link.ownerId, library);
  return { ...identity, ...rest, repo_folder_permission: permission ?? "" };
}

function list(request: ApiRequest, services: Services): ApiReply {
  const wanted = wantedPath(request, services);
  const page = paging(request);
  const links = services.store.publicLinks
    .sharesOf(request.user.id)
    .filter((link) => wanted.libraryId === undefined || link.libraryId === wanted.libraryId)
    .filter((link) => wanted.path === undefined || link.path === wanted.path)
    .slice(page.start, page.end)
    .map((link) => listedItem(link, services));
  // Folders first, then files; the pages are cut before that, in the order of creation.
  const rank = (item: { is_dir: boolean }) => (item.is_dir ? 0 : 1);
  links.sort((a, b) => rank(a) - rank(b) || Buffer.compare(Buffer.from(a.obj_name), Buffer.from(b.obj_name)));
  return rest(links);
}

function paging(request: ApiRequest): { start: number; end: number } {
  const [page, size] = [request.query("page"), request.query("per_page")];
  if (page === undefined && size === undefined) return { start: 0, end: Number.POSITIVE_INFINITY };
  const count = Math.max(1, Number.parseInt(size ?? "", 10) || 25);
  const start = (Math.max(1, Number.parseInt(page ?? "", 10) || 1) - 1) * count;
  return { start, end: start + count };
}

function wantedPath(request: ApiRequest, services: Services): { libraryId?: string; path?: string } {
  const libraryId = request.query("repo_id") ?? "";
  const path = request.query("path") ?? "";
  if (libraryId === "") return {};
  const library = libraryById(libraryId, services);
  return path === "" ? { libraryId } : { libraryId, path: storedPath(library, path).path };
}

/** A path as a link keeps it; 404 when there is nothing. */
function storedPath(library: Library, path: string): { path: string; kind: "file" | "folder" } {
  if (path === "/") return { path, kind: "folder" };
  const entry = library.find(path);
  if (entry === undefined) throw apiError(404, `Dirent ${path} not found.`);
  return isDirectory(entry)
    ? { path: normalizeDirectory(path), kind: "folder" }
    : { path: normalizeFile(path), kind: "file" };
}

function create(request: ApiRequest, services: Services): ApiReply {
  const libraryId = request.data("repo_id") ?? "";
  if (libraryId === "") throw apiError(400, "repo_id invalid.");
  const given = request.data("path") ?? "";
  if (given === "") throw apiError(400, "path invalid.");
  const password = passwordOf(request, services, ".");
  const expires = expiryOf(request, services) ?? null;
  const permissions = permissionsOf(request);
  const library = libraryById(libraryId, services);
  const { path, kind } = storedPath(library, given);
  if (isEncrypted(library)) throw apiError(403, "Permission denied.");
  demandGrantable(permissions, path, request, services, library);
  const { publicLinks } = services.store;
  const known = publicLinks.shareAt(request.user.id, libraryId, path);
  if (known !== undefined) throw apiError(400, `Share link ${known.token} already exists.`);
  const link = { ownerId: request.user.id, libraryId, path, created: services.store.now(), expires, password };
  return rest(linkItem(publicLinks.addShare(link, kind, permissions), services));
}

/** A reader may let others view and download; only who writes may let them do more, and edit only what can be edited. */
function demandGrantable(
  permissions: LinkPermissions,
  path: string,
  request: ApiRequest,
  services: Services,
  library: Library,
): void {
  demand(permissions.can_edit || permissions.can_upload ? "rw" : "r", request, services, library);
  if (permissions.can_edit && !path.endsWith("/") && !isEditable(path)) throw apiError(403, "Permission denied.");
}

function shareLink(request: ApiRequest, services: Services): ShareLink {
  const token = request.params[0] ?? "";
  const link = services.store.publicLinks.shareByToken(token);
  if (link === undefined) throw apiError(404, `token ${token} not found.`);
  return link;
}

function change(request: ApiRequest, services: Services): ApiReply {
  const link = shareLink(request, services);
  const library = libraryById(link.libraryId, services);
  // The real view names the library here.
  if (link.path !== "/" && library.find(link.path) === undefined)
    throw apiError(404, `Dirent ${library.id} not found.`);
  if (link.ownerId !== request.user.id) throw apiError(403, "Permission denied.");
  if (permissionOf(request, services, library) === undefined) throw apiError(403, "Permission denied.");
  const { publicLinks } = services.store;
  if ((request.dataValue("permissions") ?? "") !== "") {
    const permissions = permissionsOf(request);
    demandGrantable(permissions, link.path, request, services, library);
    publicLinks.setPermissions(link, permissions);
  }
  const expires = expiryOf(request, services);
  if (expires !== undefined) publicLinks.setExpiry(link, expires);
  return rest(linkItem(link, services));
}

function remove(request: ApiRequest, services: Services): ApiReply {
  return deleteLink(services.store.publicLinks.shareByToken(request.params[0] ?? ""), request, services);
}

function removeSeveral(request: ApiRequest, services: Services): ApiReply {
  const tokens = request.dataValue("tokens");
  if (!Array.isArray(tokens) || tokens.length === 0) throw apiError(400, "token invalid.");
  const { publicLinks } = services.store;
  const isForeign = (token: unknown) =>
    (publicLinks.shareByToken(String(token))?.ownerId ?? request.user.id) !== request.user.id;
  const failed = tokens.filter(isForeign).map((token) => ({ token, error_msg: "Permission denied." }));
  const success = tokens.filter((token) => !isForeign(token)).map((token) => ({ token }));
  publicLinks.remove((link) => link.kind !== "upload" && success.some(({ token }) => token === link.token));
  return rest({ failed, success });
}

/** Deletes one's links that are expired or point to nothing. */
function cleanInvalid(request: ApiRequest, services: Services): ApiReply {
  const isInvalid = (link: PublicLink) => isExpired(link, services.now()) || targetId(link, services) === "";
  services.store.publicLinks.remove(
    (link) => link.kind !== "upload" && link.ownerId === request.user.id && isInvalid(link),
  );
  return rest({ success: true });
}

function putSharedLink(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services, "Library does not exist");
  if (isEncrypted(library)) throw apiError(403, "Permission denied.");
  const path = request.data("p") ?? "";
  if (path === "") throw apiError(400, "Path is missing");
  const password = passwordOf(request, services, "");
  const type = (request.data("share_type") ?? "download").toLowerCase();
  if (type !== "download" && type !== "upload") throw apiError(400, "Operation can only be download or upload.");
  const expire = request.data("expire") ?? "";
  const expires = expire === "" || expire === "0" ? null : daysToExpiry(expire, services);
  const link = type === "upload" ? uploadLinkAt : shareLinkAt;
  const found = link(library, path, { password, expires }, request, services);
  return { status: 201, headers: [["Location", linkAddress(found, services)]], content: { type: "empty" } };
}

interface Asked {
  readonly password: string;
  readonly expires: number | null;
}

/** The user's link at a path, made if there is none. */
function shareLinkAt(library: Library, given: string, asked: Asked, request: ApiRequest, services: Services) {
  demand("r", request, services, library);
  const entry = library.find(given);
  if (entry === undefined && given !== "/") throw apiError(400, "Invalid path");
  const { path, kind } = storedPath(library, given);
  const { publicLinks } = services.store;
  const link = { ownerId: request.user.id, libraryId: library.id, path, created: services.store.now(), ...asked };
  return publicLinks.shareAt(link.ownerId, library.id, path) ?? publicLinks.addShare(link, kind, VIEW_AND_DOWNLOAD);
}

function uploadLinkAt(library: Library, given: string, asked: Asked, request: ApiRequest, services: Services) {
  if (library.directoryId(given) === undefined) throw apiError(400, "Invalid path");
  demand("rw", request, services, library);
  const path = normalizeDirectory(given);
  const { publicLinks } = services.store;
  const link = { ownerId: request.user.id, libraryId: library.id, path, created: services.store.now(), ...asked };
  return publicLinks.uploadAt(link.ownerId, library.id, path) ?? publicLinks.addUpload(link);
}

/** api2's list forgets links that point to nothing. */
function sharedLinks(request: ApiRequest, services: Services): ApiReply {
  const { publicLinks } = services.store;
  const own = publicLinks.sharesOf(request.user.id);
  const dead = new Set<PublicLink>(own.filter((link) => targetId(link, services) === ""));
  if (dead.size > 0) publicLinks.remove((link) => dead.has(link));
  const fileshares = own
    .filter((link) => !dead.has(link))
    .map((link) => ({
      username: link.ownerId,
      repo_id: link.libraryId,
      path: link.path,
      token: link.token,
      // Its JSON encoder knows no dates.
      ctime: null,
      view_cnt: link.views,
      s_type: link.kind === "folder" ? "d" : "f",
    }));
  return dumped({ fileshares });
}

function deleteSharedLink(request: ApiRequest, services: Services): ApiReply {
  const token = request.query("t") ?? "";
  if (token === "") throw apiError(400, "Token is missing");
  const { publicLinks } = services.store;
  const link = publicLinks.byToken(token);
  if (link?.ownerId !== request.user.id) throw apiError(400, "Invalid token");
  publicLinks.remove((candidate) => candidate === link);
  return dumped({});
}

const byMethod = (names: Record<string, string>, otherwise: string) => (request: ApiRequest) =>
  names[request.method] ?? otherwise;

export const shareLinkRoutes: readonly Route[] = [
  { pattern: route("/api2/repos/{id}/file/shared-link/"), kind: "share-link-create", views: { PUT: putSharedLink } },
  {
    pattern: route("/api2/shared-links/"),
    kind: byMethod({ DELETE: "share-link-delete" }, "share-links"),
    views: { GET: sharedLinks, DELETE: deleteSharedLink },
  },
  {
    pattern: route("/api/v2.1/share-links/"),
    kind: byMethod({ POST: "share-link-create" }, "share-links"),
    views: { GET: list, POST: create, DELETE: removeSeveral },
  },
  {
    pattern: route("/api/v2.1/share-links/clean-invalid/"),
    kind: "share-link-delete",
    views: { DELETE: cleanInvalid },
  },
  {
    pattern: route("/api/v2.1/share-links/{token}/"),
    kind: byMethod({ PUT: "share-link-change", DELETE: "share-link-delete" }, "share-link"),
    views: {
      GET: (request, services) => rest(linkItem(shareLink(request, services), services)),
      PUT: change,
      DELETE: remove,
    },
  },
];
