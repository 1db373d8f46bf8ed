/**
 * What update-api does to the tree: the last writer wins, unless `head` names the commit the client started from; then
 * a change that happened meanwhile is kept and the new content becomes a conflict copy beside it. Called by upload.ts.
 */
import type { Library, NewFile } from "./library.ts";
import { basename, dirname } from "./paths.ts";
import type { Services } from "./services.ts";
import { lookup } from "./tree.ts";
import { UploadError } from "./wire-upload.ts";

export interface FileUpdate {
  readonly by: string;
  readonly path: string;
  readonly file: Omit<NewFile, "mtime">;
  /** Unix seconds; undefined: now. */
  readonly mtime: number | undefined;
  /** Commit id; undefined: the current head. */
  readonly base: string | undefined;
}

/** Throws UploadError when there is no such file, or no such base. */
export function updateFile(library: Library, update: FileUpdate, services: Services): void {
  const { by, path, base } = update;
  const file = { ...update.file, name: basename(path), mtime: update.mtime };
  const baseCommit = base === undefined ? library.head : library.commitById(base);
  if (baseCommit === undefined) {
    throw new UploadError(500, services.flavour === "c" ? "Internal error\n" : "Failed to get head commit.\n");
  }
  const before = lookup(library.fs, baseCommit.rootId, path);
  if (before === undefined) throw new UploadError(441, "File does not exist.\n");
  const current = library.find(path);
  const changedMeanwhile = current !== undefined && current.id !== before.id && current.id !== file.id;
  if (!changedMeanwhile) {
    library.updateFile(by, path, file);
    return;
  }
  const name = conflictName(file.name, by, services);
  library.addFiles(by, dirname(path), [{ ...file, name }], false);
}

/** C: "u (SFConflict user 2026-11-21-19-43-16).txt"; Go: "u.txt (SFConflict user 2026-Nov-21-19-28-36).txt". */
function conflictName(name: string, user: string, { flavour, now }: Services): string {
  const date = new Date(now());
  const [day, time] = date.toISOString().slice(0, 19).split("T") as [string, string];
  const dot = name.lastIndexOf(".");
  const [base, extension] = dot < 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot)];
  const clock = time.replaceAll(":", "-");
  if (flavour === "c") return `${base} (SFConflict ${user} ${day}-${clock})${extension}`;
  const month = date.toLocaleString("en-US", { month: "short", timeZone: "UTC" });
  return `${name} (SFConflict ${user} ${day.slice(0, 4)}-${month}-${day.slice(8)}-${clock})${extension}`;
}
