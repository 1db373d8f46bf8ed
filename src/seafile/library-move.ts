/**
 * Moving and renaming so that the result is exact. The server never refuses a taken name but numbers it ("x (1)"), never
 * moves and renames in one request, and says "success" for a source that is not there. Invariants: an entry ends under the
 * wanted name or under its old one with kind "exists"; nothing is ever overwritten or removed.
 * Called by library-apply.ts and library-put.ts.
 */
import { type Context, repeat } from "./context.ts";
import { type Changed, type ChangeTarget, postBatchMove, postFileMove, postRename } from "./endpoints-change.ts";
import { SeafileError } from "./errors.ts";
import { isNumbered, join, nameOf, parentOf } from "./names.ts";
import { retry } from "./retry.ts";
import { changedFrom, entriesOf, settleMove, temporaryName } from "./settle.ts";

export interface Move {
  readonly kind: "file" | "dir";
  readonly from: string;
  readonly to: string;
}

/** Makes the move; the answer has the name wanted. Rejects with kind "exists" after putting everything back. */
export async function applyMove(context: Context, at: ChangeTarget, move: Move): Promise<Changed> {
  const { kind, from, to } = move;
  if (to.startsWith(`${from}/`)) {
    throw new SeafileError("invalid", `Moving ${JSON.stringify(from)} into itself is not possible.`);
  }
  if (parentOf(from) === parentOf(to)) return renameExactly(context, at, kind, from, to, []);
  return kind === "file" ? moveFile(context, at, from, to) : moveFolder(context, at, from, to);
}

/** Brings a new file to its place; like an upload it gets a numbered name there when its own is taken. */
export async function placeFile(context: Context, at: ChangeTarget, from: string, to: string): Promise<Changed> {
  if (parentOf(from) === parentOf(to)) return rename(context, at, "file", from, nameOf(to));
  const moved = await moveFileTo(context, at, from, parentOf(to));
  return rename(context, at, "file", join(parentOf(to), moved.obj_name), nameOf(to));
}

/** A step back: from where an entry is to where it was. */
interface Undo {
  readonly kind: "file" | "dir";
  readonly from: string;
  readonly to: string;
}

/** Renames within a folder. When the name is taken, or the server refuses, the rename and the steps before it are undone. */
async function renameExactly(
  context: Context,
  at: ChangeTarget,
  kind: "file" | "dir",
  from: string,
  to: string,
  undo: readonly Undo[],
): Promise<Changed> {
  try {
    const changed = await rename(context, at, kind, from, nameOf(to));
    if (changed.obj_name === nameOf(to)) return changed;
    await rename(context, at, kind, join(parentOf(to), changed.obj_name), nameOf(from));
    throw taken(to);
  } catch (error) {
    await takeBack(context, at, undo, error);
    throw error;
  }
}

/**
 * Move first, then rename: the move reports the name it gave ("x (1)" when the old name is taken in the new folder), so
 * the rename always finds it, and a crash in between leaves the file whole in the new folder.
 */
async function moveFile(context: Context, at: ChangeTarget, from: string, to: string): Promise<Changed> {
  const moved = await moveFileTo(context, at, from, parentOf(to));
  if (moved.obj_name === nameOf(to)) return moved;
  const interim = join(parentOf(to), moved.obj_name);
  return renameExactly(context, at, "file", interim, to, [{ kind: "file", from: interim, to: from }]);
}

/**
 * Folders: v2.1 has no move that reports the name, and `fileops/move` cannot take ":" in names. So the batch move is used
 * with a name that the listing of the target shows to be free, and a second listing tells whether it arrived.
 */
async function moveFolder(context: Context, at: ChangeTarget, from: string, to: string): Promise<Changed> {
  const target = parentOf(to);
  const before = await namesIn(context, at, target);
  if (before.has(nameOf(to))) throw taken(to);
  if (nameOf(from) === nameOf(to)) return batchMove(context, at, from, to, before);
  const interim = before.has(nameOf(from)) ? temporaryName() : nameOf(from);
  const undo: Undo[] = [];
  let source = from;
  if (interim !== nameOf(from)) {
    source = join(parentOf(from), interim);
    await rename(context, at, "dir", from, interim);
    undo.push({ kind: "dir", from: source, to: from });
  }
  const arrived = join(target, interim);
  try {
    await batchMove(context, at, source, arrived, before);
  } catch (error) {
    await takeBack(context, at, undo, error);
    throw error;
  }
  return renameExactly(context, at, "dir", arrived, to, [{ kind: "dir", from: arrived, to: source }, ...undo]);
}

