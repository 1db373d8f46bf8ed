/**
 * LinkLease: a link to the file server with its age. Links live for 3,600 s from their creation, use does not prolong them,
 * and a restart of the server forgets them (seafile-server web-accesstoken-mgr). Invariants: no lease older than 3,000 s is
 * handed out; a download lease is keyed by the content it is pinned to; waiters of the same lease share one request, and
 * one of them giving up does not disturb the others. Called by reader.ts, library.ts and library-put.ts.
 */
import type { Logger } from "../observe/log.ts";
import { SingleFlight } from "../util/single-flight.ts";
import { getFileLink, getUpdateLink, getUploadLink } from "./endpoints.ts";
import type { HttpClient } from "./http.ts";
import { type RetryPolicy, retry } from "./retry.ts";
import { fileServerLink } from "./server-address.ts";
import type { FileVersion, LibraryId, ObjectId } from "./types.ts";

const RENEW_AFTER_MS = 3_000_000;
/** Leases are small, and the server keeps as many; the oldest are forgotten. */
const MAX_LEASES = 10_000;

export interface LinkLease {
  readonly key: string;
  readonly link: string;
  readonly takenAt: number;
}

export interface DownloadLease extends LinkLease {
  /** The content that the link serves, whatever the path holds later. */
  readonly id: ObjectId;
}

export interface LinkCacheOptions {
  readonly http: HttpClient;
  readonly policy: RetryPolicy;
  readonly log: Logger;
  readonly clock: () => number;
  readonly fileServer: string | undefined;
}

export class LinkCache {
  readonly #options: LinkCacheOptions;
  readonly #stores = new Map<string, LinkLease>();
  readonly #downloads = new Map<string, DownloadLease>();
  readonly #pendingStores = new SingleFlight<string, LinkLease>();
  readonly #pendingDownloads = new SingleFlight<string, DownloadLease>();

  constructor(options: LinkCacheOptions) {
    this.#options = options;
  }

  /** A lease for storing anywhere in the library: "upload" by folder and name, "update" by the path of an existing file. */
  async store(use: "upload" | "update", library: LibraryId, signal?: AbortSignal): Promise<LinkLease> {
    const key = `${use} ${library}`;
    const kept = this.#fresh(this.#stores, key);
    if (kept !== undefined) return kept;
    const ask = use === "upload" ? getUploadLink : getUpdateLink;
    const take = async (shared: AbortSignal) => {
      const takenAt = this.#options.clock();
      const link = await this.#patiently(shared, (patience) => ask(this.#options.http, library, patience));
      return this.#keep(this.#stores, { key, link: this.#usable(link), takenAt });
    };
    return this.#pendingStores.run(key, take, signal);
  }

  /**
   * A lease for the version if there is one or its path still holds it; else for what the path holds now (compare `id`).
   * Kind "not-found" when the path holds no file.
   */
  async download(library: LibraryId, version: FileVersion, signal?: AbortSignal): Promise<DownloadLease> {
    const kept = this.#fresh(this.#downloads, `${library} ${version.id}`);
    if (kept !== undefined) return kept;
    const take = async (shared: AbortSignal) => {
      const takenAt = this.#options.clock();
      const ask = (patience: AbortSignal) => getFileLink(this.#options.http, library, version.path, patience);
      const { link, id } = await this.#patiently(shared, ask);
      return this.#keep(this.#downloads, { key: `${library} ${id}`, link: this.#usable(link), takenAt, id });
    };
    return this.#pendingDownloads.run(`${library} ${version.path}`, take, signal);
  }

  /** The file server refused the lease: the next caller gets another one. */
  drop(lease: LinkLease): void {
    for (const leases of [this.#stores, this.#downloads]) {
      if (leases.get(lease.key) === lease) leases.delete(lease.key);
    }
  }

  #fresh<L extends LinkLease>(leases: Map<string, L>, key: string): L | undefined {
    const lease = leases.get(key);
    return lease !== undefined && this.#options.clock() - lease.takenAt < RENEW_AFTER_MS ? lease : undefined;
  }

  #keep<L extends LinkLease>(leases: Map<string, L>, lease: L): L {
    leases.delete(lease.key);
    leases.set(lease.key, lease);
    for (const oldest of leases.keys()) {
      if (leases.size <= MAX_LEASES) break;
      leases.delete(oldest);
    }
    return lease;
  }

  /** The request ends after the policy's deadline, when nobody waits for it any more, or when the account is closed. */
  #patiently<T>(shared: AbortSignal, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { http, policy, log } = this.#options;
    const signal = AbortSignal.any([http.closing, shared]);
    return retry({ policy, log, signal }, () => request(signal));
  }

  #usable(link: string): string {
    return fileServerLink(link, this.#options.fileServer);
  }
}
