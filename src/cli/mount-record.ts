/**
 * A small file per running mount: which process serves which mount point. The mount process writes it and removes it at its
 * end; `unmount` reads it to wait for that process, and to learn what could not be stored.
 * Invariant: a record whose process is gone (or whose number was given to another process) counts as absent and is removed,
 * except when it carries the result of a mount that ended with unstored files: then the first reader takes it.
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { runDirs, writePrivateFile } from "./paths.ts";

export interface MountRecord {
  readonly pid: number;
  /** Start time of the process in clock ticks since boot: with the pid it names a process for good. */
  readonly ticks: string;
  readonly mountpoint: string;
  /** ISO 8601. */
  readonly started: string;
  /** Set when the mount has ended: local files with what could not be stored. */
  readonly unstored?: readonly string[];
}

const nameOf = (mountpoint: string) => `${createHash("sha256").update(mountpoint).digest("hex").slice(0, 24)}.json`;

/** Records this process as the one that serves `mountpoint`. */
export function writeRecord(mountpoint: string): RecordFile {
  const record = {
    pid: process.pid,
    ticks: startTicks(process.pid) ?? "",
    mountpoint,
    started: new Date().toISOString(),
  };
  const file = join(runDirs()[0]!, nameOf(mountpoint));
  writePrivateFile(file, `${JSON.stringify(record)}\n`);
  return new RecordFile(file, record);
}

/** The record of this process's own mount. */
export class RecordFile {
  readonly #file: string;
  readonly #record: MountRecord;

  constructor(file: string, record: MountRecord) {
    this.#file = file;
    this.#record = record;
  }

  /** Called once the mount has ended. A record that a later mount has written stays. */
  finish(unstored: readonly string[]): void {
    const current = read(this.#file);
    if (current && current.pid !== this.#record.pid) return;
    if (unstored.length === 0) rmSync(this.#file, { force: true });
    else writePrivateFile(this.#file, `${JSON.stringify({ ...this.#record, unstored })}\n`);
  }
}

/** The record of the process that serves `mountpoint`, if one does. */
export function findRecord(mountpoint: string): MountRecord | undefined {
  for (const folder of runDirs()) {
    const file = join(folder, nameOf(mountpoint));
    const record = read(file);
    if (!record || record.mountpoint !== mountpoint) continue;
    if (isAlive(record)) return record;
    if (!record.unstored) rmSync(file, { force: true });
  }
  return undefined;
}

/** Local files with what the ended mount could not store; asking removes the answer. */
export function takeUnstored(mountpoint: string): readonly string[] {
  for (const folder of runDirs()) {
    const file = join(folder, nameOf(mountpoint));
    const record = read(file);
    if (!record || record.mountpoint !== mountpoint || isAlive(record)) continue;
    rmSync(file, { force: true });
    return record.unstored ?? [];
  }
  return [];
}

/** Resolves when the process of the record has ended. A process of another session cannot be waited for otherwise. */
export async function waitForEnd(record: MountRecord, onSlow: () => void): Promise<void> {
  for (let round = 0; isAlive(record); round++) {
    if (round === 30) onSlow();
    await sleep(100);
  }
}

export function isAlive(record: MountRecord): boolean {
  return startTicks(record.pid) === record.ticks;
}

/** Field 22 of /proc/PID/stat (proc(5)), counted behind the command name, which may hold spaces; undefined for no process or a zombie. */
function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function read(file: string): MountRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(file, "utf8")) as MountRecord;
    return typeof record.pid === "number" && typeof record.ticks === "string" ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Says what a mount left behind. `unstored` are local files that hold what the server did not take. */
export function reportEnd(unstored: readonly string[], mountpoint: string, tell: (line: string) => void): ExitCode {
  if (unstored.length === 0) return EXIT.ok;
  const files = unstored.length === 1 ? "1 file" : `${unstored.length} files`;
  tell(`${mountpoint} is unmounted, but the server did not take ${files}. What was written is kept here:`);
  for (const file of unstored) tell(`  ${file}`);
  return EXIT.unstored;
}
