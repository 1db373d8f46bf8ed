/**
 * Seahub's api2 file views: download link, rename, move, copy, create, delete, detail, metadata. Listed in api-routes.ts.
 * Invariant: no view overwrites anything; a taken name is suffixed by rule A, and Location tells the name.
 */
import { demand, freeName, isoTime, libraryById, libraryOf, nameIsValid, person } from "./api-common.ts";
import { orFail, reloads, successOrListing } from "./api-dir.ts";
import { type ApiReply, apiError, crash, dumped, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { type Library, RpcError } from "./library.ts";
import { type Dirent, isDirectory } from "./objects.ts";
import { basename, dirname, quote } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";
import { transfer } from "./transfer.ts";

const REUSE =
  "If you want to reuse file server access token for download file, you should set 'reuse' argument as '1'.";

/** The file at a path; undefined when missing or a directory. */
export function fileAt(library: Library, path: string): Dirent | undefined {
  const entry = library.find(path);
  return entry === undefined || isDirectory(entry) ? undefined : entry;
}

function link(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services, "Library not found.");
  const path = request.query("p") ?? "";
  if (path === "") throw apiError(400, "Path is missing.");
  const reuse = request.query("reuse") ?? "0";
  if (reuse !== "0" && reuse !== "1") throw apiError(400, REUSE);
  const entry = fileAt(library, path);
  if (entry === undefined) throw apiError(404, "File not found");
  demand("r", request, services, library, "You do not have permission to access this file.");
  if (request.query("op") === "downloadblks") {
    const { blockIds } = library.fs.file(entry.id);
    const value = { file_id: entry.id, blklist: blockIds, encrypted: false, enc_version: 0 };
    return dumped(value, [["oid", entry.id]]);
  }
  const token = services.links.issue({
    libraryId: library.id,
    userId: request.user.id,
    op: "download",
    target: entry.id,
    oneTime: reuse === "0",
  });
  const name = quote(basename(path.replace(/\/+$/, "")));
  return dumped(`${services.fileServerUrl()}/files/${token}/${name}`, [["oid", entry.id]]);
}

function operate(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services, "Library not found.");
  const path = request.query("p") ?? "";
  if (!path.startsWith("/")) throw apiError(400, "Path is missing or invalid.");
  switch (request.form("operation").toLowerCase()) {
    case "rename":
      return renameFile(library, path, request, services);
    case "move":
      return relocate(library, path, "move", request, services);
    case "copy":
      return relocate(library, path, "copy", request, services);
    case "create":
      return create(library, path, request, services);
    default:
      throw apiError(400, "Operation can only be rename, create or move.");
  }
}

/** Directory and name are put together without a slash there; only the root has one. */
function locationOf(request: ApiRequest, libraryId: string, directory: string, name: string): [string, string] {
  const address = `${request.origin}/api2/repos/${libraryId}/file/?p=${quote(directory)}${quote(name)}`;
  return ["Location", address];
}

function renameFile(library: Library, path: string, request: ApiRequest, services: Services): ApiReply {
  demand("rw", request, services, library, "You do not have permission to rename file.");
  const [parent, name, wanted] = [dirname(path), basename(path), request.form("newname")];
  if (wanted === "") throw apiError(400, "New name is missing");
  if ([...wanted].length > 255) throw apiError(400, "New name is too long");
  if (!nameIsValid(wanted, services)) throw apiError(400, "File name invalid.");
  if (wanted === name) throw apiError(409, "The new name is the same to the old");
  const free = freeName(library, parent, wanted);
  try {
    library.renameEntry(request.user.id, parent, name, free);
  } catch (error) {
    if (error instanceof RpcError) throw apiError(520, `Failed to rename file: ${error.message}`);
    throw error;
  }
  if (reloads(request)) return successOrListing(library, parent, request, services);
  return rest("success", 301, [locationOf(request, library.id, parent, free)]);
}

