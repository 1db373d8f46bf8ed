/**
 * Seahub's api2 directory views: list, mkdir, rename, delete, metadata. Listed in api-routes.ts.
 * Invariant: no view overwrites anything; a taken name is suffixed by rule A.
 */
import { demand, freeName, libraryOf, nameIsValid } from "./api-common.ts";
import { type ApiReply, apiError, dumped, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { type Library, RpcError } from "./library.ts";
import { listItem, recursiveItems, sorted, type TypeFilter } from "./listing.ts";
import { basename, dirname, joinPath, normalizeDirectory, quote } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

const RECURSIVE = "If you want to get recursive dir entries, you should set 'recursive' argument as '1'.";

function list(request: ApiRequest, services: Services): ApiReply {
  const recursive = request.query("recursive") ?? "0";
  if (recursive !== "0" && recursive !== "1") throw apiError(400, RECURSIVE);
  const type = request.query("t") ?? "";
  if (type !== "" && type !== "f" && type !== "d") throw apiError(400, "'t'(type) should be 'f' or 'd'.");
  const library = libraryOf(request, services);
  const path = normalizeDirectory(request.query("p") ?? "/");
  const id = library.directoryId(path);
  if (id === undefined) throw apiError(404, `Folder ${path} not found.`);
  const permission = demand("r", request, services, library);
  if (request.query("oid") === id) return dumped("uptodate", [["oid", id]]);
  const items =
    recursive === "1"
      ? recursiveListing(library, id, path, type, permission, services)
      : plainListing(library, id, path, type, permission, request, services);
  return dumped(items, [
    ["oid", id],
    ["dir_perm", permission],
  ]);
}

function plainListing(
  library: Library,
  id: string,
  path: string,
  type: TypeFilter,
  permission: "rw" | "r",
  request: ApiRequest,
  services: Services,
) {
  const isStarred = (name: string) => services.store.stars.has(request.user.id, library.id, joinPath(path, name));
  return sorted(library.fs.directory(id), type).map((entry) =>
    listItem(entry, permission, isStarred(entry.name), services),
  );
}

function recursiveListing(
  library: Library,
  id: string,
  path: string,
  type: TypeFilter,
  permission: "rw" | "r",
  services: Services,
) {
  const wanted = { f: "file", d: "dir", "": undefined }[type];
  const items = [...recursiveItems(library, id, path, permission, services)];
  return items.filter((item) => wanted === undefined || item.type === wanted);
}

/** `?reloaddir=true` asks for the parent's listing in place of "success". */
function listingOf(library: Library, directory: string, request: ApiRequest, services: Services): ApiReply {
  const id = library.directoryId(directory) ?? "";
  const items = plainListing(library, id, directory, "", "rw", request, services);
  const permission = demand("r", request, services, library);
  return dumped(items, [
    ["oid", id],
    ["dir_perm", permission],
  ]);
}

export function reloads(request: ApiRequest): boolean {
  return request.query("reloaddir")?.toLowerCase() === "true";
}

export function successOrListing(
  library: Library,
  directory: string,
  request: ApiRequest,
  services: Services,
): ApiReply {
  return reloads(request) ? listingOf(library, directory, request, services) : rest("success");
}

function operate(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services);
  const given = request.query("p") ?? "";
  if (!given.startsWith("/")) throw apiError(400, "Path is missing.");
  if (given === "/") throw apiError(400, "Path is invalid.");
  const path = given.replace(/\/+$/, "");
  switch (request.form("operation").toLowerCase()) {
    case "mkdir":
      return makeDirectory(library, path, request, services);
    case "rename":
      return renameDirectory(library, path, request, services);
    default:
      throw apiError(400, "Operation not supported.");
  }
}

function makeDirectory(library: Library, path: string, request: ApiRequest, services: Services): ApiReply {
  const [parent, wanted] = [dirname(path), basename(path)];
  if (!nameIsValid(wanted, services)) throw apiError(400, "Folder name invalid.");
  let name = wanted;
  if (["true", "1"].includes(request.form("create_parents").toLowerCase())) {
    demand("rw", request, services, library);
    orFail(520, "Failed to make directory.", () => library.makeDirectories(request.user.id, path));
  } else {
    if (library.directoryId(parent) === undefined) throw apiError(404, `Folder ${parent} not found.`);
    demand("rw", request, services, library);
    name = makeFree(library, parent, wanted, request.user.id);
  }
  if (reloads(request)) return listingOf(library, parent, request, services);
  const location = `${request.origin}${request.path}?p=${quote(`${parent}/${name}`)}`;
  return rest("success", 201, [["Location", location]]);
}

/**
 * Makes the directory under a free name. The free name is looked for before the NFC form is known, so an NFD name
 * whose NFC form exists is retried in vain and ends as a success that made nothing, as on the real server.
 */
export function makeFree(library: Library, parent: string, wanted: string, by: string): string {
  const name = freeName(library, parent, wanted);
  try {
    library.makeDirectory(by, parent, name);
  } catch (error) {
    if (!(error instanceof RpcError) || error.message !== "file already exists") throw error;
  }
  return name;
}

function renameDirectory(library: Library, path: string, request: ApiRequest, services: Services): ApiReply {
  if (library.directoryId(path) === undefined) throw apiError(404, `Folder ${path} not found.`);
  demand("rw", request, services, library);
  const [parent, name, wanted] = [dirname(path), basename(path), request.form("newname")];
  if (wanted === "") throw apiError(400, "New name is mandatory.");
  if (wanted !== name) {
    if (!nameIsValid(wanted, services)) throw apiError(520, "Failed to rename folder.");
    const free = freeName(library, parent, wanted);
    orFail(520, "Failed to rename folder.", () => library.renameEntry(request.user.id, parent, name, free));
  }
  return successOrListing(library, parent, request, services);
}

/** Turns an RPC failure into the view's answer. */
export function orFail(status: number, message: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (error instanceof RpcError) throw apiError(status, message);
    throw error;
  }
}

function remove(request: ApiRequest, services: Services): ApiReply {
  const path = request.query("p") ?? "";
  if (path === "") throw apiError(400, "p invalid.");
  const library = libraryOf(request, services);
  if (library.directoryId(path) === undefined) throw apiError(404, `Folder ${path} not found.`);
  demand("rw", request, services, library);
  if (path === "/") throw apiError(400, "Path is invalid.");
  const trimmed = path.replace(/\/+$/, "");
  library.remove(request.user.id, dirname(trimmed), [basename(trimmed)]);
  return successOrListing(library, dirname(trimmed), request, services);
}

function metadata(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services);
  const path = normalizeDirectory(request.query("p") ?? "/");
  const id = library.directoryId(path);
  if (id === undefined) throw apiError(404, `Folder ${path} not found.`);
  demand("r", request, services, library);
  return rest({ id });
}

export const dirRoutes: readonly Route[] = [
  {
    pattern: route("/api2/repos/{id}/dir/"),
    kind: (request) => {
      if (request.method === "DELETE") return "delete-dir";
      return request.method === "POST" ? (request.peek("operation") === "rename" ? "rename" : "mkdir") : "dir";
    },
    views: { GET: list, POST: operate, DELETE: remove },
    about: {
      name: "Dir",
      description: "Support uniform interface for directory operations, including\ncreate/delete/rename/list, etc.",
    },
  },
  { pattern: route("/api2/repos/{id}/dir/metadata/"), kind: "metadata", views: { GET: metadata } },
];
