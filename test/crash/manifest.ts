/**
 * What a load on a mount was told: which changes were accepted, and so which trees the server may hold after a crash.
 * Invariant: an accepted change is in every tree that is allowed; only the last change of a worker, which had not returned, may
 * be there or not, and never half. Used by the crash and stress tests; the load itself is driver.py.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PYTHON } from "../support/process.ts";
import type { Scope } from "../support/scope.ts";
import type { Tree } from "../support/trees.ts";

const PROGRAM = join(import.meta.dirname, "driver.py");
const LINE = 16;
const RECOVERED = / \(recovered \d{4}(-\d\d){5}\)/;

/** Token, first line, line behind the last. */
type Segment = readonly [string, number, number];

interface Asked {
  readonly worker: number;
  readonly op: "put" | "rename" | "unlink" | "mkdir" | "rmdir";
  /** Path -> what is there afterwards, as a tree says it; null: nothing. */
  readonly changes: Readonly<Record<string, string | null>>;
  /** Of a put: the file, and its content before (nothing, when it is emptied first) and after. */
  readonly path?: string;
  readonly before?: readonly Segment[];
  readonly after?: readonly Segment[];
}

type Line =
  | Asked
  | { readonly worker: number; readonly failed: string; readonly seen: Asked["changes"] }
  | { readonly worker: number; readonly torn: string }
  | { readonly worker: number; readonly done: true }
  | { readonly worker: number; readonly errno: string };

/** What one worker knows of its folder. */
class Known {
  readonly accepted = new Map<string, string>();
  asked: Asked | undefined;
  errno: string | undefined;
  /** Files whose content was neither that before nor that after a failed change. */
  readonly torn: string[] = [];
  /** Errors of changes that failed. */
  readonly failed: string[] = [];
  count = 0;

  take(line: Line): void {
    if ("op" in line) this.asked = line;
    else if ("torn" in line) this.torn.push(line.torn);
    else if ("failed" in line) {
      apply(this.accepted, line.seen);
      this.asked = undefined;
      this.failed.push(line.failed);
    } else if ("errno" in line) this.errno = line.errno;
    else {
      apply(this.accepted, this.asked!.changes);
      this.asked = undefined;
      this.count++;
    }
  }
}

export interface LoadOptions {
  /** Of the mount; it holds w0, w1 ... */
  readonly folder: string;
  readonly workers: number;
  readonly seed: number;
  /** Longest pause between two changes, in milliseconds. */
  readonly pauseMs: number;
  /** What each worker's folder holds at first. */
  readonly start: Tree;
  /** After a change that failed, too. */
  readonly goesOn?: boolean;
}

/** A running load. It ends when a system call fails, as it does when the mount dies. */
export class Load {
  readonly ended: Promise<void>;
  readonly #workers: readonly Known[];
  readonly #child: ChildProcess;
  #stderr = "";

