/**
 * What `share-links` and `upload-links` have in common: ls, rm and send, for links of either kind. A link is named by what it leads to,
 * by its address or by its token. Invariants: the plain columns and the fields of --json are documented in README.md; what could
 * not be mailed is told per address and is exit code 1.
 */
import type { Argv } from "yargs";
import type { Account } from "../seafile/account.ts";
import { isMissing } from "../seafile/errors.ts";
import type { Link, Mailed, RemotePlace } from "../seafile/link-terms.ts";
import type { LibraryId } from "../seafile/types.ts";
import { type Command, subcommand } from "./command.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import { type Column, isoTime, localTime, printable, say, sayJson, sayTable } from "./output.ts";
import { PLACE, withOnePlace, withRemotePlace } from "./remote-place.ts";
import { JSON_FLAG, SERVER_FLAG, withAccount } from "./session.ts";

/** The client's side of one kind. */
export interface LinkStore<Kind extends Link> {
  list(place?: { readonly library: LibraryId; readonly path?: string }): Promise<readonly Kind[]>;
  find(place: RemotePlace): Promise<Kind | undefined>;
  get(token: string): Promise<Kind>;
  remove(link: Kind): Promise<void>;
  send(link: Kind, emails: readonly string[], message?: string): Promise<readonly Mailed[]>;
}

export interface LinkKind<Kind extends Link> {
  /** "share link". */
  readonly name: string;
  readonly store: (account: Account) => LinkStore<Kind>;
  /** Between PATH and PASSWORD. */
  readonly columns: readonly Column<Kind>[];
  /** Further fields of --json. */
  readonly fields: (link: Kind) => object;
}

interface Args {
  readonly server?: string | undefined;
  readonly json?: boolean | undefined;
}

interface ListArgs extends Args {
  readonly place?: string | undefined;
}

interface LinkArgs extends Args {
  readonly link: string;
}

interface SendArgs extends LinkArgs {
  readonly email: readonly string[];
  readonly message?: string | undefined;
}

const LINK = `${PLACE}; or the link itself, or its token`;

/** ls, rm and send. */
export function linkCommands<Kind extends Link>(kind: LinkKind<Kind>): readonly Command[] {
  return [
    subcommand(
      "ls [place]",
      `List your ${kind.name}s: all, or those of a library, or that of a file or folder`,
      (yargs: Argv) =>
        yargs
          .positional("place", {
            type: "string",
            describe: `A library, or: ${PLACE.charAt(0).toLowerCase()}${PLACE.slice(1)}`,
          })
          .options({ json: JSON_FLAG, server: SERVER_FLAG }),
      (args: ListArgs) => list(kind, args),
    ),
    subcommand(
      "rm <link..>",
      `Remove ${kind.name}s: nobody can use them any more`,
      (yargs: Argv) =>
        yargs
          .positional("link", { type: "string", array: true, demandOption: true, describe: LINK })
          .option("server", SERVER_FLAG),
      (args: Args & { readonly link: readonly string[] }) => remove(kind, args),
    ),
    subcommand(
      "send <link> <email..>",
      `Let the server mail a ${kind.name} to people`,
      (yargs: Argv) =>
        yargs
          .positional("link", { type: "string", demandOption: true, describe: LINK })
          .positional("email", { type: "string", array: true, demandOption: true, describe: "E-mail addresses" })
          .options({
            message: { type: "string", describe: "What to say to them" },
            json: JSON_FLAG,
            server: SERVER_FLAG,
          }),
      (args: SendArgs) => send(kind, args),
    ),
  ];
}

/** Runs `use` with the link that the word means. Throws CliError or SeafileError when there is none. */
export async function withLink<Kind extends Link, Result>(
  kind: LinkKind<Kind>,
  args: LinkArgs,
  use: (link: Kind, store: LinkStore<Kind>, account: Account) => Promise<Result>,
): Promise<Result> {
  const token = tokenOf(args.link);
  if (token !== undefined) {
    return withAccount(args.server, async (account, { server }) => {
      if (/^https?:/.test(args.link) && !args.link.startsWith(`${server}/`))
        throw usageError(`The link is not one of ${server}: say --server.`);
      const store = kind.store(account);
      return use(await store.get(token), store, account);
    });
  }
  return withOnePlace(args.link, args.server, async (account, place) => {
    const store = kind.store(account);
    const link = await findLink(store, place);
    if (link === undefined) throw new CliError(EXIT.notFound, `There is no ${kind.name} of yours to ${args.link}.`);
    return use(link, store, account);
  });
}

