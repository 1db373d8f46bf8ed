/**
 * One function per endpoint of Seahub that changes a library. v2.1 throughout, because it reports the name that came out
 * (the server renames instead of refusing) and never redirects. One request each; no retries, no decisions.
 * Called by library-apply.ts, library-move.ts and library-remove.ts.
 */
import type { HttpClient } from "./http.ts";
import type { FileKey } from "./library-key.ts";
import { nameOf } from "./names.ts";
import { changedDir, changedFile, parse, success } from "./schema.ts";
import type { LibraryId, ObjectId } from "./types.ts";

/** A file or folder after a change, with the name it really has. */
export interface Changed {
  readonly obj_name: string;
  readonly obj_id: ObjectId;
  /** Absent for folders. */
  readonly size?: number;
  readonly mtime: number;
}

/** The library to be changed. */
export interface ChangeTarget {
  readonly http: HttpClient;
  readonly library: LibraryId;
  /** Is it charged to the quota of the logged-in account? */
  readonly own: boolean;
  /** By which the ids of content are known in an encrypted library. */
  readonly key?: FileKey | undefined;
  readonly signal?: AbortSignal | undefined;
}

async function post(
  { http, library, signal }: ChangeTarget,
  kind: "file" | "dir",
  path: string,
  what: string,
  form: Readonly<Record<string, string>>,
): Promise<Changed> {
  const target = `/api/v2.1/repos/${library}/${kind}/`;
  const answer = await http.call({ side: "seahub", what, method: "POST", target, query: { p: path }, form, signal });
  return kind === "file" ? parse(changedFile, answer.body, what) : parse(changedDir, answer.body, what);
}

/** POST api/v2.1/repos/{id}/dir/ operation=mkdir: makes "x (1)" when "x" exists. */
export function postMkdir(at: ChangeTarget, path: string): Promise<Changed> {
  return post(at, "dir", path, `Making the folder ${JSON.stringify(path)}`, { operation: "mkdir" });
}

/** POST api/v2.1/repos/{id}/file|dir/ operation=rename: becomes "x (1)" when "x" exists. */
export function postRename(at: ChangeTarget, kind: "file" | "dir", path: string, newName: string): Promise<Changed> {
  const what = `Renaming ${JSON.stringify(path)} to ${JSON.stringify(newName)}`;
  return post(at, kind, path, what, { operation: "rename", newname: newName });
}

/** POST api/v2.1/repos/{id}/file/ operation=move: keeps the name, or makes it "x (1)" when "x" exists there. */
export function postFileMove(at: ChangeTarget, path: string, folder: string): Promise<Changed> {
  const what = `Moving ${JSON.stringify(path)} to ${JSON.stringify(folder)}`;
  return post(at, "file", path, what, { operation: "move", dst_repo: at.library, dst_dir: folder });
}

/** POST api/v2.1/repos/sync-batch-move-item/: says "success" whatever became of the item, and not its name. */
export async function postBatchMove(
  { http, library, signal }: ChangeTarget,
  parent: string,
  name: string,
  folder: string,
): Promise<void> {
  const what = `Moving the folder ${JSON.stringify(name)} to ${JSON.stringify(folder)}`;
  const answer = await http.call({
    side: "seahub",
    what,
    method: "POST",
    target: "/api/v2.1/repos/sync-batch-move-item/",
    json: {
      src_repo_id: library,
      src_parent_dir: parent,
      src_dirents: [name],
      dst_repo_id: library,
      dst_parent_dir: folder,
    },
    signal,
  });
  parse(success, answer.body, what);
}

/** DELETE api/v2.1/repos/{id}/file|dir/: folders with all they hold. A missing file is a success, a missing folder is not. */
export async function deleteEntry(
  { http, library, signal }: ChangeTarget,
  kind: "file" | "dir",
  path: string,
): Promise<void> {
  const what = `Removing ${JSON.stringify(nameOf(path))}`;
  const target = `/api/v2.1/repos/${library}/${kind}/`;
  const answer = await http.call({ side: "seahub", what, method: "DELETE", target, query: { p: path }, signal });
  parse(success, answer.body, what);
}

/**
 * DELETE api/v2.1/repos/batch-delete-item/: files and folders of one folder in one commit, whatever they are; missing names
 * are ignored. Kind "not-found" when there is no such folder.
 */
export async function deleteBatch(
  { http, library, signal }: ChangeTarget,
  folder: string,
  names: readonly string[],
): Promise<void> {
  const what = `Removing ${names.length} entries of ${JSON.stringify(folder)}`;
  const target = "/api/v2.1/repos/batch-delete-item/";
  const json = { repo_id: library, parent_dir: folder, dirents: names };
  const answer = await http.call({ side: "seahub", what, method: "DELETE", target, json, signal });
  parse(success, answer.body, what);
}
