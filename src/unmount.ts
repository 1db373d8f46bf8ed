/**
 * Ending a mount from outside its process: what `seamount unmount` needs of the kernel's side, so that the command line does
 * not know the rooms below. Works for dead mount points, too. Nothing here touches the mounted filesystem itself.
 */

import { mountAt, SEAMOUNT_TYPE } from "./fuse/system/mountinfo.ts";
import { unmountPath } from "./fuse/system/unmount-path.ts";

/** What is mounted exactly at `path` (absolute, without symbolic links). */
export async function mountStateOf(path: string): Promise<"nothing" | "seamount" | "other"> {
  const mount = await mountAt(path);
  if (mount === undefined) return "nothing";
  return mount.type === SEAMOUNT_TYPE ? "seamount" : "other";
}

/**
 * Takes the mount at `path` away; its process then stores what is pending and ends. Rejects with ErrnoError EBUSY while files
 * are open and not `lazy`, and with an error whose message is the helper program's for anything else.
 */
export async function detachMount(path: string, options: { readonly lazy: boolean }): Promise<void> {
  await unmountPath(path, options);
}
