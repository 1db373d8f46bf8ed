/**
 * Runs tools as child processes. The development server lives in the test process, so nothing here may wait synchronously
 * for the mount. That is also why `cwd` goes through env -C: Node's own cwd option makes the parent wait, blocked, for
 * the child's chdir, and a chdir into the mount waits for the parent. Called by all mount tests.
 */
import { spawn } from "node:child_process";

export interface RunOptions {
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  /** Added to the environment of the test process. */
  readonly env?: Readonly<Record<string, string>>;
  /** User and group id to run as (only root can). */
  readonly uid?: number;
  /** Default 60,000. At the deadline the process is killed and the result says so. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  /** null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** Runs a program to its end, whatever its exit code. Rejects only when it cannot be started. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file, argv] =
    options.cwd === undefined ? [command, args] : ["env", ["-C", options.cwd, "--", command, ...args]];
  return new Promise((resolve, reject) => {
    const child = spawn(file, argv, {
      env: { ...process.env, ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
      stdio: ["pipe", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, options.timeoutMs ?? 60_000);
    const onAbort = () => child.kill("SIGINT");
    options.signal?.addEventListener("abort", onAbort, { once: true });
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    // A tool that fails early closes its end of the pipe.
    child.stdin.on("error", () => {});
    child.stdin.end(options.input);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString("utf8");
      resolve({ code, signal, stdout: text(stdout), stderr: text(stderr), timedOut });
    });
  });
}

/** Runs a program that must succeed; its standard output. */
export async function ok(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(command, args, options);
  if (result.code === 0) return result.stdout;
  const how = result.timedOut ? "did not end in time" : `ended with ${result.code ?? result.signal}`;
  throw new Error(`${command} ${args.join(" ")} ${how}\n${result.stderr}${result.stdout.slice(-2000)}`);
}

/** The distribution's Python: a shim of a version manager may be out of reach of an ordinary user. */
export const PYTHON = "/usr/bin/python3";

/** Runs a Python program that must succeed; arguments arrive as sys.argv[1:]. */
export function python(program: string, args: readonly string[] = [], options: RunOptions = {}): Promise<string> {
  return ok(PYTHON, ["-c", program, ...args], options);
}

/** For expect.poll: what comes true by itself, as long as eventually() waits. */
export const POLL = { timeout: 30_000, interval: 25 };

/** Repeats `check` until it returns something other than undefined or false. Fails after a generous deadline. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 30_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`still not so after ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
