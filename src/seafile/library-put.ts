/**
 * Storing a file's content. Invariants: nothing that was not the base is overwritten; content is stored at most once even
 * when answers are lost; a put over a file is one commit, so that a crash never leaves the name without content (only names
 * with line breaks, which the C file server cannot take in a form, are replaced in two). Called by library-apply.ts and
 * library-put-group.ts.
 */
import { type Context, repeat } from "./context.ts";
import { type FileDetail, getDir, getFileDetail } from "./endpoints.ts";
import type { ChangeTarget } from "./endpoints-change.ts";
import { postUpdate, postUpload, type Upload, type Uploaded } from "./endpoints-file-server.ts";
import { isMissing, SeafileError } from "./errors.ts";
import { isForChunks, putInChunks } from "./library-chunks.ts";
import { placeFile } from "./library-move.ts";
import { removeEntry } from "./library-remove.ts";
import { fitsFormField, fitsMultipart, join, nameOf, parentOf } from "./names.ts";
import { fileIdOf } from "./object-id.ts";
import { settleUpload, temporaryName } from "./settle.ts";
import { throughLink, uncertainKey } from "./store-link.ts";
import type { Change, ObjectId, RemoteEntry } from "./types.ts";

export type Put = Extract<Change, { op: "put" }>;

/** Stores the content. The entry has the name given by the server: another than wanted when that was taken. */
export async function applyPut(context: Context, at: ChangeTarget, change: Put): Promise<RemoteEntry> {
  const keepsMtimes = await context.keepsMtimes(at.signal);
  const { base } = change;
  const stored = await (base === null ? putNew(context, at, change) : putOver(context, at, change, base));
  return storedEntry(change, stored, keepsMtimes);
}

export function storedEntry(change: Put, stored: Uploaded, keepsMtimes: boolean): RemoteEntry {
  const mtime = keepsMtimes ? Math.floor(change.mtime) : stored.now;
  return { name: stored.name, kind: "file", id: stored.id, size: stored.size, mtime, writable: true };
}

/** An earlier attempt, also of an earlier process, may have been stored without an answer: a second one would get a numbered name. */
async function putNew(context: Context, at: ChangeTarget, change: Put): Promise<Uploaded> {
  const { path, content, attempted } = change;
  if (attempted !== undefined || context.uncertain.has(uncertainKey(at, path))) {
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
  if (found.size === content.size && found.id === (await fileIdOf(content, at.key, at.signal))) {
    return { name: nameOf(path), id: found.id, size: found.size, now: found.mtime };
  }
  throw conflict(path);
}

export function conflict(path: string): SeafileError {
  const message = `${JSON.stringify(path)} has been changed on the server meanwhile.`;
  return new SeafileError("conflict", message, { unapplied: true });
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

/** Through the library's upload link: big files in chunks, others in one POST. */
export async function upload(context: Context, at: ChangeTarget, change: Put, replace: boolean): Promise<Uploaded> {
  if (!isForChunks(context, change)) return uploadWhole(context, at, change, replace);
  const { path, content, mtime, progress } = change;
  const confirm = async () => {
    if (replace) await confirmBase(context, at, change);
  };
  const outcome = await putInChunks(context, at, { path, content, mtime, replace, progress, confirm });
  if ("stored" in outcome) return outcome.stored;
  const { over } = outcome;
  if (over === undefined) return uploadWhole(context, at, change, replace);
  return uploadWhole(context, at, { ...change, path: join(parentOf(path), over.name) }, true);
}

/** The chunks took their time: is it still the base that the last one replaces? */
async function confirmBase(context: Context, at: ChangeTarget, { path, base, attempted }: Put): Promise<void> {
  const found = await fileAt(context, at, path);
  if (found === undefined ? await isFolder(context, at, path) : found.id !== base && found.id !== attempted) {
    throw conflict(path);
  }
}

/** One POST. */
function uploadWhole(context: Context, at: ChangeTarget, change: Put, replace: boolean): Promise<Uploaded> {
  const { path, content, mtime, progress } = change;
  const [folder, name] = [parentOf(path), nameOf(path)];
  const body: Upload = { folder: folder.slice(1), files: [{ name, content, progress }], replace, mtime };
  return throughLink(context, at, {
    use: "upload",
    size: content.size,
    paths: () => [path],
    settle: () => settleUpload(at, { folder, name, content, replace }),
    post: async (link) => (await postUpload(at.http, link, body, at.signal))[0]!,
  });
}

/** One POST through the library's update link: for existing files whose names cannot stand in a multipart header. */
function update(context: Context, at: ChangeTarget, change: Put): Promise<Uploaded> {
  const { path, content } = change;
  return throughLink(context, at, {
    use: "update",
    size: content.size,
    paths: () => [path],
    settle: () => settleUpload(at, { folder: parentOf(path), name: nameOf(path), content, replace: true }),
    post: (link) => postUpdate(at.http, link, change, at.signal),
  });
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
