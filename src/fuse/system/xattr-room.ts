/**
 * How getxattr(2) and listxattr(2) are answered, whatever carries the request. Called by dispatch.ts and callbacks.ts.
 */
import { ErrnoError } from "../../util/errno.ts";

/** True when the caller has no room and asks how long the value is. Throws ERANGE when it has room, but too little. */
export function asksForLength(value: Uint8Array, room: number): boolean {
  if (room !== 0 && value.length > room) throw new ErrnoError("ERANGE");
  return room === 0;
}

/** The value of listxattr(2): each name ends with a NUL. */
export function namesValue(names: readonly string[]): Uint8Array {
  return Buffer.from(names.map((name) => `${name}\0`).join(""));
}
