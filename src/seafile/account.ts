/**
 * One account on one server: logging in, checking the token, libraries, quota. Owns the connections and the links of
 * everything made from it; close() ends them. Called by mount.ts and the CLI.
 */
import type { Logger } from "../observe/log.ts";
import { raceAbort } from "../util/abort.ts";
import { type Context, repeat } from "./context.ts";
import {
  getAccountInfo,
  getAuthPing,
  getDownloadInfo,
  getLibraries,
  getLibrary,
  getLibraryHead,
  getPing,
  getServerInfo,
  postAuthToken,
  type ServerInfo,
} from "./endpoints.ts";
import { getProtocolVersion } from "./endpoints-file-server.ts";
import { SeafileError } from "./errors.ts";
import { type ClientOptions, HttpClient } from "./http.ts";
import { AccountLibrary } from "./library.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { LinkCache } from "./links.ts";
import { isWritable, rankOf } from "./permission.ts";
import { DEFAULT_RETRY, type RetryPolicy, retry } from "./retry.ts";

import type { DownloadInfo, LibraryDetail, LibraryHead, LibraryLine } from "./schema.ts";
import { ShareLinks } from "./share-links.ts";
import { Sharing } from "./sharing.ts";
import type { Source } from "./source.ts";
import { Stars } from "./stars.ts";
import type { LibraryId, LibraryInfo, Quota } from "./types.ts";
import { Unlocker } from "./unlocker.ts";
import { UploadLinks } from "./upload-links.ts";

export interface LoginOptions {
  readonly server: string;
  readonly username: string;
  readonly password: string;
  /** One-time code of the second factor. */
  readonly otp?: string;
  readonly log: Logger;
}

/** A person waits: a mistyped address must not take the patience that a mount has. */
const PATIENCE_OF_A_PERSON: RetryPolicy = {
  ...DEFAULT_RETRY,
  deadlineMs: 4_000,
  maxServerErrors: 2,
  maxRetryAfterMs: 4_000,
};

/**
 * Asks for the account's API token. Rejects with "bad-credentials", "otp-required" (no code was given and one is needed),
 * "invalid" (the address), "protocol" (no Seafile server there), "throttled", "unreachable" or "timeout".
 */
export async function login({ server, username, password, otp, log }: LoginOptions): Promise<{ token: string }> {
  const http = new HttpClient({ server, log });
  try {
    const credentials = { username, password, otp };
    const token = await retry({ policy: PATIENCE_OF_A_PERSON, log, signal: undefined }, () =>
      postAuthToken(http, credentials),
    );
    return { token };
  } catch (error) {
    throw refusedLogin(error, otp !== undefined);
  } finally {
    await http.close();
  }
}

/** A code that was given and not accepted is asked for by the server in the same way as one that is missing. */
function refusedLogin(error: unknown, otpGiven: boolean): unknown {
  if (!(error instanceof SeafileError) || error.kind !== "otp-required" || !otpGiven) return error;
  return new SeafileError("bad-credentials", "The server does not accept the one-time code.", { status: 400 });
}

/** The first version that stores the `last_modify` of an upload (seafile-server 12.0, fileserver/fileop.go). */
const KEEPS_MTIMES_FROM = 12;

/** Who the token belongs to. */
export interface Profile {
  /** As people write to it. */
  readonly email: string;
  /** The server's own name of the account, "...@auth.local" since 11.0. */
  readonly id: string;
  readonly name: string;
  readonly loginId: string;
  readonly department: string;
  readonly institution: string;
  readonly isStaff: boolean;
  readonly quota: Quota;
}

export class Account implements Source {
  readonly shareLinks: ShareLinks;
  readonly uploadLinks: UploadLinks;
  readonly stars: Stars;
  readonly sharing: Sharing;
  readonly #http: HttpClient;
  readonly #context: Context;
  readonly #libraries = new Map<LibraryId, AccountLibrary>();
  #version: Promise<string> | undefined;

