/**
 * A committer over a server that answers as told, with a clock that tests move on. Used by the tests of the committer.
 */
import { afterEach, beforeEach, vi } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { type Kind, SeafileError } from "../../src/seafile/errors.ts";
import type { Library } from "../../src/seafile/library.ts";
import type { Change } from "../../src/seafile/types.ts";
import { Committer, type CommitterOptions } from "../../src/writeback/committer.ts";
import type { AttemptResult, Task } from "../../src/writeback/task.ts";

export const DELAY = 1000;

/** A server that answers batches as told, and counts what it does at the same time. */
export class Server {
  readonly batches: string[][] = [];
  readonly library = this.#newLibrary("one");
  readonly other = this.#newLibrary("two");
  readonly failures = new Map<string, SeafileError>();
  readonly hanging = new Set<string>();
  answerMs = 0;
  mostAtOnce = 0;
  #now = 0;

  #newLibrary(name: string): Library {
    const apply = (changes: readonly Change[], signal?: AbortSignal) => this.#apply(changes, signal);
    return { info: { name }, apply } as unknown as Library;
  }

  async #apply(changes: readonly Change[], signal: AbortSignal | undefined): Promise<AttemptResult[]> {
    const paths = changes.map((change) => (change.op === "move" ? change.to : change.path));
    this.batches.push(paths);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#now);
    try {
      const ms = paths.some((path) => this.hanging.has(path)) ? 1e8 : this.answerMs;
      if (ms > 0) await waitFor(ms, signal);
    } finally {
      this.#now--;
    }
    return paths.map((path): AttemptResult => {
      const error = this.failures.get(path);
      return error === undefined ? { ok: true } : { ok: false, error };
    });
  }
}

function waitFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

export let server: Server;
export let committer: Committer;
export let numbers: number;

export function begin(options: Partial<CommitterOptions> = {}): void {
  server = new Server();
  numbers = 0;
  committer = new Committer({
    log: silentLogger(),
    parallel: 4,
    retryFirstMs: 2000,
    retryMaxMs: 60_000,
    heldMs: 30_000,
    batchMax: 100,
    batchBytes: 8 * 1024 * 1024,
    guard: async () => () => {},
    ...options,
  });
}

export interface TestTask extends Task {
  readonly results: AttemptResult[];
  begins: number;
}

export function task(
  path: string,
  more: Partial<Pick<Task, "op" | "library" | "size" | "isSmall" | "begin">> = {},
): TestTask {
  const results: AttemptResult[] = [];
  const it: TestTask = {
    id: ++numbers,
    op: "put",
    library: server.library,
    path,
    size: 10,
    isSmall: true,
    lockOrder: 0,
    results,
    begins: 0,
    begin: async () => {
      it.begins++;
      return {
        change: { op: "remove", path, kind: "file" },
        finish: async (result) => {
          results.push(result);
          if (!result.ok) throw result.error;
          return "done";
        },
      };
    },
    ...more,
  };
  return it;
}

export const schedule = (...tasks: Task[]) => tasks.forEach((it) => void committer.schedule(it, DELAY));
export const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
export const states = () => committer.queue().map(({ task: { path }, state: { state } }) => `${path} ${state}`);
export const failure = (kind: Kind) => new SeafileError(kind, `it is ${kind}`);
export const outcome = (work: Promise<void>) => {
  let said = "waiting";
  work.then(
    () => (said = "done"),
    (error: Error) => (said = error.message),
  );
  return () => said;
};

/** Call at the top of a test file: every test then has a queue, a server, and a clock that stands still. */
export function useCommitter(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    begin();
  });
  afterEach(() => {
    committer.stop();
    vi.useRealTimers();
  });
}
