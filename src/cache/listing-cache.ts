/**
 * Listings by directory inode: a Listing is a directory as of one fetch and answers lookup, readdir, getattr and "no such name".
 * Invariants: one fetch per directory at a time, shared by all who wait; a change of our own that completed while a fetch was
 * under way is applied again to what the fetch brought, so that an older answer never undoes it. Called by vfs/directory.ts.
 */
import { LRUCache } from "lru-cache";
import type { ObjectId, RemoteEntry, RemoteListing } from "../seafile/types.ts";
import { SingleFlight } from "../util/single-flight.ts";

export class Listing {
  /** What the server compares to say "unchanged"; undefined once we changed the directory ourselves. */
  id: ObjectId | undefined;
  readonly writable: boolean;
  readonly entries: Map<string, RemoteEntry>;
  fetchedAt: number;

  constructor(remote: RemoteListing, fetchedAt: number) {
    this.id = remote.id;
    this.writable = remote.writable;
    this.fetchedAt = fetchedAt;
    this.entries = new Map();
    // Servers do store two entries of one name; the first one of the listing is shown, the others cannot be addressed.
    for (const entry of remote.entries) if (!this.entries.has(entry.name)) this.entries.set(entry.name, entry);
  }
}

/** One completed change of our own to one directory. */
export type ListingPatch =
  | { readonly set: RemoteEntry; readonly delete?: never }
  | { readonly delete: string; readonly set?: never };

export interface FetchedListing {
  readonly listing: Listing;
  /** True when this call's fetch brought new content: the caller reconciles its inodes. */
  readonly changed: boolean;
}

export type FetchListing = (known: ObjectId | undefined, signal: AbortSignal) => Promise<RemoteListing | "unchanged">;

interface Since {
  readonly patches: ListingPatch[];
  isExpired: boolean;
}

export interface ListingCacheOptions {
  readonly lifetimeMs: number;
  readonly maxEntries: number;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

export class ListingCache {
  readonly #listings: LRUCache<number, Listing>;
  readonly #fetches = new SingleFlight<number, FetchedListing>();
  /** Per directory, for each fetch under way, what was done to the directory since it began. */
  readonly #since = new Map<number, Set<Since>>();
  readonly #lifetimeMs: number;
  readonly #now: () => number;

  constructor(options: ListingCacheOptions) {
    this.#lifetimeMs = options.lifetimeMs;
    this.#now = options.now ?? Date.now;
    this.#listings = new LRUCache({
      maxSize: options.maxEntries,
      sizeCalculation: (listing) => listing.entries.size + 1,
    });
  }

  /** Entries of all listings together. */
  get size(): number {
    return this.#listings.calculatedSize;
  }

  /** The listing if it is younger than the lifetime, without any I/O. */
  fresh(dir: number): Listing | undefined {
    const listing = this.#listings.get(dir);
    return listing !== undefined && this.#now() - listing.fetchedAt < this.#lifetimeMs ? listing : undefined;
  }

  /** The newest listing known, of any age. */
  peek(dir: number): Listing | undefined {
    return this.#listings.get(dir);
  }

  /** Asks the server (or joins who is asking), revalidating by id where possible. */
  refresh(dir: number, fetch: FetchListing, signal?: AbortSignal): Promise<FetchedListing> {
    return this.#fetches.run(dir, (fetchSignal) => this.#fetch(dir, fetch, fetchSignal), signal);
  }

  /** A directory that we made a moment ago. */
  made(dir: number, listing: RemoteListing): void {
    this.#listings.set(dir, new Listing(listing, this.#now()));
  }

  patch(dir: number, patch: ListingPatch): void {
    for (const since of this.#since.get(dir) ?? []) since.patches.push(patch);
    const listing = this.#listings.get(dir);
    if (listing !== undefined) apply(listing, patch);
  }

  /** The next use asks the server. What is known stays as the fallback for `peek`. */
  expire(dir: number): void {
    for (const since of this.#since.get(dir) ?? []) since.isExpired = true;
    const listing = this.#listings.get(dir);
    if (listing !== undefined) listing.fetchedAt = Number.NEGATIVE_INFINITY;
  }

  drop(dir: number): void {
    this.#listings.delete(dir);
  }

  async #fetch(dir: number, fetch: FetchListing, signal: AbortSignal): Promise<FetchedListing> {
    const since: Since = { patches: [], isExpired: false };
    const recording = this.#since.get(dir) ?? new Set();
    this.#since.set(dir, recording.add(since));
    const known = this.#listings.get(dir);
    const startedAt = this.#now();
    try {
      const answer = await fetch(known?.id, signal);
      // An answer to a question from before is shown to those who asked, and to nobody later.
      const fetchedAt = since.isExpired ? Number.NEGATIVE_INFINITY : startedAt;
      if (answer === "unchanged" && known !== undefined) {
        known.fetchedAt = fetchedAt;
        this.#listings.set(dir, known);
        return { listing: known, changed: false };
      }
      if (answer === "unchanged") throw new Error("the server answered 'unchanged' to a listing without validator");
      const listing = new Listing(answer, fetchedAt);
      for (const patch of since.patches) apply(listing, patch);
      this.#listings.set(dir, listing);
      return { listing, changed: true };
    } finally {
      recording.delete(since);
      if (recording.size === 0) this.#since.delete(dir);
    }
  }
}

function apply(listing: Listing, patch: ListingPatch): void {
  listing.id = undefined;
  if (patch.set !== undefined) listing.entries.set(patch.set.name, patch.set);
  else listing.entries.delete(patch.delete);
}
