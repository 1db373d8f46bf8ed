/**
 * Pure path operations on a library's tree: each takes a root id and gives the root id after the change; nothing is
 * changed in place. Invariant on times: every directory above a change gets the time of the change, except for a rename,
 * which leaves all times alone. Called by library.ts only.
 */
import type { FsObjects } from "./fs-objects.ts";
import { type Dirent, isDirectory, MODE_DIRECTORY, ZERO_ID } from "./objects.ts";
import { splitPath } from "./paths.ts";

/** A component of the path is missing or is a file. */
export class PathError extends Error {
  override readonly name = "PathError";

  constructor(path: string) {
    super(`There is no directory ${path} in this library.`);
  }
}

type Edit = (entries: readonly Dirent[]) => readonly Dirent[];

/** The entry at `path`, or undefined. The root has no entry. */
export function lookup(fs: FsObjects, root: string, path: string): Dirent | undefined {
  const parts = splitPath(path);
  const name = parts.pop();
  if (name === undefined) return undefined;
  const parent = directoryId(fs, root, parts.join("/"));
  return parent === undefined ? undefined : fs.directory(parent).find((entry) => entry.name === name);
}

/** The id of the directory at `path`; undefined when it is missing or a file. */
export function directoryId(fs: FsObjects, root: string, path: string): string | undefined {
  let id = root;
  for (const part of splitPath(path)) {
    const entry = fs.directory(id).find((candidate) => candidate.name === part);
    if (entry === undefined || !isDirectory(entry)) return undefined;
    id = entry.id;
  }
  return id;
}

/**
 * Applies `edit` to the directory at `path`. `mtime` (Unix seconds) is given to every directory on the way, null leaves them.
 * The root comes back unchanged when `edit` returns its argument. Throws PathError.
 */
export function editDirectory(fs: FsObjects, root: string, path: string, edit: Edit, mtime: number | null): string {
  const parts = splitPath(path);
  const descend = (id: string, depth: number): string => {
    const entries = fs.directory(id);
    if (depth === parts.length) {
      const edited = edit(entries);
      return edited === entries ? id : fs.putDirectory(edited);
    }
    const child = entries.find((entry) => entry.name === parts[depth]);
    if (child === undefined || !isDirectory(child)) throw new PathError(path);
    const childId = descend(child.id, depth + 1);
    if (childId === child.id) return id;
    const updated = { ...child, id: childId, mtime: mtime ?? child.mtime };
    return fs.putDirectory(entries.map((entry) => (entry === child ? updated : entry)));
  };
  return descend(root, 0);
}

/** Adds entries to a directory; one of the same name is replaced, whatever it is. */
export function put(fs: FsObjects, root: string, path: string, added: readonly Dirent[], mtime: number): string {
  const names = new Set(added.map((entry) => entry.name));
  return editDirectory(
    fs,
    root,
    path,
    (entries) => [...entries.filter((entry) => !names.has(entry.name)), ...added],
    mtime,
  );
}

/** Makes the directory `path` and what is missing above it. Existing directories are kept; throws PathError at a file. */
export function makeDirectories(fs: FsObjects, root: string, path: string, mtime: number): string {
  let result = root;
  const done: string[] = [];
  for (const part of splitPath(path)) {
    const parent = done.join("/");
    done.push(part);
    const existing = lookup(fs, result, done.join("/"));
    if (existing === undefined) result = put(fs, result, parent, [newDirectory(part, mtime)], mtime);
    else if (!isDirectory(existing)) throw new PathError(path);
  }
  return result;
}

export function newDirectory(name: string, mtime: number): Dirent {
  return { name, id: ZERO_ID, mode: MODE_DIRECTORY, mtime, size: 0, modifier: "" };
}

/** Removes names from a directory, with all below them. Names that are not there are ignored. */
export function remove(fs: FsObjects, root: string, path: string, names: ReadonlySet<string>, mtime: number): string {
  const edit: Edit = (entries) => {
    const kept = entries.filter((entry) => !names.has(entry.name));
    return kept.length === entries.length ? entries : kept;
  };
  return editDirectory(fs, root, path, edit, mtime);
}

/** Gives an entry another name in its directory; a different entry that has the name is replaced. No time changes. */
export function rename(fs: FsObjects, root: string, path: string, from: string, to: string): string {
  const edit: Edit = (entries) =>
    entries
      .filter((entry) => entry.name === from || entry.name !== to)
      .map((entry) => (entry.name === from ? { ...entry, name: to } : entry));
  return editDirectory(fs, root, path, edit, null);
}

/** Every entry below a directory with its absolute path, parents before children. */
export function* walk(fs: FsObjects, directory: string, prefix = ""): Generator<[path: string, entry: Dirent]> {
  for (const entry of fs.directory(directory)) {
    const path = `${prefix}/${entry.name}`;
    yield [path, entry];
    if (isDirectory(entry)) yield* walk(fs, entry.id, path);
  }
}
