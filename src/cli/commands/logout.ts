/**
 * `seamount logout`: forgets the token of one server, or all. Running mounts keep theirs until they end, and the server keeps
 * accepting it: Seafile's one API token per account may be in use elsewhere.
 */
import type { Command } from "../command.ts";
import { forgetLogins } from "../credentials.ts";
import { CliError, EXIT } from "../exit-codes.ts";
import { say } from "../output.ts";

interface Args {
  readonly server?: string | undefined;
  readonly all?: boolean | undefined;
}

export const logoutCommand: Command<Args> = {
  command: "logout [server]",
  describe: "Forget the token of a server (default: the last login)",
  builder: (yargs) =>
    yargs
      .positional("server", { type: "string", describe: "Address as given to login" })
      .option("all", { type: "boolean", conflicts: "server", describe: "Forget every server" }),
  handler: (args) => {
    const which = { ...(args.server === undefined ? {} : { server: args.server }), all: args.all === true };
    const forgotten = forgetLogins(which);
    if (forgotten.length === 0) throw new CliError(EXIT.notLoggedIn, "There is no login to forget.");
    for (const server of forgotten) say(`Logged out from ${server}.`);
  },
};
