/**
 * A name that was removed here and is to be removed from the server, as the committer's queue sees it. A folder's removal takes
 * those of its entries along: a tree that nobody else changed goes in one request.
 * Invariant: what somebody else changed since it was seen here is not removed; it shows again. Made by removals.ts.
 */
import { SeafileError } from "../seafile/errors.ts";
import type { Library } from "../seafile/library.ts";
import type { ObjectId } from "../seafile/types.ts";
import { joinPath } from "../util/paths.ts";
import type { Attempt, AttemptResult, Task } from "../writeback/task.ts";
import { type DirInode, pathOf } from "./inode.ts";

/** Where the name is. After a restart the directory is a detached one until the real one is looked at. */
export interface RemovalPlace {
  readonly library: Library;
  dir: DirInode;
  readonly name: string;
}

export interface Removed {
  readonly kind: "file" | "dir";
  /** What the server had there as far as known: the file's version, or the folder's listing; undefined: whatever it has. */
  readonly expects: ObjectId | undefined;
  /** What was removed below it and is not removed on the server yet, by name. */
  readonly inner: ReadonlyMap<string, RemovalTask>;
}

/** What the removal means for the directory that showed the name. */
export type RemovalOutcome = "removed" | "kept";

export class RemovalTask implements Task {
  readonly op = "remove";
  readonly size = 0;
  readonly isSmall = true;
  /** Takes no locks. */
  readonly lockOrder = 0;
  readonly id: number;
  readonly place: RemovalPlace;
  readonly removed: Removed;
  readonly #over: (task: RemovalTask, outcome: RemovalOutcome) => void;
  /** A moment ago nothing was in the folder but what was removed here: the next attempt need not look again. */
  #isChecked = false;
  #isKept = false;

  /** `id` is the journal's. `over` is told when the server has answered for good. */
  constructor(
    id: number,
    place: RemovalPlace,
    removed: Removed,
    over: (task: RemovalTask, outcome: RemovalOutcome) => void,
  ) {
    this.id = id;
    this.place = place;
    this.removed = removed;
    this.#over = over;
  }

  /** Somebody else changed it: it was not removed. */
  get isKept(): boolean {
    return this.#isKept;
  }

  get library(): Library {
    return this.place.library;
  }

  get path(): string {
    return joinPath(pathOf(this.place.dir), this.place.name);
  }

  async begin(signal: AbortSignal): Promise<Attempt | undefined> {
    const { kind, expects, inner } = this.removed;
    let isChecked = this.#isChecked;
    this.#isChecked = false;
    // The listing that led to the decision is not the server's any more: our own changes below made another one of it.
    if (kind === "dir" && expects === undefined && !isChecked) {
      isChecked = await this.#holdsOnlyRemoved(this.path, inner, signal);
      if (!isChecked) {
        this.#keep();
        return undefined;
      }
    }
    const more = isChecked || expects === undefined ? {} : { expects };
    return {
      change: { op: "remove", path: this.path, kind, ...more },
      finish: (result) => this.#finish(result, signal),
    };
  }

  async #finish(result: AttemptResult, signal: AbortSignal): Promise<"done" | "again"> {
    if (!result.ok) {
      const { error } = result;
      const isChanged = error instanceof SeafileError && error.kind === "conflict";
      if (!isChanged) throw error;
      // Perhaps only what we removed ourselves a moment ago.
      const { kind, inner } = this.removed;
      this.#isChecked = kind === "dir" && (await this.#holdsOnlyRemoved(this.path, inner, signal));
      if (this.#isChecked) return "again";
      this.#keep();
      return "done";
    }
    this.#over(this, "removed");
    return "done";
  }

  #keep(): void {
    this.#isKept = true;
    this.#over(this, "kept");
  }

  /** Whether the server has nothing in the folder but what was removed here, as it was when it was removed. */
  async #holdsOnlyRemoved(
    path: string,
    inner: ReadonlyMap<string, RemovalTask>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const listing = await this.library.list(path, undefined, signal).catch((error: unknown) => {
      if (error instanceof SeafileError && error.kind === "not-found") return undefined;
      throw error;
    });
    if (listing === undefined || listing === "unchanged") return true;
    for (const entry of listing.entries) {
      const removed = inner.get(entry.name)?.removed;
      if (removed === undefined || removed.kind !== entry.kind) return false;
      if (removed.expects !== undefined && removed.expects === entry.id) continue;
      if (!(await this.#isOurs(joinPath(path, entry.name), removed, signal))) return false;
    }
    return true;
  }

  async #isOurs(path: string, { kind, expects, inner }: Removed, signal: AbortSignal): Promise<boolean> {
    return kind === "file" ? expects === undefined : this.#holdsOnlyRemoved(path, inner, signal);
  }
}