/** Moves a folder to a name that was free a moment ago, and makes sure that it arrived under it. */
async function batchMove(
  context: Context,
  at: ChangeTarget,
  from: string,
  to: string,
  before: ReadonlySet<string>,
): Promise<Changed> {
  const { policy, log } = context;
  const { signal } = at;
  const request = async () => {
    await postBatchMove(at, parentOf(from), nameOf(from), parentOf(to));
    return undefined;
  };
  const lost = await retry<Changed | undefined>(
    { policy, log, signal, settle: () => settleMove(at, "dir", from, to) },
    request,
  );
  if (lost !== undefined) return lost;
  const after = await repeat(context, signal, () => entriesOf(at, parentOf(to)));
  const news = after.filter((entry) => entry.type === "dir" && !before.has(entry.name));
  const arrived = news.find((entry) => entry.name === nameOf(to));
  const numbered = news.find((entry) => isNumbered(entry.name, nameOf(to)));
  if (numbered !== undefined && !(await namesIn(context, at, parentOf(from))).has(nameOf(from))) {
    // Somebody took the name between the listing and the move.
    const back = { kind: "dir", from: join(parentOf(to), numbered.name), to: from } as const;
    const error = taken(to);
    await takeBack(context, at, [back], error);
    throw error;
  }
  if (arrived !== undefined) return changedFrom(arrived);
  throw new SeafileError("not-found", `Moving ${JSON.stringify(from)} failed: it does not exist on the server.`);
}

/**
 * Undoes steps, as far as the server lets us, also for a caller who has given up; where the entry stays otherwise is
 * logged, and nothing is lost.
 */
async function takeBack(context: Context, given: ChangeTarget, steps: readonly Undo[], why: unknown): Promise<void> {
  const at: ChangeTarget = { ...given, signal: undefined };
  for (const { kind, from, to } of steps) {
    try {
      if (parentOf(from) === parentOf(to)) await rename(context, at, kind, from, nameOf(to));
      else if (kind === "file") {
        const back = await moveFileTo(context, at, from, parentOf(to));
        if (back.obj_name !== nameOf(to)) {
          await rename(context, at, kind, join(parentOf(to), back.obj_name), nameOf(to));
        }
      } else {
        await postBatchMove(at, parentOf(from), nameOf(from), parentOf(to));
        if (nameOf(from) !== nameOf(to)) {
          await rename(context, at, kind, join(parentOf(to), nameOf(from)), nameOf(to));
        }
      }
    } catch (error) {
      context.log.warn({ err: error, why }, `${JSON.stringify(from)} could not be moved back to ${JSON.stringify(to)}`);
      return;
    }
  }
}

function rename(
  { policy, log }: Context,
  at: ChangeTarget,
  kind: "file" | "dir",
  from: string,
  newName: string,
): Promise<Changed> {
  const settle = () => settleMove(at, kind, from, join(parentOf(from), newName));
  return retry({ policy, log, signal: at.signal, settle }, () => postRename(at, kind, from, newName));
}

function moveFileTo({ policy, log }: Context, at: ChangeTarget, from: string, folder: string): Promise<Changed> {
  const settle = () => settleMove(at, "file", from, join(folder, nameOf(from)));
  return retry({ policy, log, signal: at.signal, settle }, () => postFileMove(at, from, folder));
}

async function namesIn(context: Context, at: ChangeTarget, folder: string): Promise<ReadonlySet<string>> {
  const entries = await repeat(context, at.signal, () => entriesOf(at, folder));
  return new Set(entries.map((entry) => entry.name));
}

function taken(path: string): SeafileError {
  return new SeafileError("exists", `The name ${JSON.stringify(path)} is taken on the server.`);
}
