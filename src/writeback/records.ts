/** Paths in records: what lies at or below a path, and where it is after a move. Called by backlog.ts and recovery.ts. */
import type { LibraryId } from "../seafile/types.ts";

export function isAtOrBelow(
  at: { readonly library: LibraryId; readonly path: string },
  library: LibraryId,
  path: string,
): boolean {
  return at.library === library && (at.path === path || at.path.startsWith(`${path}/`));
}

/** `path`, which is at or below `from`, after `from` became `to`. */
export function moved(path: string, from: string, to: string): string {
  return to + path.slice(from.length);
}
