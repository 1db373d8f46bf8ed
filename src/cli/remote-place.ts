/**
 * What on a server a word of the command line means: a file or folder in a running mount, LIBRARY:/PATH, or a library's name.
 * Invariant: the mounting process is asked and the mounted filesystem never, so that a dead mount cannot make a command hang;
 * what the server does not have yet is refused with a sentence that says so. Called by star, share-links, upload-links, libraries.
 */
import { posix } from "node:path";
import type { Account } from "../seafile/account.ts";
import type { LibraryId, LibraryInfo } from "../seafile/types.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import { findPlace, withControl } from "./running-mounts.ts";
import { withAccount } from "./session.ts";

/** How such words are described in --help. */
export const PLACE = "A file or folder in a mount, or LIBRARY:/PATH";

export interface RemotePlace {
  readonly library: LibraryId;
  readonly libraryName: string;
  /** Absolute in the library. */
  readonly path: string;
  /** undefined: not asked yet. */
  readonly kind: "file" | "dir" | undefined;
}

/** What the word itself says. `place` undefined: all libraries of a mount. */
type Meaning =
  | { readonly in: "mount"; readonly server: string; readonly place: RemotePlace | undefined }
  | { readonly in: "library"; readonly library: string; readonly path: string };

/**
 * Runs `use` with the account and the place that the word means; `undefined` for the top of a mount with all libraries. Throws CliError
 * notFound when there is no such library, or nothing at that place in the mount.
 */
export async function withRemotePlace<Result>(
  word: string,
  server: string | undefined,
  use: (account: Account, place: RemotePlace | undefined) => Promise<Result>,
): Promise<Result> {
  const meaning = await meaningOf(word);
  if (meaning.in === "mount") return withAccount(meaning.server, (account) => use(account, meaning.place));
  return withAccount(server, async (account) => {
    const { id: library, name: libraryName } = await findLibrary(account, meaning.library);
    return use(account, { library, libraryName, path: meaning.path, kind: undefined });
  });
}

/** As withRemotePlace, for what must be a file or folder. */
export async function withOnePlace<Result>(
  word: string,
  server: string | undefined,
  use: (account: Account, place: RemotePlace) => Promise<Result>,
): Promise<Result> {
  return withRemotePlace(word, server, (account, place) => {
    if (place === undefined) throw usageError(`${word} shows all libraries: say which one, or a file or folder in it.`);
    return use(account, place);
  });
}

/** By its name as a mount shows it, or its id. Throws SeafileError "not-found". */
export async function findLibrary(account: Account, word: string): Promise<LibraryInfo> {
  const { libraryNamed } = await import("../mount-target.ts");
  return libraryNamed(await account.libraries(), word);
}

/** Asks the server what is at the place, unless that is known. Throws CliError notFound. */
export async function kindOf(account: Account, { library, libraryName, path, kind }: RemotePlace) {
  if (kind !== undefined || path === "/") return kind ?? "dir";
  const info = (await account.libraries()).find(({ id }) => id === library);
  const parent = info && (await account.library(info).list(posix.dirname(path)));
  const entries = parent === undefined || parent === "unchanged" ? [] : parent.entries;
  const entry = entries.find(({ name }) => name === posix.basename(path));
  if (entry === undefined) throw new CliError(EXIT.notFound, `There is no ${path} in the library "${libraryName}".`);
  return entry.kind;
}

async function meaningOf(word: string): Promise<Meaning> {
  const [, library, path] = /^([^/]+):(\/.*)?$/s.exec(word) ?? [];
  if (library !== undefined) {
    return { in: "library", library, path: posix.normalize(path ?? "/").replace(/(.)\/$/, "$1") };
  }
  const found = await findPlace(word).catch((error: unknown) => error);
  if (!(found instanceof Error)) return locate(found as Awaited<ReturnType<typeof findPlace>>);
  if (!/^\.|\//.test(word)) return { in: "library", library: word, path: "/" };
  const { message } = found;
  throw new CliError(EXIT.notFound, `${message.replace(/\.$/, "")}; what is not mounted is written LIBRARY:/PATH.`);
}

async function locate({ record, location }: Awaited<ReturnType<typeof findPlace>>): Promise<Meaning> {
  const { server, place } = await withControl(record, (client) => client.locate(location));
  if (place === undefined) return { in: "mount", server, place };
  const { library, libraryName, path, kind, isStored } = place;
  if (!isStored) {
    const message = `${record.mountpoint}${location} is not on the server yet: \`seamount sync\` waits for it.`;
    throw new CliError(EXIT.unstored, message);
  }
  return { in: "mount", server, place: { library: library as LibraryId, libraryName, path, kind } };
}
