/**
 * A state folder with journal, spool and backlog for tests, without a filesystem above them.
 * Call useWriteback() at the top of a test file: every test then has a folder of its own. `reopen` is what a crash leaves.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import type { Content, LibraryId, ObjectId } from "../../src/seafile/types.ts";
import { Backlog, type BaseVersion } from "../../src/writeback/backlog.ts";
import type { DirtyFile } from "../../src/writeback/dirty-file.ts";
import { Journal } from "../../src/writeback/journal.ts";
import type { Pending, PendingContent } from "../../src/writeback/records.ts";
import { replay } from "../../src/writeback/recovery.ts";
import { Spool, type SpoolFile } from "../../src/writeback/spool.ts";

export const LIBRARY = "00000000-0000-4000-8000-000000000001" as LibraryId;

/** An object id that is told apart by its number. */
export const objectId = (n: number) => n.toString(16).padStart(40, "0") as ObjectId;

export let folder: string;
export let journal: Journal;
export let spool: Spool;
export let backlog: Backlog;
export let pending: Pending;
/** Every file of the spool that a test uses. */
const files: SpoolFile[] = [];

export function useWriteback(): void {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "seamount-unit-"));
    await open();
  });
  afterEach(end);
}

/** A fresh state folder within one test. */
export async function renew(): Promise<void> {
  await end();
  folder = await mkdtemp(join(tmpdir(), "seamount-unit-"));
  await open();
}

/** What the next process finds after this one was killed. */
export async function reopen(): Promise<Pending> {
  await backlog.close();
  for (const file of files) file.rest();
  await open();
  return pending;
}

async function end(): Promise<void> {
  await backlog.close();
  // Else the garbage collector closes them, and complains.
  for (const file of files.splice(0)) await file.remove();
  await rm(folder, { recursive: true, force: true });
}

async function open(): Promise<void> {
  const opened = await Journal.open(folder, silentLogger());
  journal = opened.journal;
  spool = await Spool.open(join(folder, "spool"));
  const known = (file: SpoolFile) => {
    files.push(file);
    return file;
  };
  const [create, existing] = [spool.create.bind(spool), spool.existing.bind(spool)];
  Object.assign(spool, { create: () => known(create()), existing: (name: string) => known(existing(name)) });
  pending = replay(opened.records);
  backlog = new Backlog(journal, spool, pending, silentLogger());
}

/** Until told otherwise every end of something shortens the journal. */
export function compactAlways(isOn = true): void {
  let size = 2 ** 20;
  // Longer each time that somebody looks.
  if (isOn) Object.defineProperty(journal, "size", { configurable: true, get: () => (size *= 3) });
  else Reflect.deleteProperty(journal, "size");
}

export function version(bytes: Uint8Array, n = 7): BaseVersion {
  return { id: objectId(n), size: bytes.length, read: async (start, end) => [bytes.slice(start, end)] };
}

/** Brings back what a journal remembers, as a mount does. */
export async function adopt(content: PendingContent, base?: Uint8Array, under?: DirtyFile): Promise<DirtyFile> {
  const onDisk = content.sealed ? 0 : (await spool.existing(content.spool).use((handle) => handle.stat())).size;
  under?.retain();
  const from = { under, base: content.base === null || base === undefined ? undefined : version(base) };
  return backlog.adopt(content, Math.max(content.size, onDisk), from);
}

export async function bytesOf(dirty: DirtyFile): Promise<Buffer> {
  return Buffer.concat(await dirty.read(0, Number.MAX_SAFE_INTEGER));
}

export async function collect(content: Content): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of content.open()) parts.push(part);
  return Buffer.concat(parts);
}

/** A byte array that takes what a dirty file takes. */
export class Model {
  bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes);
  }

  write(at: number, data: Uint8Array): void {
    if (data.length === 0) return;
    if (at + data.length > this.bytes.length) this.truncate(at + data.length);
    this.bytes.set(data, at);
  }

  truncate(size: number): void {
    const grown = Buffer.alloc(size);
    this.bytes.copy(grown, 0, 0, size);
    this.bytes = grown;
  }
}

/** Shortens the journal now, whatever else is going on. */
export async function compact(): Promise<void> {
  const id = await backlog.removing({
    library: LIBRARY,
    path: "/something else",
    kind: "file",
    expects: null,
  });
  compactAlways();
  backlog.done(id);
  compactAlways(false);
}
