/**
 * `seamount account`: whose login it is and how much room there is. Invariant: the fields of --json are documented in README.md and
 * keep their names.
 */
import type { Command } from "../command.ts";
import { fieldLines, humanSize, say, sayJson } from "../output.ts";
import { JSON_FLAG, SERVER_FLAG, withAccount } from "../session.ts";

interface Args {
  readonly server?: string | undefined;
  readonly json?: boolean | undefined;
}

export const accountCommand: Command<Args> = {
  command: "account",
  describe: "Show your account: name, e-mail address, space used",
  builder: (yargs) => yargs.options({ json: JSON_FLAG, server: SERVER_FLAG }).example("$0 account", ""),
  handler: (args) =>
    withAccount(args.server, async (account, { server }) => {
      const { quota, ...profile } = await account.profile();
      if (args.json) {
        sayJson({ server, ...profile, used: quota.used, total: quota.total });
        return;
      }
      const { name, email, id, loginId, department, institution, isStaff } = profile;
      const share = quota.total === null ? "" : ` of ${humanSize(quota.total)} (${percentOf(quota.used, quota.total)})`;
      const known: readonly (readonly [string, string])[] = [
        ["server", server],
        ["name", name],
        ["e-mail", email],
        ["id", id === email ? "" : id],
        ["login id", loginId],
        ["department", department],
        ["institution", institution],
        ["role", isStaff ? "administrator" : ""],
        ["used", `${humanSize(quota.used)}${share || ", no limit"}`],
      ];
      for (const line of fieldLines(known.filter(([, text]) => text !== ""))) say(line);
    }),
};

const percentOf = (used: number, total: number) => `${Math.round((used / total) * 100)} %`;
