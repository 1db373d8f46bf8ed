/**
 * Seahub views of libraries: the two listings, info, create, rename, delete, download-info, history, owner.
 * Listed in api-routes.ts.
 */
import { demand, isoTime, libraryOf, permissionOf, person } from "./api-common.ts";
import { apiError, dumped, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Library, Permission } from "./library.ts";
import { type Channel, downloadInfo, historyItem, libraryItem, libraryItemV21 } from "./library-items.ts";
import { isValidName } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

const NO_ACCESS = "You do not have permission to access this library.";

/** Own libraries, then those shared with the user, then those of the user's groups; each newest first. */
function channels(request: ApiRequest, services: Services): Channel[] {
  const userId = request.user.id;
  const newestFirst = services.store.libraries().toSorted((a, b) => b.head.ctime - a.head.ctime);
  const own = newestFirst.filter((library) => library.record.ownerId === userId);
  const limit = (library: Library, granted: Permission) => (library.record.readOnly ? "r" : granted);
  return [
    ...own.map((library) => ({ type: "mine" as const, library, permission: limit(library, "rw") })),
    ...newestFirst.flatMap((library) => {
      const granted = library.record.shares[userId];
      return granted === undefined ? [] : [{ type: "shared" as const, library, permission: limit(library, granted) }];
    }),
    ...newestFirst.flatMap((library) =>
      library.record.groupShares
        .filter((group) => group.members.includes(userId))
        .map((group) => ({ type: "group" as const, library, group, permission: limit(library, group.permission) })),
    ),
  ];
}

function list(request: ApiRequest, services: Services) {
  const types = request.query("type")?.split(",");
  const part = (request.query("nameContains") ?? "").toLowerCase();
  const items = channels(request, services)
    .filter(({ type }) => types === undefined || types.includes(type))
    .filter(({ library }) => library.record.name.toLowerCase().includes(part))
    .map((channel) => libraryItem(channel, services));
  return dumped(items, [["enable_encrypted_library", "True"]]);
}

function listV21(request: ApiRequest, services: Services) {
  const types = request.queryAll("type");
  const wanted = channels(request, services).filter(({ type }) => types.length === 0 || types.includes(type));
  const isStarred = (library: Library) => services.store.stars.has(request.user.id, library.id, "/");
  return rest({ repos: wanted.map((channel) => libraryItemV21(channel, isStarred(channel.library), services)) });
}

function info(request: ApiRequest, services: Services) {
  const library = libraryOf(request, services, "Library not found.");
  const permission = demand("r", request, services, library, NO_ACCESS);
  const { head, record } = library;
  const modifier = person(head.creatorName, services);
  const totals = library.fs.totals(head.rootId);
  return rest({
    type: "repo",
    id: library.id,
    owner: record.ownerId === request.user.id ? "self" : "share",
    name: record.name,
    mtime: head.ctime,
    size: totals.bytes,
    encrypted: false,
    root: head.rootId,
    permission,
    modifier_email: head.creatorName,
    modifier_contact_email: modifier.email,
    modifier_name: modifier.name,
    file_count: totals.files,
    head_commit_id: head.id,
  });
}

function infoV21(request: ApiRequest, services: Services) {
  const library = libraryOf(request, services);
  const permission = demand("r", request, services, library);
  const { head, record } = library;
  const owner = person(record.ownerId, services);
  const totals = library.fs.totals(head.rootId);
  return rest({
    repo_id: library.id,
    repo_name: record.name,
    owner_email: record.ownerId,
    owner_name: owner.name,
    owner_contact_email: owner.email,
    size: totals.bytes,
    encrypted: false,
    file_count: totals.files,
    permission,
    no_quota: services.store.isFull(library, 0),
    is_admin: record.ownerId === request.user.id,
    is_virtual: false,
    has_been_shared_out: Object.keys(record.shares).length + record.groupShares.length > 0,
    lib_need_decrypt: false,
    last_modified: isoTime(head.ctime),
    status: record.readOnly ? "read-only" : "normal",
  });
}

function downloadInfoView(request: ApiRequest, services: Services) {
  const library = libraryOf(request, services);
  demand("r", request, services, library, NO_ACCESS);
  return rest(downloadInfo(library, request.user, services.store.syncToken(request.user, library), services));
}

