/**
 * Seahub's views of what is behind a public link, for those who have no account: listings of folder links (api2 and v2.1),
 * download links of file links, upload addresses of upload links and of share links that allow it. Listed in api-routes.ts.
 * Invariant, as observed: v2.1 asks for the session that the password was given in and looks at no expiry; api2's listing
 * takes the password itself and refuses expired links; api2's download link asks for neither.
 */
import { isEncrypted, isoTime, libraryById } from "./api-common.ts";
import { fileAt } from "./api-file.ts";
import { type ApiReply, apiError, dumped, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { uploadLinkOf } from "./api-upload-links.ts";
import { contentAddress, folderBelow, isOpen, uploadAddress } from "./link-access.ts";
import { sorted } from "./listing.ts";
import { isDirectory } from "./objects.ts";
import { joinPath, normalizeDirectory, normalizeFile } from "./paths.ts";
import { isExpired, type ShareLink } from "./public-links.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

function shareLinkOf(request: ApiRequest, services: Services): ShareLink {
  const token = request.params[0] ?? "";
  const link = services.store.publicLinks.shareByToken(token);
  if (link === undefined) throw apiError(404, `Share link ${token} not found.`);
  return link;
}

function demandFolderLink(link: ShareLink): void {
  if (link.kind !== "folder") throw apiError(400, `Share link ${link.token} is not a folder share link.`);
}

function dirents(request: ApiRequest, services: Services): ApiReply {
  const size = request.query("thumbnail_size") ?? "48";
  if (!/^\s*[+-]?\d+\s*$/.test(size)) throw apiError(400, "thumbnail_size invalid.");
  const link = shareLinkOf(request, services);
  if (!isOpen(link, request, services)) throw apiError(403, "Permission denied.");
  demandFolderLink(link);
  const library = libraryById(link.libraryId, services);
  const asked = request.query("path") ?? "/";
  const entries = library.entries(folderBelow(link, asked));
  if (entries === undefined) throw apiError(404, `Folder ${asked} not found.`);
  const items = sorted(entries).map((entry) => {
    const path = joinPath(asked, entry.name);
    const common = { size: entry.size, last_modified: isoTime(entry.mtime) };
    return isDirectory(entry)
      ? { ...common, is_dir: true, folder_path: normalizeDirectory(path), folder_name: entry.name }
      : { ...common, is_dir: false, file_path: normalizeFile(path), file_name: entry.name };
  });
  return rest({ dirent_list: items });
}

function demandPassword(link: ShareLink, request: ApiRequest): void {
  if (link.password === "") return;
  const password = request.query("password") ?? "";
  if (password === "") throw apiError(403, "Password is required.");
  if (password !== link.password) throw apiError(403, "Invalid Password");
}

function listFolder(request: ApiRequest, services: Services): ApiReply {
  const link = services.store.publicLinks.shareByToken(request.params[0] ?? "");
  if (link === undefined || isExpired(link, services.now())) throw apiError(400, "Invalid token");
  const library = libraryById(link.libraryId, services);
  demandPassword(link, request);
  const entries = library.entries(folderBelow(link, request.query("p") ?? "/"));
  // A file's path with a slash after it is no folder either.
  if (entries === undefined) throw apiError(400, "Invalid path");
  const items = sorted(entries).map(({ name, id, mtime, ...entry }) =>
    isDirectory({ name, id, mtime, ...entry })
      ? { type: "dir", name, id, mtime }
      : { size: entry.size, type: "file", name, id, mtime },
  );
  return dumped(items);
}

/** The file of a link; 404 for an unknown token and for what is gone. */
function sharedFile(request: ApiRequest, services: Services) {
  const link = services.store.publicLinks.shareByToken(request.params[0] ?? "");
  if (link === undefined) throw apiError(404, "Token not found");
  const library = libraryById(link.libraryId, services, "Library not found");
  return { link, library };
}

function fileLink(request: ApiRequest, services: Services): ApiReply {
  const { link, library } = sharedFile(request, services);
  const entry = fileAt(library, link.path);
  if (entry === undefined) throw apiError(404, "File not found");
  services.store.publicLinks.countView(link);
  return dumped(contentAddress(link, entry, { op: "download", oneTime: true }, services), [["oid", entry.id]]);
}

function fileDetail(request: ApiRequest, services: Services): ApiReply {
  const { link, library } = sharedFile(request, services);
  demandPassword(link, request);
  const entry = fileAt(library, link.path);
  if (entry === undefined) throw apiError(404, "File not found");
  const { size, name, id, mtime } = entry;
  return dumped({ size, type: "file", name, id, mtime, repo_id: library.id, path: link.path });
}

/** Upload through a share link whose maker allowed it. */
function shareLinkUpload(request: ApiRequest, services: Services): ApiReply {
  const link = shareLinkOf(request, services);
  demandFolderLink(link);
  const library = libraryById(link.libraryId, services);
  const asked = request.query("path") ?? "/";
  const folder = folderBelow(link, asked);
  if (library.directoryId(folder) === undefined) throw apiError(404, `Folder ${asked} not found.`);
  const allowed = isOpen(link, request, services) && link.permissions.can_upload;
  if (!allowed) throw apiError(403, "Permission denied.");
  return rest({ upload_link: uploadAddress(link, folder, services) });
}

function uploadLinkUpload(request: ApiRequest, services: Services): ApiReply {
  const link = uploadLinkOf(request, services);
  // The message is for the password page, which has none when nothing was posted.
  if (!isOpen(link, request, services)) throw apiError(403, "");
  const library = libraryById(link.libraryId, services);
  if (library.directoryId(link.path) === undefined) throw apiError(404, `Folder ${link.path} not found.`);
  if (isEncrypted(library) || services.store.permission(link.ownerId, library) !== "rw") {
    throw apiError(403, "Permission denied.");
  }
  return rest({ upload_link: uploadAddress(link, link.path, services) });
}

const anonymous = "anon" as const;

export const linkContentRoutes: readonly Route[] = [
  { pattern: route("/api2/d/{token}/dir/"), kind: "link-dir", anonymous, views: { GET: listFolder } },
  { pattern: route("/api2/f/{token}/"), kind: "link-file", anonymous, views: { GET: fileLink } },
  { pattern: route("/api2/f/{token}/detail/"), kind: "link-detail", anonymous, views: { GET: fileDetail } },
  {
    pattern: route("/api/v2.1/share-links/{token}/dirents/"),
    kind: "link-dirents",
    anonymous,
    views: { GET: dirents },
  },
  {
    pattern: route("/api/v2.1/share-links/{token}/upload/"),
    kind: "link-upload",
    anonymous,
    views: { GET: shareLinkUpload },
  },
  {
    pattern: route("/api/v2.1/upload-links/{token}/upload/"),
    kind: "link-upload",
    anonymous,
    views: { GET: uploadLinkUpload },
  },
];
