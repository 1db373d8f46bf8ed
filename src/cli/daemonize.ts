/**
 * The side of the command that mounts in the background: starts a process of its own session (background-process.ts), waits
 * until that one says "ready" or why not, and goes. The token travels over their channel, never in argv or the environment.
 * Invariant: the command's exit code is the truth: 0 only after the mount answers.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { type Answer, BACKGROUND_MARK, type BackgroundMount } from "./background-protocol.ts";
import { CliError, EXIT } from "./exit-codes.ts";
import { ensurePrivateDir } from "./paths.ts";

/** Starts the mount and resolves with its Mount.transport when it is ready. Throws the CliError that the process reports. */
export async function startInBackground(job: BackgroundMount): Promise<string> {
  const child = spawnDetached(job.logFile);
  const stop = () => child.kill("SIGTERM");
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    const answer = await answerOf(child, job);
    if (answer.kind === "failed") throw new CliError(answer.exitCode, answer.sentence);
    return answer.transport;
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
  const { SEAMOUNT_TOKEN: _, SEAMOUNT_LIBRARY_PASSWORD: __, ...env } = process.env;
  try {
    return spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      cwd: "/",
      detached: true,
      // libuv's four threads are few for the disk work of a busy mount, and waiting for the kernel may take one (the size is read once).
      env: { UV_THREADPOOL_SIZE: "8", ...env, [BACKGROUND_MARK]: "1" },
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
