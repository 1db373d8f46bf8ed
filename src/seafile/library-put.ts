/**
 * Storing a file's content. Invariants: nothing that was not the base is overwritten; content is stored at most once even
 * when answers are lost; a put over a file is one commit, so that a crash never leaves the name without content (only names
 * with line breaks, which the C file server cannot take in a form, are replaced in two). Called by library-apply.ts.
 */
import { type Context, repeat } from "./context.ts";
import { type FileDetail, getAccountInfo, getDir, getFileDetail } from "./endpoints.ts";
import type { ChangeTarget } from "./endpoints-change.ts";
import { postUpdate, postUpload, type Upload, type Uploaded } from "./endpoints-file-server.ts";
import { isMissing, SeafileError } from "./errors.ts";
import { placeFile } from "./library-move.ts";
import { removeEntry } from "./library-remove.ts";
import { fitsFormField, fitsMultipart, join, nameOf, parentOf } from "./names.ts";
import { fileIdOf } from "./object-id.ts";
import { isRefusedLink } from "./reader.ts";
import { retry } from "./retry.ts";
import { settleUpload, temporaryName } from "./settle.ts";
import type { Change, ObjectId, RemoteEntry } from "./types.ts";

export type Put = Extract<Change, { op: "put" }>;

/** Stores the content. The entry has the name given by the server: another than wanted when that was taken. */
export async function applyPut(context: Context, at: ChangeTarget, change: Put): Promise<RemoteEntry> {
  const keepsMtimes = await context.keepsMtimes(at.signal);
  const { base } = change;
  const stored = await (base === null ? putNew(context, at, change) : putOver(context, at, change, base));
  const mtime = keepsMtimes ? Math.floor(change.mtime) : stored.now;
  return { name: stored.name, kind: "file", id: stored.id, size: stored.size, mtime, writable: true };
}

/** An earlier attempt that was broken off may have been stored: a second one would get a numbered name. */
async function putNew(context: Context, at: ChangeTarget, change: Put): Promise<Uploaded> {
  const { path, content, attempted } = change;
  if (context.uncertain.has(`${at.library} ${path}`)) {
    const lost = { folder: parentOf(path), name: nameOf(path), content, replace: false };
    const stored = await repeat(context, at.signal, () => settleUpload(at, lost));
    if (stored !== undefined) return stored;
    // What the program wrote on since then replaces the state that was stored without an answer.
    const isOurs = attempted !== undefined && (await fileAt(context, at, path))?.id === attempted;
    if (isOurs) return store(context, at, change, true);
  }
  return store(context, at, change, false);
}

/** Replaces the version that the put was made from, and no other. */
async function putOver(context: Context, at: ChangeTarget, change: Put, base: ObjectId): Promise<Uploaded> {
  const { path, content } = change;
  const found = await fileAt(context, at, path);
  if (found === undefined) {
    // file/detail answers 404 for folders too, and an upload with replace would silently replace the folder.
    if (await isFolder(context, at, path)) throw conflict(path);
    return store(context, at, change, false);
  }
  if (found.id === base || found.id === change.attempted) return store(context, at, change, true);
  // Our own earlier attempt, broken off before its answer came.
  if (found.size === content.size && found.id === (await fileIdOf(content, at.signal))) {
    return { name: nameOf(path), id: found.id, size: found.size, now: found.mtime };
  }
  throw conflict(path);
}

function conflict(path: string): SeafileError {
  return new SeafileError("conflict", `${JSON.stringify(path)} has been changed on the server meanwhile.`);
}

function store(context: Context, at: ChangeTarget, change: Put, replace: boolean): Promise<Uploaded> {
  const { path } = change;
  if (fitsMultipart(nameOf(path)) && fitsFormField(parentOf(path))) return upload(context, at, change, replace);
  if (replace && fitsFormField(path)) return update(context, at, change);
  return uploadAside(context, at, change, replace);
}

async function fileAt(context: Context, at: ChangeTarget, path: string): Promise<FileDetail | undefined> {
  try {
    return await repeat(context, at.signal, () => getFileDetail(at.http, at.library, path, at.signal));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function isFolder(context: Context, at: ChangeTarget, path: string): Promise<boolean> {
  try {
    await repeat(context, at.signal, () => getDir(at.http, at.library, path, undefined, at.signal));
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
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
  { policy, log, links, uncertain }: Context,
  at: ChangeTarget,
  use: "upload" | "update",
  { path, content }: Put,
  replace: boolean,
  post: (link: string) => Promise<Uploaded>,
): Promise<Uploaded> {
  const settle = () => settleUpload(at, { folder: parentOf(path), name: nameOf(path), content, replace });
  const key = `${at.library} ${path}`;
  for (let renewed = false; ; renewed = true) {
    const lease = await links.store(use, at.library, at.signal);
    const request = () => post(lease.link).catch((error) => explainCut(at, content.size, error));
    try {
      const stored = await retry({ policy, log, signal: at.signal, settle }, request);
      uncertain.delete(key);
      return stored;
    } catch (error) {
      if (!(error instanceof SeafileError && error.unapplied)) uncertain.add(key);
      if (!isRefusedLink(error) || renewed) throw error;
      links.drop(lease);
    }
  }
}

/** So much fits into socket buffers, and is sent whole before a connection can break under it. */
const SENT_AT_ONCE = 64 * 1024;

/**
 * From 13 on servers refuse by Content-Length and close the connection while the body is still being sent, so that their
 * 443 may get lost on the way (server/upload-file.c): the account is asked whether the quota was the reason.
 */
async function explainCut(at: ChangeTarget, size: number, error: unknown): Promise<never> {
  if (
    at.own &&
    size > SENT_AT_ONCE &&
    error instanceof SeafileError &&
    error.kind === "unreachable" &&
    error.unapplied
  ) {
    const account = await getAccountInfo(at.http, at.signal).catch(() => undefined);
    if (account !== undefined && account.total > 0 && account.usage + size >= account.total) {
      const message = `Storing failed: ${size} bytes do not fit into the account's quota.`;
      throw new SeafileError("quota", message, { cause: error, unapplied: true });
    }
  }
  throw error;
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
    // Also for a caller who has given up: nobody else knows the temporary name.
    if (!replace) await removeEntry(context, { ...at, signal: undefined }, "file", from).catch(() => {});
    throw error;
  }
}
