/**
 * The one spelling of a mount point's path, which records, the kernel's table and messages share.
 * Invariant: nothing here touches a mounted filesystem itself, which may be dead and would hang or answer ENOTCONN.
 */
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { mountStateOf } from "../unmount.ts";

/** The path as the mount table has it: symbolic links resolved, but nothing inside a mount asked. */
export async function canonicalMountpoint(path: string): Promise<string> {
  const absolute = resolve(path);
  if ((await mountStateOf(absolute)) !== "nothing") return absolute;
  const viaParent = join(await tryRealpath(dirname(absolute)), basename(absolute));
  return (await mountStateOf(viaParent)) === "nothing" ? tryRealpath(viaParent) : viaParent;
}

function tryRealpath(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
