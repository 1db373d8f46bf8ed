/**
 * The log: pino, written synchronously to stderr or a file, so that the serving process needs no further thread for it.
 * Invariant: tokens and passwords never reach it (redaction here is the last line of defence, not the first).
 * Constructed by mount.ts and the CLI; every other part receives a child.
 */
import { destination, type Logger as PinoLogger, pino } from "pino";

export type Logger = PinoLogger;
export type LogLevel = "error" | "warn" | "info" | "debug" | "trace" | "silent";

export interface LogOptions {
  readonly level: LogLevel;
  /** Appended to, created 0600; stderr when absent. */
  readonly file?: string;
}

export function createLogger(options: LogOptions): Logger {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: {
        paths: [
          "token",
          "password",
          "authorization",
          "*.token",
          "*.password",
          "*.authorization",
          "headers.Authorization",
        ],
        censor: "[secret]",
      },
    },
    destination({ dest: options.file ?? 2, sync: true, append: true, mode: 0o600 }),
  );
}

/** A logger that writes nothing: the default of library callers and unit tests. */
export function silentLogger(): Logger {
  return pino({ level: "silent" });
}
