/**
 * LinkLease: a link to the file server with its age. Links live for 3,600 s from their creation, use does not prolong them,
 * and a restart of the server forgets them (seafile-server web-accesstoken-mgr). Invariants: no lease older than 3,000 s is
 * handed out; a download lease is keyed by the content it is pinned to; waiters of the same lease share one request, and
 * one of them giving up does not disturb the others. Called by reader.ts, library.ts and library-put.ts.
 */
import type { Logger } from "../observe/log.ts";
import { raceAbort } from "../util/abort.ts";
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
  readonly #pending = new Map<string, Promise<LinkLease>>();

  constructor(options: LinkCacheOptions) {
    this.#options = options;
  }

  /** A lease for storing anywhere in the library: "upload" by folder and name, "update" by the path of an existing file. */
  async store(use: "upload" | "update", library: LibraryId, signal?: AbortSignal): Promise<LinkLease> {
    const key = `${use} ${library}`;
    const kept = this.#fresh(this.#stores, key);
    if (kept !== undefined) return kept;
    const ask = use === "upload" ? getUploadLink : getUpdateLink;
    return this.#shared(key, signal, async () => {
      const takenAt = this.#options.clock();
      const link = await this.#patiently(() => ask(this.#options.http, library));
      return this.#keep(this.#stores, { key, link: this.#usable(link), takenAt });
    });
  }

  /**
   * A lease for the version if there is one or its path still holds it; else for what the path holds now (compare `id`).
   * Kind "not-found" when the path holds no file.
   */
  async download(library: LibraryId, version: FileVersion, signal?: AbortSignal): Promise<DownloadLease> {
    const kept = this.#fresh(this.#downloads, `${library} ${version.id}`);
    if (kept !== undefined) return kept;
    return this.#shared(`download ${library} ${version.path}`, signal, async () => {
      const takenAt = this.#options.clock();
      const { link, id } = await this.#patiently(() => getFileLink(this.#options.http, library, version.path));
      return this.#keep(this.#downloads, { key: `${library} ${id}`, link: this.#usable(link), takenAt, id });
    });
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

  /** The shared request has no caller's signal; it ends by itself after the policy's deadline, or when the account is closed. */
  #shared<L extends LinkLease>(key: string, signal: AbortSignal | undefined, take: () => Promise<L>): Promise<L> {
    let pending = this.#pending.get(key) as Promise<L> | undefined;
    if (pending === undefined) {
      pending = take().finally(() => this.#pending.delete(key));
      pending.catch(() => {});
      this.#pending.set(key, pending);
    }
    return raceAbort(pending, signal);
  }

  #patiently<T>(request: () => Promise<T>): Promise<T> {
    const { http, policy, log } = this.#options;
    return retry({ policy, log, signal: http.closing }, request);
  }

  #usable(link: string): string {
    return fileServerLink(link, this.#options.fileServer);
  }
}
