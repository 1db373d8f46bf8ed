/**
 * The options string of a libfuse mount. Invariants: nothing a user or a server named can end its option and begin another;
 * the string never exceeds what the addon takes. Sources: libfuse 2.9 lib/fuse_opt.c (escapes), mount.c, fuse.c, fuse_lowlevel.c (names).
 * Called by libfuse-transport.ts.
 */
import { MountError } from "../system/mount-error.ts";
import { escapeOption, type MountFlags, mountFlags, SUBTYPE } from "../system/mount-options.ts";
import type { TransportOptions } from "../transport.ts";
import { MOST_STRING_BYTES } from "./native-binding.ts";

/** How long the kernel may remember: one value for all names and attributes, in milliseconds. */
export interface Lifetimes {
  readonly ttlMs: number;
  readonly negativeTtlMs: number;
}

type Wanted = MountFlags & Pick<TransportOptions, "fsname" | "mountpoint">;

/** "-oA,B,C" as fuse_mount and fuse_new take it. Throws MountError when the mount point is too long for the addon. */
export function libfuseOptions(options: Wanted, lifetimes: Lifetimes): string {
  if (Buffer.byteLength(options.mountpoint) > MOST_STRING_BYTES) {
    throw new MountError("mountpoint", `The mount point has more than ${MOST_STRING_BYTES} bytes.`);
  }
  const seconds = lifetimes.ttlMs / 1000;
  const words = [
    `subtype=${SUBTYPE}`,
    // Without it every write is of 4 KiB.
    "big_writes",
    // Else O_TRUNC arrives as a truncate by path, which stores an empty version first.
    "atomic_o_trunc",
    "nonempty",
    "readdir_ino",
    `entry_timeout=${seconds}`,
    `attr_timeout=${seconds}`,
    `negative_timeout=${lifetimes.negativeTtlMs / 1000}`,
    ...mountFlags(options),
  ].join(",");
  const room = MOST_STRING_BYTES - Buffer.byteLength(`-o${words},fsname=`);
  return `-o${words},fsname=${escapedWithin(options.fsname, room)}`;
}

/** Escaped and cut, at a character, to `bytes`. */
function escapedWithin(text: string, bytes: number): string {
  let escaped = "";
  let used = 0;
  for (const character of text) {
    const piece = escapeOption(character);
    used += Buffer.byteLength(piece);
    if (used > bytes) break;
    escaped += piece;
  }
  return escaped;
}
