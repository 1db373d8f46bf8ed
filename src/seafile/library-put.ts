/**
 * Storing a file's content. Invariants: nothing that was not the base is overwritten; content is stored at most once even
 * when answers are lost; a put over a file is one commit, so that a crash never leaves the name without content (only names
 * with line breaks, which the C file server cannot take in a form, are replaced in two). Called by library-apply.ts.
 */
import { type Context, repeat } from "./context.ts";
import { getDir, getFileDetail } from "./endpoints.ts";
import { type ChangeTarget, deleteEntry } from "./endpoints-change.ts";
import { postUpdate, postUpload, type Upload, type Uploaded } from "./endpoints-file-server.ts";
import { SeafileError } from "./errors.ts";
import { placeFile } from "./library-move.ts";
import { fitsFormField, fitsMultipart, join, nameOf, parentOf } from "./names.ts";
import { isRefusedLink } from "./reader.ts";
import { retry } from "./retry.ts";
import { settleUpload, temporaryName } from "./settle.ts";
import type { Change, ObjectId, RemoteEntry } from "./types.ts";

export type Put = Extract<Change, { op: "put" }>;

/** Stores the content. The entry has the name given by the server: another than wanted when that was taken. */
export async function applyPut(context: Context, at: ChangeTarget, change: Put): Promise<RemoteEntry> {
  const replace = change.base !== null && (await hasBase(context, at, change.path, change.base));
  const stored = await store(context, at, change, replace);
  const mtime = (await context.keepsMtimes(at.signal)) ? Math.floor(change.mtime) : stored.now;
  return { name: stored.name, kind: "file", id: stored.id, size: stored.size, mtime, writable: true };
}

function store(context: Context, at: ChangeTarget, change: Put, replace: boolean): Promise<Uploaded> {
  const { path } = change;
  if (fitsMultipart(nameOf(path)) && fitsFormField(parentOf(path))) return upload(context, at, change, replace);
  if (replace && fitsFormField(path)) return update(context, at, change);
  return uploadAside(context, at, change, replace);
}

/** Is the version that a put was made from still at its path? False when nothing is there; kind "conflict" otherwise. */
async function hasBase(context: Context, at: ChangeTarget, path: string, base: ObjectId): Promise<boolean> {
  const { http, library, signal } = at;
  const changed = new SeafileError("conflict", `${JSON.stringify(path)} has been changed on the server meanwhile.`);
  try {
    const detail = await repeat(context, signal, () => getFileDetail(http, library, path, signal));
    if (detail.id !== base) throw changed;
    return true;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  // file/detail answers 404 for folders too, and a put with replace would silently replace the folder.
  try {
    await repeat(context, signal, () => getDir(http, library, path, undefined, signal));
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  throw changed;
}

/** One POST through the library's upload link. */
function upload(context: Context, at: ChangeTarget, change: Put, replace: boolean): Promise<Uploaded> {
  const [folder, name] = [parentOf(change.path), nameOf(change.path)];
  const { content, mtime } = change;
  const body: Upload = { folder: folder.slice(1), name, content, replace, mtime };
  return throughLink(context, at, "upload", change, replace, (link) => postUpload(at.http, link, body, at.signal));
}

/** One POST through the library's update link: for existing files whose names cannot stand in a multipart header. */
function update(context: Context, at: ChangeTarget, change: Put): Promise<Uploaded> {
  return throughLink(context, at, "update", change, true, (link) => postUpdate(at.http, link, change, at.signal));
}

/** Repeats as retry() allows; the link is renewed once when the file server refuses it. */
async function throughLink(
  { policy, log, links }: Context,
  at: ChangeTarget,
  use: "upload" | "update",
  { path, content }: Put,
  replace: boolean,
  post: (link: string) => Promise<Uploaded>,
): Promise<Uploaded> {
  const settle = () => settleUpload(at, { folder: parentOf(path), name: nameOf(path), content, replace });
  for (let renewed = false; ; renewed = true) {
    const lease = await links.store(use, at.library, at.signal);
    try {
      return await retry({ policy, log, signal: at.signal, settle }, () => post(lease.link));
    } catch (error) {
      if (!isRefusedLink(error) || renewed) throw error;
      links.drop(lease);
    }
  }
}

/**
 * For new names, and folders, that cannot stand in a multipart body: stored under a short name, then moved to their place.
 * The new content is on the server before an old one is removed.
 */
async function uploadAside(context: Context, at: ChangeTarget, change: Put, replace: boolean): Promise<Uploaded> {
  const folder = fitsFormField(parentOf(change.path)) ? parentOf(change.path) : "/";
  const stored = await upload(context, at, { ...change, path: join(folder, temporaryName()) }, false);
  const from = join(folder, stored.name);
  try {
    if (replace) await removeEntry(context, at, "file", change.path);
    const placed = await placeFile(context, at, from, change.path);
    return { ...stored, name: placed.obj_name };
  } catch (error) {
    if (!replace) await removeEntry(context, at, "file", from).catch(() => {});
    throw error;
  }
}

/** What is not there any more counts as removed. */
export async function removeEntry(
  context: Context,
  at: ChangeTarget,
  kind: "file" | "dir",
  path: string,
): Promise<undefined> {
  try {
    await repeat(context, at.signal, () => deleteEntry(at, kind, path));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof SeafileError && error.kind === "not-found";
}
