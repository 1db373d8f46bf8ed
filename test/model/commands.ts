/**
 * The random operations as fast-check commands: each runs on the model and on the real folder, and both must give the same
 * answer, be it a value or an errno. Handles live in numbered slots. What others do on the server is remote-commands.ts.
 */
import { join } from "node:path";
import fc from "fast-check";
import { CallError, type FsWorker, type WorkerStat } from "../support/fs-worker.ts";
import { pattern } from "../support/trees.ts";
import { ModelError, type ModelFs, type ModelHandle, type Path } from "./model-fs.ts";

export interface Model {
  readonly fs: ModelFs;
  readonly handles: Map<number, ModelHandle>;
}

/** The folder under test: a mount, or a local folder when the model itself is tested. */
export interface Real {
  readonly dir: string;
  readonly worker: FsWorker;
  /** Slot -> descriptor in the worker. */
  readonly fds: Map<number, number>;
  /** What others do on the server; absent for a local folder. */
  readonly remote?: Remote;
}

export interface Remote {
  write(path: string, data: Buffer): Promise<void>;
  mkdir(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  move(from: string, to: string): Promise<void>;
}

export type Command = fc.AsyncCommand<Model, Real>;

const NAMES = ["a", "b", "c", "d e"];
const SLOTS = [0, 1, 2, 3];
const FLAGS = [
  "O_RDONLY",
  "O_WRONLY|O_CREAT",
  "O_WRONLY|O_CREAT|O_TRUNC",
  "O_WRONLY|O_CREAT|O_EXCL",
  "O_WRONLY|O_CREAT|O_APPEND",
  "O_RDWR",
  "O_RDWR|O_CREAT",
  "O_RDWR|O_TRUNC",
];

export const aPath = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 });
const aSlot = fc.constantFrom(...SLOTS);
/** Mostly small; some across the pages of the kernel (4 KiB) and the blocks of the cache (256 KiB). */
const anOffset = fc.oneof(
  { weight: 4, arbitrary: fc.nat(9000) },
  { weight: 2, arbitrary: fc.constantFrom(4095, 4096, 65_536, 131_071, 262_143, 262_144) },
  { weight: 1, arbitrary: fc.nat(600_000) },
);
const aLength = fc.oneof(
  { weight: 5, arbitrary: fc.nat(5000) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 200_000 }) },
);
export const someData = fc
  .tuple(aLength, fc.integer({ min: 1, max: 1_000_000 }))
  .map(([length, seed]) => new Data(length, seed));

/** Bytes that print as their length and seed, so that a failing list of commands stays readable. */
export class Data {
  readonly length: number;
  readonly seed: number;

  constructor(length: number, seed: number) {
    this.length = length;
    this.seed = seed;
  }

  get bytes(): Buffer {
    return pattern(this.length, this.seed);
  }

  toString(): string {
    return `${this.length} bytes of ${this.seed}`;
  }
}

export const at = (real: Real, path: Path) => join(real.dir, ...path);

/** Runs both sides and compares value or errno. */
export async function same<T>(shown: string, model: () => T, real: () => Promise<T>): Promise<void> {
  const expected = await answer(async () => model());
  const actual = await answer(real);
  if (!equal(expected, actual)) throw new Error(`${shown}: expected ${describe(expected)}, got ${describe(actual)}`);
}

async function answer<T>(work: () => Promise<T>): Promise<{ value: T } | { errno: string }> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof ModelError || error instanceof CallError) return { errno: error.code };
    throw error;
  }
}

function equal(a: { value?: unknown; errno?: string }, b: { value?: unknown; errno?: string }): boolean {
  if (a.errno !== undefined || b.errno !== undefined) return a.errno === b.errno;
  if (Buffer.isBuffer(a.value) && Buffer.isBuffer(b.value)) return a.value.equals(b.value);
  return JSON.stringify(a.value) === JSON.stringify(b.value);
}

function describe(result: { value?: unknown; errno?: string }): string {
  if (result.errno !== undefined) return result.errno;
  if (!Buffer.isBuffer(result.value)) return JSON.stringify(result.value) ?? "ok";
  return `${result.value.length} bytes ${result.value.subarray(0, 16).toString("hex")}…`;
}

/** A command from its text and its two sides. */
export function command(
  shown: string,
  run: (model: Model, real: Real) => Promise<void>,
  check: (model: Readonly<Model>) => boolean = () => true,
): Command {
  return { check, run, toString: () => shown };
}

/** One call on a path, the same on both sides. */
function onPath(op: string, path: Path, model: (fs: ModelFs) => void, ...args: unknown[]): Command {
  const shown = `${op} ${path.join("/")} ${args.join(" ")}`.trim();
  return command(shown, (m, r) =>
    same<void>(
      shown,
      () => model(m.fs),
      async () => {
        await r.worker.call(op, at(r, path), ...args);
      },
    ),
  );
}

/** One call on an open slot. */
function onSlot(
  shown: string,
  slot: number,
  run: (handle: ModelHandle, fd: number, m: Model, r: Real) => Promise<void>,
) {
  return command(
    `[${slot}] ${shown}`,
    (m, r) => run(m.handles.get(slot)!, r.fds.get(slot)!, m, r),
    (m) => m.handles.has(slot),
  );
}

async function closeSlot(slot: number, model: Model, real: Real): Promise<void> {
  const fd = real.fds.get(slot);
  if (fd === undefined) return;
  real.fds.delete(slot);
  model.handles.delete(slot);
  await real.worker.close(fd);
}

export async function closeAll(model: Model, real: Real): Promise<void> {
  for (const slot of SLOTS) await closeSlot(slot, model, real);
}

