/**
 * Mounts through the system's helper programs: mount for root, fusermount3 for everybody else.
 * Invariants: no shell; the path and fsname are always separate arguments after "--" or escaped in one option; the helper's
 * own message becomes the error's. Called by kernel-transport.ts.
 */
import { close, open } from "node:fs";
import { promisify } from "node:util";
import { MountError } from "../system/mount-error.ts";
import { DEVICE_CLOSED, DEVICE_MISSING, escapeOption, mountFlags, SUBTYPE } from "../system/mount-options.ts";
import { SEAMOUNT_TYPE } from "../system/mountinfo.ts";
import { type HelperResult, runHelper } from "../system/run-helper.ts";
import { helperMissing, isRoot, messageOf, runFusermount, unmountPath } from "../system/unmount-path.ts";
import type { TransportOptions } from "../transport.ts";
import { S_IFDIR } from "./abi.ts";
import { openFdSocket } from "./receive-fd.ts";

export type MountOptions = Omit<TransportOptions, "log">;

/** Unless the caller's own options, which follow, say otherwise. */
const DEFAULTS = ["nosuid", "nodev"];

/** Mounts at `options.mountpoint` and returns the open /dev/fuse. The kernel sends requests from then on. Throws MountError. */
export function mountFuse(options: MountOptions): Promise<number> {
  return isRoot() ? mountAsRoot(options) : mountAsUser(options);
}

async function mountAsRoot(options: MountOptions): Promise<number> {
  const fd = await promisify(open)("/dev/fuse", "r+").catch((cause: unknown) => {
    throw new MountError("fuse-missing", DEVICE_MISSING, { cause });
  });
  const data = [
    "fd=3",
    `rootmode=${S_IFDIR.toString(8)}`,
    `user_id=${process.geteuid!()}`,
    `group_id=${process.getegid!()}`,
    ...DEFAULTS,
    ...mountFlags(options),
  ];
  try {
    const args = ["-i", "-t", SEAMOUNT_TYPE, "-o", data.join(","), "--", options.fsname, options.mountpoint];
    const result = await runHelper("mount", args, { fd3: fd });
    if (result === undefined) throw helperMissing("mount");
    if (result.status !== 0) throw mountFailed(options.mountpoint, result);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

async function mountAsUser(options: MountOptions): Promise<number> {
  const socket = await openFdSocket();
  try {
    const data = [...DEFAULTS, ...mountFlags(options), `subtype=${SUBTYPE}`, `fsname=${escapeOption(options.fsname)}`];
    const args = ["-o", data.join(","), "--", options.mountpoint];
    const result = await runFusermount(args, { fd3: socket.childFd, env: { _FUSE_COMMFD: "3" } });
    if (result === undefined) throw helperMissing("fusermount3");
    if (result.status !== 0) throw mountFailed(options.mountpoint, result);
    const fd = socket.receive();
    if (fd !== undefined) return fd;
    await unmountPath(options.mountpoint, { lazy: true });
    throw new MountError("refused", "fusermount3 mounted, but did not hand over /dev/fuse.");
  } finally {
    socket.close();
  }
}

function mountFailed(mountpoint: string, result: HelperResult): MountError {
  const message = `Mounting at ${mountpoint} failed: ${messageOf(result)}`;
  if (/\/dev\/fuse: (Permission|Operation)/.test(result.stderr)) {
    return new MountError("permission", `${message}. ${DEVICE_CLOSED}`);
  }
  if (/\/dev\/fuse|device not found/.test(result.stderr)) return new MountError("fuse-missing", message);
  return new MountError(/permission|allowed|permitted/i.test(result.stderr) ? "permission" : "refused", message);
}
