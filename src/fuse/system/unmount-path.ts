/**
 * Unmounts through the system's helper programs (umount for root, fusermount3 for everybody else).
 * Invariants: no shell; the path is always a separate argument after "--"; the helper's own message becomes the error's.
 * Called by the transports, mount-helper.ts, mountpoint.ts, abort-session.ts and src/unmount.ts.
 */
import type { Logger } from "../../observe/log.ts";
import { ErrnoError } from "../../util/errno.ts";
import { MountError } from "./mount-error.ts";
import { mountAt } from "./mountinfo.ts";
import { type HelperResult, runHelper } from "./run-helper.ts";

export const FUSERMOUNTS = ["fusermount3", "fusermount"] as const;

export const isRoot = () => process.geteuid?.() === 0;

/** Unmounts what is mounted at `path`. Throws ErrnoError EBUSY while it is in use and not `lazy`, else MountError. */
export async function unmountPath(path: string, options: { readonly lazy?: boolean } = {}): Promise<void> {
  const result = await (isRoot()
    ? // Neither other helpers nor a look at the path itself, which a dead mount would not survive.
      runHelper("umount", ["-i", "-c", ...(options.lazy ? ["-l"] : []), "--", path])
    : runFusermount(["-u", ...(options.lazy ? ["-z"] : []), "--", path]));
  if (result === undefined) throw helperMissing(isRoot() ? "umount" : "fusermount3");
  if (result.status === 0) return;
  if (/busy/i.test(result.stderr)) throw new ErrnoError("EBUSY", `${path} is in use: ${result.stderr}`);
  throw new MountError("refused", `Unmounting ${path} failed: ${messageOf(result)}`);
}

/** Runs fusermount3, or fusermount where only libfuse 2 is installed. Undefined when there is neither. */
export async function runFusermount(
  args: readonly string[],
  options?: Parameters<typeof runHelper>[2],
): Promise<HelperResult | undefined> {
  for (const program of FUSERMOUNTS) {
    const result = await runHelper(program, args, options);
    if (result !== undefined) return result;
  }
  return undefined;
}

export function helperMissing(program: string): MountError {
  // On Debian and Ubuntu fuse3 has both; on Fedora fuse has the one without a number.
  const packages = program === "fusermount" ? "fuse3 (Debian, Ubuntu) or fuse (Fedora)" : "fuse3";
  return new MountError("fuse-missing", `The program ${program} was not found. Install the package ${packages}.`);
}

/** What a failed helper said. */
export const messageOf = (result: HelperResult) => result.stderr || `the helper ended with status ${result.status}`;

/** Unmounts only what a session mounted: `device` ("major:minor") tells it from another mount that took its place. Throws as unmountPath. */
export async function unmountSession(
  mountpoint: string,
  device: string | undefined,
  lazy: boolean,
  log: Logger,
): Promise<void> {
  const current = await mountAt(mountpoint);
  if (current === undefined || current.device !== device) {
    log.debug({ mountpoint }, "already unmounted");
    return;
  }
  await unmountPath(mountpoint, { lazy });
}
