/**
 * What all random operations have in common: the two sides, how a command is made and compared, and what it is about.
 * A command runs on the model and on the real folder, and both must give the same answer, be it a value or an errno.
 * Used by path-commands.ts, handle-commands.ts, remote-commands.ts and crash-commands.ts.
 */
import { join } from "node:path";
import type fc from "fast-check";
import { CallError, type FsWorker, type WorkerStat } from "../support/fs-worker.ts";
import { type Capability, has } from "../support/transport.ts";
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
  /** Kills what serves the folder and starts it again; absent for a local folder. */
  readonly crash?: () => Promise<void>;
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
  /** Left out on a transport without it. */
  readonly requires?: Capability;
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<Command>;
}

/** What a command does in a given state of the model; `shown` is what a failing list prints. */
export interface Step {
  readonly shown: string;
  run(real: Real): Promise<void>;
}

/** A command that decides when it comes to it, so that most commands are about something that exists. */
export function command(plan: (model: Readonly<Model>) => Step | undefined): Command {
  let shown = "(not run)";
  return {
    check: (model) => plan(model) !== undefined,
    run: (model, real) => {
      const step = plan(model)!;
      shown = step.shown;
      return step.run(real);
    },
    toString: () => shown,
  };
}

/** Whether folders can be removed: some transports keep every folder in which a file was removed that is still open. */
export function foldersCanGo({ fs, handles }: Readonly<Model>): boolean {
  if (has("removesFoldersOfOpenFiles")) return true;
  const present = new Set(fs.filesAt(fs.root));
  return [...handles.values()].every(({ node }) => present.has(node));
}

/** A step that is one call on both sides. */
export function callStep<T>(shown: string, model: () => T, real: (real: Real) => Promise<T>): Step {
  return { shown, run: (side) => same(shown, model, () => real(side)) };
}

/** Runs both sides and compares value or errno. */
async function same<T>(shown: string, model: () => T, real: () => Promise<T>): Promise<void> {
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

export const at = (real: Real, path: Path) => join(real.dir, ...path);

/** What of a stat(2) the model knows. */
export async function statOf(stat: Promise<WorkerStat>) {
  const { kind, size } = await stat;
  return { kind: kind as "file" | "dir", size: kind === "file" ? size : 0 };
}
