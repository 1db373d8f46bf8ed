/**
 * Directory and file objects by id, decoded. Objects are immutable, so a remembered one is never stale. Also
 * the totals (bytes, files) of a directory tree, remembered by directory id.
 * Called by tree.ts and by everyone who looks into a tree.
 */
import type { ObjectStore } from "./object-store.ts";
import {
  type Dirent,
  decodeDirectory,
  decodeFile,
  encodeDirectory,
  encodeFile,
  type FileObject,
  isDirectory,
  storedOrder,
  ZERO_ID,
} from "./objects.ts";

export interface TreeTotals {
  readonly bytes: number;
  readonly files: number;
}

const EMPTY: readonly Dirent[] = [];
const REMEMBERED_TOTALS = 50_000;
/** Bound of the cache, in entries of all cached directories together. */
const CACHED_ENTRIES = 1_000_000;

export interface FsObjectsOptions {
  /**
   * Keeps directories decoded and nowhere else. Versions of a directory share their entries then; as text, a folder of n
   * files that are written one by one would take memory for n * n of them.
   */
  readonly decodedOnly: boolean;
}

export class FsObjects {
  readonly #store: ObjectStore;
  readonly #decodedOnly: boolean;
  readonly #directories = new Map<string, readonly Dirent[]>();
  readonly #totals = new Map<string, TreeTotals>();
  #cachedEntries = 0;

  constructor(store: ObjectStore, { decodedOnly }: FsObjectsOptions) {
    this.#store = store;
    this.#decodedOnly = decodedOnly;
  }

  /** Entries in stored order (names descending). Throws for an id that is no stored directory. */
  directory(id: string): readonly Dirent[] {
    if (id === ZERO_ID) return EMPTY;
    return this.#directories.get(id) ?? this.#remember(id, decodeDirectory(this.#store.get("fs", id)));
  }

  /** Stores a directory and returns its id. */
  putDirectory(entries: readonly Dirent[]): string {
    if (entries.length === 0) return ZERO_ID;
    const { id, bytes } = encodeDirectory(entries);
    if (this.#directories.has(id)) return id;
    if (!this.#decodedOnly) this.#store.put("fs", id, bytes);
    this.#remember(id, storedOrder(entries));
    return id;
  }

  #remember(id: string, entries: readonly Dirent[]): readonly Dirent[] {
    this.#directories.set(id, entries);
    this.#cachedEntries += entries.length;
    if (this.#decodedOnly) return entries;
    for (const [oldest, forgotten] of this.#directories) {
      if (this.#cachedEntries <= CACHED_ENTRIES) break;
      this.#directories.delete(oldest);
      this.#cachedEntries -= forgotten.length;
    }
    return entries;
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
    if (this.#totals.size >= REMEMBERED_TOTALS) this.#totals.clear();
    const totals = { bytes, files };
    this.#totals.set(directoryId, totals);
    return totals;
  }
}
