/**
 * The process that serves a mount in the background, started by daemonize.ts. It outlives the command and its terminal.
 * Invariant: exactly one answer goes up the channel, and nothing is written to a terminal: remarks go to the log.
 */
import { createLogger } from "../observe/log.ts";
import { type Answer, BACKGROUND_MARK, type BackgroundMount } from "./background-protocol.ts";
import { type ExitCode, exitCodeOf, sentenceOf } from "./exit-codes.ts";
import { serveMount } from "./serve-mount.ts";

/** The whole life of the background process; resolves with its exit code. */
export async function runInBackground(): Promise<ExitCode> {
  delete process.env[BACKGROUND_MARK];
  // The terminal it was started from may close.
  process.on("SIGHUP", () => {});
  const { options, verbose, logFile } = await new Promise<BackgroundMount>((resolve) =>
    process.once("message", (job) => resolve(job as BackgroundMount)),
  );
  const log = createLogger({ level: verbose ? "debug" : "info", file: logFile });
  let isReady = false;
  try {
    const code = await serveMount({ ...options, log }, ["SIGINT", "SIGTERM"], {
      ready: (transport) => {
        isReady = true;
        if (process.connected) process.send?.({ kind: "ready", transport } satisfies Answer, () => disconnect());
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
