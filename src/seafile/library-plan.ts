/**
 * What can be said about changes without a request: which are refused, and which neighbours go together. Invariants: the
 * order of changes is kept; no name is twice in a group, because the second change of a name waits for the first.
 * Called by library-apply.ts.
 */
import type { Context } from "./context.ts";
import { SeafileError } from "./errors.ts";
import type { Put } from "./library-put.ts";
import { isGroupable } from "./library-put-group.ts";
import { mayShareDelete, type Remove } from "./library-remove.ts";
import { parentOf, toNfc } from "./names.ts";
import type { Change, LibraryInfo } from "./types.ts";

export type Run =
  | { readonly op: "one"; readonly change: Change }
  | { readonly op: "removes"; readonly removes: readonly Remove[] }
  | { readonly op: "puts"; readonly puts: readonly Put[] };

/** What needs no request to be refused. `locked`: why content of an encrypted library cannot be stored. */
export function refusal(library: LibraryInfo, change: Change, locked?: SeafileError): SeafileError | undefined {
  if (!library.writable) return new SeafileError("read-only", `The library "${library.name}" is shared read-only.`);
  if (locked !== undefined && change.op === "put") return locked;
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

export interface PlanOptions {
  readonly context: Context;
  readonly library: LibraryInfo;
  /** One POST has one mtime, which counts only where the server keeps it. */
  readonly keepsMtimes: boolean;
  /** Why content of an encrypted library cannot be stored. */
  readonly locked: SeafileError | undefined;
}

/** Each run is taken out of the list when the one before it has been applied, because outcomes may change what can be grouped. */
export function* runsOf(changes: readonly Change[], options: PlanOptions): Generator<Run> {
  for (let at = 0; at < changes.length; ) {
    const run = runFrom(changes, at, options);
    yield run;
    at += run.op === "one" ? 1 : run.op === "puts" ? run.puts.length : run.removes.length;
  }
}

function runFrom(changes: readonly Change[], at: number, options: PlanOptions): Run {
  const removes = removesFrom(changes, at, options);
  if (removes.length > 1) return { op: "removes", removes };
  const puts = putsFrom(changes, at, options);
  return puts.length > 1 ? { op: "puts", puts } : { op: "one", change: changes[at]! };
}

function removesFrom(changes: readonly Change[], at: number, { context, library }: PlanOptions): Remove[] {
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

function putsFrom(changes: readonly Change[], at: number, options: PlanOptions): Put[] {
  const { context, library, keepsMtimes, locked } = options;
  const puts: Put[] = [];
  const paths = new Set<string>();
  let bytes = 0;
  for (let next = changes[at]; next?.op === "put"; next = changes[at + puts.length]) {
    const put = { ...next, path: toNfc(next.path) };
    const first = puts[0] ?? put;
    bytes += put.content.size;
    if (refusal(library, next, locked) !== undefined || !isGroupable(context, put) || paths.has(put.path)) break;
    if (parentOf(put.path) !== parentOf(first.path)) break;
    if (keepsMtimes && Math.floor(put.mtime) !== Math.floor(first.mtime)) break;
    if (puts.length === context.limits.groupFiles || bytes > context.limits.groupBytes) break;
    puts.push(put);
    paths.add(put.path);
  }
  return puts;
}
