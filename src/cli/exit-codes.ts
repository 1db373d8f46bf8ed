/**
 * The exit codes of `seamount` (promised in README.md) and the one place that turns a failure into one of them.
 * A command throws CliError or SeafileError; main.ts prints the sentence and exits with exitCodeOf().
 */
import { type Kind, SeafileError } from "../seafile/errors.ts";

export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  notLoggedIn: 3,
  server: 4,
  mount: 5,
  unstored: 6,
  notFound: 7,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure that the user can do something about: one sentence and its exit code. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export const usageError = (message: string) => new CliError(EXIT.usage, message);

const OF_KIND: Partial<Record<Kind, ExitCode>> = {
  unauthorized: EXIT.notLoggedIn,
  "bad-credentials": EXIT.notLoggedIn,
  "otp-required": EXIT.notLoggedIn,
  unreachable: EXIT.server,
  timeout: EXIT.server,
  server: EXIT.server,
  protocol: EXIT.server,
  throttled: EXIT.server,
  busy: EXIT.server,
  "not-found": EXIT.notFound,
};

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof SeafileError) return OF_KIND[error.kind] ?? EXIT.unexpected;
  return EXIT.unexpected;
}

/** What goes to stderr: one line, whatever was thrown. */
export function sentenceOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s*\n\s*/g, " ").trim() || "Something failed without saying what.";
}
