/**
 * System calls on the mount, made by a Python child (fs-worker.py) so that the test process never blocks on what it serves
 * and descriptors can stay open. A call resolves with its result or rejects with the errno of the real system call.
 * EOPNOTSUPP, which has the number of ENOTSUP on Linux, is reported as ENOTSUP.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PYTHON } from "./process.ts";
import type { Scope } from "./scope.ts";

const PROGRAM = join(import.meta.dirname, "fs-worker.py");

export interface WorkerStat {
  readonly ino: number;
  /** Permission bits only. */
  readonly mode: number;
  readonly kind: "file" | "dir" | "other";
  readonly size: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly blocks: number;
  readonly mtimeNs: string;
  readonly atimeNs: string;
  readonly ctimeNs: string;
}

export interface WorkerStatvfs {
  readonly frsize: number;
  readonly blocks: number;
  readonly bavail: number;
  readonly bfree: number;
  readonly namemax: number;
}

/** A system call that failed; `code` is its errno's name. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly code: string;

  constructor(code: string, call: string) {
    super(`${call}: ${code}`);
    this.code = code;
  }
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly errno?: string;
}

/** How long a call may take before it counts as hung: with a dead server a change waits for the one before it, too. */
const HUNG_MS = 70_000;

export class FsWorker {
  readonly #scope: Scope;
  readonly #as: { readonly uid?: number; readonly gid?: number };
  readonly #waiting = new Map<number, (answer: Answer | Error) => void>();
  #child: ChildProcessWithoutNullStreams;
  #nextId = 1;

  constructor(scope: Scope, options: { readonly uid?: number } = {}) {
    this.#scope = scope;
    this.#as = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
    this.#child = this.#start();
  }

  #start(): ChildProcessWithoutNullStreams {
    const child = spawn(PYTHON, [PROGRAM], { stdio: ["pipe", "pipe", "pipe"], ...this.#as });
    let stderr = "";
    child.stdin.on("error", () => {});
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#waiting.get(answer.id)?.(answer);
    });
    const ended = new Promise<void>((resolve) => {
      child.on("close", () => {
        if (child === this.#child)
          for (const give of this.#waiting.values()) give(new Error(`the worker ended: ${stderr}`));
        resolve();
      });
      child.on("error", () => resolve());
    });
    this.#scope.defer(async () => {
      child.stdin.end();
      const kill = setTimeout(() => child.kill("SIGKILL"), 2000);
      // A process in a call that the mount never answers survives SIGKILL until the mount's own end, which comes after this.
      let giveUp: NodeJS.Timeout | undefined;
      const stuck = new Promise<never>((_, reject) => {
        giveUp = setTimeout(() => reject(new Error(`worker ${child.pid} is stuck in a system call`)), 5000);
      });
      await Promise.race([ended, stuck]).finally(() => {
        clearTimeout(kill);
        clearTimeout(giveUp);
      });
    });
    return child;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** A call that does not return fails the test, and the next one gets a fresh process (without the descriptors). */
  async call<T>(op: string, ...args: unknown[]): Promise<T> {
    const id = this.#nextId++;
    const shown = `${op}(${args.map((arg) => JSON.stringify(arg)?.slice(0, 80)).join(", ")})`;
    const answer = await new Promise<Answer | Error>((resolve) => {
      const timer = setTimeout(() => {
        this.#child = this.#start();
        resolve(new Error(`${shown} did not return within ${HUNG_MS / 1000} s`));
      }, HUNG_MS);
      this.#waiting.set(id, (given) => {
        clearTimeout(timer);
        resolve(given);
      });
      this.#child.stdin.write(`${JSON.stringify({ id, op, args })}\n`);
    }).finally(() => this.#waiting.delete(id));
    if (answer instanceof Error) throw answer;
    if (answer.errno !== undefined) throw new CallError(answer.errno, shown);
    return answer.value as T;
  }

  open(path: string, flags: string): Promise<number> {
    return this.call("open", path, flags);
  }

  close(fd: number): Promise<void> {
    return this.call("close", fd);
  }

  async pread(fd: number, size: number, offset: number): Promise<Buffer> {
    return Buffer.from(await this.call<string>("pread", fd, size, offset), "base64");
  }

  pwrite(fd: number, data: string | Buffer, offset: number): Promise<number> {
    return this.call("pwrite", fd, Buffer.from(data).toString("base64"), offset);
  }

  /** write(2) at the file position, which for O_APPEND is the end. */
  write(fd: number, data: string | Buffer): Promise<number> {
    return this.call("write", fd, Buffer.from(data).toString("base64"));
  }

  stat(path: string): Promise<WorkerStat> {
    return this.call("stat", path);
  }

  fstat(fd: number): Promise<WorkerStat> {
    return this.call("fstat", fd);
  }

  listdir(path: string): Promise<string[]> {
    return this.call("listdir", path);
  }

  async readFile(path: string): Promise<Buffer> {
    return Buffer.from(await this.call<string>("readFile", path), "base64");
  }

  /** open(O_WRONLY|O_CREAT|O_TRUNC), write, close: rejects with the errno of whichever failed. */
  writeFile(path: string, data: string | Buffer): Promise<void> {
    return this.call("writeFile", path, Buffer.from(data).toString("base64"));
  }

  rename(from: string, to: string): Promise<void> {
    return this.call("rename", from, to);
  }
}

/** The errno a call ends with, or "ok". Any other failure is the test's failure. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    if (error instanceof CallError) return error.code;
    throw error;
  }
}
