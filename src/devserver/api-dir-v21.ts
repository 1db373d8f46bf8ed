/**
 * Seahub's v2.1 directory views: list, mkdir, rename, delete, detail. They tell the names that things really got.
 * Listed in api-routes.ts.
 */
import { demand, freeName, isoTime, libraryOf, nameIsValid } from "./api-common.ts";
import { makeFree, orFail } from "./api-dir.ts";
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Library, Permission } from "./library.ts";
import { directoryInfo, listItemV21, recursiveItems, sorted, type TypeFilter } from "./listing.ts";
import { basename, dirname, joinPath, normalizeDirectory, splitPath } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

function typeFilter(request: ApiRequest): TypeFilter {
  const type = request.query("t") ?? "";
  if (type !== "" && type !== "f" && type !== "d") throw apiError(400, "t invalid.");
  return type;
}

function flag(request: ApiRequest, name: string, values: readonly [string, string]): boolean {
  const value = (request.query(name) ?? values[0]).toLowerCase();
  if (!values.includes(value)) throw apiError(400, `${name} invalid.`);
  return value === values[1];
}

function list(request: ApiRequest, services: Services): ApiReply {
  const type = typeFilter(request);
  const recursive = flag(request, "recursive", ["0", "1"]);
  const withParents = flag(request, "with_parents", ["false", "true"]);
  const library = libraryOf(request, services);
  const path = normalizeDirectory(request.query("p") ?? "/");
  const id = library.directoryId(path);
  if (id === undefined) throw apiError(404, `Folder ${path} not found.`);
  const permission = demand("r", request, services, library);
  if (recursive) {
    const wanted = { f: "file", d: "dir", "": undefined }[type];
    const items = [...recursiveItems(library, id, path, permission, services)];
    return rest({ dirent_list: items.filter((item) => wanted === undefined || item.type === wanted) });
  }
  const directories = withParents ? [...parentsOf(path), path] : [path];
  const items = directories.flatMap((directory) => itemsOf(library, directory, type, permission, request, services));
  const inOrder = [...items.filter((item) => item.type === "dir"), ...items.filter((item) => item.type === "file")];
  return rest({ user_perm: permission, dir_id: id, dirent_list: inOrder });
}

/** "/", "/a/" for "/a/b/". */
function parentsOf(path: string): string[] {
  const parts = splitPath(path);
  return parts.map((_, index) => normalizeDirectory(parts.slice(0, index).join("/")));
}

function itemsOf(
  library: Library,
  path: string,
  type: TypeFilter,
  permission: Permission,
  request: ApiRequest,
  services: Services,
) {
  const isStarred = (name: string) => services.store.stars.has(request.user.id, library.id, joinPath(path, name));
  return sorted(library.entries(path) ?? [], type).map((entry) =>
    listItemV21(entry, path, permission, isStarred(entry.name), services),
  );
}

function operate(request: ApiRequest, services: Services): ApiReply {
  const given = request.query("p") ?? "";
  if (!given.startsWith("/")) throw apiError(400, "p invalid.");
  if (given === "/") throw apiError(400, "Can not operate root dir.");
  const operation = request.data("operation")?.toLowerCase() ?? "";
  if (operation === "") throw apiError(400, "operation invalid.");
  if (!["mkdir", "rename", "revert"].includes(operation)) {
    throw apiError(400, "operation can only be 'mkdir', 'rename' or 'revert'.");
  }
  const library = libraryOf(request, services);
  const path = given.replace(/\/+$/, "");
  if (operation === "mkdir") return makeDirectory(library, path, request, services);
  if (operation === "rename") return renameDirectory(library, path, request, services);
  throw apiError(520, "The development server does not revert directories.");
}

/** The entry may have got its name's NFC form. */
function infoAt(library: Library, parent: string, name: string): ApiReply {
  const entry = library.find(joinPath(parent, name)) ?? library.find(joinPath(parent, name).normalize("NFC"));
  if (entry === undefined) throw apiError(500, "Internal Server Error");
  return rest(directoryInfo(library, parent, entry));
}

function makeDirectory(library: Library, path: string, request: ApiRequest, services: Services): ApiReply {
  const [parent, wanted] = [dirname(path), basename(path)];
  if (library.directoryId(parent) === undefined) throw apiError(404, `Folder ${parent} not found.`);
  demand("rw", request, services, library);
  if (!nameIsValid(wanted, services)) throw apiError(400, "name invalid.");
  return infoAt(library, parent, makeFree(library, parent, wanted, request.user.id));
}

function renameDirectory(library: Library, path: string, request: ApiRequest, services: Services): ApiReply {
  if (library.directoryId(path) === undefined) throw apiError(404, `Folder ${path} not found.`);
  demand("rw", request, services, library);
  const wanted = request.data("newname") ?? "";
  if (wanted === "") throw apiError(400, "newname invalid.");
  if (!nameIsValid(wanted, services)) throw apiError(400, "name invalid.");
  const [parent, name] = [dirname(path), basename(path)];
  if (wanted === name) return infoAt(library, parent, name);
  const free = freeName(library, parent, wanted);
  orFail(500, "Internal Server Error", () => library.renameEntry(request.user.id, parent, name, free));
  return infoAt(library, parent, free);
}

function remove(request: ApiRequest, services: Services): ApiReply {
  const path = request.query("p") ?? "";
  if (path === "") throw apiError(400, "p invalid.");
  if (path === "/") throw apiError(400, "Can not delete root path.");
  const library = libraryOf(request, services);
  if (library.directoryId(path) === undefined) throw apiError(404, `Folder ${path} not found.`);
  demand("rw", request, services, library);
  const headBefore = library.record.head;
  const trimmed = path.replace(/\/+$/, "");
  library.remove(request.user.id, dirname(trimmed), [basename(trimmed)]);
  return rest({ success: true, commit_id: headBefore });
}

function detailView(request: ApiRequest, services: Services): ApiReply {
  const given = request.query("path") ?? "";
  if (given === "" || given === "/") throw apiError(400, "path invalid.");
  const library = libraryOf(request, services);
  const path = normalizeDirectory(given);
  if (library.directoryId(path) === undefined) throw apiError(404, `Folder ${path} not found.`);
  const permission = demand("r", request, services, library);
  const entry = library.find(path)!;
  return rest({ repo_id: library.id, path, name: entry.name, mtime: isoTime(entry.mtime), permission });
}

export const dirV21Routes: readonly Route[] = [
  {
    pattern: route("/api/v2.1/repos/{id}/dir/"),
    kind: (request) => {
      if (request.method === "DELETE") return "delete-dir";
      return request.method === "POST" ? (request.peek("operation") === "rename" ? "rename" : "mkdir") : "dir";
    },
    views: { GET: list, POST: operate, DELETE: remove },
  },
  { pattern: route("/api/v2.1/repos/{id}/dir/detail/"), kind: "detail", views: { GET: detailView } },
];
