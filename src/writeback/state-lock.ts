/**
 * The lock of a state folder. Invariant: it ends with the process that holds it, however that ends, and no child inherits it. It is
 * flock(2) on the file "lock", taken by flock(1) on a descriptor of ours: the lock belongs to the open file, not to the process
 * that asked for it, and is seen across pid namespaces. Without flock(1), and not beyond a pid namespace, it is the file "lock.pid".
 * Each of the two ways notes its holder before it looks for one of the other, so that they exclude each other. Called by state-dir.ts.
 */
import { spawn } from "node:child_process";
import { closeSync, constants, fstatSync, ftruncateSync, openSync, statSync, writeSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { holderAt, type LockHolder, parseHolder, takePidLock, thisHolder } from "./pid-lock.ts";

export const LOCK_FILE = "lock";
export const PID_LOCK_FILE = "lock.pid";

/** Exit status of `flock -n` when somebody else has the lock (flock(1); 69 and the like mean trouble). */
const TAKEN = 1;

export type LockAttempt =
  /** Only the first `release` does something. */
  | { readonly kind: "locked"; readonly release: () => Promise<void> }
  /** `by`: who has it, when that can be read. */
  | { readonly kind: "taken"; readonly by: LockHolder | undefined };

/** Tries once. Rejects with the disk's error, or with a sentence when the file system has no locks. */
export async function takeLock(folder: string, mountpoint: string): Promise<LockAttempt> {
  const path = join(folder, LOCK_FILE);
  const holder = await thisHolder(mountpoint);
  // A bare descriptor: a FileHandle that nobody refers to is closed by the garbage collector, and the lock with it.
  const fd = openIfFolderExists(path);
  if (fd === undefined) return { kind: "taken", by: undefined };
  let isKept = false;
  try {
    const answer = await flock(fd);
    if (answer === "absent") return await lockByPid(folder, path, holder);
    if (answer === "taken" || !isStillAt(fd, path)) return { kind: "taken", by: await noted(path) };
    note(fd, JSON.stringify(holder));
    const other = await holderAt(join(folder, PID_LOCK_FILE));
    if (other !== undefined) {
      note(fd, "");
      return { kind: "taken", by: other };
    }
    isKept = true;
  } finally {
    if (!isKept) closeSync(fd);
  }
  const release = once(async () => {
    try {
      // Who looks later must not take a process that still lives for the holder.
      note(fd, "");
    } finally {
      closeSync(fd);
    }
  });
  return { kind: "locked", release };
}

async function lockByPid(folder: string, flocked: string, holder: LockHolder): Promise<LockAttempt> {
  const path = join(folder, PID_LOCK_FILE);
  const release = once(() => rm(path, { force: true }));
  const rival = await takePidLock(path, holder);
  if (rival !== undefined) return { kind: "taken", by: rival };
  const other = await holderAt(flocked);
  if (other === undefined) return { kind: "locked", release };
  await release();
  return { kind: "taken", by: other };
}

/** What was the lock's, a descriptor or a file name, may be somebody else's afterwards. */
function once(release: () => Promise<void>): () => Promise<void> {
  let released: Promise<void> | undefined;
  return () => (released ??= release());
}

/** "absent": there is no flock(1) here. */
function flock(fd: number): Promise<"locked" | "taken" | "absent"> {
  return new Promise((resolve, reject) => {
    // util-linux and BusyBox both know these options. / and not the current folder, which may lie in a mount that is dead.
    const child = spawn("flock", ["-n", "-x", "3"], { stdio: ["ignore", "ignore", "ignore", fd], cwd: "/" });
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve("absent");
      else reject(error);
    });
    child.on("close", (status, signal) => {
      if (status === 0) resolve("locked");
      else if (status === TAKEN) resolve("taken");
      else reject(new Error(`the folder for local state cannot be locked: flock ended with ${status ?? signal}`));
    });
  });
}

/** Undefined when the folder was removed meanwhile. */
function openIfFolderExists(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** False when the holder of before removed the file between our open and our lock. */
function isStillAt(fd: number, path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino;
}

function note(fd: number, text: string): void {
  ftruncateSync(fd, 0);
  writeSync(fd, text, 0);
}

/** Whoever the file names, living or in a pid namespace that we do not see. */
async function noted(path: string): Promise<LockHolder | undefined> {
  return parseHolder(await readFile(path, "utf8").catch(() => ""));
}