  /** `renewPasswordsMs`: see UnlockerOptions. */
  constructor(options: ClientOptions & { readonly token: string; readonly renewPasswordsMs?: number }) {
    const { log, fileServer } = options;
    const policy = { ...DEFAULT_RETRY, ...options.retry };
    const clock = options.clock ?? Date.now;
    this.#http = new HttpClient(options);
    this.#context = {
      http: this.#http,
      links: new LinkCache({ http: this.#http, policy, log, clock, fileServer }),
      unlocker: new Unlocker({ http: this.#http, policy, log, renewMs: options.renewPasswordsMs }),
      log,
      policy,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      refused: new Set(),
      uncertain: new Set(),
      interrupted: new Map(),
      keepsMtimes: (signal) => this.#keepsMtimes(signal),
    };
    this.shareLinks = new ShareLinks(this.#context);
    this.uploadLinks = new UploadLinks(this.#context);
    this.stars = new Stars(this.#context);
    this.sharing = new Sharing(this.#context);
  }

  /** Whether the server answered the last time that it was asked. */
  get isOnline(): boolean {
    return this.#http.isOnline;
  }

  /** Bytes of content received since the start. */
  get downloaded(): number {
    return this.#http.downloaded;
  }

  /** Who the token belongs to and what the server is. Rejects with "unauthorized" when the token has been revoked. */
  async check(signal?: AbortSignal): Promise<{ email: string; name: string; serverVersion: string }> {
    const context = { ...this.#context, policy: { ...this.#context.policy, ...PATIENCE_OF_A_PERSON } };
    await repeat(context, signal, () => getAuthPing(this.#http, signal));
    const [info, serverVersion] = await Promise.all([
      repeat(context, signal, () => getAccountInfo(this.#http, signal)),
      this.#serverVersion(signal),
    ]);
    return { email: info.contact_email || info.email, name: info.name, serverVersion };
  }

  async profile(signal?: AbortSignal): Promise<Profile> {
    const info = await repeat(this.#context, signal, () => getAccountInfo(this.#http, signal));
    const { email: id, name, login_id: loginId, department, institution, is_staff: isStaff } = info;
    const email = info.contact_email || id;
    return { email, id, name, loginId, department, institution, isStaff, quota: quotaOf(info) };
  }

  /** Does the server accept the token? One attempt. Rejects with "unauthorized" when it does not. */
  async checkToken(signal?: AbortSignal): Promise<void> {
    await getAuthPing(this.#http, signal);
  }

  /** How long the server takes for an empty question, in milliseconds. One attempt, without the token's help. */
  async ping(signal?: AbortSignal): Promise<number> {
    const begun = performance.now();
    await getPing(this.#http, signal);
    return performance.now() - begun;
  }

  /** Asks the file server, which may be another address. One attempt. Resolves with its origin. */
  async pingFileServer(library: LibraryId, signal?: AbortSignal): Promise<string> {
    const { link } = await this.#context.links.store("upload", library, signal);
    await getProtocolVersion(this.#http, link, signal);
    return new URL(link).origin;
  }

  /** How far the server's clock is ahead of this one, in milliseconds, as of its last answer; 0 below two seconds. */
  get clockSkewMs(): number {
    return this.#http.clockSkewMs;
  }

  /** Version and features. */
  async serverInfo(signal?: AbortSignal): Promise<ServerInfo> {
    return repeat(this.#context, signal, () => getServerInfo(this.#http, signal));
  }

  /** What the server tells of one library beyond its line in the list. Rejects with "not-found", "forbidden". */
  async libraryDetails(id: LibraryId, signal?: AbortSignal): Promise<LibraryHead & LibraryDetail> {
    const [head, detail] = await Promise.all([
      repeat(this.#context, signal, () => getLibraryHead(this.#http, id, signal)),
      repeat(this.#context, signal, () => getLibrary(this.#http, id, signal)),
    ]);
    return { ...head, ...detail };
  }

  /** Whether and how the library may be synchronised; the server lists it among the account's devices. Rejects with "forbidden". */
  async downloadInfo(id: LibraryId, signal?: AbortSignal): Promise<DownloadInfo> {
    return repeat(this.#context, signal, () => getDownloadInfo(this.#http, id, signal));
  }

  /** All libraries of the account, each once, with the best permission among the ways it is shared. */
  async libraries(signal?: AbortSignal): Promise<readonly LibraryInfo[]> {
    const lines = await repeat(this.#context, signal, () => getLibraries(this.#http, signal));
    const best = new Map<LibraryId, LibraryLine>();
    for (const line of lines) {
      const other = best.get(line.id);
      if (other === undefined || rankOf(line.permission) < rankOf(other.permission)) best.set(line.id, line);
    }
    const infos = [...best.values()].map(libraryInfo);
    for (const info of infos) this.#context.unlocker.know(info);
    return infos;
  }

  /** What the logged-in account uses and may use. */
  async quota(signal?: AbortSignal): Promise<Quota> {
    return quotaOf(await repeat(this.#context, signal, () => getAccountInfo(this.#http, signal)));
  }

  /** A password of an encrypted library, to be used at first need. */
  givePassword(library: LibraryId, password: string): void {
    this.#context.unlocker.give(library, password);
  }

  /** Is the content of the library out of reach, as far as is known without a request? */
  isLocked(library: LibraryId): boolean {
    return this.#context.unlocker.refusal(library) !== undefined;
  }

  /** Unlocks an encrypted library now. Rejects with "wrong-password", and keeps the password that it had. */
  unlock(library: LibraryId, password: string, signal?: AbortSignal): Promise<void> {
    return this.#context.unlocker.offer(library, password, signal);
  }

  /** The same object for the same library; it takes over the newer line. */
  library(info: LibraryInfo): AccountLibrary {
    this.#context.unlocker.know(info);
    const known = this.#libraries.get(info.id);
    if (known !== undefined) {
      known.update(info);
      return known;
    }
    const library = new AccountLibrary(this.#context, info, (signal) => this.quota(signal));
    this.#libraries.set(info.id, library);
    return library;
  }

  /** Breaks off what is under way and closes all connections. */
  async close(): Promise<void> {
    this.#context.unlocker.stop();
    await this.#http.close();
  }

  async #keepsMtimes(signal?: AbortSignal): Promise<boolean> {
    return Number.parseInt(await this.#serverVersion(signal), 10) >= KEEPS_MTIMES_FROM;
  }

  /** Asked for once; a failure is not remembered. */
  #serverVersion(signal?: AbortSignal): Promise<string> {
    if (this.#version === undefined) {
      const asked = repeat(this.#context, this.#http.closing, () => getServerInfo(this.#http)).then(
        ({ version }) => version,
      );
      asked.catch(() => {
        this.#version = undefined;
      });
      this.#version = asked;
    }
    return raceAbort(this.#version, signal);
  }
}

const quotaOf = ({ usage, total }: { readonly usage: number; readonly total: number }): Quota => ({
  used: usage,
  total: total > 0 ? total : null,
});

function libraryInfo(line: LibraryLine): LibraryInfo {
  const kind = kindOf(line);
  const { id, name, encrypted, size, mtime } = line;
  return {
    id,
    name,
    kind,
    ownerName: kind === "group" ? line.group_name : line.owner_name || line.owner_nickname || line.share_from_name,
    ownerEmail: line.owner_contact_email || line.share_from_contact_email || line.share_from || line.owner,
    writable: isWritable(line.permission),
    encrypted,
    size,
    mtime,
    head: line.head_commit_id,
  };
}

/** "grepo" stands for group libraries and, without a group, for those published to everybody (seahub/api2/views.py). */
function kindOf({ type, groupid }: LibraryLine): LibraryInfo["kind"] {
  if (type === "repo") return "own";
  if (type === "srepo") return "shared";
  return groupid == null ? "public" : "group";
}
