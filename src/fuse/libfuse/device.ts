/**
 * Notices the end of a libfuse session. Neither libfuse nor the addon says when its thread ends, but the last thing that it does with
 * the mount is to close /dev/fuse. Invariant: a descriptor that was opened again by another libfuse session is not
 * taken for ours. Called by libfuse-session.ts. Source: fuse-native 2.2.6, fuse-native.c (start_fuse_thread); proc(5).
 */
import { readdirSync, readlinkSync } from "node:fs";

const FDS = "/proc/self/fd";
/** How soon after its end a session is known to have ended, in milliseconds. A look costs a few microseconds. */
const LOOK_EVERY_MS = 100;

/** The descriptor of one session. Compared by identity: the same number may belong to the next session. */
export interface Device {
  readonly fd: number;
}

const current = new Map<number, Device>();

/** Runs `mount`, which opens /dev/fuse synchronously, and says which descriptor it is. */
export function mountAndFindDevice(mount: () => void): Device {
  const before = new Set(openDevices());
  mount();
  const fd = openDevices().find((candidate) => !before.has(candidate));
  if (fd === undefined) throw new Error("libfuse did not open /dev/fuse");
  const device = { fd };
  current.set(fd, device);
  return device;
}

/** Resolves when libfuse has closed the descriptor. Keeps the event loop alive until then. */
export function deviceClosed(device: Device): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (current.get(device.fd) === device && isDevice(device.fd)) return;
      clearInterval(timer);
      if (current.get(device.fd) === device) current.delete(device.fd);
      resolve();
    }, LOOK_EVERY_MS);
  });
}

function openDevices(): readonly number[] {
  return readdirSync(FDS).map(Number).filter(isDevice);
}

function isDevice(fd: number): boolean {
  try {
    return readlinkSync(`${FDS}/${fd}`).endsWith("/fuse");
  } catch {
    return false;
  }
}
