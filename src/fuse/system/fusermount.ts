/**
 * Which program mounts for ordinary users here, and whether it can: looked up without running a mount. Called by fuse-health.ts.
 */
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { promisify } from "node:util";
import { FUSERMOUNTS } from "./unmount-path.ts";

export interface Fusermount {
  readonly path: string;
  /** "3.14.0"; undefined when it does not say. */
  readonly version: string | undefined;
  /** Without that it mounts for root only. */
  readonly isSetuidRoot: boolean;
}

/** Longest wait for its version, in milliseconds. */
const ANSWER_MS = 5_000;

/** fusermount3, or fusermount where only libfuse 2 is installed; undefined when there is neither. */
export async function findFusermount(): Promise<Fusermount | undefined> {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter(isAbsolute);
  for (const path of FUSERMOUNTS.flatMap((program) => folders.map((folder) => join(folder, program)))) {
    const { mode, uid } = (await stat(path).catch(() => undefined)) ?? { mode: 0, uid: 0 };
    if ((mode & 0o111) === 0) continue;
    return { path, version: await versionOf(path), isSetuidRoot: uid === 0 && (mode & 0o4000) !== 0 };
  }
  return undefined;
}

async function versionOf(path: string): Promise<string | undefined> {
  const said = await promisify(execFile)(path, ["-V"], { timeout: ANSWER_MS, cwd: "/" }).catch(() => undefined);
  return /version:?\s+(\S+)/.exec(said?.stdout ?? "")?.[1];
}
