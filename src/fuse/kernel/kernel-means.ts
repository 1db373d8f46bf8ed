/**
 * What the kernel transport needs that fuse-native does without: koffi, for users other than root. Looks without mounting.
 * Invariant: says no only for what would make kernel-transport.ts fail for certain; what both need (/dev/fuse, fusermount) decides
 * nothing, and is named by whichever then mounts. Called by choose-transport.ts.
 */
import { isRoot } from "../system/unmount-path.ts";
import { canReceiveFds } from "./receive-fd.ts";

/** What is missing, as a clause for the user; undefined when nothing is. */
export async function whatKernelTransportLacks(): Promise<string | undefined> {
  return isRoot() || (await canReceiveFds()) ? undefined : "the package koffi is not installed";
}
