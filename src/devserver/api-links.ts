/**
 * Seahub's views for writing: upload-link and update-link, and how much of an upload in chunks has arrived. Listed in api-routes.ts.
 * Invariant: who may not write, or has no quota left, gets no link; what a link then allows is not asked again.
 */
import { demand, libraryOf } from "./api-common.ts";
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { canonicalDirectory, joinPath } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

function linkView(op: "upload" | "update") {
  return (request: ApiRequest, services: Services): ApiReply => {
    const library = libraryOf(request, services);
    const path = request.query("p") ?? "/";
    if (library.directoryId(path) === undefined) throw apiError(404, `Folder ${path} not found.`);
    demand("rw", request, services, library, "You do not have permission to access this folder.");
    if (services.store.isFull(library, 0)) throw apiError(443, "Out of quota.");
    const from = request.query("from") ?? "api";
    if (from !== "api" && from !== "web") throw apiError(400, "from invalid.");
    const target = op === "upload" ? path : "";
    const token = services.links.issue({ libraryId: library.id, userId: request.user.id, op, target, oneTime: false });
    const replace = ["1", "true"].includes((request.query("replace") ?? "").toLowerCase());
    const query = op === "upload" && replace ? "?replace=1" : "";
    return rest(`${services.fileServerUrl()}/${op}-${from === "web" ? "aj" : "api"}/${token}${query}`);
  };
}

/** Asks for no token, as the view of 11.0. The size is that of the temporary file, gaps included. */
async function uploadedBytes(request: ApiRequest, services: Services): Promise<ApiReply> {
  const parent = request.query("parent_dir") ?? "";
  if (parent === "") throw apiError(400, "parent_dir invalid.");
  const name = request.query("file_name") ?? "";
  if (name === "") throw apiError(400, "file_name invalid.");
  const library = libraryOf(request, services);
  if (library.directoryId(parent) === undefined) throw apiError(404, `Folder ${parent} not found.`);
  const path = joinPath(canonicalDirectory(parent), name);
  const size = await services.partials.size({ libraryId: library.id, path });
  return rest({ uploadedBytes: size }, 200, services.announcesChunks ? [["Accept-Ranges", "bytes"]] : []);
}

export const linkRoutes: readonly Route[] = [
  { pattern: route("/api2/repos/{id}/upload-link/"), kind: "upload-link", views: { GET: linkView("upload") } },
  { pattern: route("/api2/repos/{id}/update-link/"), kind: "update-link", views: { GET: linkView("update") } },
  {
    pattern: route("/api/v2.1/repos/{id}/file-uploaded-bytes/"),
    kind: "uploaded-bytes",
    anonymous: "none",
    views: { GET: uploadedBytes },
  },
];
