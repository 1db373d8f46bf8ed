/**
 * What a mount shows: all libraries, one, or a folder of one, as the user named it. Called by mount.ts and by
 * the command line.
 */
import type { ResolvedMountOptions } from "./options.ts";
import type { Account } from "./seafile/account.ts";
import { SeafileError } from "./seafile/errors.ts";
import type { Library } from "./seafile/library.ts";
import type { LinkAccount } from "./seafile/link-account.ts";
import type { LinkAddress } from "./seafile/link-address.ts";
import type { LibraryInfo } from "./seafile/types.ts";
import { joinPath, normalizePath, splitPath } from "./util/paths.ts";
import { uniqueNames } from "./vfs/library-root.ts";

/** What is shown at the mount point: a folder of one library, or all libraries of the account. */
export interface Target {
  readonly library: Library | undefined;
  readonly path: string | undefined;
  readonly readOnly: boolean;
  readonly label: string;
  /** The libraries of the account, shown or not. */
  readonly infos: readonly LibraryInfo[];
}

/** "NAME", "NAME:/path" or a library id. A name with a colon is tried as a whole first. */
export async function findTarget(account: Account, options: ResolvedMountOptions): Promise<Target> {
  const { library: wanted, readOnly } = options;
  const infos = await account.libraries();
  if (wanted === undefined) return { library: undefined, path: undefined, readOnly, label: "all libraries", infos };
  const colon = wanted.indexOf(":/");
  const whole = pickLibrary(infos, wanted);
  const info = whole ?? (colon > 0 ? pickLibrary(infos, wanted.slice(0, colon)) : undefined);
  if (info === undefined) throw noLibrary(wanted);
  const library = account.library(info);
  const path = whole === undefined ? normalizePath(wanted.slice(colon + 1)) : "/";
  if (path !== "/") await assertFolder(library, path);
  return {
    library,
    path,
    readOnly: readOnly || !info.writable,
    label: path === "/" ? info.name : `${info.name}:${path}`,
    infos,
  };
}

/** By the name that a mount shows, its own name, or its id. Throws SeafileError "not-found", also for a name that several have. */
export function libraryNamed(infos: readonly LibraryInfo[], wanted: string): LibraryInfo {
  const info = pickLibrary(infos, wanted);
  if (info === undefined) throw noLibrary(wanted);
  return info;
}

const noLibrary = (wanted: string) =>
  new SeafileError("not-found", `There is no library "${wanted}" in this account; "seamount libraries" lists them.`);

/** The folder of a public link. The label names no token. */
export function linkTarget(account: LinkAccount, { path }: LinkAddress): Target {
  const { info } = account.link;
  return { library: account.link, path, readOnly: !info.writable, label: info.name, infos: [info] };
}

/** The library of that name, shown name or id. Throws "not-found" when several have the name. */
export function pickLibrary(infos: readonly LibraryInfo[], wanted: string): LibraryInfo | undefined {
  const byId = infos.find((info) => info.id === wanted);
  if (byId !== undefined) return byId;
  const same = infos.filter((info) => info.name === wanted);
  if (same.length <= 1) return same[0] ?? [...uniqueNames(infos)].find(([, shown]) => shown === wanted)?.[0];
  const shown = same.map((info) => `"${uniqueNames(infos).get(info)}"`).join(", ");
  throw new SeafileError("not-found", `Several libraries are called "${wanted}"; say which one: ${shown}.`);
}

async function assertFolder(library: Library, path: string): Promise<void> {
  const { parent, name } = splitPath(path);
  const listing = await library.list(parent);
  const entry = listing === "unchanged" ? undefined : listing.entries.find((candidate) => candidate.name === name);
  if (entry?.kind !== "dir") {
    throw new SeafileError(
      "not-found",
      `There is no folder ${joinPath(parent, name)} in the library "${library.info.name}".`,
    );
  }
}
