/**
 * What most views begin and end with: finding the library, asking for a permission, finding a free name, and the forms in
 * which seahub writes times, sizes and people. Called by the api-*.ts files.
 */
import { apiError, crash } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Library, Permission } from "./library.ts";
import { freeNameA, isValidName } from "./paths.ts";
import type { Services } from "./services.ts";

/** The library of the route's first parameter; 404 with `message` ("Library {id} not found." when absent). */
export function libraryOf(request: ApiRequest, services: Services, message?: string): Library {
  return libraryById(request.params[0] ?? "", services, message);
}

export function libraryById(id: string, services: Services, message?: string): Library {
  const library = services.store.library(id);
  if (library === undefined) throw apiError(404, message ?? `Library ${id} not found.`);
  return library;
}

export function permissionOf(request: ApiRequest, services: Services, library: Library): Permission | undefined {
  return services.store.permission(request.user.id, library);
}

/** 403 with `message` unless the user may write (or read). */
export function demand(
  wanted: Permission,
  request: ApiRequest,
  services: Services,
  library: Library,
  message = "Permission denied.",
): Permission {
  const permission = permissionOf(request, services, library);
  if (permission === undefined || (wanted === "rw" && permission !== "rw")) throw apiError(403, message);
  return permission;
}

/** Encrypted libraries have no public links. */
export function isEncrypted({ record }: Library): boolean {
  return "encryption" in record && record.encryption !== undefined;
}

/** seahub's check_filename_with_rename; crashes, as there, when the directory is missing. */
export function freeName(library: Library, directory: string, name: string): string {
  const taken = library.names(directory);
  if (taken === undefined) throw crash();
  return freeNameA(name, taken);
}

/** is_valid_dirent_name; from 12 on emoji are refused as well. */
export function nameIsValid(name: string, services: Services): boolean {
  return isValidName(name) && (services.compat < 12 || !/[\u{1F300}-\u{1FAD6}]/u.test(name));
}

/** "2026-11-21T19:32:57+00:00" */
export function isoTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}+00:00`;
}

/** seahub's translate_seahub_time: an HTML snippet. */
export function relativeTime(seconds: number, nowMs: number): string {
  const date = new Date(seconds * 1000);
  const title = date.toUTCString().replace("GMT", "+0000");
  const datetime = date.toISOString().slice(0, 19);
  return `<time datetime="${datetime}" is="relative-time" title="${title}" >${ago(seconds, nowMs)}</time>`;
}

function ago(seconds: number, nowMs: number): string {
  const elapsed = Math.floor(nowMs / 1000) - seconds;
  const units: [length: number, name: string][] = [
    [86400, "day"],
    [3600, "hour"],
    [60, "minute"],
    [1, "second"],
  ];
  for (const [length, name] of units) {
    const count = Math.floor(elapsed / length);
    if (count > 14 && name === "day") return new Date(seconds * 1000).toISOString().slice(0, 10);
    if (count > 0) return `${count} ${name}${count === 1 ? "" : "s"} ago`;
  }
  return "Just now";
}

/** Django's filesizeformat: "6\u00a0bytes", "9.0\u00a0MB" (1024-based). */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes}\u00a0byte${bytes === 1 ? "" : "s"}`;
  const power = Math.min(5, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)}\u00a0${["KB", "MB", "GB", "TB", "PB"][power - 1]}`;
}

/** Name and contact address of an internal user id, "" for one that is not known. */
export function person(userId: string, services: Services): { name: string; email: string } {
  const user = services.store.user(userId);
  return { name: user?.name ?? "", email: user?.email ?? "" };
}
