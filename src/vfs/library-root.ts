/**
 * The top directory of a mount that shows all libraries: their names as unique, storable file names.
 * Invariant: a library keeps its name while the set of libraries stays the same. Called by vfs/directory.ts.
 */
import type { Library } from "../seafile/library.ts";
import type { Source } from "../seafile/source.ts";
import type { LibraryInfo, RemoteEntry, RemoteListing } from "../seafile/types.ts";
import { ZERO_ID } from "../seafile/types.ts";

export class LibraryRoot {
  readonly #account: Source;
  #libraries = new Map<string, Library>();

  constructor(account: Source) {
    this.#account = account;
  }

  async list(signal?: AbortSignal): Promise<RemoteListing> {
    const infos = await this.#account.libraries(signal);
    const names = uniqueNames(infos);
    this.#libraries = new Map(infos.map((info) => [names.get(info)!, this.#account.library(info)]));
    const entries = infos.map<RemoteEntry>((info) => ({
      name: names.get(info)!,
      kind: "dir",
      id: ZERO_ID,
      size: 0,
      mtime: info.mtime,
      writable: info.writable,
    }));
    return { id: ZERO_ID, writable: false, entries };
  }

  /** The library that the last listing showed under the name. */
  library(name: string): Library | undefined {
    return this.#libraries.get(name);
  }
}

/** Equal names get ` (owner)`, and if that does not tell them apart, the beginning of the library's id. */
export function uniqueNames(infos: readonly LibraryInfo[]): Map<LibraryInfo, string> {
  const plain = (info: LibraryInfo) => storable(info.name);
  const owned = (info: LibraryInfo) => storable(`${info.name} (${info.ownerName || info.ownerEmail})`);
  const isUnique = (name: string, of: (info: LibraryInfo) => string) =>
    infos.filter((i) => of(i) === name).length === 1;
  return new Map(
    infos.map((info) => {
      if (isUnique(plain(info), plain)) return [info, plain(info)];
      if (isUnique(owned(info), owned) && !infos.some((other) => plain(other) === owned(info)))
        return [info, owned(info)];
      return [info, storable(`${info.name} (${info.id.slice(0, 8)})`)];
    }),
  );
}

function storable(name: string): string {
  const plain = name.replaceAll(/[/\0]/g, "_");
  return plain === "" || plain === "." || plain === ".." ? `_${plain}` : plain;
}
