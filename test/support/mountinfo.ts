/**
 * Which mounts exist, as the kernel says it in /proc/self/mountinfo (proc(5)); nothing here touches the mounts themselves,
 * so it is safe for the process that serves them. Called by the harness and by global-setup.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

export interface MountEntry {
  readonly mountpoint: string;
  /** "fuse.seamount" for a mount of ours. */
  readonly type: string;
  readonly source: string;
  /** Options of the mount and of the superblock together. */
  readonly options: readonly string[];
}

const unescapeOctal = (field: string) =>
  field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Every mount this process sees, in the order of the kernel. */
export async function mountEntries(): Promise<MountEntry[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).trimEnd().split("\n");
  return lines.map((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , , mountpoint = "", mountOptions = ""] = before.split(" ");
    const [type = "", source = "", superOptions = ""] = after.split(" ");
    return {
      mountpoint: unescapeOctal(mountpoint),
      type,
      source: unescapeOctal(source),
      options: [...mountOptions.split(","), ...superOptions.split(",")],
    };
  });
}

export async function isMountPoint(dir: string): Promise<boolean> {
  return (await mountEntries()).some((entry) => entry.mountpoint === dir);
}

/** Mount points at or below a folder, deepest first (the order in which they can be unmounted). */
export async function mountsUnder(dir: string): Promise<string[]> {
  return (await mountEntries())
    .map((entry) => entry.mountpoint)
    .filter((mountpoint) => mountpoint === dir || mountpoint.startsWith(`${dir}/`))
    .reverse();
}

/** The last resort of clean-up: detaches the mount whatever is still open on it. Never rejects. */
export async function lazyUnmount(dir: string): Promise<void> {
  const command = process.getuid?.() === 0 ? "umount" : "fusermount3";
  const args = command === "umount" ? ["-l", dir] : ["-u", "-z", dir];
  await promisify(execFile)(command, args).catch(() => {});
}
