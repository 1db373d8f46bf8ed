/**
 * Runs a mount helper (mount, umount, fusermount3) and waits for its end.
 * Invariants: no shell, arguments as an array, messages in English (LC_ALL=C) so that they can be recognised; the helper's
 * stderr is all that is kept. Called by mount-helper.ts and mountpoint.ts.
 */
import { type StdioOptions, spawn } from "node:child_process";

export interface HelperResult {
  /** Exit status; null when a signal ended it, as after `timeoutMs`. */
  readonly status: number | null;
  readonly stderr: string;
}

export interface HelperOptions {
  /** A descriptor that the helper sees as its descriptor 3. */
  readonly fd3?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Killed after this many milliseconds; never when absent. */
  readonly timeoutMs?: number;
}

/** Longest message kept of a helper, in characters. */
const MOST_STDERR = 2000;

/** Undefined when the program does not exist. Rejects when it cannot be started for another reason. */
export function runHelper(
  program: string,
  args: readonly string[],
  options: HelperOptions = {},
): Promise<HelperResult | undefined> {
  const stdio: StdioOptions = ["ignore", "ignore", "pipe", ...(options.fd3 === undefined ? [] : [options.fd3])];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio,
      // / and not the current directory, which may lie inside a mount that does not answer.
      cwd: "/",
      env: { ...process.env, LC_ALL: "C", ...options.env },
      ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs, killSignal: "SIGKILL" as const }),
    });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(0, MOST_STDERR);
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve(undefined);
      else reject(error);
    });
    child.on("close", (status) => resolve({ status, stderr: stderr.trim() }));
  });
}
