/**
 * Names for what is kept beside a file, in Seafile's own form, so that its other clients recognise them.
 * Called by put-task.ts (somebody else changed the file) and recovered.ts (it was never closed).
 */
import { splitExtension } from "../util/paths.ts";

/** `notes.txt` -> `notes (SFConflict ann@example.com 2026-11-21-19-17-10).txt`; cut so that it stays within 255 bytes. */
export function conflictName(name: string, user: string, at: Date): string {
  return marked(name, `SFConflict ${user.replaceAll("/", "_")}`, at);
}

/** `notes.txt` -> `notes (recovered 2026-11-21-19-17-10).txt`; cut so that it stays within 255 bytes. Once is enough. */
export function recoveredName(name: string, at: Date): string {
  return name.includes(` (recovered ${stamp(at)})`) ? name : marked(name, "recovered", at);
}

/** The time is local, as Seafile's clients write it. */
function stamp(at: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())];
  return [...date, two(at.getHours()), two(at.getMinutes()), two(at.getSeconds())].join("-");
}

function marked(name: string, mark: string, at: Date): string {
  const [stem, extension] = splitExtension(name);
  const suffix = ` (${mark} ${stamp(at)})${extension}`;
  let kept = [...stem];
  while (kept.length > 0 && Buffer.byteLength(kept.join("") + suffix) > 255) kept = kept.slice(0, -1);
  return kept.join("") + suffix;
}
