/**
 * Runs once around each mount project: compiles the programs that tests start in child processes and makes one
 * temp folder for the whole run. Invariant: a run that leaves a mount, a process's files or a temp folder behind fails.
 * Called by vitest (globalSetup of the mount projects); what it returns is called after the last test.
 */
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { isMountPoint, lazyUnmount, mountsUnder } from "./mountinfo.ts";
import { setup as compilePrograms } from "./programs.ts";

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await compilePrograms();
  const temp = await mkdtemp(join(tmpdir(), "seamount-test-"));
  await chmod(temp, 0o755);
  // Some tests mount as an ordinary user. udev opens the device to everybody; a container without udev leaves it to root.
  if (process.getuid?.() === 0) await chmod("/dev/fuse", 0o666);
  project.provide("temp", temp);
  return () => cleanUp(temp);
}

async function cleanUp(temp: string): Promise<void> {
  const mounts = await mountsUnder(temp);
  for (const mount of mounts) await lazyUnmount(mount);
  const folders = await readdir(temp);
  if (!(await isMountPoint(temp))) await rm(temp, { recursive: true, force: true });
  if (mounts.length > 0 || folders.length > 0) {
    // Vitest prints an error of a teardown, but ends with 0 for it.
    process.exitCode = 1;
    throw new Error(`the run left something behind: mounts [${mounts.join(", ")}], folders [${folders.join(", ")}]`);
  }
}
