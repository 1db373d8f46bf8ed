/**
 * Changes to a library, one after the other or several in one request, each with its own outcome. Invariants: an entry in a
 * result carries the name under which the server really stored it; a change is applied at most once even when answers are
 * lost; nothing that was not the base of a put is overwritten. Called by Library.apply.
 */
import type { ChangeResult } from "./change-result.ts";
import type { Context } from "./context.ts";
import { type Changed, type ChangeTarget, postMkdir } from "./endpoints-change.ts";
import { SeafileError } from "./errors.ts";
import type { FileKey } from "./library-key.ts";
import { applyMove } from "./library-move.ts";
import { refusal, runsOf } from "./library-plan.ts";
import { applyPut } from "./library-put.ts";
import { applyPuts } from "./library-put-group.ts";
import { applyRemove, applyRemoves, removeEntry } from "./library-remove.ts";
import { join, nameOf, parentOf, toNfc } from "./names.ts";
import { retry } from "./retry.ts";
import { settleMkdir } from "./settle.ts";
import { uncertainKey } from "./store-link.ts";
import type { Change, LibraryInfo, RemoteEntry } from "./types.ts";

/** Applies the changes in order, neighbours together where one request holds them. Rejects only with the abort reason. */
export async function applyChanges(
  context: Context,
  library: LibraryInfo,
  changes: readonly Change[],
  signal: AbortSignal | undefined,
): Promise<ChangeResult[]> {
  const { locked, key } = await unlockFor(context, library, changes, signal);
  const at: ChangeTarget = { http: context.http, library: library.id, own: library.kind === "own", key, signal };
  const results: ChangeResult[] = [];
  try {
    const keepsMtimes = changes.length < 2 || (await keepsMtimesOrMay(context, signal));
    for (const run of runsOf(changes, { context, library, keepsMtimes, locked })) {
      if (run.op === "one") results.push(await applyOne(context, { library, locked }, at, run.change));
      else if (run.op === "puts") results.push(...(await applyPuts(context, at, run.puts)));
      else results.push(...(await applyRemoves(context, at, run.removes)));
    }
  } catch (error) {
    // The caller gets no results: what has been stored must be found, not stored again, when it comes back with it.
    for (const change of changes.slice(0, results.length)) {
      if (change.op === "put") context.uncertain.add(uncertainKey(at, toNfc(change.path)));
    }
    throw error;
  }
  return results;
}

/** Content needs the key on the server, and its ids need it here; names need none. */
async function unlockFor(
  { unlocker }: Context,
  { id, encrypted }: LibraryInfo,
  changes: readonly Change[],
  signal: AbortSignal | undefined,
): Promise<{ readonly locked?: SeafileError; readonly key?: FileKey | undefined }> {
  if (!encrypted || !changes.some(({ op }) => op === "put")) return {};
  try {
    await unlocker.unlock(id, signal);
    return { key: await unlocker.fileKey(id, signal) };
  } catch (error) {
    if (error instanceof SeafileError && !signal?.aborted) return { locked: error };
    throw error;
  }
}

/** Whether puts of different mtimes may share a request is no reason to fail: the puts themselves will tell. */
async function keepsMtimesOrMay(context: Context, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    return await context.keepsMtimes(signal);
  } catch (error) {
    if (error instanceof SeafileError) return true;
    throw error;
  }
}

async function applyOne(
  context: Context,
  { library, locked }: { readonly library: LibraryInfo; readonly locked: SeafileError | undefined },
  at: ChangeTarget,
  change: Change,
): Promise<ChangeResult> {
  try {
    const refused = refusal(library, change, locked);
    if (refused !== undefined) throw refused;
    const entry = await perform(context, at, change);
    return entry === undefined ? { ok: true } : { ok: true, entry };
  } catch (error) {
    if (error instanceof SeafileError) return { ok: false, error };
    throw error;
  }
}

async function perform(context: Context, at: ChangeTarget, change: Change): Promise<RemoteEntry | undefined> {
  switch (change.op) {
    case "put":
      return applyPut(context, at, { ...change, path: toNfc(change.path) });
    case "mkdir":
      return entryOf("dir", await mkdir(context, at, toNfc(change.path)));
    case "remove":
      return applyRemove(context, at, change);
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
