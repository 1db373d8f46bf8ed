/**
 * Why a mount could not be made or ended, for the command line to explain.
 * Invariant: `message` is one or two sentences for the user; the helper program's own words are in it.
 * Thrown by mountpoint.ts, unmount-path.ts, mount-helper.ts, receive-fd.ts, native-binding.ts, libfuse-options.ts and both transports.
 */

/**
 * fuse-missing: no /dev/fuse or no helper program. permission: /dev/fuse or the mount point is closed to this user.
 * mountpoint: it does not exist, is no directory, or is taken. ffi-missing: koffi is not installed. libfuse-missing: fuse-native or
 * libfuse 2 is not installed. refused: anything else.
 */
export type MountErrorReason =
  | "fuse-missing"
  | "permission"
  | "mountpoint"
  | "ffi-missing"
  | "libfuse-missing"
  | "refused";

export class MountError extends Error {
  override readonly name = "MountError";
  readonly reason: MountErrorReason;

  constructor(reason: MountErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