  constructor(scope: Scope, { folder, workers, seed, pauseMs, start, goesOn }: LoadOptions) {
    this.#workers = Array.from({ length: workers }, () => new Known());
    for (const known of this.#workers)
      for (const [path, state] of Object.entries(start)) known.accepted.set(path, state);
    const child = spawn(
      PYTHON,
      [PROGRAM, folder, `${workers}`, `${seed}`, `${pauseMs}`, ...(goesOn ? ["go-on"] : [])],
      {
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    this.#child = child;
    child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = JSON.parse(text) as Line;
      this.#workers[line.worker]!.take(line);
    });
    this.ended = new Promise((resolve) => child.on("close", () => resolve()));
    scope.defer(async () => {
      child.kill("SIGKILL");
      await this.ended;
    });
  }

  /** How many changes were accepted so far. */
  get accepted(): number {
    return this.#workers.reduce((sum, { count }) => sum + count, 0);
  }

  /** Ends the load; changes under way are finished. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.ended;
  }

  /** How many changes failed so far, by error. */
  get failures(): Readonly<Record<string, number>> {
    const failures: Record<string, number> = {};
    for (const code of this.#workers.flatMap(({ failed }) => failed)) failures[code] = (failures[code] ?? 0) + 1;
    return failures;
  }

  /** Errors that a dying mount does not explain, and what the program itself had to say. */
  get complaints(): string[] {
    const errnos = this.#workers.map(({ errno }) => errno).filter((errno) => errno !== undefined);
    const strange = errnos.filter((errno) => !["ENOTCONN", "ECONNABORTED", "EINTR"].includes(errno));
    const torn = this.#workers.flatMap((known) => known.torn.map((path) => `torn in the mount: ${path}`));
    return [...strange, ...torn, ...(this.#stderr === "" ? [] : [this.#stderr])];
  }

  /** What is wrong with what a worker's folder holds now; empty: nothing. */
  async problems(worker: number, tree: Tree, read: (path: string) => Promise<Buffer>): Promise<string[]> {
    const known = this.#workers[worker]!;
    const recovered = Object.keys(tree).filter((path) => RECOVERED.test(path));
    const rest = Object.fromEntries(Object.entries(tree).filter(([path]) => !recovered.includes(path)));
    const allowed = alternatives(known);
    const differences = allowed.map((wanted) => difference(wanted, rest));
    const problems = differences.some((each) => each.length === 0) ? [] : (differences[0] ?? []);
    if (problems.length > 0) problems.push(`unanswered: ${JSON.stringify(known.asked?.changes)}`);
    const copies = recovered.map(async (path) => {
      const isKept = path.replace(RECOVERED, "") === known.asked?.path && isMixture(await read(path), known.asked);
      return isKept ? [] : [`${path} is nothing that was being written`];
    });
    if (recovered.length > 1) problems.push(`recovered twice: ${recovered.join(", ")}`);
    return [...problems, ...(await Promise.all(copies)).flat()];
  }
}

/** What a folder may hold: what was accepted, without or with the change that was not answered. */
function alternatives({ accepted, asked }: Known): ReadonlyMap<string, string>[] {
  if (asked === undefined) return [accepted];
  const after = new Map(accepted);
  apply(after, asked.changes);
  if (asked.op !== "rename") return [accepted, after];
  // A rename over an existing file first stores the content at the target: in between it is in both places.
  const both = new Map(accepted);
  apply(both, Object.fromEntries(Object.entries(asked.changes).filter(([, state]) => state !== null)));
  const isOfFolder = Object.keys(asked.changes).some((path) => path.endsWith("/"));
  return isOfFolder ? [accepted, after] : [accepted, after, both];
}

function apply(tree: Map<string, string>, changes: Asked["changes"]): void {
  for (const [path, state] of Object.entries(changes)) {
    if (state === null) tree.delete(path);
    else tree.set(path, state);
  }
}

function difference(wanted: ReadonlyMap<string, string>, tree: Tree): string[] {
  const lost = [...wanted].filter(([path]) => tree[path] === undefined).map(([path]) => `lost: ${path}`);
  const torn = [...wanted].filter(([path, state]) => tree[path] !== undefined && tree[path] !== state);
  const surplus = Object.keys(tree).filter((path) => !wanted.has(path));
  return [
    ...lost,
    ...torn.map(([path, state]) => `torn: ${path}: ${tree[path]} instead of ${state}`),
    ...surplus.map((path) => `surplus: ${path}`),
  ];
}

/** Whether each line is the one before or the one after the change: what a file is that was being written. */
function isMixture(data: Buffer, { before = [], after = [] }: Asked): boolean {
  const old = linesOf(before);
  const now = linesOf(after);
  for (let start = 0; start < data.length; start += LINE) {
    const part = data.subarray(start, start + LINE).toString("latin1");
    const index = start / LINE;
    if (![old[index], now[index]].some((line) => line?.startsWith(part))) return false;
  }
  return true;
}

function linesOf(segments: readonly Segment[]): string[] {
  return segments.flatMap(([token, first, end]) =>
    Array.from({ length: end - first }, (_, i) => `${token.padEnd(8)}${String(first + i).padStart(7, "0")}\n`),
  );
}

/** A file as it is before the load: recognised by driver.py. */
export function startContent(token: string, lines: number): string {
  return linesOf([[token, 0, lines]]).join("");
}