function openCommand(slot: number, path: Path, flags: string): Command {
  const shown = `[${slot}] open ${path.join("/")} ${flags}`;
  return command(
    shown,
    async (m, r) => {
      await closeSlot(slot, m, r);
      await same<void>(
        shown,
        () => void m.handles.set(slot, m.fs.open(path, flags.split("|"))),
        async () => void r.fds.set(slot, await r.worker.open(at(r, path), flags)),
      );
    },
    // A folder may be opened for reading, but has no bytes to compare.
    (m) => flags !== "O_RDONLY" || m.fs.find(path)?.kind !== "dir",
  );
}

function mmapCommand(path: Path, data: Data, offset: number): Command {
  const shown = `mmap ${path.join("/")} ${data} at ${offset}`;
  return command(
    shown,
    (m, r) =>
      same<void>(
        shown,
        () => m.fs.overwrite(path, data.bytes, offset),
        async () => {
          await r.worker.call("mmapWrite", at(r, path), offset, data.bytes.toString("base64"));
        },
      ),
    (m) => {
      const node = m.fs.find(path);
      return node?.kind === "file" && data.length > 0 && node.data.length >= offset + data.length;
    },
  );
}

const realStat = async (stat: Promise<WorkerStat>) => {
  const { kind, size } = await stat;
  return { kind: kind as "file" | "dir", size: kind === "file" ? size : 0 };
};

/** What programs do. */
export const localCommands: { weight: number; arbitrary: fc.Arbitrary<Command> }[] = [
  { weight: 8, arbitrary: fc.tuple(aSlot, aPath, fc.constantFrom(...FLAGS)).map((args) => openCommand(...args)) },
  {
    weight: 8,
    arbitrary: fc.tuple(aSlot, someData, anOffset).map(([slot, data, offset]) => {
      const shown = `pwrite ${data} at ${offset}`;
      return onSlot(shown, slot, (handle, fd, m, r) =>
        same<void>(
          shown,
          () => m.fs.pwrite(handle, data.bytes, offset),
          async () => void (await r.worker.pwrite(fd, data.bytes, offset)),
        ),
      );
    }),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(aSlot, anOffset, aLength).map(([slot, offset, length]) => {
      const shown = `pread ${length} at ${offset}`;
      return onSlot(shown, slot, (handle, fd, m, r) =>
        same(
          shown,
          () => m.fs.pread(handle, length, offset),
          () => r.worker.pread(fd, length, offset),
        ),
      );
    }),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(aSlot, anOffset).map(([slot, size]) =>
      onSlot(`ftruncate ${size}`, slot, (handle, fd, m, r) =>
        same<void>(
          `ftruncate ${size}`,
          () => m.fs.ftruncate(handle, size),
          async () => void (await r.worker.call("ftruncate", fd, size)),
        ),
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: aSlot.map((slot) =>
      onSlot("fsync", slot, async (_, fd, __, r) => void (await r.worker.call("fsync", fd))),
    ),
  },
  {
    weight: 2,
    arbitrary: aSlot.map((slot) =>
      onSlot("fstat", slot, (handle, fd, _, r) =>
        same(
          "fstat",
          () => ({ kind: "file" as const, size: handle.node.data.length }),
          () => realStat(r.worker.fstat(fd)),
        ),
      ),
    ),
  },
  { weight: 6, arbitrary: aSlot.map((slot) => onSlot("close", slot, (_, __, m, r) => closeSlot(slot, m, r))) },
  {
    weight: 2,
    arbitrary: fc.tuple(aPath, anOffset).map(([p, size]) => onPath("truncate", p, (fs) => fs.truncate(p, size), size)),
  },
  { weight: 2, arbitrary: fc.tuple(aPath, someData, fc.nat(5000)).map((args) => mmapCommand(...args)) },
  { weight: 6, arbitrary: aPath.map((p) => onPath("mkdir", p, (fs) => fs.mkdir(p))) },
  { weight: 2, arbitrary: aPath.map((p) => onPath("rmdir", p, (fs) => fs.rmdir(p))) },
  { weight: 3, arbitrary: aPath.map((p) => onPath("unlink", p, (fs) => fs.unlink(p))) },
  {
    weight: 6,
    arbitrary: fc.tuple(aPath, aPath, fc.integer({ min: 0, max: 4 })).map(([from, to, dice]) => {
      const noReplace = dice === 0;
      const shown = `rename${noReplace ? " (no replace)" : ""} ${from.join("/")} -> ${to.join("/")}`;
      return command(shown, (m, r) =>
        same<void>(
          shown,
          () => m.fs.rename(from, to, noReplace),
          async () => void (await r.worker.call("renameat2", at(r, from), at(r, to), noReplace ? 1 : 0)),
        ),
      );
    }),
  },
  {
    weight: 4,
    arbitrary: aPath.map((path) => {
      const shown = `read ${path.join("/")}`;
      return command(
        shown,
        (m, r) =>
          same(
            shown,
            () => m.fs.readFile(path),
            () => r.worker.readFile(at(r, path)),
          ),
        (m) => m.fs.find(path)?.kind !== "dir",
      );
    }),
  },
  {
    weight: 3,
    arbitrary: aPath.map((path) => {
      const shown = `stat ${path.join("/")}`;
      return command(shown, (m, r) =>
        same(
          shown,
          () => m.fs.stat(path),
          () => realStat(r.worker.stat(at(r, path))),
        ),
      );
    }),
  },
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...NAMES), { maxLength: 2 }).map((path) => {
      const shown = `listdir ${path.join("/")}`;
      return command(shown, (m, r) =>
        same(
          shown,
          () => m.fs.listdir(path),
          () => r.worker.listdir(at(r, path)),
        ),
      );
    }),
  },
];
