/**
 * `seamount star`: what you have starred, and starring. Invariant: the plain columns and the fields of --json are documented in
 * README.md and keep their order and names.
 */
import type { Argv } from "yargs";
import type { Star } from "../../seafile/stars.ts";
import { type Command, subcommand } from "../command.ts";
import { type Column, isoTime, localTime, printable, say, sayJson, sayTable } from "../output.ts";
import { kindOf, PLACE, withOnePlace } from "../remote-place.ts";
import { JSON_FLAG, SERVER_FLAG, withAccount } from "../session.ts";

interface Args {
  readonly server?: string | undefined;
  readonly json?: boolean | undefined;
}

interface PlaceArgs extends Args {
  readonly path: readonly string[];
}

const COLUMNS: readonly Column<Star>[] = [
  { title: "LIBRARY", text: ({ libraryName }) => libraryName },
  { title: "PATH", text: ({ path, kind }) => (kind === "dir" && path !== "/" ? `${path}/` : path) },
  {
    title: "CHANGED",
    text: ({ mtime, isGone }) => (isGone ? "gone" : localTime(mtime)),
    plain: ({ mtime }) => isoTime(mtime),
  },
];

export const starCommand: Command = {
  command: "star",
  describe: "List, add and remove stars",
  builder: (yargs) =>
    yargs.example("$0 star add ~/Seafile/Work/plan.txt", "").example("$0 star rm Work:/plan.txt", "without a mount"),
  subcommands: [
    subcommand("ls", "List what you have starred", listing, list),
    subcommand("add <path..>", "Star files, folders or libraries", choosing, add),
    subcommand("rm <path..>", "Remove their stars", choosing, remove),
  ],
};

function listing(yargs: Argv) {
  return yargs.options({ json: JSON_FLAG, server: SERVER_FLAG });
}

function choosing(yargs: Argv) {
  return yargs
    .positional("path", { type: "string", array: true, demandOption: true, describe: PLACE })
    .option("server", SERVER_FLAG);
}

async function list(args: Args): Promise<void> {
  await withAccount(args.server, async (account) => {
    const stars = [...(await account.stars.list())].sort(
      (a, b) => a.libraryName.localeCompare(b.libraryName) || a.path.localeCompare(b.path),
    );
    if (args.json) sayJson(stars.map(toJson));
    else if (stars.length === 0 && process.stdout.isTTY) say("Nothing is starred.");
    else sayTable(stars, COLUMNS);
  });
}

async function add(args: PlaceArgs): Promise<void> {
  for (const word of args.path) {
    await withOnePlace(word, args.server, async (account, place) => {
      await account.stars.add(place, await kindOf(account, place));
      say(`${printable(word)} starred`);
    });
  }
}

async function remove(args: PlaceArgs): Promise<void> {
  for (const word of args.path) {
    await withOnePlace(word, args.server, async (account, place) => {
      const isThis = (star: Star) => star.library === place.library && star.path === place.path;
      // What is gone is a file or a folder by its star only.
      const kind = place.kind ?? (await account.stars.list()).find(isThis)?.kind ?? (await kindOf(account, place));
      await account.stars.remove(place, kind);
      say(`${printable(word)} not starred any more`);
    });
  }
}

function toJson({ library, libraryName, path, kind, mtime, isGone }: Star) {
  return { library: libraryName, libraryId: library, path, kind, changed: isoTime(mtime) || null, gone: isGone };
}
