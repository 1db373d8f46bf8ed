/**
 * Where the passwords of encrypted libraries come from before a mount: files, the environment, the credentials file, and a person
 * at the terminal, who is asked for what is missing. Invariant: never from arguments, and never into a message. Called by the
 * mount and unlock commands.
 */
import { readFileSync } from "node:fs";
import type { MountOptions } from "../options.ts";
import type { Account } from "../seafile/account.ts";
import { SeafileError } from "../seafile/errors.ts";
import type { LibraryInfo } from "../seafile/types.ts";
import { IMPATIENT, rememberedPasswords } from "./credentials.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import { printable, remark } from "./output.ts";
import { ask, canAsk } from "./prompt.ts";

export const PASSWORD_VARIABLE = "SEAMOUNT_LIBRARY_PASSWORD";
/** How often a person may mistype. */
const ATTEMPTS = 3;

/** The options of a mount that has an account. */
type AccountOptions = MountOptions & { readonly server: string; readonly token: string };

/** For the option `passwords`. `files`: the values of --password-file. Throws CliError. */
export async function libraryPasswords(
  options: AccountOptions,
  files: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Record<string, string>> {
  const passwords: Record<string, string> = { ...rememberedPasswords(options.server) };
  const variable = env[PASSWORD_VARIABLE];
  if (variable) passwords[""] = variable;
  for (const value of files) {
    const { name, file } = parsePasswordFile(value);
    passwords[name] = readPasswordFile(file);
  }
  if (canAsk()) Object.assign(passwords, await askForMissing(options, passwords));
  return passwords;
}

/** "NAME=FILE", or "FILE" with the name "". A file whose name holds "=" is told by a "/" before it. */
export function parsePasswordFile(value: string): { readonly name: string; readonly file: string } {
  const equals = value.indexOf("=");
  if (equals < 0 || value.slice(0, equals).includes("/")) return { name: "", file: value };
  const [name, file] = [value.slice(0, equals), value.slice(equals + 1)];
  if (name === "" || file === "") throw usageError(`--password-file "${value}" is not of the form NAME=FILE.`);
  return { name, file };
}

/** Its first line. Throws CliError. */
export function readPasswordFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? "unreadable";
    throw new CliError(EXIT.usage, `The password file ${file} cannot be read (${reason}).`, { cause: error });
  }
  const [password = ""] = text.split(/\r?\n/, 1);
  if (password === "") throw usageError(`The first line of the password file ${file} is empty.`);
  return password;
}

/** Asks for the passwords of the shown libraries that have none; an empty answer leaves one locked. */
async function askForMissing(
  options: AccountOptions,
  passwords: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const { createLogger } = await import("../observe/log.ts");
  const { parseMountOptions } = await import("../options.ts");
  const { Account } = await import("../seafile/account.ts");
  const { findTarget, pickLibrary } = await import("../mount-target.ts");
  const { theOneLibrary } = await import("../mount-passwords.ts");
  const { server, token, fileServer } = options;
  const log = createLogger({ level: "error" });
  const account = new Account({ server, token, log, retry: IMPATIENT, ...(fileServer ? { fileServer } : {}) });
  try {
    const target = await findTarget(account, parseMountOptions(options));
    const idOf = (name: string) => (name === "" ? theOneLibrary(target) : pickLibrary(target.infos, name))?.id;
    const given = new Set(Object.keys(passwords).map(idOf));
    const shown = target.library === undefined ? target.infos : [target.library.info];
    const asked: Record<string, string> = {};
    for (const info of shown.filter(({ id, encrypted }) => encrypted && !given.has(id))) {
      const password = await askForLibrary(account, info);
      if (password !== undefined) asked[info.id] = password;
    }
    return asked;
  } finally {
    await account.close();
  }
}

/** A password that the server has taken; undefined: none was given. */
export async function askForLibrary(account: Account, info: LibraryInfo): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    const question = `Password of the encrypted library "${printable(info.name)}" (empty: leave it locked)`;
    const password = await ask(question, { secret: true });
    if (password === "") return undefined;
    try {
      await account.unlock(info.id, password);
      return password;
    } catch (error) {
      if (!(error instanceof SeafileError) || error.kind !== "wrong-password") throw error;
      if (attempt === ATTEMPTS) throw wrongPassword(info);
      remark("The password is wrong.");
    }
  }
}

export function wrongPassword({ name }: LibraryInfo): CliError {
  return new CliError(EXIT.unexpected, `This is not the password of the library "${printable(name)}".`);
}