function create(request: ApiRequest, services: Services) {
  const name = request.data("name") ?? "";
  if (name === "") throw apiError(400, "Library name is required.");
  if (!isValidName(name)) throw apiError(400, "name invalid.");
  const wantsEncryption = (request.data("passwd") ?? request.data("magic") ?? "") !== "";
  if (wantsEncryption) throw apiError(403, "NOT allow to create encrypted library.");
  const id = services.store.createLibrary(request.user.email, name, { description: request.data("desc") ?? "" });
  const library = services.store.library(id)!;
  const token = request.query("from") === "web" ? "" : services.store.syncToken(request.user, library);
  return rest(downloadInfo(library, request.user, token, services));
}

/** POST on a library: op=setpassword (the default), checkpassword, rename. No library is encrypted yet. */
function operate(request: ApiRequest, services: Services) {
  const library = libraryOf(request, services, "Library not found.");
  const op = request.query("op") ?? "setpassword";
  if (op === "rename") return renameLibrary(library, request, services);
  if (op === "setpassword") {
    demand("r", request, services, library, NO_ACCESS);
    return rest("success");
  }
  if (op === "checkpassword") throw apiError(441, "Library password magic is needed.");
  return rest("unsupported operation");
}

function renameLibrary(library: Library, request: ApiRequest, services: Services) {
  const name = request.form("repo_name");
  if (!isValidName(name)) throw apiError(400, "name invalid.");
  if (library.record.ownerId !== request.user.id) {
    throw apiError(403, "You do not have permission to rename this library.");
  }
  if (permissionOf(request, services, library) !== "rw") throw apiError(403, "Permission denied.");
  library.rename(request.user.id, name);
  return rest("success");
}

function ownLibrary(request: ApiRequest, services: Services): Library {
  const library = libraryOf(request, services);
  if (library.record.ownerId !== request.user.id) throw apiError(403, "Permission denied.");
  return library;
}

function remove(request: ApiRequest, services: Services) {
  services.store.deleteLibrary(ownLibrary(request, services).id);
  return rest("success");
}

function removeV21(request: ApiRequest, services: Services) {
  if (services.store.library(request.params[0] ?? "") === undefined) return rest({ success: true });
  return remove(request, services);
}

function setPasswordV21(request: ApiRequest, services: Services): never {
  const library = libraryOf(request, services);
  throw apiError(400, `Library ${library.id} is not encrypted.`);
}

function history(request: ApiRequest, services: Services) {
  const library = libraryOf(request, services);
  demand("r", request, services, library);
  const page = Math.max(1, Number(request.query("page") ?? 1) || 1);
  const perPage = Math.max(1, Number(request.query("per_page") ?? 25) || 25);
  const commits = [...library.history()];
  const start = (page - 1) * perPage;
  return dumped({
    commits: commits.slice(start, start + perPage).map(historyItem),
    page_next: commits.length > start + perPage,
  });
}

function owner(request: ApiRequest, services: Services) {
  return dumped({ owner: ownLibrary(request, services).record.ownerId });
}

export const libraryRoutes: readonly Route[] = [
  {
    pattern: route("/api2/repos/"),
    kind: (request) => (request.method === "POST" ? "repo-create" : "repos"),
    views: { GET: list, POST: create },
  },
  { pattern: route("/api/v2.1/repos/"), kind: "repos", views: { GET: listV21 } },
  {
    pattern: route("/api2/repos/{id}/"),
    kind: (request) => ({ POST: "repo-operation", DELETE: "repo-delete" })[request.method] ?? "repo",
    views: { GET: info, POST: operate, DELETE: remove },
  },
  {
    pattern: route("/api/v2.1/repos/{id}/"),
    kind: (request) => (request.method === "DELETE" ? "repo-delete" : "repo"),
    views: { GET: infoV21, DELETE: removeV21 },
  },
  { pattern: route("/api/v2.1/repos/{id}/set-password/"), kind: "set-password", views: { POST: setPasswordV21 } },
  { pattern: route("/api2/repos/{id}/download-info/"), kind: "download-info", views: { GET: downloadInfoView } },
  { pattern: route("/api2/repos/{id}/history/"), kind: "history", views: { GET: history } },
  { pattern: route("/api2/repos/{id}/owner/"), kind: "owner", views: { GET: owner } },
  { pattern: route("/api2/default-repo/"), kind: "default-repo", views: { GET: () => rest({ exists: false }) } },
];
