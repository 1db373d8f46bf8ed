/**
 * The flags under which links are made: password and expiry. Invariant: a password comes from a question, a file or standard
 * input, never from an argument, which every user of the machine can see. Called by link-commands.ts.
 */
import { readFileSync } from "node:fs";
import type { Argv } from "yargs";
import type { LinkTerms } from "../seafile/link-terms.ts";
import { CliError, EXIT, sentenceOf, usageError } from "./exit-codes.ts";
import { ask, canAsk, readPasswordFromStdin } from "./prompt.ts";

export interface TermsArgs {
  readonly expires?: string | undefined;
  readonly password?: boolean | undefined;
  readonly passwordFile?: string | undefined;
  readonly passwordStdin?: boolean | undefined;
}

export function termsFlags<T>(yargs: Argv<T>) {
  return yargs
    .options({
      expires: { type: "string", describe: "When it ends: days from now, or a date (2030-12-31, 2030-12-31T18:00)" },
      password: { type: "boolean", describe: "Ask for a password that its users must know" },
      "password-file": { type: "string", describe: "Read the password from the first line of a file" },
      "password-stdin": { type: "boolean", describe: "Read the password from the first line of standard input" },
    })
    .conflicts({ password: ["password-file", "password-stdin"], "password-file": "password-stdin" });
}

/** Asks when it has to. `now` in milliseconds. Throws CliError. */
export async function termsOf(args: TermsArgs, now = Date.now()): Promise<LinkTerms> {
  const expires = args.expires === undefined ? undefined : parseExpiry(args.expires, now);
  const password = await passwordOf(args);
  return { ...(password === undefined ? {} : { password }), ...(expires === undefined ? {} : { expires }) };
}

/** "7": days; a date: the end of that day here; date and time. Throws a usage error. */
export function parseExpiry(text: string, now: number): NonNullable<LinkTerms["expires"]> {
  const days = /^\d{1,5}$/.test(text) ? Number(text) : undefined;
  if (days !== undefined && days > 0) return { days };
  const isDate = /^\d{4}-\d\d-\d\d$/.test(text);
  const isTime = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:?\d\d)?$/.test(text);
  const at = isDate || isTime ? Date.parse(isDate ? `${text}T23:59:59` : text.replace(" ", "T")) : Number.NaN;
  if (Number.isNaN(at)) throw usageError(`--expires "${text}" is neither a number of days nor a date like 2030-12-31.`);
  if (at <= now) throw usageError(`--expires ${text} is in the past.`);
  return { at: Math.floor(at / 1000) };
}

async function passwordOf(args: TermsArgs): Promise<string | undefined> {
  if (args.passwordFile !== undefined) return passwordIn(args.passwordFile);
  if (args.passwordStdin) return (await readPasswordFromStdin()).password;
  if (!args.password) return undefined;
  if (!canAsk())
    throw usageError("There is no terminal to ask for the password: use --password-stdin or --password-file.");
  const password = await ask("Password of the link", { secret: true });
  if (password === "") throw usageError("The password is empty.");
  if ((await ask("Again", { secret: true })) !== password) throw usageError("The two passwords differ.");
  return password;
}

function passwordIn(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError(EXIT.usage, `--password-file: ${sentenceOf(error)}.`, { cause: error });
  }
  const password = text.split(/\r?\n/)[0]!;
  if (password === "") throw usageError(`--password-file ${file} begins with an empty line.`);
  return password;
}
