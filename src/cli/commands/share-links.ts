/**
 * `seamount share-links`: public links that others download from. Without terms `create` prints the link that is there, or makes one;
 * with terms there must be none, because the server keeps one per file or folder and would not change it.
 */
import type { LinkPermissions, ShareLink } from "../../seafile/share-links.ts";
import { type Command, subcommand } from "../command.ts";
import { type LinkKind, linkCommands, tellLink } from "../link-commands.ts";
import { type TermsArgs, termsFlags, termsOf } from "../link-terms.ts";
import { PLACE, withOnePlace } from "../remote-place.ts";
import { JSON_FLAG, SERVER_FLAG } from "../session.ts";

interface CreateArgs extends TermsArgs {
  readonly path: string;
  readonly permission?: keyof typeof PERMISSIONS | undefined;
  readonly json?: boolean | undefined;
  readonly server?: string | undefined;
}

/** What the web interface offers; each but "view" includes downloading. */
const PERMISSIONS = {
  view: { download: false, edit: false, upload: false },
  download: { download: true, edit: false, upload: false },
  edit: { download: true, edit: true, upload: false },
  upload: { download: true, edit: false, upload: true },
} as const satisfies Record<string, LinkPermissions>;

const SHARE: LinkKind<ShareLink> = {
  name: "share link",
  store: (account) => account.shareLinks,
  columns: [{ title: "PERMISSION", text: ({ permissions }) => nameOf(permissions) }],
  fields: ({ kind, permissions }) => ({ kind, permission: nameOf(permissions), permissions }),
};

export const shareLinksCommand: Command = {
  command: "share-links",
  describe: "List, make, remove and mail links to download from",
  builder: (yargs) =>
    yargs
      .example("$0 share-links create ~/Seafile/Work/plan.txt", "prints the link")
      .example("$0 share-links create Work:/Photos --expires 14 --password", "for two weeks; asks for a password")
      .example("$0 share-links ls Work", "those of one library"),
  subcommands: [
    subcommand(
      "create <path>",
      "Make a link to a file or folder, and print it",
      (yargs) =>
        termsFlags(yargs.positional("path", { type: "string", demandOption: true, describe: PLACE })).options({
          permission: {
            choices: Object.keys(PERMISSIONS) as (keyof typeof PERMISSIONS)[],
            describe:
              "What others may do: only view it in the browser, download it (default), change it, upload to the folder",
          },
          json: JSON_FLAG,
          server: SERVER_FLAG,
        }),
      create,
    ),
    ...linkCommands(SHARE),
  ],
};

async function create(args: CreateArgs): Promise<void> {
  const terms = await termsOf(args);
  const permissions = args.permission && PERMISSIONS[args.permission];
  const isPlain = Object.keys(terms).length === 0 && permissions === undefined;
  const link = await withOnePlace(args.path, args.server, (account, place) =>
    isPlain ? account.shareLinks.obtain(place) : account.shareLinks.create(place, { ...terms, permissions }),
  );
  tellLink(SHARE, link, args.json);
}

/** As --permission takes it, or what is allowed one by one. */
function nameOf(given: LinkPermissions): string {
  const isSame = (other: LinkPermissions) =>
    other.download === given.download && other.edit === given.edit && other.upload === given.upload;
  const known = Object.entries(PERMISSIONS).find(([, permissions]) => isSame(permissions))?.[0];
  const allowed = Object.entries(given).filter(([, isAllowed]) => isAllowed);
  return known ?? allowed.map(([name]) => name).join("+");
}
