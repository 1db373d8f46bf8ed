/**
 * Seahub's v2.1 file views: info, create, rename, move, copy, delete. They tell the names that things really got.
 * Listed in api-routes.ts.
 */
import { demand, freeName, libraryById, libraryOf, nameIsValid } from "./api-common.ts";
import { orFail } from "./api-dir.ts";
import { demandRoom, fileAt, fileOperationKind } from "./api-file.ts";
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Library } from "./library.ts";
import { fileInfo } from "./listing.ts";
import { basename, dirname, joinPath } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";
import { transfer } from "./transfer.ts";

const OPERATIONS = ["create", "rename", "move", "copy", "revert"];
/** New Office files are made from templates there; here from an archive without entries, which is not empty either. */
const EMPTY_ARCHIVE = Buffer.concat([Buffer.from("PK\x05\x06", "latin1"), Buffer.alloc(18)]);

/** Info of the file that an operation resulted in; it may have got its name's NFC form. */
function infoAt(library: Library, directory: string, name: string, request: ApiRequest, services: Services): ApiReply {
  const path = joinPath(directory, name);
  const entry = fileAt(library, path) ?? fileAt(library, path.normalize("NFC"));
  if (entry === undefined) throw apiError(404, `File ${path} not found.`);
  const permission = demand("r", request, services, library);
  return rest(fileInfo(library, dirname(path), entry, permission));
}

function info(request: ApiRequest, services: Services): ApiReply {
  const path = request.query("p") ?? "";
  if (path === "") throw apiError(400, "p invalid.");
  const library = libraryOf(request, services);
  return infoAt(library, dirname(path), basename(path), request, services);
}

async function operate(request: ApiRequest, services: Services): Promise<ApiReply> {
  const path = request.query("p") ?? "";
  if (!path.startsWith("/")) throw apiError(400, "p invalid.");
  const operation = request.data("operation")?.toLowerCase() ?? "";
  if (operation === "") throw apiError(400, "operation invalid.");
  if (!OPERATIONS.includes(operation)) {
    throw apiError(400, "operation can only be 'create', 'rename', 'move', 'copy' or 'revert'.");
  }
  const library = libraryOf(request, services);
  if (operation === "create") return create(library, path, request, services);
  if (operation === "rename") return renameFile(library, path, request, services);
  if (operation === "revert") throw apiError(520, "The development server does not revert files.");
  return relocate(library, path, operation === "move", request, services);
}

async function create(library: Library, path: string, request: ApiRequest, services: Services): Promise<ApiReply> {
  const [parent, wanted] = [dirname(path), basename(path)];
  if (library.directoryId(parent) === undefined) throw apiError(404, `Folder ${parent} not found.`);
  demand("rw", request, services, library);
  if (!nameIsValid(wanted, services)) throw apiError(400, "name invalid.");
  const { keys, store } = services;
  const canFill = !keys.isLocked(library, request.user.id);
  const template = canFill && /\.(docx|xlsx|pptx)$/i.test(wanted) ? [EMPTY_ARCHIVE] : [];
  const content = await store.contents.store(template, keys.key(library, request.user.id));
  const name = freeName(library, parent, wanted);
  orFail(500, "Internal Server Error", () => library.createFile(request.user.id, parent, name, content));
  return infoAt(library, parent, name, request, services);
}

function renameFile(library: Library, path: string, request: ApiRequest, services: Services): ApiReply {
  const wanted = request.data("newname") ?? "";
  if (wanted === "") throw apiError(400, "newname invalid.");
  if ([...wanted].length > 255) throw apiError(400, "newname is too long.");
  if (!nameIsValid(wanted, services)) throw apiError(400, "name invalid.");
  const [parent, name] = [dirname(path), basename(path)];
  if (wanted === name) throw apiError(400, "The new name is the same to the old");
  if (fileAt(library, path) === undefined) throw apiError(404, `File ${path} not found.`);
  demand("rw", request, services, library);
  const free = freeName(library, parent, wanted);
  orFail(500, "Internal Server Error", () => library.renameEntry(request.user.id, parent, name, free));
  return infoAt(library, parent, free, request, services);
}

function relocate(library: Library, path: string, move: boolean, request: ApiRequest, services: Services): ApiReply {
  const [targetId, directory] = [request.data("dst_repo") ?? "", request.data("dst_dir") ?? ""];
  if (targetId === "") throw apiError(400, "dst_repo_id invalid.");
  if (directory === "") throw apiError(400, "dst_dir invalid.");
  if (fileAt(library, path) === undefined) throw apiError(404, `File ${path} not found.`);
  const target = libraryById(targetId, services);
  if (target.directoryId(directory) === undefined) throw apiError(404, `Folder ${directory} not found.`);
  demand(move ? "rw" : "r", request, services, library);
  demand("rw", request, services, target);
  const [parent, name] = [dirname(path), basename(path)];
  if (move && target === library && parent === directory) return infoAt(library, parent, name, request, services);
  const free = freeName(target, directory, name);
  orFail(500, "Internal Server Error", () => {
    if (library !== target) demandRoom(library, target, path, move ? "move" : "copy", services);
    const places = { source: library, sourceDirectory: parent, target, targetDirectory: directory };
    transfer({ by: request.user.id, move, ...places, names: [name], newNames: [free] });
  });
  return infoAt(target, directory, free, request, services);
}

function remove(request: ApiRequest, services: Services): ApiReply {
  const path = request.query("p") ?? "";
  if (path === "") throw apiError(400, "p invalid.");
  const library = libraryOf(request, services);
  demand("rw", request, services, library);
  if (fileAt(library, path) === undefined) return rest({ success: true });
  const headBefore = library.record.head;
  library.remove(request.user.id, dirname(path), [basename(path)]);
  return rest({ success: true, commit_id: headBefore });
}

/** Locks are Pro only. */
function lock(): never {
  throw apiError(400, "Feature disabled.");
}

export const fileV21Routes: readonly Route[] = [
  {
    pattern: route("/api/v2.1/repos/{id}/file/"),
    kind: (request) => {
      if (request.method === "DELETE") return "delete-file";
      return request.method === "POST" ? fileOperationKind(request) : "detail";
    },
    views: { GET: info, POST: operate, PUT: lock, DELETE: remove },
  },
];
