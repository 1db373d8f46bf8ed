/**
 * Seahub's v2.1 batch views: sync and async copy and move of several entries, the per-item variants, batch delete, copy-move
 * tasks and their progress. Work is done at once, so every task that has an id is complete. Listed in api-routes.ts.
 */
import { randomUUID } from "node:crypto";
import { demand, freeName, libraryById } from "./api-common.ts";
import { demandRoom } from "./api-file.ts";
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { type Library, RpcError } from "./library.ts";
import { basename, canonicalDirectory, dirname, joinPath } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";
import { transfer } from "./transfer.ts";

type Verb = "copy" | "move";

function text(request: ApiRequest, name: string): string {
  const value = request.data(name) ?? "";
  if (value === "") throw apiError(400, `${name} invalid.`);
  return value;
}

function texts(request: ApiRequest, name: string): string[] {
  const value = request.dataValue(name);
  const list = Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  if (list.length === 0) throw apiError(400, `${name} invalid.`);
  return list;
}

interface Batch {
  readonly source: Library;
  readonly sourceDirectory: string;
  readonly names: readonly string[];
  readonly target: Library;
  readonly targetDirectory: string;
}

function readBatch(request: ApiRequest, services: Services, names: readonly string[], verb: Verb): Batch {
  const [sourceId, sourceDirectory] = [text(request, "src_repo_id"), text(request, "src_parent_dir")];
  const [targetId, targetDirectory] = [text(request, "dst_repo_id"), text(request, "dst_parent_dir")];
  const source = libraryById(sourceId, services);
  if (source.directoryId(sourceDirectory) === undefined) throw apiError(404, `Folder ${sourceDirectory} not found.`);
  const target = libraryById(targetId, services);
  if (target.directoryId(targetDirectory) === undefined) throw apiError(404, `Folder ${targetDirectory} not found.`);
  demand(verb === "move" ? "rw" : "r", request, services, source);
  demand("rw", request, services, target);
  return { source, sourceDirectory, names, target, targetDirectory };
}

/** Copy finds free names by rule A, move leaves them to the RPC, which uses rule B; neither tells them. */
function run(batch: Batch, verb: Verb, request: ApiRequest, services: Services): void {
  const { source, target, names } = batch;
  const free = (name: string) => freeName(target, batch.targetDirectory, name);
  const newNames = verb === "copy" ? names.map(free) : names;
  try {
    if (source !== target) {
      for (const name of names) demandRoom(source, target, joinPath(batch.sourceDirectory, name), verb, services);
    }
    transfer({ ...batch, by: request.user.id, move: verb === "move", newNames });
  } catch (error) {
    if (error instanceof RpcError) throw apiError(500, "Internal Server Error");
    throw error;
  }
}

function syncBatch(verb: Verb) {
  return (request: ApiRequest, services: Services): ApiReply => {
    run(readBatch(request, services, texts(request, "src_dirents"), verb), verb, request, services);
    return rest({ success: true });
  };
}

function asyncBatch(verb: Verb) {
  return (request: ApiRequest, services: Services): ApiReply => {
    const batch = readBatch(request, services, texts(request, "src_dirents"), verb);
    run(batch, verb, request, services);
    return rest({ task_id: batch.source === batch.target ? "" : newTask(services) });
  };
}

function copyMoveTask(request: ApiRequest, services: Services): ApiReply {
  const verb = text(request, "operation");
  if (verb !== "copy" && verb !== "move") throw apiError(400, "operation invalid.");
  const batch = readBatch(request, services, [text(request, "src_dirent_name")], verb);
  run(batch, verb, request, services);
  return rest(batch.source === batch.target ? {} : { task_id: newTask(services) });
}

function newTask({ tasks }: Services): string {
  const id = randomUUID();
  tasks.add(id);
  return id;
}

function progress(request: ApiRequest, services: Services): ApiReply {
  const id = request.query("task_id") ?? "";
  if (id === "") throw apiError(400, "task_id invalid.");
  if (!services.tasks.has(id)) throw apiError(500, "Error");
  return rest({ done: 1, total: 1, canceled: false, failed: false, successful: true });
}

function cancelTask(request: ApiRequest): ApiReply {
  if ((request.query("task_id") ?? request.data("task_id") ?? "") === "") throw apiError(400, "task_id invalid.");
  return rest({ success: true });
}