function relocate(library: Library, path: string, verb: "move" | "copy", request: ApiRequest, services: Services) {
  const denied = `You do not have permission to ${verb} file.`;
  demand(verb === "move" ? "rw" : "r", request, services, library, denied);
  const given = request.form("dst_dir");
  // The view looks at the last character of the empty string there.
  if (given === "") throw crash();
  const directory = given.endsWith("/") ? given : `${given}/`;
  const targetId = request.form("dst_repo");
  if (targetId === "") throw apiError(400, "Missing arguments.");
  const [parent, name] = [dirname(path), basename(path)];
  if (targetId === library.id && parent === directory) return rest("success");
  const target = libraryById(targetId, services, "Library not found.");
  demand("rw", request, services, target, denied);
  const free = freeName(target, directory, name);
  const same = { by: request.user.id, source: library, sourceDirectory: parent, target, targetDirectory: directory };
  try {
    if (library !== target) demandRoom(library, target, path, verb, services);
    transfer({ ...same, move: verb === "move", names: [name], newNames: [free] });
  } catch (error) {
    if (error instanceof RpcError) throw apiError(500, `SearpcError:${error.message}`);
    throw error;
  }
  const value = { repo_id: target.id, parent_dir: directory, obj_name: free };
  return rest(value, verb === "move" ? 301 : 200, [locationOf(request, target.id, directory, free)]);
}

/** Between libraries the target's owner must have room. Throws RpcError. */
export function demandRoom(source: Library, target: Library, path: string, verb: string, services: Services): void {
  const entry = source.find(path);
  if (entry === undefined) return;
  const bytes = isDirectory(entry) ? source.fs.totals(entry.id).bytes : entry.size;
  if (source.record.ownerId === target.record.ownerId && verb === "move") return;
  if (services.store.isFull(target, bytes)) throw new RpcError("Out of quota");
}

function create(library: Library, path: string, request: ApiRequest, services: Services): ApiReply {
  demand("rw", request, services, library, "You do not have permission to create file.");
  const [parent, wanted] = [dirname(path), basename(path)];
  if (!nameIsValid(wanted, services)) throw apiError(400, "File name invalid.");
  const name = freeName(library, parent, wanted);
  orFail(520, "Failed to create file.", () => library.createFile(request.user.id, parent, name));
  if (reloads(request)) return successOrListing(library, parent, request, services);
  return rest("success", 201, [locationOf(request, library.id, parent, name)]);
}

function remove(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services);
  const path = request.query("p") ?? "";
  if (path === "") throw apiError(400, "Path is missing.");
  demand("rw", request, services, library);
  library.remove(request.user.id, dirname(path), [basename(path)]);
  return successOrListing(library, dirname(path), request, services);
}

function detailView(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services);
  const path = request.query("p") ?? "";
  if (path === "") throw apiError(400, "p invalid.");
  const entry = fileAt(library, path);
  if (entry === undefined) throw apiError(404, `File ${path} not found.`);
  const permission = demand("r", request, services, library);
  const modifier = person(entry.modifier, services);
  return rest({
    type: "file",
    id: entry.id,
    name: entry.name,
    permission,
    mtime: entry.mtime,
    last_modified: isoTime(entry.mtime),
    last_modifier_email: entry.modifier,
    last_modifier_name: modifier.name,
    last_modifier_contact_email: modifier.email,
    size: entry.size,
    starred: services.store.stars.has(request.user.id, library.id, path),
    comment_total: 0,
    can_edit: permission === "rw",
  });
}

function metadata(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services);
  const path = request.query("p") ?? "";
  if (path === "") throw apiError(400, "p invalid.");
  const entry = fileAt(library, path);
  if (entry === undefined) throw apiError(404, `File ${path} not found.`);
  demand("r", request, services, library);
  return rest({ id: entry.id });
}

/** Locks are Pro only; the view calls an RPC that is not there. */
function noLocks(): never {
  throw crash();
}

export const fileRoutes: readonly Route[] = [
  {
    pattern: route("/api2/repos/{id}/file/"),
    kind: (request) => {
      if (request.method === "DELETE") return "delete-file";
      return request.method === "POST" ? fileOperationKind(request) : "file-link";
    },
    views: { GET: link, POST: operate, PUT: noLocks, DELETE: remove },
  },
  { pattern: route("/api2/repos/{id}/file/detail/"), kind: "detail", views: { GET: detailView } },
  { pattern: route("/api2/repos/{id}/file/metadata/"), kind: "metadata", views: { GET: metadata } },
];

/** "rename", "move", "copy" or "create". */
export function fileOperationKind(request: ApiRequest): string {
  const operation = request.peek("operation");
  return ["rename", "move", "copy"].includes(operation) ? operation : "create";
}
