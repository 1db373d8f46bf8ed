/**
 * Seahub views of libraries: the two listings, info, create, rename, delete, download-info, history, owner.
 * Listed in api-routes.ts.
 */
import { demand, formatSize, isoTime, libraryOf, permissionOf, person, relativeTime } from "./api-common.ts";
import { apiError, dumped, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Library } from "./library.ts";
import type { Commit } from "./objects.ts";
import { isValidName } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

const NO_ACCESS = "You do not have permission to access this library.";
/** A constant of the server (the id of its old relay). */
const RELAY_ID = "44e8f253849ad910dc142247227c8ece8ec0f971";

/** Own libraries, then those shared with the user; each newest first. */
function visible(request: ApiRequest, services: Services): { own: Library[]; shared: Library[] } {
  const newestFirst = services.store.libraries().toSorted((a, b) => b.head.ctime - a.head.ctime);
  const isOwn = (library: Library) => library.record.ownerId === request.user.id;
  return {
    own: newestFirst.filter(isOwn),
    shared: newestFirst.filter((library) => !isOwn(library) && permissionOf(request, services, library) !== undefined),
  };
}

/** seahub compares the literal permission of a share, so the library status does not show here. */
function listedPermission(request: ApiRequest, services: Services, library: Library): string {
  return permissionOf(request, services, library) ?? "r";
}

function ownItem(library: Library, request: ApiRequest, services: Services) {
  const { head, record } = library;
  const [owner, modifier] = [person(record.ownerId, services), person(head.creatorName, services)];
  const { bytes } = library.fs.totals(head.rootId);
  return {
    type: "repo",
    id: library.id,
    owner: record.ownerId,
    owner_name: owner.name,
    owner_contact_email: owner.email,
    name: record.name,
    mtime: head.ctime,
    modifier_email: head.creatorName,
    modifier_contact_email: modifier.email,
    modifier_name: modifier.name,
    mtime_relative: relativeTime(head.ctime, services.now()),
    size: bytes,
    size_formatted: formatSize(bytes),
    encrypted: false,
    permission: listedPermission(request, services, library),
    virtual: false,
    root: "",
    head_commit_id: head.id,
    version: 1,
    salt: "",
  };
}

function sharedItem(library: Library, request: ApiRequest, services: Services) {
  const { head, record } = library;
  const [owner, modifier] = [person(record.ownerId, services), person(head.creatorName, services)];
  const { bytes } = library.fs.totals(head.rootId);
  return {
    type: "srepo",
    id: library.id,
    owner: record.ownerId,
    owner_name: owner.name,
    owner_contact_email: owner.email,
    name: record.name,
    owner_nickname: owner.name,
    mtime: head.ctime,
    mtime_relative: relativeTime(head.ctime, services.now()),
    modifier_email: head.creatorName,
    modifier_contact_email: modifier.email,
    modifier_name: modifier.name,
    size: bytes,
    size_formatted: formatSize(bytes),
    encrypted: false,
    permission: listedPermission(request, services, library),
    share_type: "personal",
    root: "",
    head_commit_id: head.id,
    version: 1,
    group_name: "",
    salt: "",
    is_admin: false,
  };
}

function list(request: ApiRequest, services: Services) {
  const types = request.query("type")?.split(",");
  const wants = (type: string) => types === undefined || types.includes(type);
  const part = (request.query("nameContains") ?? "").toLowerCase();
  const named = (library: Library) => library.record.name.toLowerCase().includes(part);
  const { own, shared } = visible(request, services);
  const items = [
    ...(wants("mine") ? own.filter(named).map((library) => ownItem(library, request, services)) : []),
    ...(wants("shared") ? shared.filter(named).map((library) => sharedItem(library, request, services)) : []),
  ];
  return dumped(items, [["enable_encrypted_library", "True"]]);
}

function itemV21(library: Library, own: boolean, request: ApiRequest, services: Services) {
  const { head, record } = library;
  const [owner, modifier] = [person(record.ownerId, services), person(head.creatorName, services)];
  const owners = { owner_email: record.ownerId, owner_name: owner.name, owner_contact_email: owner.email };
  const changed = {
    last_modified: isoTime(head.ctime),
    modifier_email: head.creatorName,
    modifier_name: modifier.name,
    modifier_contact_email: modifier.email,
  };
  return {
    type: own ? "mine" : "shared",
    repo_id: library.id,
    repo_name: record.name,
    ...(own ? { ...owners, ...changed } : { ...changed, ...owners }),
    size: library.fs.totals(head.rootId).bytes,
    encrypted: false,
    permission: listedPermission(request, services, library),
    starred: false,
    monitored: false,
    status: record.readOnly ? "read-only" : "normal",
    salt: "",
    ...(own ? {} : { is_admin: false }),
  };
}

function listV21(request: ApiRequest, services: Services) {
  const types = request.queryAll("type");
  const wants = (type: string) => types.length === 0 || types.includes(type);
  const { own, shared } = visible(request, services);
  return rest({
    repos: [
      ...(wants("mine") ? own.map((library) => itemV21(library, true, request, services)) : []),
      ...(wants("shared") ? shared.map((library) => itemV21(library, false, request, services)) : []),
    ],
  });
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
    has_been_shared_out: Object.keys(record.shares).length > 0,
    lib_need_decrypt: false,
    last_modified: isoTime(head.ctime),
    status: record.readOnly ? "read-only" : "normal",
  });
}

function downloadInfo(library: Library, request: ApiRequest, services: Services, withToken: boolean) {
  const { head, record } = library;
  const { bytes } = library.fs.totals(head.rootId);
  return {
    relay_id: RELAY_ID,
    relay_addr: "127.0.0.1",
    relay_port: "80",
    email: request.user.id,
    token: withToken ? services.store.syncToken(request.user, library) : "",
    repo_id: library.id,
    repo_name: record.name,
    repo_desc: record.description,
    repo_size: bytes,
    repo_size_formatted: formatSize(bytes),
    mtime: head.ctime,
    mtime_relative: relativeTime(head.ctime, services.now()),
    encrypted: "",
    enc_version: 0,
    salt: "",
    magic: "",
    random_key: "",
    repo_version: 1,
    head_commit_id: head.id,
    permission: listedPermission(request, services, library),
  };
}

function downloadInfoView(request: ApiRequest, services: Services) {
  const library = libraryOf(request, services);
  demand("r", request, services, library, NO_ACCESS);
  return rest(downloadInfo(library, request, services, true));
}

function create(request: ApiRequest, services: Services) {
  const name = request.data("name") ?? "";
  if (name === "") throw apiError(400, "Library name is required.");
  if (!isValidName(name)) throw apiError(400, "name invalid.");
  const wantsEncryption = (request.data("passwd") ?? request.data("magic") ?? "") !== "";
  if (wantsEncryption) throw apiError(403, "NOT allow to create encrypted library.");
  const id = services.store.createLibrary(request.user.email, name, { description: request.data("desc") ?? "" });
  const library = services.store.library(id)!;
  return rest(downloadInfo(library, request, services, request.query("from") !== "web"));
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

function historyItem(commit: Commit) {
  return {
    id: commit.id,
    creator_name: commit.creatorName,
    creator: "0".repeat(40),
    desc: commit.description,
    ctime: commit.ctime,
    parent_id: commit.parentId,
    second_parent_id: commit.secondParentId,
    repo_id: commit.libraryId,
    root_id: commit.rootId,
    version: 1,
    new_merge: false,
    conflict: false,
    rev_file_id: null,
    rev_file_size: 0,
    rev_renamed_old_path: null,
    device_name: null,
    client_version: null,
    next_start_commit: null,
  };
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