function batchItems(verb: Verb) {
  return (request: ApiRequest, services: Services): ApiReply => {
    const source = libraryById(text(request, "src_repo_id"), services);
    const target = libraryById(text(request, "dst_repo_id"), services);
    const paths = request.dataValue("paths");
    if (!Array.isArray(paths) || paths.length === 0) throw apiError(400, "paths invalid.");
    const success: object[] = [];
    const failed: object[] = [];
    for (const item of paths as { src_path?: string; dst_path?: string }[]) {
      const [from, to] = [withSlash(item.src_path ?? ""), withSlash(item.dst_path ?? "")];
      const echo = { src_repo_id: source.id, src_path: from, dst_repo_id: target.id, dst_path: to };
      const result = relocateItem(source, from, target, to, verb, request, services);
      if (typeof result === "string") failed.push({ ...echo, error_msg: result });
      else success.push({ ...echo, dst_obj_name: result.name });
    }
    return rest({ success, failed });
  };
}

const withSlash = (path: string) => (path.endsWith("/") ? path : `${path}/`);

/** The new name, or what is wrong. */
function relocateItem(
  source: Library,
  from: string,
  target: Library,
  to: string,
  verb: Verb,
  request: ApiRequest,
  services: Services,
): { name: string } | string {
  if (from === "/") return "The source path can not be '/'.";
  const path = canonicalDirectory(from);
  const [parent, name] = [dirname(path), basename(path)];
  if (source === target && (to.startsWith(from) || to === withSlash(parent))) {
    return "The destination directory is the same as the source, or is it's subfolder.";
  }
  if (source.find(path) === undefined) return `${path} not found.`;
  if (target.directoryId(to) === undefined) return `Folder ${to} not found.`;
  const { store } = services;
  const wanted = verb === "move" ? ["rw"] : ["rw", "r"];
  if (!wanted.includes(store.permission(request.user.id, source) ?? "")) return "Permission denied.";
  if (store.permission(request.user.id, target) !== "rw") return "Permission denied.";
  const free = freeName(target, to, name);
  try {
    if (source !== target) demandRoom(source, target, path, verb, services);
    const places = { source, sourceDirectory: parent, target, targetDirectory: to };
    transfer({ by: request.user.id, move: verb === "move", ...places, names: [name], newNames: [free] });
  } catch (error) {
    if (error instanceof RpcError) return "Internal Server Error";
    throw error;
  }
  return { name: free };
}

function batchDelete(request: ApiRequest, services: Services): ApiReply {
  const [id, parent, names] = [text(request, "repo_id"), text(request, "parent_dir"), texts(request, "dirents")];
  const library = libraryById(id, services);
  if (library.directoryId(parent) === undefined) throw apiError(404, `Folder ${parent} not found.`);
  demand("rw", request, services, library);
  const headBefore = library.record.head;
  library.remove(request.user.id, parent, names);
  return rest({ success: true, commit_id: headBefore });
}

function batchRoute(name: string, kind: string, view: (request: ApiRequest, services: Services) => ApiReply): Route {
  return { pattern: route(`/api/v2.1/repos/${name}/`), kind, views: { POST: view } };
}

export const batchRoutes: readonly Route[] = [
  batchRoute("sync-batch-copy-item", "batch-copy", syncBatch("copy")),
  batchRoute("sync-batch-move-item", "batch-move", syncBatch("move")),
  batchRoute("async-batch-copy-item", "batch-copy", asyncBatch("copy")),
  batchRoute("async-batch-move-item", "batch-move", asyncBatch("move")),
  batchRoute("batch-copy-item", "batch-copy", batchItems("copy")),
  batchRoute("batch-move-item", "batch-move", batchItems("move")),
  { pattern: route("/api/v2.1/repos/batch-delete-item/"), kind: "batch-delete", views: { DELETE: batchDelete } },
  {
    pattern: route("/api/v2.1/copy-move-task/"),
    kind: "copy-move-task",
    views: { POST: copyMoveTask, DELETE: cancelTask },
  },
  { pattern: route("/api/v2.1/query-copy-move-progress/"), kind: "copy-move-progress", views: { GET: progress } },
];
