/**
 * `seamount login`: exchanges name and password for a token and remembers that. The password is asked without an echo, or
 * read from standard input; it is never an argument, because arguments are visible to every user of the machine.
 */

import { SeafileError } from "../../seafile/errors.ts";
import type { Command } from "../command.ts";
import { IMPATIENT, parseServer, storeLogin } from "../credentials.ts";
import { usageError } from "../exit-codes.ts";
import { printable, remark, say } from "../output.ts";
import { ask, canAsk, readPasswordFromStdin } from "../prompt.ts";

interface Args {
  readonly server: string;
  readonly username?: string | undefined;
  readonly passwordStdin?: boolean | undefined;
  readonly otp?: boolean | undefined;
}

export const loginCommand: Command<Args> = {
  command: "login <server>",
  describe: "Log in to a Seafile server and remember the token",
  builder: (yargs) =>
    yargs
      .positional("server", { type: "string", demandOption: true, describe: "Address as in the browser" })
      .option("username", { alias: "u", type: "string", describe: "Your e-mail address or user name" })
      .option("password-stdin", {
        type: "boolean",
        describe: "Read the password from the first line of standard input",
      })
      .option("otp", {
        type: "boolean",
        describe: "Ask for the two-factor code at once (else: when the server wants it)",
      })
      .example("$0 login https://seafile.example.com", "asks for name and password")
      .example(
        "$0 login URL -u me@example.com --password-stdin < file",
        "for scripts; a second line is the two-factor code",
      ),
  handler: async (args) => {
    const server = parseServer(args.server);
    if (isPlainAndRemote(server))
      remark(`Warning: ${server} is not encrypted; password and files can be read on the way.`);
    const answers = await collect(args);
    const { token, email, name } = await exchange(server, answers);
    storeLogin({ server, username: email || answers.username, token });
    say(`Logged in to ${server} as ${printable(name && name !== email ? `${name} <${email}>` : email)}.`);
  },
};

interface Answers {
  readonly username: string;
  readonly password: string;
  readonly otp?: string;
}

async function collect(args: Args): Promise<Answers> {
  if (args.passwordStdin) {
    if (!args.username) throw usageError("--password-stdin needs --username NAME.");
    const { password, rest } = await readPasswordFromStdin();
    const otp = rest[0]?.trim();
    return { username: args.username, password, ...(otp ? { otp } : {}) };
  }
  if (!canAsk())
    throw usageError("There is no terminal to ask for the password: use --username NAME --password-stdin.");
  const username = args.username ?? (await ask("User name or e-mail")).trim();
  const password = await ask("Password", { secret: true });
  return { username, password, ...(args.otp ? { otp: await askCode() } : {}) };
}

/** Answers for a token that works, and whose it is. */
async function exchange(server: string, answers: Answers) {
  const { createLogger } = await import("../../observe/log.ts");
  const { Account, login } = await import("../../seafile/account.ts");
  const log = createLogger({ level: "warn" });
  const { token } = await login({ server, ...answers, log }).catch(async (error: unknown) => {
    const wantsCode = error instanceof SeafileError && error.kind === "otp-required";
    if (!wantsCode || answers.otp !== undefined || !canAsk()) throw error;
    return await login({ server, ...answers, otp: await askCode(), log });
  });
  const account = new Account({ server, token, log, retry: IMPATIENT });
  try {
    return { token, ...(await account.check()) };
  } finally {
    await account.close();
  }
}

const askCode = async () => (await ask("Two-factor code")).trim();

function isPlainAndRemote(server: string): boolean {
  const { protocol, hostname } = new URL(server);
  return protocol === "http:" && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}
