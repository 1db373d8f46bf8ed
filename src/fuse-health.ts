/**
 * What this machine has for mounting, for `seamount doctor`: the device, the helper, and the transport that a mount would take.
 * Invariant: nothing is mounted. Called by the command line.
 */
import { access, constants, stat } from "node:fs/promises";
import { canLoadLibfuse } from "./choose-transport.ts";
import { whatKernelTransportLacks } from "./fuse/kernel/kernel-means.ts";
import { type Fusermount, findFusermount } from "./fuse/system/fusermount.ts";
import { isRoot } from "./fuse/system/unmount-path.ts";

export interface FuseHealth {
  readonly device: "usable" | "missing" | "denied";
  /** Root mounts without it. */
  readonly isHelperNeeded: boolean;
  readonly helper: Fusermount | undefined;
  /** undefined: mounting is impossible. */
  readonly transport: "kernel" | "fuse-native" | undefined;
  /** What the kernel transport lacks, as a clause. */
  readonly lack: string | undefined;
}

export async function fuseHealth(): Promise<FuseHealth> {
  const [device, helper, lack] = await Promise.all([deviceState(), findFusermount(), whatKernelTransportLacks()]);
  const hasLibfuse = lack !== undefined && device === "usable" && (await canLoadLibfuse());
  const transport = lack === undefined ? "kernel" : hasLibfuse ? "fuse-native" : undefined;
  return { device, isHelperNeeded: !isRoot(), helper, transport, lack };
}

async function deviceState(): Promise<FuseHealth["device"]> {
  const isThere = await stat("/dev/fuse").catch(() => undefined);
  if (isThere === undefined) return "missing";
  const isOpen = await access("/dev/fuse", constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  return isOpen ? "usable" : "denied";
}
