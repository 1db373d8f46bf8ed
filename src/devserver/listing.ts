/**
 * Directory listings as the APIs write them: order (directories first, then lower-cased names), and the key orders of api2,
 * api2 recursive and v2.1. Called by the dir views.
 */
import { isoTime, person } from "./api-common.ts";
import type { Library, Permission } from "./library.ts";
import { type Dirent, isDirectory } from "./objects.ts";
import { joinPath } from "./paths.ts";
import type { Services } from "./services.ts";

export type TypeFilter = "f" | "d" | "";

/** Directories first, then files, each by lower-cased name in code point order; filtered. */
export function sorted(entries: readonly Dirent[], type: TypeFilter = ""): Dirent[] {
  return entries
    .filter((entry) => type === "" || (type === "d") === isDirectory(entry))
    .map((entry) => ({ entry, rank: isDirectory(entry) ? 0 : 1, key: Buffer.from(entry.name.toLowerCase()) }))
    .sort((a, b) => a.rank - b.rank || Buffer.compare(a.key, b.key))
    .map(({ entry }) => entry);
}

/** One line of GET api2/repos/{id}/dir/. */
export function listItem(entry: Dirent, permission: Permission, starred: boolean, services: Services) {
  const { name, id, mtime } = entry;
  if (isDirectory(entry)) return { type: "dir", name, id, mtime, permission };
  const modifier = person(entry.modifier, services);
  return {
    modifier_email: entry.modifier,
    size: entry.size,
    type: "file",
    name,
    id,
    mtime,
    permission,
    modifier_contact_email: modifier.email,
    modifier_name: modifier.name,
    starred,
  };
}

/** All below a directory, depth first, each level in listing order; both APIs write it so. */
export function* recursiveItems(
  library: Library,
  directoryId: string,
  parent: string,
  permission: Permission,
  services: Services,
): Generator<{ type: string }> {
  for (const entry of sorted(library.fs.directory(directoryId))) {
    const { name, id, mtime } = entry;
    if (isDirectory(entry)) {
      yield { type: "dir", ...{ parent_dir: parent, id, name, mtime, permission } };
      yield* recursiveItems(library, id, joinPath(parent, name), permission, services);
      continue;
    }
    const modifier = person(entry.modifier, services);
    yield {
      type: "file",
      ...{ modifier_email: entry.modifier, size: entry.size, parent_dir: parent, id, name, mtime, permission },
      ...{ modifier_contact_email: modifier.email, modifier_name: modifier.name },
    };
  }
}

/** One line of GET v2.1 dir; `parent` ends in "/". */
export function listItemV21(
  entry: Dirent,
  parent: string,
  permission: Permission,
  starred: boolean,
  services: Services,
) {
  const { id, name, mtime } = entry;
  const common = { id, name, mtime, permission, parent_dir: parent };
  if (isDirectory(entry)) return { type: "dir", ...common, starred };
  const modifier = person(entry.modifier, services);
  return {
    type: "file",
    ...common,
    size: entry.size,
    modifier_email: entry.modifier,
    modifier_name: modifier.name,
    modifier_contact_email: modifier.email,
    starred,
  };
}

/** What v2.1 says of the result of an operation on a directory. */
export function directoryInfo(library: Library, parent: string, entry: Dirent) {
  return {
    type: "dir",
    repo_id: library.id,
    parent_dir: parent,
    obj_name: entry.name,
    obj_id: entry.id,
    mtime: isoTime(entry.mtime),
  };
}

const TEXT =
  /\.(txt|text|md|markdown|log|conf|ini|json|ya?ml|xml|html?|css|js|ts|py|sh|c|h|cpp|go|rs|java|csv|tex|sql)$/i;
const MEDIA = /\.(pdf|png|jpe?g|gif|bmp|ico|svg|webp|mp3|mp4|ogg|ogv|webm|mov|docx?|xlsx?|pptx?)$/i;

/** Whether seahub's editor takes a file of this name. */
export function isEditable(name: string): boolean {
  return TEXT.test(name);
}

/** What v2.1 says of a file. */
export function fileInfo(library: Library, parent: string, entry: Dirent, permission: Permission) {
  const editable = isEditable(entry.name);
  return {
    type: "file",
    repo_id: library.id,
    parent_dir: parent,
    obj_name: entry.name,
    obj_id: entry.id,
    size: entry.size,
    mtime: isoTime(entry.mtime),
    is_locked: false,
    can_preview: editable || MEDIA.test(entry.name),
    can_edit: editable && permission === "rw",
  };
}
