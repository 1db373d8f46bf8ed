/**
 * Breaking the kernel's FUSE connection of one mount, whatever is open on it, through fusectl (fs/fuse/control.c).
 * Why it is needed: closing the descriptor wakes no thread that waits in read(2) of /dev/fuse (poolReader, libfuse), since its read holds
 * the file, nor one in the write(2) of an invalidation, which waits for our answers. At exit Node joins those of libuv's pool, libfuse's
 * not. Called by abort-session.ts, and by kernel-transport.ts for the exit of the process.
 */
import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";

const CONNECTIONS = "/sys/fs/fuse/connections";

/**
 * Every request fails from here on, running ones too, and reads of /dev/fuse return ENODEV. `device` is the mount's
 * "major:minor". False when that is unknown, or there is no fusectl and this process may not mount it. Synchronous, because exit is.
 */
export function abortConnection(device: string | undefined): boolean {
  if (device === undefined) return false;
  const file = `${CONNECTIONS}/${device.slice(device.indexOf(":") + 1)}/abort`;
  if (tryWrite(file)) return true;
  // systemd mounts fusectl at boot; containers and small systems go without.
  if (process.geteuid?.() !== 0 || !helper("mount", ["-i", "-t", "fusectl", "fusectl", CONNECTIONS])) return false;
  const done = tryWrite(file);
  helper("umount", ["-i", "-c", CONNECTIONS]);
  return done;
}

function tryWrite(file: string): boolean {
  try {
    // The file may only be written: its mode is 0200, and it belongs to the user who mounted.
    const fd = openSync(file, constants.O_WRONLY);
    writeSync(fd, "1");
    closeSync(fd);
    return true;
  } catch {
    return false;
  }
}

function helper(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { cwd: "/", stdio: "ignore" }).status === 0;
}
