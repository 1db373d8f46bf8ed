/**
 * Changes to a library, one after the other, each with its own outcome. Invariants: an entry in a result carries the name
 * under which the server really stored it; a change is applied at most once even when answers are lost; nothing that was
 * not the base of a put is overwritten. Called by Library.apply.
 */
import type { Context } from "./context.ts";
import { type Changed, type ChangeTarget, postMkdir } from "./endpoints-change.ts";
import { SeafileError } from "./errors.ts";
import { applyMove } from "./library-move.ts";
import { applyPut, removeEntry } from "./library-put.ts";
import { join, nameOf, parentOf, toNfc } from "./names.ts";
import { retry } from "./retry.ts";
import { settleMkdir } from "./settle.ts";
import type { Change, LibraryInfo, RemoteEntry } from "./types.ts";

export type ChangeResult =
  | { readonly ok: true; readonly entry?: RemoteEntry }
  | { readonly ok: false; readonly error: SeafileError };

/** Applies one change. Rejects only with the abort reason. */
export async function applyChange(
  context: Context,
  library: LibraryInfo,
  change: Change,
  signal: AbortSignal | undefined,
): Promise<ChangeResult> {
  const at: ChangeTarget = { http: context.http, library: library.id, own: library.kind === "own", signal };
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
      return applyPut(context, at, { ...change, path: toNfc(change.path) });
    case "mkdir":
      return entryOf("dir", await mkdir(context, at, toNfc(change.path)));
    case "remove":
      return removeEntry(context, at, change.kind, change.path);
    case "move":
      return entryOf(change.kind, await applyMove(context, at, { ...change, to: toNfc(change.to) }));
  }
}

function entryOf(kind: "file" | "dir", changed: Changed): RemoteEntry {
  const { obj_name: name, obj_id: id, mtime, size } = changed;
  return { name, kind, id, size: size ?? 0, mtime, writable: true };
}

async function mkdir(context: Context, at: ChangeTarget, path: string): Promise<Changed> {
  const { policy, log } = context;
  const { signal } = at;
  const made = await retry({ policy, log, signal, settle: () => settleMkdir(at, path) }, () => postMkdir(at, path));
  if (made.obj_name === nameOf(path)) return made;
  await removeEntry(context, at, "dir", join(parentOf(path), made.obj_name));
  throw new SeafileError("exists", `The name ${JSON.stringify(path)} is taken on the server.`);
}
