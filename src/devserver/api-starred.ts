/**
 * Seahub's views of stars: api2's starredfiles, which know files only, and v2.1's starred-items. Both work on one state.
 * Listed in api-routes.ts. Invariant: api2 forgets a star whose file is gone when it lists, v2.1 says "deleted".
 */
import { isEncrypted, isoTime, libraryById, permissionOf, person, relativeTime } from "./api-common.ts";
import { fileAt } from "./api-file.ts";
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { isDirectory } from "./objects.ts";
import { basename, normalizeDirectory, normalizeFile } from "./paths.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";
import type { Star } from "./stars.ts";

const ICONS: Readonly<Record<string, string>> = {
  txt: "txt.png",
  md: "md.png",
  pdf: "pdf.png",
  doc: "word.png",
  docx: "word.png",
  xls: "excel.png",
  xlsx: "excel.png",
  ppt: "ppt.png",
  pptx: "ppt.png",
  jpg: "pic.png",
  jpeg: "pic.png",
  png: "pic.png",
  gif: "pic.png",
  mp3: "music.png",
  mp4: "video.png",
};

function listFiles(request: ApiRequest, services: Services): ApiReply {
  const { stars } = services.store;
  const items = stars
    .of(request.user.id)
    .filter((star) => !star.isFolder)
    .flatMap((star) => {
      const item = fileItem(star, services);
      if (item === undefined) stars.remove(star.userId, star.libraryId, star.path);
      return item ?? [];
    });
  return rest(items.sort((a, b) => b.mtime - a.mtime));
}

function fileItem({ libraryId, path }: Star, services: Services) {
  const library = services.store.library(libraryId);
  const entry = library && fileAt(library, path);
  if (library === undefined || entry === undefined) return undefined;
  const extension = entry.name.slice(entry.name.lastIndexOf(".") + 1).toLowerCase();
  return {
    org: -1,
    repo: library.id,
    repo_id: library.id,
    repo_name: library.record.name,
    path,
    icon_path: `24/${ICONS[extension] ?? "file.png"}`,
    file_name: entry.name,
    mtime: entry.mtime,
    mtime_relative: relativeTime(entry.mtime, services.now()),
    dir: false,
    repo_encrypted: isEncrypted(library),
    oid: entry.id,
    size: entry.size,
  };
}

/** The file that an api2 request names; both of its views look at it in this order. */
function demandFile(libraryId: string, path: string, request: ApiRequest, services: Services): void {
  if (libraryId === "" || path === "") throw apiError(400, "Library ID or path is missing.");
  const library = services.store.library(libraryId);
  if (library === undefined || permissionOf(request, services, library) === undefined) {
    throw apiError(403, "Permission denied");
  }
  if (fileAt(library, path) === undefined) throw apiError(404, "File not found");
  if (path.endsWith("/")) throw apiError(400, "Invalid file path.");
}

function starFile(request: ApiRequest, services: Services): ApiReply {
  const [libraryId, path] = [request.form("repo_id"), request.form("p")];
  demandFile(libraryId, path, request, services);
  services.store.stars.add({ userId: request.user.id, libraryId, path: normalizeFile(path), isFolder: false });
  return rest("success", 201, [["Location", "/api2/starredfiles/"]]);
}

function unstarFile(request: ApiRequest, services: Services): ApiReply {
  const [libraryId, path] = [request.query("repo_id") ?? "", request.query("p") ?? ""];
  demandFile(libraryId, path, request, services);
  services.store.stars.remove(request.user.id, libraryId, path);
  return rest("success");
}

function item(star: Star, services: Services) {
  const library = services.store.library(star.libraryId);
  const whole = star.path === "/";
  const entry = library?.find(star.path);
  const mtime = whole ? library?.head.ctime : entry?.mtime;
  const user = person(star.userId, services);
  const name = library?.record.name ?? "";
  return {
    repo_id: star.libraryId,
    repo_name: name,
    repo_encrypted: library !== undefined && isEncrypted(library),
    is_dir: star.isFolder,
    path: star.path,
    obj_name: whole ? name : basename(star.path.replace(/\/+$/, "")),
    mtime: mtime === undefined ? "" : isoTime(mtime),
    deleted: mtime === undefined,
    user_email: star.userId,
    user_name: user.name,
    user_contact_email: user.email,
  };
}

/** Libraries, then folders, then files; each newest first. */
function listItems(request: ApiRequest, services: Services): ApiReply {
  const rank = (star: { path: string; is_dir: boolean }) => (star.path === "/" ? 0 : star.is_dir ? 1 : 2);
  const items = services.store.stars.of(request.user.id).map((star) => item(star, services));
  items.sort((a, b) => rank(a) - rank(b) || (a.mtime < b.mtime ? 1 : a.mtime > b.mtime ? -1 : 0));
  return rest({ starred_item_list: items });
}

function starItem(request: ApiRequest, services: Services): ApiReply {
  const libraryId = request.data("repo_id") ?? "";
  if (libraryId === "") throw apiError(400, "repo_id invalid.");
  const given = request.data("path") ?? "";
  if (given === "") throw apiError(400, "path invalid.");
  const library = libraryById(libraryId, services);
  const entry = library.find(given);
  const isFolder = library.directoryId(given) !== undefined;
  if (entry === undefined && !isFolder) throw apiError(404, `Item ${given} not found.`);
  if (permissionOf(request, services, library) === undefined) throw apiError(403, "Permission denied.");
  const path = isFolder ? normalizeDirectory(given) : normalizeFile(given);
  const star = { userId: request.user.id, libraryId, path, isFolder };
  services.store.stars.add(star);
  return rest(item(star, services));
}

/** Needs no library and no permission: a star on what is gone can be taken off. */
function unstarItem(request: ApiRequest, services: Services): ApiReply {
  const libraryId = request.query("repo_id") ?? "";
  if (libraryId === "") throw apiError(400, "repo_id invalid.");
  const given = request.query("path") ?? "";
  if (given === "") throw apiError(400, "path invalid.");
  const { stars } = services.store;
  const entry = services.store.library(libraryId)?.find(given);
  const path = entry === undefined ? given : isDirectory(entry) ? normalizeDirectory(given) : normalizeFile(given);
  if (!stars.has(request.user.id, libraryId, path)) throw apiError(404, `Item ${path} not found.`);
  stars.remove(request.user.id, libraryId, path);
  return rest({ success: true });
}

const kind = (request: ApiRequest) => ({ POST: "star", DELETE: "unstar" })[request.method] ?? "starred";

export const starredRoutes: readonly Route[] = [
  { pattern: route("/api2/starredfiles/"), kind, views: { GET: listFiles, POST: starFile, DELETE: unstarFile } },
  { pattern: route("/api/v2.1/starred-items/"), kind, views: { GET: listItems, POST: starItem, DELETE: unstarItem } },
];
