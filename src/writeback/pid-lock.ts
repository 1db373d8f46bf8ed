/**
 * A lock file that names its holder, for systems without flock(1). Invariant: of all processes that can see each other in /proc one
 * at most holds a lock, also while the lock of a dead one is taken over: who takes over holds, under a name made from the dead
 * holder's content, a lock on just that. Called by state-lock.ts, which also writes the same words into the file it flocks.
 */
import { createHash, randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";

export interface LockHolder {
  readonly pid: number;
  /** Tells the process from earlier and later ones of its number: boot id, and clock ticks from the boot to its start. */
  readonly started: string;
  readonly mountpoint: string;
}

/** This process as a holder. Rejects when /proc is missing. */
export async function thisHolder(mountpoint: string): Promise<LockHolder> {
  const started = await startOf(process.pid);
  if (started === undefined) throw new Error("/proc does not show this process, so nothing can be locked in its name");
  return { pid: process.pid, started, mountpoint };
}

/** Undefined when the lock is held now (by `holder`), otherwise who has it. Rejects with the disk's error. */
export async function takePidLock(path: string, holder: LockHolder): Promise<LockHolder | undefined> {
  const own = `${path}.${randomUUID()}`;
  await writeFile(own, JSON.stringify(holder), { flag: "wx", mode: 0o600 });
  try {
    for (;;) {
      // A link and not an exclusive open, so that the file is never seen without its content.
      if (await linked(own, path)) return undefined;
      const content = await readIfThere(path);
      if (content === undefined) continue;
      const other = await livingHolder(content);
      if (other !== undefined) return other;
      const guard = `${path}.after-${createHash("sha256").update(content).digest("hex").slice(0, 16)}`;
      const rival = await takePidLock(guard, holder);
      if (rival !== undefined) return rival;
      try {
        // Only who holds the guard replaces this content, so it cannot change between these two lines.
        if ((await readIfThere(path)) !== content) continue;
        await rename(own, path);
        return undefined;
      } finally {
        await rm(guard, { force: true });
      }
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** The holder that a lock file names, if it lives. */
export async function holderAt(path: string): Promise<LockHolder | undefined> {
  return livingHolder((await readIfThere(path)) ?? "");
}

async function livingHolder(content: string): Promise<LockHolder | undefined> {
  const holder = parseHolder(content);
  return holder !== undefined && (await startOf(holder.pid)) === holder.started ? holder : undefined;
}

/** Undefined for anything else: a power cut leaves empty files. */
export function parseHolder(content: string): LockHolder | undefined {
  try {
    const { pid, started, mountpoint } = JSON.parse(content) as Readonly<Record<string, unknown>>;
    if (!Number.isSafeInteger(pid) || typeof started !== "string" || typeof mountpoint !== "string") return undefined;
    return { pid: pid as number, started, mountpoint };
  } catch {
    return undefined;
  }
}

/** Undefined when there is no such process or only what is left of it until it is waited for (proc(5): fields 3 and 22 of stat). */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The program's name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return `${(await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim()} ${fields[19]}`;
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    // ESRCH: the process ended between open and read.
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
