/**
 * What the command line and a running mount say to each other over the control socket: one JSON object per line,
 * {id, method, params} there and {id, result} or {id, error: {message, code}} back, answers in any order.
 * Invariant: both sides know these types only; the mounting process provides MountControl, and whoever may open the
 * socket (0600 in a 0700 folder) may do everything in it. Closing the connection gives up what it asked for.
 */

/** One change that the server does not have yet. */
export interface QueueItem {
  /** Unique among everything the mount ever queued. */
  readonly id: number;
  readonly op: "put" | "remove";
  /** The library's name. */
  readonly library: string;
  /** Absolute in the library. */
  readonly path: string;
  /** Absolute below the mount point ("/Work/a.txt"); absent when the mount does not show the place. */
  readonly location?: string;
  /** Bytes. */
  readonly size: number;
  /** When it was accepted, in milliseconds since the epoch; likewise all times here. */
  readonly since: number;
  readonly state: "writing" | "waiting" | "uploading" | "retrying" | "held";
  /** Bytes of content handed over in the attempt under way. */
  readonly sent?: number;
  /** When it is tried next. */
  readonly at?: number;
  /** Why it is held: quota, permission, name, encrypted, too-large, conflict, incomplete or user. */
  readonly reason?: string;
  /** The same as one sentence. */
  readonly because?: string;
  readonly attempts: number;
}

export interface MountStatus {
  readonly mountpoint: string;
  readonly server: string;
  readonly user: string;
  readonly pid: number;
  readonly since: number;
  readonly transport: string;
  readonly online: boolean;
  readonly libraries: readonly {
    readonly name: string;
    readonly id: string;
    readonly permission: "rw" | "r";
    readonly encrypted: boolean;
    /** Encrypted, and its password is not known here or wrong. */
    readonly locked: boolean;
  }[];
  readonly queue: {
    /** Everything that is pending, held items included. */
    readonly files: number;
    readonly bytes: number;
    readonly held: number;
    readonly retrying: number;
    readonly uploading: readonly QueueItem[];
  };
  readonly rates: { readonly uploadBytesPerSecond: number; readonly downloadBytesPerSecond: number };
  /** Newest last, at most 20. */
  readonly errors: readonly { readonly at: number; readonly message: string }[];
  readonly cache: { readonly bytes: number; readonly maxBytes: number; readonly listedEntries: number };
  /** Files whose modification time the server will not keep over a remount. */
  readonly timesNotKept: number;
}

/** How much is not stored: `pending` counts everything, `held` the part of it that waits for somebody to do something. */
export interface SyncResult {
  readonly pending: number;
  readonly held: number;
}

/** What on the server a place in the mount is. */
export interface Located {
  readonly server: string;
  /** undefined: the mount's top, which shows all libraries. */
  readonly place?:
    | {
        readonly library: string;
        readonly libraryName: string;
        /** Absolute in the library. */
        readonly path: string;
        readonly kind: "file" | "dir";
        /** False for a new file that the server has nothing of yet. */
        readonly isStored: boolean;
      }
    | undefined;
}

/** What a running mount can be asked. An id that is not pending any more is passed over. */
export interface MountControl {
  status(): MountStatus;
  queue(): readonly QueueItem[];
  /** `path`: absolute below the mount point. Rejects with ENOENT when there is nothing. */
  locate(path: string, signal: AbortSignal): Promise<Located>;
  /** Tries these, or everything, now. Answers how many it concerned; likewise hold and release. */
  retry(ids?: readonly number[]): number;
  hold(ids: readonly number[]): Promise<number>;
  release(ids: readonly number[]): number;
  /** Gives up what is pending of these items: the content is lost, the server's version shows again. */
  discard(ids: readonly number[]): Promise<number>;
  /** Copies the pending content of one item to an absolute local path, made 0600. Rejects with EEXIST when there is something. */
  export(id: number, path: string): Promise<void>;
  /**
   * Commits everything pending (at and below `path` in the mount, when given) now. Resolves when nothing is pending, when what
   * remains is held or keeps failing, and on abort.
   */
  sync(path: string | undefined, signal: AbortSignal): Promise<SyncResult>;
  /**
   * Takes the password of an encrypted library (by id), which works at once and is not written anywhere. Resolves with how many
   * changes had waited for it. Rejects when it is wrong; then the one from before stays.
   */
  unlock(library: string, password: string, signal: AbortSignal): Promise<number>;
  /**
   * Ends the mount. Rejects with EBUSY, and the mount goes on, while programs have files open there. `drainMs`: how long to wait
   * for the queue, 0 to leave everything for the next mount, absent for the mount's own patience. Asked again while
   * the end is under way (also by others) the shorter wait counts.
   */
  unmount(drainMs: number | undefined): Promise<{ readonly pending: number }>;
}

export type Method = keyof MountControl;

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly params?: unknown;
}

export type Answer =
  | { readonly id: number | null; readonly result: unknown }
  | { readonly id: number | null; readonly error: { readonly message: string; readonly code: string } };

/** Longest line in bytes that the mounting process reads: some hundred thousand ids. */
export const MAX_REQUEST_BYTES = 1024 * 1024;
/** Longest line in bytes that it writes: a queue of some hundred thousand items. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** The longest wait that a timer of Node can take, in milliseconds (about 24 days). */
export const MAX_WAIT_MS = 2 ** 31 - 1;

/**
 * A request that failed. `code`: an errno symbol (EBUSY, EEXIST ...) or "bad-request", "unknown-method", "too-large", "failed" from
 * the mounting process; "unreachable", "timeout", "closed" when there was no answer.
 */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
