/**
 * `seamount libraries`: what the account can see, one line per library; also the quickest check that a login works.
 * Invariant: the fields of --json are documented in README.md and keep their names.
 */

import type { LibraryInfo } from "../../seafile/types.ts";
import type { Command } from "../command.ts";
import { findCredentials, IMPATIENT } from "../credentials.ts";
import { type Column, humanSize, sayJson, sayTable } from "../output.ts";

interface Args {
  readonly server?: string | undefined;
  readonly json?: boolean | undefined;
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
  describe: "List the libraries of your account",
  builder: (yargs) =>
    yargs
      .option("json", { type: "boolean", describe: "Print JSON" })
      .option("server", { type: "string", describe: "Which login to use (default: the last one)" })
      .example("$0 libraries", "a table; tab-separated lines with sizes in bytes when piped")
      .example("$0 libraries --json", "for programs"),
  handler: async (args) => {
    const { server, token } = findCredentials(args.server);
    const { createLogger } = await import("../../observe/log.ts");
    const { Account } = await import("../../seafile/account.ts");
    const account = new Account({ server, token, log: createLogger({ level: "warn" }), retry: IMPATIENT });
    try {
      const libraries = [...(await account.libraries())].sort((a, b) => a.name.localeCompare(b.name));
      if (args.json) sayJson(libraries.map(toJson));
      else sayTable(libraries, COLUMNS);
    } finally {
      await account.close();
    }
  },
};

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
