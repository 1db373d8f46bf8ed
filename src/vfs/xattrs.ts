/**
 * What programs can read of a file's way to the server, as extended attributes `user.seafile.*`. They are not listed: cp, mv
 * and rsync copy what is listed, and a copy elsewhere would go on saying what is true of this file at this moment only.
 * Invariants: answers come from what is known here, never from a request; "stored" is said of a directory only when nothing at
 * or below it waits. Called by filesystem.ts.
 */
import type { ListingCache } from "../cache/listing-cache.ts";
import type { Committer } from "../writeback/committer.ts";
import type { TaskState } from "../writeback/task.ts";
import { type FileInode, type Inode, isUnsealed, isUnstored, pathOf } from "./inode.ts";
import type { Outbox } from "./outbox.ts";

type Facts = { readonly [Name in (typeof XATTR_NAMES)[number]]?: string | undefined };
type State = TaskState | { readonly state: "writing" | "stored" };

export const XATTR_NAMES = [
  "user.seafile.status",
  "user.seafile.error",
  "user.seafile.id",
  "user.seafile.library",
  "user.seafile.path",
] as const;

/** Of what waits below a directory, the first of these is told. */
const WORST_FIRST: readonly State["state"][] = ["held", "retrying", "writing", "waiting", "uploading"];

export interface XattrsParts {
  readonly committer: Pick<Committer, "stateOf">;
  readonly outbox: Pick<Outbox, "items" | "isBelow">;
  readonly listings: Pick<ListingCache, "fresh">;
}

export class Xattrs {
  readonly #parts: XattrsParts;

  constructor(parts: XattrsParts) {
    this.#parts = parts;
  }

  /** undefined: the inode has no such attribute at the moment. */
  get(inode: Inode, name: string): string | undefined {
    return isFact(name) ? this.#facts(inode)[name] : undefined;
  }

  #facts(inode: Inode): Facts {
    if (inode.unlinked) return {};
    const { state, error } = inode.kind === "file" ? this.#ofFile(inode) : this.#below(inode);
    const way = { "user.seafile.status": state, "user.seafile.error": error };
    if (inode.library === undefined) return way;
    return {
      ...way,
      "user.seafile.id": this.#idOf(inode),
      "user.seafile.library": inode.library.id,
      "user.seafile.path": pathOf(inode),
    };
  }

  #ofFile(inode: FileInode): { readonly state: State["state"]; readonly error: string | undefined } {
    const state = this.#stateOf(inode);
    return { state: state.state, error: reasonOf(state) };
  }

  #stateOf({ dirty, sealed, task }: FileInode): State {
    const queued = task === undefined ? undefined : this.#parts.committer.stateOf(task);
    if (sealed !== undefined) return queued ?? { state: "waiting", at: 0 };
    return { state: isUnsealed(dirty) ? "writing" : "stored" };
  }

  #below(dir: Inode): { readonly state: State["state"]; readonly error: string | undefined } {
    const { outbox } = this.#parts;
    const items = outbox.items().filter((item) => outbox.isBelow(item, dir));
    for (const wanted of WORST_FIRST) {
      const found = items.find(({ state }) => state.state === wanted);
      if (found === undefined) continue;
      const reason = reasonOf(found.state);
      return { state: wanted, error: reason && `${found.path}: ${reason}` };
    }
    return { state: "stored", error: undefined };
  }

  #idOf(inode: Inode): string | undefined {
    if (inode.kind === "dir") return this.#parts.listings.fresh(inode.ino)?.id;
    return isUnstored(inode) ? undefined : inode.version?.id;
  }
}

/** Whether the name is one of those that tell facts and cannot be set. */
export function isFact(name: string): name is keyof Facts {
  return (XATTR_NAMES as readonly string[]).includes(name);
}

function reasonOf(state: State): string | undefined {
  return "because" in state ? state.because : undefined;
}
