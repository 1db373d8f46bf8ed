/**
 * A small file per running mount: which process serves which mount point, and on which socket it can be asked. The mount process
 * writes it and removes it at its end; `unmount` reads it to wait for that process, and to learn what is not stored.
 * Invariant: a record whose process is gone (or whose number was given to another process) counts as absent and is removed,
 * except when it carries the result of a mount that ended with something left: then the first reader takes it.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runDirs, writePrivateFile } from "./paths.ts";

/** How a mount ended. */
export interface MountEnd {
  /** Local files with what could not be stored. */
  readonly unstored: readonly string[];
  /** Changes that wait for the next mount. */
  readonly pending?: number | undefined;
}

export interface MountRecord {
  readonly pid: number;
  /** Start time of the process in clock ticks since boot: with the pid it names a process for good. */
  readonly ticks: string;
  readonly mountpoint: string;
  /** ISO 8601. */
  readonly started: string;
  /** Path of the control socket; absent when there is none. */
  readonly socket?: string | undefined;
  /** Set when the mount has ended and left something. */
  readonly end?: MountEnd;
}

/** Name of everything in the run folder that belongs to a mount point. */
export function runNameOf(mountpoint: string): string {
  return createHash("sha256").update(mountpoint).digest("hex").slice(0, 24);
}

const recordNameOf = (mountpoint: string) => `${runNameOf(mountpoint)}.json`;

/** Records this process as the one that serves `mountpoint` and listens on `socket`. */
export function writeRecord(mountpoint: string, socket?: string): RecordFile {
  const record = {
    pid: process.pid,
    ticks: startTicks(process.pid) ?? "",
    mountpoint,
    started: new Date().toISOString(),
    socket,
  };
  const file = join(runDirs()[0]!, recordNameOf(mountpoint));
  const before = read(file);
  if (before && !isAlive(before)) removeSocket(before);
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
  finish(end: MountEnd): void {
    const current = read(this.#file);
    if (current && current.pid !== this.#record.pid) return;
    if (isEverythingStored(end)) rmSync(this.#file, { force: true });
    else writePrivateFile(this.#file, `${JSON.stringify({ ...this.#record, end })}\n`);
  }
}

export function isEverythingStored(end: MountEnd): boolean {
  return end.unstored.length === 0 && (end.pending ?? 0) === 0;
}

/** The record of the process that serves `mountpoint`, if one does. */
export function findRecord(mountpoint: string): MountRecord | undefined {
  for (const folder of runDirs()) {
    const record = readAlive(join(folder, recordNameOf(mountpoint)));
    if (record?.mountpoint === mountpoint) return record;
  }
  return undefined;
}

/** All mounts of this user that a process serves, in the order of their mount points. */
export function listRecords(): readonly MountRecord[] {
  const records = new Map<string, MountRecord>();
  for (const folder of runDirs()) {
    for (const name of namesIn(folder).filter((name) => name.endsWith(".json"))) {
      const record = readAlive(join(folder, name));
      if (record && !record.end && !records.has(record.mountpoint)) records.set(record.mountpoint, record);
    }
  }
  return [...records.values()].sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : 1));
}

/** What the ended mount left, or undefined when its process died without telling; asking removes the answer. */
export function takeEnd(mountpoint: string): MountEnd | undefined {
  for (const folder of runDirs()) {
    const file = join(folder, recordNameOf(mountpoint));
    const record = read(file);
    if (!record || record.mountpoint !== mountpoint || isAlive(record)) continue;
    rmSync(file, { force: true });
    removeSocket(record);
    return record.end;
  }
  return { unstored: [] };
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

/** The record in the file if its process lives; otherwise the file is removed, unless it tells how a mount ended. */
function readAlive(file: string): MountRecord | undefined {
  const record = read(file);
  if (!record || isAlive(record)) return record;
  if (!record.end) {
    rmSync(file, { force: true });
    removeSocket(record);
  }
  return undefined;
}

/** A killed process leaves its socket. */
function removeSocket(record: MountRecord): void {
  if (record.socket?.endsWith(".sock")) rmSync(record.socket, { force: true });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(file: string): MountRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(file, "utf8")) as MountRecord;
    const isRecord =
      typeof record.pid === "number" && typeof record.ticks === "string" && typeof record.mountpoint === "string";
    return isRecord ? record : undefined;
  } catch {
    return undefined;
  }
}
