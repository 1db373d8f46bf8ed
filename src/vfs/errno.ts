/**
 * Failure -> errno: the only place. A new SeafileError kind does not compile until someone chose its errno here.
 * Also says how loud a failure is: what programs cause by asking is debug, what users must know is a warning.
 */
import type { Kind } from "../seafile/errors.ts";
import { SeafileError } from "../seafile/errors.ts";
import { type Code, ErrnoError } from "../util/errno.ts";

/** What the filesystem itself refuses. `message` is for the log; the code is what the program gets. */
export class FsError extends ErrnoError {
  override readonly name = "FsError";
}

const CODES = {
  unauthorized: "EACCES",
  "bad-credentials": "EACCES",
  "otp-required": "EACCES",
  forbidden: "EACCES",
  encrypted: "EACCES",
  "wrong-password": "EACCES",
  "read-only": "EROFS",
  "not-found": "ENOENT",
  gone: "ESTALE",
  exists: "EEXIST",
  conflict: "EBUSY",
  invalid: "EINVAL",
  "invalid-name": "EINVAL",
  "name-too-long": "ENAMETOOLONG",
  quota: "EDQUOT",
  "too-large": "EFBIG",
  "too-many-files": "ENOSPC",
  throttled: "EAGAIN",
  busy: "EAGAIN",
  unreachable: "EHOSTUNREACH",
  timeout: "ETIMEDOUT",
  server: "EIO",
  protocol: "EIO",
} as const satisfies Record<Kind, Code>;

/** Errors of the local disk (spool) that a program may see as they are; any other becomes EIO. */
const LOCAL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "ENOMEM", "EROFS"]);

export interface Failure {
  readonly code: Code;
  readonly level: "debug" | "warn" | "error";
}

export function failureOf(error: unknown): Failure {
  if (error instanceof SeafileError) {
    const code = CODES[error.kind];
    return { code, level: code === "ENOENT" || code === "EEXIST" || code === "ESTALE" ? "debug" : "warn" };
  }
  // Also the reason of an interrupted request's signal, which the transport chose.
  if (error instanceof ErrnoError) return { code: error.code, level: "debug" };
  if (error instanceof Error && error.name === "AbortError") return { code: "EINTR", level: "debug" };
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== undefined && LOCAL.has(code)) return { code: code as Code, level: "error" };
  return { code: "EIO", level: "error" };
}
