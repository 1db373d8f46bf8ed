/**
 * A change that waits to be made, as the queue and whoever wants the change see it, and the states that it goes through.
 * Invariant: "held" says why the server (or the user) refuses the change; all other failures are tried again without anybody's
 * doing. Shared by committer.ts, which runs the queue, and the vfs, which fills it.
 */
import { type Kind, SeafileError } from "../seafile/errors.ts";
import type { ChangeResult, Library } from "../seafile/library.ts";
import type { Change } from "../seafile/types.ts";

/** A change that waits to be made, as whoever wants it sees it. */
export interface Task {
  /** Unique in this mount. */
  readonly id: number;
  readonly op: "put" | "remove";
  readonly library: Library;
  /** Where it applies now. */
  readonly path: string;
  /** Bytes to be sent. */
  readonly size: number;
  /** Goes together with others in one request; what may take long does not. */
  readonly isSmall: boolean;
  /** Tasks of one batch begin, and so take their locks, by ascending order. */
  readonly lockOrder: number;
  /** Locks what the attempt needs and says what to send; undefined when there is nothing to do any more. */
  begin(signal: AbortSignal): Promise<Attempt | undefined>;
}

export interface Attempt {
  readonly change: Change;
  /**
   * Called once, whatever came of it (an abort reason as `error`, too): gives the locks back. "done": the task is over; "again":
   * there is more to do, at once. Throws what the task is to be tried again for.
   */
  finish(result: AttemptResult): Promise<"done" | "again">;
}

export type AttemptResult =
  | { readonly ok: true; readonly entry?: Extract<ChangeResult, { ok: true }>["entry"] }
  /** `isUnsent`: the server was not even asked. */
  | { readonly ok: false; readonly error: unknown; readonly isUnsent?: true };

export type HeldReason =
  | "quota"
  | "permission"
  | "name"
  | "encrypted"
  | "too-large"
  | "conflict"
  | "incomplete"
  | "user";

export type TaskState =
  | { readonly state: "waiting"; readonly at: number }
  | { readonly state: "uploading"; readonly sent: number }
  | { readonly state: "retrying"; readonly at: number; readonly because: string }
  | { readonly state: "held"; readonly at: number; readonly reason: HeldReason; readonly because: string };

export const HELD_BY_USER: TaskState = {
  state: "held",
  at: Number.POSITIVE_INFINITY,
  reason: "user",
  because: "held by the user",
};

export function isHeldByUser(state: TaskState): boolean {
  return state.state === "held" && state.reason === "user";
}

const HELD: Partial<Record<Kind, HeldReason>> = {
  quota: "quota",
  forbidden: "permission",
  "read-only": "permission",
  unauthorized: "permission",
  "invalid-name": "name",
  "name-too-long": "name",
  "too-many-files": "name",
  encrypted: "encrypted",
  "wrong-password": "encrypted",
  "too-large": "too-large",
  conflict: "conflict",
  gone: "incomplete",
};

/** Why the change is held after a failure; undefined: it may succeed the next time. */
export function heldReason(error: unknown): HeldReason | undefined {
  return error instanceof SeafileError ? HELD[error.kind] : undefined;
}
