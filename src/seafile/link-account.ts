/**
 * A visitor without an account: one public link on one server, with the same face as an Account, so that a mount does not
 * mind. Owns the connections; close() ends them. Called by mount.ts and the CLI.
 */
import { SeafileError } from "./errors.ts";
import { type ClientOptions, HttpClient } from "./http.ts";
import type { Library } from "./library.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { LinkAddress } from "./link-address.ts";
import { LinkSession } from "./link-session.ts";
import { DEFAULT_RETRY } from "./retry.ts";
import { ShareLinkLibrary } from "./share-link.ts";
import type { Source } from "./source.ts";
import type { LibraryInfo, Quota } from "./types.ts";
import { UploadLinkLibrary } from "./upload-link.ts";

export class LinkAccount implements Source {
  readonly link: Library;
  readonly #address: LinkAddress;
  readonly #http: HttpClient;

  constructor(
    options: Omit<ClientOptions, "server" | "token"> & { address: LinkAddress; password: string | undefined },
  ) {
    const { address, password, log, fileServer } = options;
    this.#address = address;
    this.#http = new HttpClient({ ...options, server: address.server });
    const parts = {
      context: {
        http: this.#http,
        log,
        policy: { ...DEFAULT_RETRY, ...options.retry },
        limits: { ...DEFAULT_LIMITS, ...options.limits },
      },
      address,
      session: new LinkSession(this.#http, address, password),
      password,
      fileServer,
      clock: options.clock ?? Date.now,
    };
    this.link = address.kind === "upload" ? new UploadLinkLibrary(parts) : new ShareLinkLibrary(parts);
  }

  get isOnline(): boolean {
    return this.#http.isOnline;
  }

  get downloaded(): number {
    return this.#http.downloaded;
  }

  /**
   * Whether the link works. Rejects with "bad-credentials" for its password, "forbidden" when it has expired or was removed, "not-found"
   * when the folder named in the address is not in it.
   */
  async check(signal?: AbortSignal): Promise<void> {
    if (this.link instanceof UploadLinkLibrary) await this.link.check(signal);
    else await this.link.list(this.#address.path, undefined, signal);
  }

  async libraries(): Promise<readonly LibraryInfo[]> {
    return [this.link.info];
  }

  library(info: LibraryInfo): Library {
    if (info.id !== this.link.id) throw new SeafileError("not-found", "A link shows one folder only.");
    return this.link;
  }

  isLocked(): boolean {
    return false;
  }

  async unlock(): Promise<void> {
    throw new SeafileError("not-found", "A link shows no encrypted library.");
  }

  quota(signal?: AbortSignal): Promise<Quota> {
    return this.link.quota(signal);
  }

  /** Breaks off what is under way and closes all connections. */
  async close(): Promise<void> {
    await this.#http.close();
  }
}
