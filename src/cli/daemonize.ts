/**
 * A mount in the background: the command starts a process of its own session, waits until that one says "ready" or why not,
 * and goes. The two talk over Node's IPC channel: the token travels there, never in argv or the environment.
 * Invariant: the command's exit code is the truth: 0 only after the mount answers.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { createLogger } from "../observe/log.ts";
import type { MountOptions } from "../options.ts";
import { CliError, EXIT, type ExitCode, exitCodeOf, sentenceOf } from "./exit-codes.ts";
import { ensurePrivateDir } from "./paths.ts";
import { serveMount } from "./serve-mount.ts";

/** Marks the background process. It has no meaning without the IPC channel. */
const MARK = "SEAMOUNT_BACKGROUND";

export interface BackgroundMount {
  readonly options: Omit<MountOptions, "log">;
  readonly verbose: boolean;
  readonly logFile: string;
}

type Answer =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly exitCode: ExitCode; readonly sentence: string };

/** Starts the mount and resolves with the process id when it is ready. Throws the CliError that the process reports. */
export async function startInBackground(job: BackgroundMount): Promise<number> {
  const child = spawnDetached(job.logFile);
  const stop = () => child.kill("SIGTERM");
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    const answer = await answerOf(child, job);
    if (answer.kind === "failed") throw new CliError(answer.exitCode, answer.sentence);
    return child.pid!;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
    if (child.connected) child.disconnect();
    child.unref();
  }
}

function spawnDetached(logFile: string): ChildProcess {
  ensurePrivateDir(dirname(logFile));
  const log = openSync(logFile, "a", 0o600);
  // The arguments are for `ps` only: the process takes its orders from the channel.
  const { SEAMOUNT_TOKEN: _, ...env } = process.env;
  try {
    return spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      cwd: "/",
      detached: true,
      // libuv's four threads are few: reading /dev/fuse occupies some of them all the time (uv_threadpool_size is read once).
      env: { UV_THREADPOOL_SIZE: "8", ...env, [MARK]: "1" },
      stdio: ["ignore", log, log, "ipc"],
    });
  } finally {
    closeSync(log);
  }
}

function answerOf(child: ChildProcess, job: BackgroundMount): Promise<Answer> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("message", (answer) => resolve(answer as Answer));
    child.once("exit", (code, signal) => {
      const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
      const sentence = `The mount process ${how} before the mount was ready; its log is ${job.logFile}.`;
      resolve({ kind: "failed", exitCode: EXIT.mount, sentence });
    });
    // A failure to send means that the process is gone: "exit" says so better.
    child.send(job, () => {});
  });
}

/** True in the process that startInBackground() made. */
export function isBackgroundProcess(): boolean {
  return process.env[MARK] === "1" && process.connected;
}

/** The whole life of the background process; resolves with its exit code. */
export async function runInBackground(): Promise<ExitCode> {
  delete process.env[MARK];
  // The terminal it was started from may close.
  process.on("SIGHUP", () => {});
  const { options, verbose, logFile } = await new Promise<BackgroundMount>((resolve) =>
    process.once("message", (job) => resolve(job as BackgroundMount)),
  );
  const log = createLogger({ level: verbose ? "debug" : "info", file: logFile });
  let isReady = false;
  try {
    const code = await serveMount({ ...options, log }, ["SIGINT", "SIGTERM"], {
      ready: () => {
        isReady = true;
        if (process.connected) process.send?.({ kind: "ready" } satisfies Answer, () => disconnect());
        else process.kill(process.pid, "SIGTERM"); // Whoever asked for the mount is gone.
      },
      tell: (line) => log.warn(line),
    });
    log.info({ exitCode: code }, "mount ended");
    return code;
  } catch (error) {
    const exitCode = exitCodeOf(error);
    log.error({ err: error, exitCode }, isReady ? "mount ended with an error" : "mounting failed");
    if (process.connected) await tellFailure({ kind: "failed", exitCode, sentence: sentenceOf(error) });
    return exitCode;
  }
}

function disconnect(): void {
  if (process.connected) process.disconnect();
}

function tellFailure(answer: Answer): Promise<void> {
  return new Promise((resolve) => process.send?.(answer, () => resolve()));
}
