/**
 * Changes to a library, one after the other or several in one request, each with its own outcome. Invariants: an entry in a result carries the name
 * under which the server really stored it; a change is applied at most once even when answers are lost; nothing that was
 * not the base of a put is overwritten. Called by Library.apply.
 */
import type { Context } from "./context.ts";
import { type Changed, type ChangeTarget, postMkdir } from "./endpoints-change.ts";
import { SeafileError } from "./errors.ts";
import { applyMove } from "./library-move.ts";
import { applyPut } from "./library-put.ts";
import { applyRemove, applyRemoves, mayShareDelete, type Remove, removeEntry } from "./library-remove.ts";
import { join, nameOf, parentOf, toNfc } from "./names.ts";
import { retry } from "./retry.ts";
import { settleMkdir } from "./settle.ts";
import type { Change, LibraryInfo, RemoteEntry } from "./types.ts";

export type ChangeResult =
  | { readonly ok: true; readonly entry?: RemoteEntry }
  | { readonly ok: false; readonly error: SeafileError };

/** Applies changes in order; neighbours that one request can hold share it. One result per change. Rejects only with the abort reason. */
export async function applyChanges(
  context: Context,
  library: LibraryInfo,
  changes: readonly Change[],
  signal: AbortSignal | undefined,
): Promise<ChangeResult[]> {
  const at: ChangeTarget = { http: context.http, library: library.id, own: library.kind === "own", signal };
  const results: ChangeResult[] = [];
  for (const run of runsOf(context, library, changes)) {
    if (run.op === "removes") {
      const errors = await applyRemoves(context, at, run.removes);
      results.push(...errors.map((error): ChangeResult => (error === undefined ? { ok: true } : { ok: false, error })));
    } else results.push(await applyOne(context, library, at, run.change));
  }
  return results;
}

type Run =
  | { readonly op: "one"; readonly change: Change }
  | { readonly op: "removes"; readonly removes: readonly Remove[] };

function* runsOf(context: Context, library: LibraryInfo, changes: readonly Change[]): Generator<Run> {
  for (let at = 0; at < changes.length; ) {
    const removes = removesFrom(context, library, changes, at);
    if (removes.length > 1) yield { op: "removes", removes };
    else yield { op: "one", change: changes[at]! };
    at += Math.max(1, removes.length);
  }
}

/** The neighbours from `at` on that may go with the first; each name once, because the second of two waits for the first. */
function removesFrom(context: Context, library: LibraryInfo, changes: readonly Change[], at: number): Remove[] {
  const removes: Remove[] = [];
  const paths = new Set<string>();
  for (let next = changes[at]; next?.op === "remove"; next = changes[at + removes.length]) {
    const first = removes[0] ?? next;
    if (paths.has(next.path) || refusal(library, next) !== undefined || !mayShareDelete(context, first, next)) break;
    removes.push(next);
    paths.add(next.path);
  }
  return removes;
}

async function applyOne(
  context: Context,
  library: LibraryInfo,
  at: ChangeTarget,
  change: Change,
): Promise<ChangeResult> {
  try {
    const refused = refusal(library, change);
    if (refused !== undefined) throw refused;
    const entry = await perform(context, at, change);
    return entry === undefined ? { ok: true } : { ok: true, entry };
  } catch (error) {
    if (error instanceof SeafileError) return { ok: false, error };
    throw error;
  }
}

/** What needs no request to be refused. */
function refusal(library: LibraryInfo, change: Change): SeafileError | undefined {
  if (!library.writable) return new SeafileError("read-only", `The library "${library.name}" is shared read-only.`);
  if (library.encrypted && change.op === "put") {
    return new SeafileError(
      "encrypted",
      `The library "${library.name}" is encrypted; files in it cannot be stored yet.`,
    );
  }
  // Every writing endpoint turns paths into NFC first, and would hit another entry, or make one, or silently do nothing.
  for (const path of existingPaths(change)) {
    if (path !== toNfc(path)) {
      return new SeafileError(
        "invalid-name",
        `${JSON.stringify(path)} is stored in decomposed Unicode, which the server's API cannot change.`,
      );
    }
  }
  return undefined;
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
