/**
 * `seamount libraries`: what the account can see, one line per library, also the quickest check that a login works; `show` is all that
 * the server tells of one. Invariant: the fields of --json are documented in README.md and keep their names.
 */
import type { Account } from "../../seafile/account.ts";
import { SeafileError } from "../../seafile/errors.ts";
import type { LibraryInfo } from "../../seafile/types.ts";
import { type Command, subcommand } from "../command.ts";
import { type Column, fieldLines, humanSize, localTime, say, sayJson, sayTable } from "../output.ts";
import { withOnePlace } from "../remote-place.ts";
import { JSON_FLAG, SERVER_FLAG, withAccount } from "../session.ts";

interface Args {
  readonly server?: string | undefined;
  readonly json?: boolean | undefined;
}

interface ShowArgs extends Args {
  readonly name: string;
  readonly sync?: boolean | undefined;
}

const COLUMNS: readonly Column<LibraryInfo>[] = [
  { title: "NAME", text: (library) => library.name },
  { title: "OWNER", text: ownerOf },
  { title: "PERMISSION", text: permissionOf },
  {
    title: "SIZE",
    text: (library) => humanSize(library.size),
    plain: (library) => String(library.size),
    align: "right",
  },
  { title: "ID", text: (library) => library.id },
];

export const librariesCommand: Command<Args> = {
  command: "libraries",
  describe: "List the libraries of your account, or show one",
  builder: (yargs) =>
    yargs
      .option("json", JSON_FLAG)
      .option("server", SERVER_FLAG)
      .example("$0 libraries", "a table; tab-separated lines with sizes in bytes when piped")
      .example("$0 libraries --json", "for programs"),
  handler: list,
  subcommands: [
    subcommand(
      "show <name>",
      "Show everything that the server tells of one library",
      (yargs) =>
        yargs
          .positional("name", {
            type: "string",
            demandOption: true,
            describe: "Its name or id, or a folder of it in a mount",
          })
          .option("json", JSON_FLAG)
          .option("server", SERVER_FLAG)
          .option("sync", {
            type: "boolean",
            describe: "Ask for leave to synchronise it, too; the server lists that among your devices",
          }),
      show,
    ),
  ],
};

async function list(args: Args): Promise<void> {
  await withAccount(args.server, async (account) => {
    const libraries = [...(await account.libraries())].sort((a, b) => a.name.localeCompare(b.name));
    if (args.json) sayJson(libraries.map(toJson));
    else sayTable(libraries, COLUMNS);
  });
}

async function show(args: ShowArgs): Promise<void> {
  // Also in a mount a bare name is a library's.
  const word = args.name.includes("/") ? args.name : `${args.name}:`;
  await withOnePlace(word, args.server, async (account, { library }) => {
    const info = (await account.libraries()).find(({ id }) => id === library);
    const details = await account.libraryDetails(library);
    const sync = args.sync ? await syncOf(account, info) : undefined;
    if (args.json) {
      sayJson({
        ...(info === undefined ? { id: details.id, name: details.name } : toJson(info)),
        size: details.size,
        mtime: details.mtime,
        files: details.file_count ?? null,
        head: details.head_commit_id,
        status: details.status ?? null,
        full: details.no_quota ?? null,
        locked: details.lib_need_decrypt ?? null,
        encryptionVersion: details.enc_version ?? null,
        ...(sync === undefined ? {} : { sync }),
      });
      return;
    }
    const fields: readonly (readonly [string, string])[] = [
      ["name", details.name],
      ["id", details.id],
      ["owner", info ? `${ownerOf(info)}${info.ownerEmail ? ` <${info.ownerEmail}>` : ""}` : "-"],
      ["kind", info?.kind ?? "-"],
      ["permission", info ? permissionOf(info) : details.permission],
      ["size", `${humanSize(details.size)} (${details.size} bytes)`],
      ["files", details.file_count == null ? "" : String(details.file_count)],
      ["changed", `${localTime(details.mtime)}${details.modifier_name ? ` by ${details.modifier_name}` : ""}`],
      ["version", details.head_commit_id],
      ["encryption", encryptionOf(details)],
      ["space", details.no_quota ? "the owner's space is used up" : ""],
      ["status", details.status === "normal" ? "" : (details.status ?? "")],
      ["sync", sync === undefined ? "" : sync.allowed ? `allowed, format ${sync.format ?? "unknown"}` : "refused"],
    ];
    for (const line of fieldLines(fields.filter(([, text]) => text !== ""))) say(line);
  });
}

type Details = Awaited<ReturnType<Account["libraryDetails"]>>;

function encryptionOf({ encrypted, enc_version: version, lib_need_decrypt: locked }: Details): string {
  if (!encrypted) return "none";
  const state = locked == null ? "" : locked ? ", locked on the server" : ", unlocked on the server for now";
  return `version ${version ?? "unknown"}${state}`;
}

/** Some permissions (preview, cloud-edit) do not allow it. */
async function syncOf(account: Account, info: LibraryInfo | undefined) {
  if (info === undefined) return undefined;
  try {
    const { repo_version: format, head_commit_id: head } = await account.downloadInfo(info.id);
    return { allowed: true, format: format ?? null, head };
  } catch (error) {
    if (error instanceof SeafileError && error.kind === "forbidden") return { allowed: false };
    throw error;
  }
}

function ownerOf(library: LibraryInfo): string {
  return library.ownerName || library.ownerEmail || "-";
}

function permissionOf(library: LibraryInfo): string {
  const rights = library.writable ? "rw" : "r";
  return library.encrypted ? `${rights}, encrypted` : rights;
}

function toJson(library: LibraryInfo) {
  const { id, name, kind, encrypted, size, mtime } = library;
  const permission = library.writable ? "rw" : "r";
  return {
    id,
    name,
    owner: ownerOf(library),
    ownerEmail: library.ownerEmail,
    permission,
    kind,
    encrypted,
    size,
    mtime,
  };
}
