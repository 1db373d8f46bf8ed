/**
 * Can this machine and this user mount through the kernel transport? Looks for what it needs, without mounting.
 * Invariant: says no only for what would make kernel-transport.ts fail for certain. Called by choose-transport.ts.
 */
import { access, constants } from "node:fs/promises";
import { isRoot, runFusermount } from "../system/unmount-path.ts";
import { canReceiveFds } from "./receive-fd.ts";

/** What is missing, as a clause for the user; undefined when nothing is. */
export async function whatKernelTransportLacks(): Promise<string | undefined> {
  if (process.platform !== "linux") return "it is for Linux";
  const isOpen = await access("/dev/fuse", constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!isOpen) return "/dev/fuse cannot be opened";
  if (isRoot()) return undefined;
  if ((await runFusermount(["-V"])) === undefined) return "fusermount3 is not installed";
  return (await canReceiveFds()) ? undefined : "the package koffi is not installed";
}
