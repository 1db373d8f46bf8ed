/**
 * The errno numbers of this kernel and the one error class that carries one to a transport.
 * Which failure becomes which errno is not decided here but in vfs/errno.ts; this file knows numbers only.
 */
import { constants } from "node:os";

/** errno symbols as `<errno.h>` names them, restricted to what Node exposes on Linux, plus ENOTSUP. */
export type Code = keyof typeof constants.errno;

/** Positive errno number of a symbol, as the FUSE reply header carries it negated (kernel: include/uapi/asm-generic/errno.h). */
export function errnoOf(code: Code): number {
  return constants.errno[code];
}

/**
 * The errno of a failed operation: its own, or of an AbortError that of the reason for which its signal was aborted. Undefined for what
 * was not foreseen.
 */
export function errnoOfFailure(error: unknown, abortReason: unknown): number | undefined {
  if (error instanceof ErrnoError) return error.errno;
  const isAbort = error instanceof Error && error.name === "AbortError";
  return isAbort && abortReason instanceof ErrnoError ? abortReason.errno : undefined;
}

/**
 * The only error a transport understands: the kernel gets `-errno`. Anything else thrown at it becomes EIO and a warning.
 * It is an answer and has no stack: programs ask for names that do not exist all the time, and a stack costs more than the rest.
 */
export class ErrnoError extends Error {
  override readonly name: string = "ErrnoError";
  readonly code: Code;

  constructor(code: Code, message: string = code, options?: ErrorOptions) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
  }

  get errno(): number {
    return errnoOf(this.code);
  }
}
