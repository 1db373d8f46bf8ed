/**
 * What all random operations have in common: the two sides, how a command is made and compared, and the arbitrary values.
 * A command runs on the model and on the real folder, and both must give the same answer, be it a value or an errno.
 * Used by path-commands.ts, handle-commands.ts and remote-commands.ts.
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

/** A command and how often it comes, relative to the others. */
export interface Weighted {
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<Command>;
}

export const NAMES = ["a", "b", "c", "d e"];
export const aPath = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 });
/** Mostly small; some across the pages of the kernel (4 KiB) and the blocks of the cache (256 KiB). */
export const anOffset = fc.oneof(
  { weight: 4, arbitrary: fc.nat(9000) },
  { weight: 2, arbitrary: fc.constantFrom(4095, 4096, 65_536, 131_071, 262_143, 262_144) },
  { weight: 1, arbitrary: fc.nat(600_000) },
);
export const aLength = fc.oneof(
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

/** What of a stat(2) the model knows. */
export async function statOf(stat: Promise<WorkerStat>) {
  const { kind, size } = await stat;
  return { kind: kind as "file" | "dir", size: kind === "file" ? size : 0 };
}
