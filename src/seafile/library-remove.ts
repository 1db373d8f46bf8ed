/**
 * Removing entries: one by one, or all of one folder's in one request. Invariants: what is not there any more counts as
 * removed; nothing is removed that is of another kind than told, or has another id than expected, as far as a look right
 * before can tell. Called by library-apply.ts, and by library-put.ts and mkdir to clean up.
 */
import type { ChangeResult } from "./change-result.ts";
import { type Context, repeat } from "./context.ts";
import { getDir, getFileDetail } from "./endpoints.ts";
import { type ChangeTarget, deleteBatch, deleteEntry } from "./endpoints-change.ts";
import { isMissing, SeafileError } from "./errors.ts";
import { fitsBatch, nameOf, parentOf } from "./names.ts";
import { retry } from "./retry.ts";
import { entriesOf, type Found } from "./settle.ts";
import type { Change } from "./types.ts";

export type Remove = Extract<Change, { op: "remove" }>;

/** Removes one entry. With `expects` that is one request to look and one to remove. Rejects with kind "conflict". */
export async function applyRemove(context: Context, at: ChangeTarget, remove: Remove): Promise<undefined> {
  const { kind, path } = remove;
  if (remove.expects == null) return removeEntry(context, at, kind, path);
  if (!(await isExpected(context, at, remove))) return;
  const { policy, log } = context;
  // After a lost answer another entry may have taken the name: it is looked at again before the request is repeated.
  const settle = async () => ((await isExpected(context, at, remove)) ? undefined : true);
  try {
    await retry({ policy, log, signal: at.signal, settle }, async () => {
      await deleteEntry(at, kind, path);
      return true;
    });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Removes without a look. What is not there any more counts as removed. */
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

/** False when there is no such file or folder any more; rejects with kind "conflict" when it has another id. */
async function isExpected(context: Context, at: ChangeTarget, { kind, path, expects }: Remove): Promise<boolean> {
  const { http, library, signal } = at;
  const known = expects ?? undefined;
  const look = async () => {
    if (kind === "file") return (await getFileDetail(http, library, path, signal)).id === known;
    const answer = await getDir(http, library, path, known, signal);
    return answer === "unchanged" || answer.id === known;
  };
  try {
    if (await repeat(context, signal, look)) return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  throw conflict(path);
}

function conflict(path: string): SeafileError {
  const message = `${JSON.stringify(path)} has been changed on the server meanwhile.`;
  return new SeafileError("conflict", message, { unapplied: true });
}

/** May the two be removed by one request? */
export function mayShareDelete(context: Context, one: Remove, other: Remove): boolean {
  if (context.refused.has("batch-delete") || parentOf(one.path) !== parentOf(other.path)) return false;
  return fitsBatch(nameOf(one.path)) && fitsBatch(nameOf(other.path));
}

/**
 * Removes entries of one folder, each name once: one listing, and one request per `namesPerDelete` names. Rejects
 * only with the abort reason.
 */
export async function applyRemoves(
  context: Context,
  at: ChangeTarget,
  removes: readonly Remove[],
): Promise<ChangeResult[]> {
  const batch = new RemoveBatch(context, at, removes);
  const failure = await batch.run().then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure === undefined) return batch.outcomes();
  if (!(failure instanceof SeafileError)) throw failure;
  if (!concernsBatch(failure)) return batch.outcomes(failure);
  if (isNoBatchDelete(failure)) context.refused.add("batch-delete");
  for (const remove of batch.pending()) {
    const error = await applyRemove(context, at, remove).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error !== undefined && !(error instanceof SeafileError)) throw error;
    batch.settle(remove, error);
  }
  return batch.outcomes();
}

/** One locked file, or a proxy that does not like bodies of DELETE, is no reason against the other names. */
function concernsBatch({ transient, kind }: SeafileError): boolean {
  return !transient && kind !== "unauthorized" && kind !== "read-only" && kind !== "encrypted";
}

function isNoBatchDelete({ kind }: SeafileError): boolean {
  return kind === "invalid" || kind === "protocol" || kind === "too-large";
}

class RemoveBatch {
  readonly #context: Context;
  readonly #at: ChangeTarget;
  readonly #removes: readonly Remove[];
  readonly #pending: Map<string, Remove>;
  readonly #failed = new Map<Remove, SeafileError>();

  constructor(context: Context, at: ChangeTarget, removes: readonly Remove[]) {
    this.#context = context;
    this.#at = at;
    this.#removes = removes;
    this.#pending = new Map(removes.map((remove) => [nameOf(remove.path), remove]));
  }

  pending(): Remove[] {
    return [...this.#pending.values()];
  }

  settle(remove: Remove, error: SeafileError | undefined): void {
    this.#pending.delete(nameOf(remove.path));
    if (error !== undefined) this.#failed.set(remove, error);
  }

  /** `failure` is that of all that are still pending. */
  outcomes(failure?: SeafileError): ChangeResult[] {
    const pending = new Set(this.#pending.values());
    return this.#removes.map((remove) => {
      const error = pending.has(remove) ? failure : this.#failed.get(remove);
      return error === undefined ? { ok: true } : { ok: false, error };
    });
  }

  async run(): Promise<void> {
    const { policy, log, limits } = this.#context;
    const { signal } = this.#at;
    await repeat(this.#context, signal, () => this.#look());
    while (this.#pending.size > 0) {
      const removes = this.pending().slice(0, limits.namesPerDelete);
      const left = () => removes.filter((remove) => this.#pending.has(nameOf(remove.path)));
      const settle = async () => {
        await this.#look();
        return left().length === 0 ? true : undefined;
      };
      await retry({ policy, log, signal, settle }, () => this.#delete(left()));
      for (const remove of left()) this.settle(remove, undefined);
    }
  }

  /** One listing decides about all: what is gone is done, what has changed is a conflict. */
  async #look(): Promise<void> {
    const entries = await entriesOf(this.#at, parentOf(this.#removes[0]!.path));
    const found = new Map<Remove, Found[]>();
    for (const entry of entries) {
      const remove = this.#pending.get(entry.name);
      // Seafile can have one name twice.
      if (remove?.kind === entry.type) found.set(remove, [...(found.get(remove) ?? []), entry]);
    }
    for (const remove of this.pending()) {
      const those = found.get(remove);
      if (those === undefined) this.settle(remove, undefined);
      else if (!those.some((entry) => isAs(entry, remove))) this.settle(remove, conflict(remove.path));
    }
  }

  async #delete(removes: readonly Remove[]): Promise<true> {
    try {
      const names = removes.map((remove) => nameOf(remove.path));
      await deleteBatch(this.#at, parentOf(this.#removes[0]!.path), names);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return true;
  }
}

function isAs(entry: Found, { expects }: Remove): boolean {
  return expects == null || entry.id === expects;
}
