/**
 * Seahub's v2.1 views of upload links, for those who make them. Listed in api-routes.ts.
 * Invariant: one link per user and folder; asking for a second one gives the first, whatever the request says of it.
 */
import { demand, isEncrypted, isoTime, libraryById } from "./api-common.ts";
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { expiryFields, linkAddress, nameOf, targetId } from "./api-share-links.ts";
import type { Library } from "./library.ts";
import { deleteLink } from "./link-access.ts";
import { expiryOf, passwordOf } from "./link-options.ts";
import { normalizeDirectory } from "./paths.ts";
import type { UploadLink } from "./public-links.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

function linkItem(link: UploadLink, services: Services) {
  return {
    repo_id: link.libraryId,
    repo_name: services.store.library(link.libraryId)?.record.name ?? "",
    path: link.path,
    obj_name: nameOf(link),
    obj_id: targetId(link, services),
    view_cnt: link.views,
    ctime: isoTime(link.created),
    link: linkAddress(link, services),
    token: link.token,
    username: link.ownerId,
    ...expiryFields(link, services),
    password: link.password,
  };
}

function demandFolder(library: Library, path: string): void {
  if (library.directoryId(path) === undefined) throw apiError(404, `folder ${path} not found.`);
}

function list(request: ApiRequest, services: Services): ApiReply {
  const libraryId = request.query("repo_id") ?? "";
  const path = libraryId === "" ? "" : (request.query("path") ?? "");
  if (libraryId !== "") {
    const library = libraryById(libraryId, services);
    if (path !== "") demandFolder(library, path);
  }
  const items = services.store.publicLinks
    .uploadsOf(request.user.id)
    .filter((link) => libraryId === "" || link.libraryId === libraryId)
    .filter((link) => path === "" || link.path === (path.endsWith("/") ? path : `${path}/`))
    .map((link) => linkItem(link, services));
  return rest(items.sort((a, b) => Buffer.compare(Buffer.from(a.obj_name), Buffer.from(b.obj_name))));
}

function create(request: ApiRequest, services: Services): ApiReply {
  const libraryId = request.data("repo_id") ?? "";
  if (libraryId === "") throw apiError(400, "repo_id invalid.");
  const given = request.data("path") ?? "";
  if (given === "") throw apiError(400, "path invalid.");
  const password = passwordOf(request, services, ".");
  const expires = expiryOf(request, services) ?? null;
  const library = libraryById(libraryId, services);
  demandFolder(library, given);
  if (isEncrypted(library)) throw apiError(403, "Permission denied.");
  demand("rw", request, services, library);
  const { publicLinks } = services.store;
  const ownerId = request.user.id;
  const path = normalizeDirectory(given);
  const link =
    publicLinks.uploadAt(ownerId, libraryId, path) ??
    publicLinks.addUpload({ ownerId, libraryId, path, created: services.store.now(), expires, password });
  return rest(linkItem(link, services));
}

/** The link of the route's token; 404 when there is none. */
export function uploadLinkOf(request: ApiRequest, services: Services): UploadLink {
  const token = request.params[0] ?? "";
  const link = services.store.publicLinks.uploadByToken(token);
  if (link === undefined) throw apiError(404, `token ${token} not found.`);
  return link;
}

/** Anyone with an account may see any link, and change when it expires: the real view does not ask whose it is. */
function change(request: ApiRequest, services: Services): ApiReply {
  const link = uploadLinkOf(request, services);
  const expires = expiryOf(request, services);
  if (expires !== undefined) services.store.publicLinks.setExpiry(link, expires);
  return rest(linkItem(link, services));
}

function remove(request: ApiRequest, services: Services): ApiReply {
  return deleteLink(services.store.publicLinks.uploadByToken(request.params[0] ?? ""), request, services);
}

export const uploadLinkRoutes: readonly Route[] = [
  {
    pattern: route("/api/v2.1/upload-links/"),
    kind: (request) => (request.method === "POST" ? "upload-link-create" : "upload-links"),
    views: { GET: list, POST: create },
  },
  {
    pattern: route("/api/v2.1/upload-links/{token}/"),
    kind: (request) => `upload-link-${{ PUT: "change", DELETE: "delete" }[request.method] ?? "info"}`,
    views: {
      GET: (request, services) => rest(linkItem(uploadLinkOf(request, services), services)),
      PUT: change,
      DELETE: remove,
    },
  },
];
