/**
 * Directory and file objects by id, decoded, with a bounded cache (objects are immutable, so a cached one is never stale),
 * and the totals (bytes, files) of a directory tree, remembered by directory id.
 * Called by tree.ts and by everyone who looks into a tree.
 */
import type { ObjectStore } from "./object-store.ts";
import {
  byNameDescending,
  type Dirent,
  decodeDirectory,
  decodeFile,
  encodeDirectory,
  encodeFile,
  type FileObject,
  isDirectory,
  ZERO_ID,
} from "./objects.ts";

export interface TreeTotals {
  readonly bytes: number;
  readonly files: number;
}

const CACHED_DIRECTORIES = 20_000;
const EMPTY: readonly Dirent[] = [];

/** A Map that forgets its oldest half when it grows beyond `limit`. */
function remember<V>(map: Map<string, V>, limit: number, key: string, value: V): V {
  if (map.size >= limit) {
    for (const old of [...map.keys()].slice(0, limit / 2)) map.delete(old);
  }
  map.set(key, value);
  return value;
}

export class FsObjects {
  readonly #store: ObjectStore;
  readonly #directories = new Map<string, readonly Dirent[]>();
  readonly #totals = new Map<string, TreeTotals>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Entries in stored order (names descending). Throws for an id that is no stored directory. */
  directory(id: string): readonly Dirent[] {
    if (id === ZERO_ID) return EMPTY;
    const known = this.#directories.get(id);
    if (known !== undefined) return known;
    return remember(this.#directories, CACHED_DIRECTORIES, id, decodeDirectory(this.#store.get("fs", id)));
  }

  /** Stores a directory and returns its id. */
  putDirectory(entries: readonly Dirent[]): string {
    if (entries.length === 0) return ZERO_ID;
    const { id, bytes } = encodeDirectory(entries);
    if (!this.#directories.has(id)) {
      this.#store.put("fs", id, bytes);
      remember(this.#directories, CACHED_DIRECTORIES, id, entries.toSorted(byNameDescending));
    }
    return id;
  }

  file(id: string): FileObject {
    return id === ZERO_ID ? { blockIds: [], size: 0 } : decodeFile(this.#store.get("fs", id));
  }

  putFile(file: FileObject): string {
    if (file.blockIds.length === 0) return ZERO_ID;
    const { id, bytes } = encodeFile(file);
    this.#store.put("fs", id, bytes);
    return id;
  }

  /** Bytes and files of the whole tree below a directory. */
  totals(directoryId: string): TreeTotals {
    const known = this.#totals.get(directoryId);
    if (known !== undefined) return known;
    let bytes = 0;
    let files = 0;
    for (const entry of this.directory(directoryId)) {
      const below = isDirectory(entry) ? this.totals(entry.id) : { bytes: entry.size, files: 1 };
      bytes += below.bytes;
      files += below.files;
    }
    return remember(this.#totals, CACHED_DIRECTORIES, directoryId, { bytes, files });
  }
}
