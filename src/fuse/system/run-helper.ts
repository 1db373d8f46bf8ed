/**
 * Runs a mount helper (mount, umount, fusermount3) and waits for its end.
 * Invariants: no shell, arguments as an array, messages in English (LC_ALL=C) so that they can be recognised; the helper's
 * stderr is all that is kept. Called by mount-helper.ts, mountpoint.ts, unmount-path.ts and libfuse-transport.ts.
 */
import { type StdioOptions, spawn } from "node:child_process";

export interface HelperResult {
  /** Exit status; null when a signal ended it, or when it had not ended after `timeoutMs`. */
  readonly status: number | null;
  readonly stderr: string;
}

export interface HelperOptions {
  /** A descriptor that the helper sees as its descriptor 3. */
  readonly fd3?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Killed after this many milliseconds and not waited for any longer; never when absent. */
  readonly timeoutMs?: number;
  /** Run as this user and group (only root can). */
  readonly as?: { readonly uid: number; readonly gid: number };
}

/** Longest message kept of a helper, in characters. */
const MOST_STDERR = 2000;
/** The longest that a timer can wait: 24 days. */
const FOREVER_MS = 2 ** 31 - 1;

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
      ...options.as,
    });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(0, MOST_STDERR);
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (error.code === "ENOENT") resolve(undefined);
      else reject(error);
    });
    // A process that waits for an answer of a mount may not even die of SIGKILL, so its end is not waited for.
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      child.stderr?.destroy();
      child.unref();
      resolve({ status: null, stderr: stderr.trim() });
    }, options.timeoutMs ?? FOREVER_MS);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, stderr: stderr.trim() });
    });
  });
}
