/**
 * `seamount unlock`: takes the password of an encrypted library, has the server check it, and hands it to the running mounts of the
 * account, where it works at once. Invariants: the password is never an argument, and is written to the credentials file only
 * when the user says so.
 */
import type { Account } from "../../seafile/account.ts";
import { SeafileError } from "../../seafile/errors.ts";
import type { LibraryInfo } from "../../seafile/types.ts";
import type { Command } from "../command.ts";
import { findCredentials, IMPATIENT, rememberPassword } from "../credentials.ts";
import { CliError, EXIT, sentenceOf, usageError } from "../exit-codes.ts";
import { askForLibrary, PASSWORD_VARIABLE, readPasswordFile, wrongPassword } from "../library-passwords.ts";
import { listRecords, type MountRecord } from "../mount-record.ts";
import { counted, printable, remark, say } from "../output.ts";
import { canAsk, readPasswordFromStdin } from "../prompt.ts";
import { withControl } from "../running-mounts.ts";

interface Args {
  readonly library: string;
  readonly server?: string | undefined;
  readonly passwordStdin?: boolean | undefined;
  readonly passwordFile?: string | undefined;
  readonly remember?: boolean | undefined;
  readonly forget?: boolean | undefined;
}

export const unlockCommand: Command<Args> = {
  command: "unlock <library>",
  describe: "Give the password of an encrypted library to your mounts",
  builder: (yargs) =>
    yargs
      .positional("library", { type: "string", demandOption: true, describe: "Its name or id" })
      .options({
        server: { type: "string", describe: "Which login to use (default: the last one)" },
        "password-stdin": { type: "boolean", describe: "Read the password from the first line of standard input" },
        "password-file": { type: "string", describe: "Read it from the first line of this file" },
        remember: { type: "boolean", describe: "Keep it for later mounts, in the file with the login (0600)" },
        forget: { type: "boolean", describe: "Forget a remembered password; what is mounted stays unlocked" },
      })
      .example("$0 unlock Private", "asks for the password")
      .example("$0 unlock Private --password-file ~/.private", "for scripts"),
  handler: async (args) => {
    if (args.forget && args.remember) throw usageError("Say either --remember or --forget.");
    const { server, token } = findCredentials(args.server);
    const { createLogger } = await import("../../observe/log.ts");
    const { Account } = await import("../../seafile/account.ts");
    const log = createLogger({ level: "error" });
    const account = new Account({ server, token, log, retry: IMPATIENT });
    try {
      const info = await findLibrary(account, args.library);
      if (args.forget) {
        rememberPassword({ server, library: info.id, password: undefined });
        say(`The password of "${printable(info.name)}" is not remembered any more.`);
        return;
      }
      const { email } = await account.check();
      const password = await checkedPassword(account, info, args);
      const opened = await handToMounts({ server, user: email, info, password });
      if (args.remember) rememberPassword({ server, library: info.id, password });
      tell(info, opened, args.remember === true);
    } finally {
      await account.close();
    }
  },
};

async function findLibrary(account: Account, wanted: string): Promise<LibraryInfo> {
  const { pickLibrary } = await import("../../mount-target.ts");
  const info = pickLibrary(await account.libraries(), wanted);
  if (info === undefined) {
    const hint = '"seamount libraries" lists them';
    throw new CliError(EXIT.notFound, `There is no library "${printable(wanted)}" in this account; ${hint}.`);
  }
  if (!info.encrypted) throw usageError(`The library "${printable(info.name)}" is not encrypted.`);
  return info;
}

/** The server has taken it. */
async function checkedPassword(account: Account, info: LibraryInfo, args: Args): Promise<string> {
  const given = await givenPassword(args);
  if (given === undefined) {
    if (!canAsk())
      throw usageError("There is no terminal to ask for the password: use --password-stdin or --password-file.");
    const asked = await askForLibrary(account, info);
    if (asked === undefined) throw new CliError(EXIT.unexpected, "No password was given: nothing was unlocked.");
    return asked;
  }
  await account.unlock(info.id, given).catch((error: unknown) => {
    throw error instanceof SeafileError && error.kind === "wrong-password" ? wrongPassword(info) : error;
  });
  return given;
}

async function givenPassword(args: Args): Promise<string | undefined> {
  if (args.passwordStdin) return (await readPasswordFromStdin()).password;
  if (args.passwordFile !== undefined) return readPasswordFile(args.passwordFile);
  return process.env[PASSWORD_VARIABLE] || undefined;
}

interface Handover {
  readonly server: string;
  readonly user: string;
  readonly info: LibraryInfo;
  readonly password: string;
}

interface Opened {
  readonly record: MountRecord;
  /** Changes that had waited for it. */
  readonly waited: number;
}

/** A mount that cannot be asked keeps no other from being unlocked. */
async function handToMounts({ server, user, info, password }: Handover): Promise<Opened[]> {
  const opened: Opened[] = [];
  for (const record of listRecords()) {
    try {
      await withControl(record, async (client) => {
        const status = await client.status();
        const shows = status.libraries.some(({ id }) => id === info.id);
        if (status.server !== server || status.user !== user || !shows) return;
        opened.push({ record, waited: await client.unlock(info.id, password) });
      });
    } catch (error) {
      remark(`${record.mountpoint} was not unlocked: ${sentenceOf(error)}`);
    }
  }
  return opened;
}

function tell(info: LibraryInfo, opened: readonly Opened[], isRemembered: boolean): void {
  const name = `"${printable(info.name)}"`;
  for (const { record, waited } of opened) {
    const stored = waited === 0 ? "" : `; ${counted(waited, "change")} that waited for it can be stored now`;
    say(`${name} is unlocked in ${record.mountpoint}${stored}.`);
  }
  if (isRemembered) say(`The password of ${name} is remembered for later mounts.`);
  else if (opened.length === 0)
    say(`The password of ${name} is right, but no mount shows the library; --remember keeps it.`);
}
