/**
 * Asks a person at the terminal, or reads what a script pipes in. Used by `login` and `dev-server`.
 * Invariant: a secret is never echoed, and questions go to stderr, so that stdout stays an answer.
 */
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { CliError, EXIT, usageError } from "./exit-codes.ts";

/** True when somebody can be asked. */
export const canAsk = () => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** One line from the terminal. `secret` turns the echo off. Throws a CliError on Ctrl-C or Ctrl-D. */
export function ask(question: string, options: { readonly secret?: boolean } = {}): Promise<string> {
  if (!canAsk()) return Promise.reject(usageError(`Cannot ask for "${question}" because this is not a terminal.`));
  // readline echoes what it writes to `output`: a sink for secrets.
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = options.secret ? sink : process.stderr;
  const reader = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  return new Promise((resolve, reject) => {
    let answer: string | undefined;
    // Only now, when the terminal itself has stopped echoing: a quick answer would be shown.
    if (options.secret) process.stderr.write(`${question}: `);
    reader.question(options.secret ? "" : `${question}: `, (line) => {
      answer = line;
      reader.close();
    });
    reader.once("SIGINT", () => reader.close());
    reader.once("close", () => {
      if (options.secret || answer === undefined) process.stderr.write("\n");
      if (answer === undefined) reject(new CliError(EXIT.unexpected, "Cancelled."));
      else resolve(answer);
    });
  });
}

/** All lines of standard input, for --password-stdin. */
export async function readStdinLines(): Promise<string[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8").split(/\r?\n/);
}

/** The first line of standard input; throws a usage error when it is empty. */
export async function readPasswordFromStdin(): Promise<{ password: string; rest: string[] }> {
  const [password = "", ...rest] = await readStdinLines();
  if (password === "") throw usageError("--password-stdin found no password on standard input.");
  return { password, rest };
}
