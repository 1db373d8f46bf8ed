/**
 * `seamount upload-links`: public links through which others drop files into a folder. Without terms `create` prints the link that is
 * there, or makes one; with terms there must be none, because the server keeps one per folder and would not change it.
 */
import type { UploadLink } from "../../seafile/upload-links.ts";
import { type Command, subcommand } from "../command.ts";
import { type LinkKind, linkCommands, tellLink, withLink } from "../link-commands.ts";
import { type TermsArgs, termsFlags, termsOf } from "../link-terms.ts";
import { printable, remarkOnTerminal, say, sayJson } from "../output.ts";
import { PLACE, withOnePlace } from "../remote-place.ts";
import { JSON_FLAG, SERVER_FLAG } from "../session.ts";

interface CreateArgs extends TermsArgs {
  readonly folder: string;
  readonly json?: boolean | undefined;
  readonly server?: string | undefined;
}

interface AddressArgs {
  readonly link: string;
  readonly json?: boolean | undefined;
  readonly server?: string | undefined;
}

const UPLOAD: LinkKind<UploadLink> = {
  name: "upload link",
  store: (account) => account.uploadLinks,
  columns: [],
  fields: () => ({}),
};

export const uploadLinksCommand: Command = {
  command: "upload-links",
  describe: "List, make, remove and mail links to upload to",
  builder: (yargs) =>
    yargs
      .example("$0 upload-links create ~/Seafile/Work/Inbox --expires 7", "prints the link")
      .example("$0 upload-links address Work:/Inbox", "for curl, good for an hour"),
  subcommands: [
    subcommand(
      "create <folder>",
      "Make a link to a folder, and print it",
      (yargs) =>
        termsFlags(
          yargs.positional("folder", { type: "string", demandOption: true, describe: `${PLACE}; no file` }),
        ).options({ json: JSON_FLAG, server: SERVER_FLAG }),
      create,
    ),
    ...linkCommands(UPLOAD),
    subcommand(
      "address <link>",
      "Print the address on the file server that takes files for the link for an hour",
      (yargs) =>
        yargs
          .positional("link", { type: "string", demandOption: true, describe: "The link, its token, or its folder" })
          .options({ json: JSON_FLAG, server: SERVER_FLAG }),
      address,
    ),
  ],
};

async function create(args: CreateArgs): Promise<void> {
  const terms = await termsOf(args);
  const link = await withOnePlace(args.folder, args.server, (account, place) =>
    account.uploadLinks.create(place, terms),
  );
  tellLink(UPLOAD, link, args.json);
}

async function address(args: AddressArgs): Promise<void> {
  await withLink(UPLOAD, args, async (link, _store, account) => {
    const url = await account.uploadLinks.address(link);
    if (args.json) {
      sayJson({ address: url, folder: link.path });
      return;
    }
    say(printable(url));
    remarkOnTerminal(`POST files as "file" with parent_dir=${printable(link.path)}; it ends in an hour.`);
  });
}
