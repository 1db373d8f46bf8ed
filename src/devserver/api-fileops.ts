/**
 * Seahub's old batch views, fileops/delete, /copy and /move: names joined by ":" in a form. Listed in api-routes.ts.
 * Invariant: all names of a request are changed in one commit per library, or none is.
 */
import { demand, freeName, libraryById, libraryOf } from "./api-common.ts";
import { demandRoom } from "./api-file.ts";
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { RpcError } from "./library.ts";
import { canonicalDirectory, joinPath } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";
import { transfer } from "./transfer.ts";

function names(request: ApiRequest): string[] {
  return request
    .form("file_names")
    .split(":")
    .filter((name) => name !== "");
}

function remove(request: ApiRequest, services: Services): ApiReply {
  const library = libraryOf(request, services);
  const parent = request.query("p") ?? "/";
  if (names(request).length === 0) throw apiError(404, "File or directory not found.");
  if (library.directoryId(parent) === undefined) throw apiError(404, "File or directory not found.");
  demand("rw", request, services, library);
  library.remove(request.user.id, parent, names(request));
  return rest("success");
}

function relocate(verb: "copy" | "move") {
  return (request: ApiRequest, services: Services): ApiReply => {
    const library = libraryOf(request, services);
    const parent = canonicalDirectory(request.query("p") ?? "/");
    const [targetId, directory] = [request.form("dst_repo"), request.form("dst_dir")];
    if (targetId === "" || directory === "" || names(request).length === 0) throw apiError(400, "Missing argument.");
    const target = libraryById(targetId, services);
    if (target.directoryId(directory) === undefined) throw apiError(404, `Folder ${directory} not found.`);
    if (verb === "move" && target === library && canonicalDirectory(directory) === parent) {
      throw apiError(400, "The destination directory is the same as the source.");
    }
    demand(verb === "move" ? "rw" : "r", request, services, library, `You do not have permission to ${verb} file.`);
    demand("rw", request, services, target, `You do not have permission to ${verb} file.`);
    if (names(request).some((name) => library.find(joinPath(parent, name)) === undefined)) {
      throw apiError(400, "file_names invalid.");
    }
    const newNames = names(request).map((name) => freeName(target, directory, name));
    try {
      if (library !== target) {
        for (const name of names(request)) demandRoom(library, target, joinPath(parent, name), verb, services);
      }
      const places = { source: library, sourceDirectory: parent, target, targetDirectory: directory };
      transfer({ by: request.user.id, move: verb === "move", ...places, names: names(request), newNames });
    } catch (error) {
      if (error instanceof RpcError) throw apiError(520, `Failed to ${verb} file.`);
      throw error;
    }
    return rest(newNames.map((name) => ({ repo_id: target.id, parent_dir: directory, obj_name: name })));
  };
}

export const fileopsRoutes: readonly Route[] = [
  { pattern: route("/api2/repos/{id}/fileops/delete/"), kind: "batch-delete", views: { POST: remove } },
  { pattern: route("/api2/repos/{id}/fileops/copy/"), kind: "batch-copy", views: { POST: relocate("copy") } },
  { pattern: route("/api2/repos/{id}/fileops/move/"), kind: "batch-move", views: { POST: relocate("move") } },
];
