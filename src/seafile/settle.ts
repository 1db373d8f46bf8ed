/**
 * What became of a change whose answer was lost: the server is asked instead of the change being made twice. Each function
 * answers with the result if the change was applied, with undefined if it was not, and throws `failure` when it cannot be
 * told. Called through retry() by the library-*.ts files.
 */
import { getDir } from "./endpoints.ts";
import type { Changed, ChangeTarget } from "./endpoints-change.ts";
import type { Uploaded } from "./endpoints-file-server.ts";
import { SeafileError } from "./errors.ts";
import { isNumbered, nameOf, parentOf } from "./names.ts";
import { fileIdOf } from "./object-id.ts";
import { type Content, type ObjectId, ZERO_ID } from "./types.ts";

export interface Found {
  readonly type: "file" | "dir";
  readonly name: string;
  readonly id: ObjectId;
  readonly mtime: number;
  readonly size?: number;
}

/** The entries of a folder; none when there is no such folder. */
export async function entriesOf({ http, library, signal }: ChangeTarget, folder: string): Promise<readonly Found[]> {
  try {
    const answer = await getDir(http, library, folder, undefined, signal);
    return answer === "unchanged" ? [] : answer.entries;
  } catch (error) {
    if (error instanceof SeafileError && error.kind === "not-found") return [];
    throw error;
  }
}

export function changedFrom(entry: Found): Changed {
  const { name, id, mtime, size } = entry;
  return { obj_name: name, obj_id: id, mtime, ...(size === undefined ? {} : { size }) };
}

/** An empty folder of that name is taken for ours: nobody loses anything if it is not. */
export async function settleMkdir(at: ChangeTarget, path: string): Promise<Changed | undefined> {
  const found = (await entriesOf(at, parentOf(path))).find((entry) => entry.name === nameOf(path));
  if (found === undefined) return undefined;
  if (found.type === "dir" && found.id === ZERO_ID) return changedFrom(found);
  throw new SeafileError("exists", `Making the folder ${JSON.stringify(path)} failed: the name is taken.`);
}

/** A rename or move has been applied when the source is away and the target is there, alone. */
export async function settleMove(
  at: ChangeTarget,
  kind: "file" | "dir",
  from: string,
  to: string,
): Promise<Changed | undefined> {
  const there = (entries: readonly Found[], path: string) =>
    entries.find((entry) => entry.type === kind && entry.name === nameOf(path));
  const sources = await entriesOf(at, parentOf(from));
  if (there(sources, from) !== undefined) return undefined;
  const targets = parentOf(from) === parentOf(to) ? sources : await entriesOf(at, parentOf(to));
  const found = there(targets, to);
  // With a numbered name beside it, the one found may be another's and the numbered one ours.
  const numbered = targets.some((entry) => entry.type === kind && isNumbered(entry.name, nameOf(to)));
  if (found !== undefined && !numbered) return changedFrom(found);
  throw new SeafileError(
    "server",
    `Moving ${JSON.stringify(from)} to ${JSON.stringify(to)} failed: the answer was lost and the outcome is not clear.`,
  );
}

export interface LostUpload {
  /** Folder and name as uploaded. */
  readonly folder: string;
  readonly name: string;
  readonly content: Content;
  readonly replace: boolean;
}

/** Was the upload stored? One listing of the folder tells. */
export async function settleUpload(at: ChangeTarget, upload: LostUpload): Promise<Uploaded | undefined> {
  const id = await fileIdOf(upload.content, at.key, at.signal);
  return findUploaded(await entriesOf(at, upload.folder), upload, id);
}

/** An upload has been stored when the content's id is in the folder under the name, or under a name the server made from it. */
export function findUploaded(entries: readonly Found[], upload: LostUpload, id: ObjectId): Uploaded | undefined {
  const { name, content, replace } = upload;
  const same = entries.filter((entry) => entry.type === "file" && entry.id === id);
  // The server numbers a name only when it is taken: without the name itself, a numbered one is another file.
  const isTaken = entries.some((entry) => entry.name === name);
  const numbered = () => (isTaken ? same.find((entry) => isNumbered(entry.name, name)) : undefined);
  const found = same.find((entry) => entry.name === name) ?? numbered();
  if (found === undefined || (replace && found.name !== name)) return undefined;
  return { name: found.name, id, size: content.size, now: found.mtime };
}

/** A name nobody else uses, for the time between two requests. */
export function temporaryName(): string {
  return `.seamount-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
}
