/**
 * A batch of changes through the library's one door, with a result for each of them whatever happens. Called by committer.ts.
 */
import type { Library } from "../seafile/library.ts";
import type { Change } from "../seafile/types.ts";
import { abortReason } from "../util/abort.ts";
import type { AttemptResult } from "./task.ts";

/** `apply` rejects as a whole only when it is broken off: then nothing is known of any of the changes. */
export async function applyAll(
  library: Library,
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<AttemptResult[]> {
  if (changes.length === 0) return [];
  if (signal.aborted) return changes.map(() => ({ ok: false, error: abortReason(signal), isUnsent: true }));
  try {
    return await library.apply(changes, signal);
  } catch (error) {
    return changes.map(() => ({ ok: false, error }));
  }
}
