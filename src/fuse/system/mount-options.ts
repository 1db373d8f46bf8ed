/**
 * Words that both transports tell the mount helpers, and sentences that both tell the user about /dev/fuse.
 * Invariant: nothing a user or a server named can end its option and begin another. Called by mount-helper.ts, libfuse-options.ts and
 * libfuse-transport.ts.
 */
import { SEAMOUNT_TYPE } from "./mountinfo.ts";

/** For the option subtype=: the kernel puts "fuse." before it. */
export const SUBTYPE = SEAMOUNT_TYPE.slice("fuse.".length);

export const DEVICE_MISSING =
  "/dev/fuse cannot be opened. Load the kernel module (modprobe fuse) or give the container the device.";
export const DEVICE_CLOSED = "/dev/fuse must be readable and writable for you (chmod 0666 /dev/fuse).";

/** The part of TransportOptions that becomes words of mount(8). */
export interface MountFlags {
  readonly readOnly: boolean;
  readonly defaultPermissions: boolean;
  readonly allowOther: boolean;
  readonly extraOptions: readonly string[];
}

/** What the caller asked for in the words of mount(8); later options override earlier ones. */
export function mountFlags(options: MountFlags): readonly string[] {
  return [
    ...(options.readOnly ? ["ro"] : []),
    ...(options.defaultPermissions ? ["default_permissions"] : []),
    ...(options.allowOther ? ["allow_other"] : []),
    ...options.extraOptions,
  ];
}

/** fusermount and libfuse: a comma ends an option and a backslash takes the next character as it is. */
export function escapeOption(text: string): string {
  return text.replace(/[\\,]/g, "\\$&");
}
