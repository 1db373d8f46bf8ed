/**
 * What is mounted where, from /proc/self/mountinfo (proc(5)), which never touches the mounted filesystems themselves: a
 * stat of a dead or hung mount could wait for ever. Called by mountpoint.ts, unmount-path.ts, both transports and src/unmount.ts.
 */
import { readFile } from "node:fs/promises";

/** Filesystem type of every mount that seamount makes. */
export const SEAMOUNT_TYPE = "fuse.seamount";

/** One line of mountinfo. */
export interface MountEntry {
  readonly mountpoint: string;
  readonly type: string;
  /** For seamount: the fsname. */
  readonly source: string;
  /** "major:minor" of st_dev. */
  readonly device: string;
  /** Options of this mount (ro, nosuid ...) and of its filesystem (user_id=..., allow_other ...). */
  readonly options: readonly string[];
}

/** All mounts of this process's mount namespace in the order they were made: a later one hides an earlier one. */
async function readMounts(): Promise<readonly MountEntry[]> {
  return parseMounts(await readFile("/proc/self/mountinfo", "utf8"));
}

/** The uppermost mount exactly at `path` (absolute, without symbolic links), or undefined. */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  return (await readMounts()).findLast((mount) => mount.mountpoint === path);
}

/** The lines of a mountinfo file; lines that are not of its format are left out. */
export function parseMounts(text: string): readonly MountEntry[] {
  return text.split("\n").flatMap((line) => {
    const [mount = "", filesystem] = line.split(" - ", 2);
    const [, , device, , mountpoint, options] = mount.split(" ");
    const [type, source, superOptions] = (filesystem ?? "").split(" ");
    if (device === undefined || mountpoint === undefined || type === undefined || source === undefined) return [];
    const all = `${options},${superOptions ?? ""}`.split(",").map(unescapeOctal);
    return [{ mountpoint: unescapeOctal(mountpoint), type, source: unescapeOctal(source), device, options: all }];
  });
}

/** Space, tab, newline, backslash (and "#") are written as a backslash and three octal digits. The bytes are UTF-8. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
