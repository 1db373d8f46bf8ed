/**
 * Which transport carries a mount: the one that the user names, or for "auto" the kernel transport, unless it lacks what fuse-native
 * does without and has. Invariant: nothing of fuse-native is loaded where the kernel transport lacks nothing. Called by mount.ts and fuse-health.ts.
 */
import { whatKernelTransportLacks } from "./fuse/kernel/kernel-means.ts";
import type { Transport } from "./fuse/transport.ts";
import type { ResolvedMountOptions } from "./options.ts";

export interface TransportChoice {
  readonly name: "kernel" | "fuse-native";
  /** Why, as a clause: "it was asked for", "this user can mount with it", ... */
  readonly reason: string;
  readonly load: () => Promise<Transport>;
}

export interface Means {
  readonly whatKernelTransportLacks: () => Promise<string | undefined>;
  readonly canLoadLibfuse: () => Promise<boolean>;
}

const kernel = async () => (await import("./fuse/kernel/kernel-transport.ts")).kernelTransport;
const libfuse = async () => (await import("./fuse/libfuse/libfuse-transport.ts")).libfuseTransport;

export async function chooseTransport(
  wanted: ResolvedMountOptions["transport"],
  means: Means = { whatKernelTransportLacks, canLoadLibfuse },
): Promise<TransportChoice> {
  if (wanted === "kernel") return { name: wanted, reason: "it was asked for", load: kernel };
  if (wanted === "fuse-native") return { name: wanted, reason: "it was asked for", load: libfuse };
  const lack = await means.whatKernelTransportLacks();
  if (lack === undefined) return { name: "kernel", reason: "this user can mount with it", load: kernel };
  if (await means.canLoadLibfuse()) {
    return { name: "fuse-native", reason: `the kernel transport cannot mount: ${lack}`, load: libfuse };
  }
  // Its own error says best what to install.
  return { name: "kernel", reason: `neither can mount here: ${lack}, and fuse-native cannot be loaded`, load: kernel };
}

export async function canLoadLibfuse(): Promise<boolean> {
  const { loadBinding } = await import("./fuse/libfuse/native-binding.ts");
  try {
    loadBinding();
    return true;
  } catch {
    return false;
  }
}
