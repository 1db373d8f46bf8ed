/**
 * What the kernel says is mounted (/proc/self/mountinfo), and the one spelling of a mount point's path.
 * Invariant: nothing here touches the mounted filesystem itself, which may be dead and would hang or answer ENOTCONN.
 */
import { readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

export interface MountEntry {
  readonly mountpoint: string;
  /** "fuse.seamount", "ext4" ... */
  readonly type: string;
}

/** Entries in the order of mounting: for a path mounted over twice, the last one is visible. */
export function mountTable(text = readFileSync("/proc/self/mountinfo", "utf8")): MountEntry[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      return { mountpoint: unescapeOctal(fields[4] ?? ""), type: fields[fields.indexOf("-", 6) + 1] ?? "" };
    });
}

export function findMount(mountpoint: string): MountEntry | undefined {
  return mountTable().findLast((entry) => entry.mountpoint === mountpoint);
}

/** The path as the mount table has it: symbolic links resolved, but nothing inside a mount asked. */
export function canonicalMountpoint(path: string): string {
  const absolute = resolve(path);
  if (findMount(absolute)) return absolute;
  const viaParent = join(tryRealpath(dirname(absolute)), basename(absolute));
  return findMount(viaParent) ? viaParent : tryRealpath(viaParent);
}

function tryRealpath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The kernel writes space, tab, newline and backslash as \ooo, byte by byte (fs/proc_namespace.c mangle()). */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
