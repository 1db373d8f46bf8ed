/**
 * The transport that speaks to /dev/fuse itself: checks the mount point, mounts, negotiates, hands out the Session.
 * Invariants: when it resolves the kernel has accepted the mount; after mounting this process never touches the mount point
 * (it would wait for itself). Called by mount.ts through the Transport type.
 */
import { endianness } from "node:os";
import type { Session, Transport, TransportOptions } from "../transport.ts";
import { INIT_FLAG } from "./abi.ts";
import { DeviceChannel } from "./channel.ts";
import { KernelSession } from "./kernel-session.ts";
import { MountError } from "./mount-error.ts";
import { mountFuse, unmountPath } from "./mount-helper.ts";
import { mountAt } from "./mountinfo.ts";
import { prepareMountpoint } from "./mountpoint.ts";

export const kernelTransport: Transport = async (operations, options) => {
  if (endianness() !== "LE") throw new MountError("refused", "Only little-endian machines are supported.");
  const mountpoint = await prepareMountpoint(options.mountpoint, options.log);
  const channel = new DeviceChannel(await mountFuse({ ...options, mountpoint }));
  const session = new KernelSession({ operations, channel, log: options.log });
  wakeReadsOnExit(session);
  const init = await session.ready.catch(async (cause: unknown) => {
    await unmountPath(mountpoint, { lazy: true }).catch(() => {});
    throw new MountError("refused", `Mounting at ${mountpoint} failed: ${String(cause)}`, { cause });
  });
  const device = (await mountAt(mountpoint))?.device;
  return {
    capabilities: {
      maxWrite: init.maxWrite,
      readdirplus: (init.flags & INIT_FLAG.DO_READDIRPLUS) !== 0,
      invalidation: true,
      nanosecondTimes: true,
    },
    kernelCache: session.kernelCache,
    closed: session.closed,
    unmount: ({ lazy = false } = {}) => unmountSession(mountpoint, device, lazy, options),
    abort: () => {
      void session.stop();
    },
  } satisfies Session;
};

/** At exit Node joins libuv's threads, and two of them wait in read(2) of /dev/fuse: exit() would hang until the unmount. */
function wakeReadsOnExit(session: KernelSession): void {
  const wake = () => session.wakeReads();
  process.once("exit", wake);
  void session.closed.then(() => process.off("exit", wake));
}

/** Unmounts only what this session mounted: `device` tells it from another mount that took its place. */
async function unmountSession(
  mountpoint: string,
  device: string | undefined,
  lazy: boolean,
  { log }: TransportOptions,
): Promise<void> {
  const current = await mountAt(mountpoint);
  if (current === undefined || current.device !== device) {
    log.debug({ mountpoint }, "already unmounted");
    return;
  }
  await unmountPath(mountpoint, { lazy });
}
