/**
 * Changes to a library, one after the other, each with its own outcome. Invariants: an entry in a result carries the name
 * under which the server really stored it; a change is applied at most once even when answers are lost; nothing that was
 * not the base of a put is overwritten. Called by Library.apply.
 */
import { type Context, repeat } from "./context.ts";
import { getDir, getFileDetail } from "./endpoints.ts";
import { type Changed, type ChangeTarget, deleteEntry, postMkdir } from "./endpoints-change.ts";
import { postUpload, type Upload, type Uploaded } from "./endpoints-file-server.ts";
import { SeafileError } from "./errors.ts";
import { applyMove } from "./library-move.ts";
import { fitsFormField, fitsMultipart, join, nameOf, parentOf, toNfc } from "./names.ts";
import { isRefusedLink } from "./reader.ts";
import { retry } from "./retry.ts";
import { settleMkdir, settleUpload, temporaryName } from "./settle.ts";
import type { Change, LibraryInfo, ObjectId, RemoteEntry } from "./types.ts";

export type ChangeResult =
  | { readonly ok: true; readonly entry?: RemoteEntry }
  | { readonly ok: false; readonly error: SeafileError };

type Put = Extract<Change, { op: "put" }>;

/** Applies one change. Rejects only with the abort reason. */
export async function applyChange(
  context: Context,
  library: LibraryInfo,
  change: Change,
  signal: AbortSignal | undefined,
): Promise<ChangeResult> {
  const at: ChangeTarget = { http: context.http, library: library.id, signal };
  try {
    refuse(library, change);
    const entry = await perform(context, at, change);
    return entry === undefined ? { ok: true } : { ok: true, entry };
  } catch (error) {
    if (error instanceof SeafileError) return { ok: false, error };
    throw error;
  }
}

/** What needs no request to be refused. */
function refuse(library: LibraryInfo, change: Change): void {
  if (!library.writable) throw new SeafileError("read-only", `The library "${library.name}" is shared read-only.`);
  if (library.encrypted && change.op === "put") {
    throw new SeafileError(
      "encrypted",
      `The library "${library.name}" is encrypted; files in it cannot be stored yet.`,
    );
  }
  // Every writing endpoint turns paths into NFC first, and would hit another entry, or make one, or silently do nothing.
  for (const path of existingPaths(change)) {
    if (path !== toNfc(path)) {
      throw new SeafileError(
        "invalid-name",
        `${JSON.stringify(path)} is stored in decomposed Unicode, which the server's API cannot change.`,
      );
    }
  }
}

function existingPaths(change: Change): string[] {
  switch (change.op) {
    case "put":
    case "mkdir":
      return [parentOf(change.path)];
    case "remove":
      return [change.path];
    case "move":
      return [change.from, parentOf(change.to)];
  }
}

async function perform(context: Context, at: ChangeTarget, change: Change): Promise<RemoteEntry | undefined> {
  switch (change.op) {
    case "put":
      return put(context, at, { ...change, path: toNfc(change.path) });
    case "mkdir":
      return entryOf("dir", await mkdir(context, at, toNfc(change.path)));
    case "remove":
      return remove(context, at, change.kind, change.path);
    case "move":
      return entryOf(change.kind, await applyMove(context, at, { ...change, to: toNfc(change.to) }));
  }
}

function entryOf(kind: "file" | "dir", changed: Changed): RemoteEntry {
  const { obj_name: name, obj_id: id, mtime, size } = changed;
  return { name, kind, id, size: size ?? 0, mtime, writable: true };
}

async function put(context: Context, at: ChangeTarget, change: Put): Promise<RemoteEntry> {
  const replace = change.base !== null && (await hasBase(context, at, change.path, change.base));
  const direct = fitsMultipart(nameOf(change.path)) && fitsFormField(parentOf(change.path));
  const stored = direct ? await upload(context, at, change, replace) : await uploadAside(context, at, change, replace);
  const mtime = (await context.keepsMtimes(at.signal)) ? Math.floor(change.mtime) : stored.now;
  return { name: stored.name, kind: "file", id: stored.id, size: stored.size, mtime, writable: true };
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

/** One POST through the library's upload link; the link is renewed once when the file server refuses it. */
async function upload(context: Context, at: ChangeTarget, change: Put, replace: boolean): Promise<Uploaded> {
  const { policy, log, links, http } = context;
  const { library, signal } = at;
  const folder = parentOf(change.path);
  const name = nameOf(change.path);
  const { content, mtime } = change;
  const body: Upload = { folder: folder.slice(1), name, content, replace, mtime };
  const settle = () => settleUpload(at, { folder, name, content, replace });
  let renewed = false;
  for (;;) {
    const lease = await links.upload(library, signal);
    try {
      return await retry({ policy, log, signal, settle }, () => postUpload(http, lease.link, body, signal));
    } catch (error) {
      if (!isRefusedLink(error) || renewed) throw error;
      renewed = true;
      links.drop(lease);
    }
  }
}

/**
 * For names and folders that cannot stand in a multipart body: stored in the root under a short name, then moved to its
 * place. When it replaces a file, that one is removed last but one, after the new content is on the server.
 */
async function uploadAside(context: Context, at: ChangeTarget, change: Put, replace: boolean): Promise<Uploaded> {
  const folder = fitsFormField(parentOf(change.path)) ? parentOf(change.path) : "/";
  const aside = join(folder, temporaryName());
  const stored = await upload(context, at, { ...change, path: aside }, false);
  const from = join(folder, stored.name);
  try {
    if (replace) await remove(context, at, "file", change.path);
    const moved = await applyMove(context, at, { kind: "file", from, to: change.path });
    return { ...stored, name: moved.obj_name };
  } catch (error) {
    if (!replace) await remove(context, at, "file", from).catch(() => {});
    throw error;
  }
}

async function mkdir(context: Context, at: ChangeTarget, path: string): Promise<Changed> {
  const { policy, log } = context;
  const { signal } = at;
  const made = await retry({ policy, log, signal, settle: () => settleMkdir(at, path) }, () => postMkdir(at, path));
  if (made.obj_name === nameOf(path)) return made;
  await remove(context, at, "dir", join(parentOf(path), made.obj_name));
  throw new SeafileError("exists", `The name ${JSON.stringify(path)} is taken on the server.`);
}

/** What is not there any more counts as removed. */
async function remove(context: Context, at: ChangeTarget, kind: "file" | "dir", path: string): Promise<undefined> {
  try {
    await repeat(context, at.signal, () => deleteEntry(at, kind, path));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof SeafileError && error.kind === "not-found";
}
