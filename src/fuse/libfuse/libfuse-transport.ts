/**
 * The transport through libfuse 2 and the addon of fuse-native: checks the mount point, mounts, hands out the Session.
 * Invariants: when it resolves the kernel has accepted the mount; after mounting this process never touches the mount point;
 * unmounting goes through the same helpers as everywhere, never through a shell. Called by mount.ts through the Transport type.
 */
import { access, constants, open } from "node:fs/promises";
import { isMainThread } from "node:worker_threads";
import { abortSession } from "../system/abort-session.ts";
import { MountError } from "../system/mount-error.ts";
import { DEVICE_CLOSED, DEVICE_MISSING, mountFlags } from "../system/mount-options.ts";
import { mountAt, SEAMOUNT_TYPE } from "../system/mountinfo.ts";
import { prepareMountpoint } from "../system/mountpoint.ts";
import { runHelper } from "../system/run-helper.ts";
import { helperMissing, isRoot, messageOf, unmountPath, unmountSession } from "../system/unmount-path.ts";
import type { OpContext, Session, Transport, TransportOptions } from "../transport.ts";
import { libfuseOptions } from "./libfuse-options.ts";
import { LibfuseSession } from "./libfuse-session.ts";
import { loadBinding } from "./native-binding.ts";
import { ROOT_INO } from "./path-resolver.ts";

/** What libfuse 2 runs, where an ordinary user mounts. fusermount3 alone is of no use to it. */
const FUSERMOUNT = "fusermount";

export const libfuseTransport: Transport = async (operations, options) => {
  const { log } = options;
  // The addon calls back on the event loop of the main thread only.
  if (!isMainThread) throw new MountError("refused", "fuse-native can mount from the main thread only.");
  const binding = loadBinding();
  const mountpoint = await prepareMountpoint(options.mountpoint, log);
  await checkMeans();
  // libfuse has one lifetime for everything: that of the root.
  const { attrTtlMs } = await operations.getattr(NOBODY, ROOT_INO, undefined);
  const words = libfuseOptions(
    { ...options, mountpoint },
    { ttlMs: attrTtlMs, negativeTtlMs: operations.negativeTtlMs },
  );
  const session = new LibfuseSession({ operations, binding, log });
  const before = (await mountAt(mountpoint))?.device;
  try {
    session.mount(mountpoint, words);
    await session.ready;
    await checkType(mountpoint, before);
  } catch (cause) {
    await unmountNew(mountpoint, before);
    if (cause instanceof MountError) throw cause;
    throw refused(mountpoint, await whyRefused({ ...options, mountpoint }, before, cause), cause);
  }
  const device = (await mountAt(mountpoint))?.device;
  return {
    // libfuse 2 could tell the kernel, but fuse-native has no way to ask it to.
    kernelCache: { invalidateEntry: () => {}, invalidateInode: () => {} },
    closed: session.closed,
    unmount: ({ lazy = false } = {}) => unmountSession(mountpoint, device, lazy, log),
    abort: () => abortSession(session, mountpoint, device, log),
  } satisfies Session;
};

const NOBODY: OpContext = { pid: 0, uid: 0, gid: 0, signal: new AbortController().signal };

/** What libfuse would say on the standard error only. */
async function checkMeans(): Promise<void> {
  await access("/dev/fuse", constants.R_OK | constants.W_OK).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "EACCES") throw new MountError("permission", DEVICE_CLOSED, { cause });
    throw new MountError("fuse-missing", DEVICE_MISSING, { cause });
  });
  if (!isRoot() && (await runHelper(FUSERMOUNT, ["-V"])) === undefined) throw helperMissing(FUSERMOUNT);
}

/** Unmounts what was mounted since `before`, the device there before. True when there was something. */
async function unmountNew(mountpoint: string, before: string | undefined): Promise<boolean> {
  if ((await mountAt(mountpoint))?.device === before) return false;
  await unmountPath(mountpoint, { lazy: true }).catch(() => {});
  return true;
}

/** When fusermount refuses an option, libfuse mounts a second time without the type; such a mount is not recognised as ours. */
async function checkType(mountpoint: string, before: string | undefined): Promise<void> {
  const mount = await mountAt(mountpoint);
  if (mount === undefined || mount.device === before) throw refused(mountpoint, "it is not mounted");
  if (mount.type !== SEAMOUNT_TYPE) throw refused(mountpoint, `it was mounted as ${mount.type}`);
}

function refused(mountpoint: string, why: string, cause?: unknown): MountError {
  return new MountError("refused", `Mounting at ${mountpoint} through libfuse 2 failed: ${why}`, { cause });
}

/**
 * For root libfuse has said it. Node keeps its standard error from fusermount, so that is asked again. It cannot hand the mount to
 * anybody; where it would mount now, libfuse failed for another reason, and the mount is removed.
 */
async function whyRefused(options: TransportOptions, before: string | undefined, cause: unknown): Promise<string> {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (isRoot()) return `${why}. Its own message is on the standard error.`;
  const words = ["nosuid", "nodev", ...mountFlags(options)];
  const nobody = await open("/dev/null", "r+");
  try {
    const args = ["-o", words.join(","), "--", options.mountpoint];
    const result = await runHelper(FUSERMOUNT, args, { fd3: nobody.fd, env: { _FUSE_COMMFD: "3" } });
    const mounts = await unmountNew(options.mountpoint, before);
    return result === undefined || mounts ? why : messageOf(result);
  } finally {
    await nobody.close();
  }
}
