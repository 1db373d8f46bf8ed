/**
 * Says what a mount left behind when it ended, and which exit code that is. Used by the process that served the mount and by
 * `unmount`. Invariant: exit code 0 only when nothing was left.
 */
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { isEverythingStored, type MountEnd } from "./mount-record.ts";
import { counted } from "./output.ts";

export function reportEnd(end: MountEnd, mountpoint: string, tell: (line: string) => void): ExitCode {
  if (isEverythingStored(end)) return EXIT.ok;
  const pending = end.pending ?? 0;
  if (pending > 0) {
    const waits = pending === 1 ? "is" : "are";
    tell(
      `${mountpoint} is unmounted, but ${counted(pending, "change")} ${waits} not on the server yet; the next mount stores what was left.`,
    );
  }
  if (end.unstored.length > 0) {
    const files = counted(end.unstored.length, "file");
    tell(`${mountpoint} is unmounted, but the server did not take ${files}. What was written is kept here:`);
    for (const file of end.unstored) tell(`  ${file}`);
  }
  return EXIT.unstored;
}
