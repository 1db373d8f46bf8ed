/**
 * The transport that speaks to /dev/fuse itself: checks the mount point, mounts, negotiates, hands out the Session.
 * Invariants: when it resolves the kernel has accepted the mount; after mounting this process never touches the mount point
 * (it would wait for itself). Called by mount.ts through the Transport type.
 */
import { endianness } from "node:os";
import { abortSession } from "../system/abort-session.ts";
import { abortConnection } from "../system/connection.ts";
import { MountError } from "../system/mount-error.ts";
import { mountAt } from "../system/mountinfo.ts";
import { prepareMountpoint } from "../system/mountpoint.ts";
import { unmountPath, unmountSession } from "../system/unmount-path.ts";
import type { Session, Transport } from "../transport.ts";
import { DeviceChannel } from "./channel.ts";
import { KernelSession } from "./kernel-session.ts";
import { mountFuse } from "./mount-helper.ts";
import { exitAtOnce } from "./receive-fd.ts";

export const kernelTransport: Transport = async (operations, options) => {
  if (endianness() !== "LE") throw new MountError("refused", "Only little-endian machines are supported.");
  const mountpoint = await prepareMountpoint(options.mountpoint, options.log);
  const channel = new DeviceChannel(await mountFuse({ ...options, mountpoint }));
  if (channel.needsThread) {
    options.log.info(
      { node: process.version },
      "a thread reads the kernel's requests, which halves the rate of small ones",
    );
  }
  const session = new KernelSession({ operations, channel, log: options.log });
  const device = (await mountAt(mountpoint))?.device;
  endWithProcess(session, device);
  await session.ready.catch(async (cause: unknown) => {
    await unmountPath(mountpoint, { lazy: true }).catch(() => {});
    throw new MountError("refused", `Mounting at ${mountpoint} failed: ${String(cause)}`, { cause });
  });
  return {
    kernelCache: session.kernelCache,
    closed: session.closed,
    unmount: ({ lazy = false } = {}) => unmountSession(mountpoint, device, lazy, options.log),
    abort: () => abortSession(session, mountpoint, device, options.log),
  } satisfies Session;
};

/**
 * At exit Node joins the threads of libuv's pool, of which one may be in a write(2) of an invalidation that waits for our answers,
 * or (poolReader) in a read(2): a process that exits with a live mount would hang, and everybody who uses the mount with it.
 */
function endWithProcess(session: KernelSession, device: string | undefined): void {
  const onExit = (status: number) => {
    if (abortConnection(device)) return;
    exitAtOnce(status);
    process.kill(process.pid, "SIGKILL");
  };
  process.once("exit", onExit);
  void session.closed.then(() => process.off("exit", onExit));
}
