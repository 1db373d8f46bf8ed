/**
 * `seamount shared`: libraries that you share and that others share with you, taking the former back and leaving the latter.
 * Invariant: the plain columns and the fields of --json are documented in README.md and keep their order and names.
 */
import type { Argv } from "yargs";
import type { Account } from "../../seafile/account.ts";
import type { Share } from "../../seafile/sharing.ts";
import { type Command, subcommand } from "../command.ts";
import { CliError, EXIT, usageError } from "../exit-codes.ts";
import { type Column, printable, say, sayJson, sayTable } from "../output.ts";
import { withOnePlace } from "../remote-place.ts";
import { JSON_FLAG, SERVER_FLAG, withAccount } from "../session.ts";

interface Args {
  readonly server?: string | undefined;
  readonly json?: boolean | undefined;
}

interface LeaveArgs extends Args {
  readonly library: string;
}

interface UnshareArgs extends LeaveArgs {
  readonly with?: string | undefined;
  readonly all?: boolean | undefined;
}

const COLUMNS: readonly Column<Share>[] = [
  { title: "LIBRARY", text: ({ libraryName }) => libraryName },
  {
    title: "SHARED",
    text: ({ direction }) => (direction === "out" ? "with" : "by"),
    plain: ({ direction }) => direction,
  },
  { title: "WHO", text: ({ who }) => who },
  { title: "TYPE", text: ({ type }) => type },
  { title: "PERMISSION", text: ({ permission }) => permission },
  { title: "ID", text: ({ library }) => library },
];

const LIBRARY = { type: "string", demandOption: true, describe: "Its name or id, or its folder in a mount" } as const;

export const sharedCommand: Command = {
  command: "shared",
  describe: "List shared libraries, leave them, take them back",
  builder: (yargs) =>
    yargs
      .example("$0 shared ls", "what you share, and what is shared with you")
      .example("$0 shared leave Theirs", "you do not see it any more")
      .example("$0 shared unshare Mine --with ann@example.com", ""),
  subcommands: [
    subcommand("ls", "List what you share and what is shared with you", listing, list),
    subcommand("leave <library>", "Give up a library that somebody shares with you", leaving, leave),
    subcommand("unshare <library>", "Take back a library that you share", unsharing, unshare),
  ],
};

function listing(yargs: Argv) {
  return yargs.options({ json: JSON_FLAG, server: SERVER_FLAG });
}

function leaving(yargs: Argv) {
  return yargs.positional("library", LIBRARY).option("server", SERVER_FLAG);
}

function unsharing(yargs: Argv) {
  return leaving(yargs)
    .options({
      with: { type: "string", describe: "From whom: an e-mail address, or a group's name" },
      all: { type: "boolean", describe: "From everybody" },
    })
    .conflicts("with", "all");
}

async function list(args: Args): Promise<void> {
  await withAccount(args.server, async (account) => {
    const shares = [...(await account.sharing.shared()), ...(await account.sharing.received())];
    shares.sort((a, b) => a.libraryName.localeCompare(b.libraryName) || a.who.localeCompare(b.who));
    if (args.json) sayJson(shares.map(toJson));
    else if (shares.length === 0 && process.stdout.isTTY) say("No library is shared.");
    else sayTable(shares, COLUMNS);
  });
}

async function leave(args: LeaveArgs): Promise<void> {
  await withShares(args, "in", async (account, shares) => {
    const share = shares.find(({ type }) => type === "personal") ?? shares[0];
    if (share === undefined) throw new CliError(EXIT.notFound, `"${args.library}" is not shared with you.`);
    await account.sharing.leave(share);
    say(`You left ${printable(share.libraryName)}, which ${printable(share.who)} shares`);
  });
}

async function unshare(args: UnshareArgs): Promise<void> {
  if (args.with === undefined && !args.all) throw usageError("Say from whom to take it back: --with NAME, or --all.");
  await withShares(args, "out", async (account, shares) => {
    const chosen = shares.filter(({ who, id }) => args.all || who === args.with || id === args.with);
    if (chosen.length === 0) {
      const whom = args.all ? "anybody" : args.with;
      throw new CliError(EXIT.notFound, `You do not share "${args.library}" with ${whom}.`);
    }
    for (const share of chosen) {
      await account.sharing.end(share);
      say(`${printable(share.libraryName)} is not shared with ${printable(share.who)} any more`);
    }
  });
}

/** The shares of the library that the word means. */
async function withShares(
  { library: word, server }: LeaveArgs,
  direction: Share["direction"],
  use: (account: Account, shares: readonly Share[]) => Promise<void>,
): Promise<void> {
  const place = word.includes("/") ? word : `${word}:`;
  await withOnePlace(place, server, async (account, { library }) => {
    const shares = direction === "out" ? await account.sharing.shared() : await account.sharing.received();
    await use(
      account,
      shares.filter((share) => share.library === library),
    );
  });
}

function toJson({ direction, library, libraryName, type, who, id, permission, encrypted }: Share) {
  return { library: libraryName, libraryId: library, direction, type, who, id, permission, encrypted };
}