/** Also a link to what is gone, which the server does not look up by its path. */
async function findLink<Kind extends Link>(store: LinkStore<Kind>, place: RemotePlace): Promise<Kind | undefined> {
  try {
    return await store.find(place);
  } catch (error) {
    if (!isMissing(error)) throw error;
    const links = await store.list({ library: place.library });
    return links.find(({ path }) => path === place.path);
  }
}

/** Of https://.../f/TOKEN/, .../d/TOKEN/ and .../u/d/TOKEN/, or the token alone as servers make it. */
function tokenOf(word: string): string | undefined {
  if (/^[0-9a-f]{10,40}$/.test(word)) return word;
  return /^https?:\/\/.*\/(?:f|d)\/([\w-]+)\/?$/.exec(word)?.[1];
}

/** Prints the link that was made: its address alone, so that scripts can take it. */
export function tellLink<Kind extends Link>(kind: LinkKind<Kind>, link: Kind, json: boolean | undefined): void {
  if (json) sayJson(toJson(kind, link));
  else say(printable(link.url));
}

async function list<Kind extends Link>(kind: LinkKind<Kind>, args: ListArgs): Promise<void> {
  const links =
    args.place === undefined
      ? await withAccount(args.server, (account) => kind.store(account).list())
      : await withRemotePlace(args.place, args.server, (account, place) => {
          if (place === undefined) return kind.store(account).list();
          const { library, path } = place;
          return kind.store(account).list(path === "/" ? { library } : { library, path });
        });
  const sorted = [...links].sort((a, b) => a.libraryName.localeCompare(b.libraryName) || a.path.localeCompare(b.path));
  if (args.json) sayJson(sorted.map((link) => toJson(kind, link)));
  else if (sorted.length === 0 && process.stdout.isTTY) say(`There are no ${kind.name}s.`);
  else sayTable(sorted, columnsOf(kind));
}

async function remove<Kind extends Link>(
  kind: LinkKind<Kind>,
  { server, link: words }: Args & { readonly link: readonly string[] },
): Promise<void> {
  for (const word of words) {
    await withLink(kind, { server, link: word }, async (link, store) => {
      await store.remove(link);
      say(`The ${kind.name} to ${printable(`${link.libraryName}:${link.path}`)} is removed`);
    });
  }
}

async function send<Kind extends Link>(kind: LinkKind<Kind>, args: SendArgs): Promise<void> {
  const wrong = args.email.find((email) => /[,;\s]/.test(email));
  if (wrong !== undefined) throw usageError(`"${wrong}" is not one e-mail address.`);
  const mailed = await withLink(kind, args, (link, store) => store.send(link, args.email, args.message));
  const failed = mailed.filter(({ error }) => error !== undefined);
  if (failed.length > 0) process.exitCode = EXIT.unexpected;
  if (args.json)
    sayJson(mailed.map(({ email, error }) => ({ email, sent: error === undefined, error: error ?? null })));
  else sayTable(mailed, MAILED);
}

const MAILED: readonly Column<Mailed>[] = [
  { title: "E-MAIL", text: ({ email }) => email },
  { title: "RESULT", text: ({ error }) => (error === undefined ? "sent" : `not sent: ${error}`) },
];

function columnsOf<Kind extends Link>(kind: LinkKind<Kind>): readonly Column<Kind>[] {
  return [
    { title: "LIBRARY", text: ({ libraryName }) => libraryName },
    { title: "PATH", text: ({ path }) => path },
    ...kind.columns,
    { title: "PASSWORD", text: ({ hasPassword }) => (hasPassword === undefined ? "?" : hasPassword ? "yes" : "no") },
    {
      title: "EXPIRES",
      text: ({ expires, isExpired }) => `${localTime(expires, "never")}${isExpired ? " (expired)" : ""}`,
      plain: ({ expires }) => isoTime(expires),
    },
    { title: "VIEWS", text: ({ views }) => String(views), align: "right" },
    { title: "LINK", text: ({ url }) => url },
  ];
}

function toJson<Kind extends Link>(kind: LinkKind<Kind>, link: Kind): object {
  const { url, token, library, libraryName, path, views, created, expires, isExpired, hasPassword } = link;
  return {
    library: libraryName,
    libraryId: library,
    path,
    ...kind.fields(link),
    url,
    token,
    password: hasPassword ?? null,
    created: isoTime(created) || null,
    expires: isoTime(expires) || null,
    expired: isExpired,
    views,
  };
}
