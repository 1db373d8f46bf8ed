/**
 * One account on one server: logging in, checking the token, libraries, quota. Owns the connections and the links of
 * everything made from it; close() ends them. Called by mount.ts and the CLI.
 */
import type { Logger } from "../observe/log.ts";
import { raceAbort } from "../util/abort.ts";
import { type Context, repeat } from "./context.ts";
import { getAccountInfo, getAuthPing, getLibraries, getServerInfo, postAuthToken } from "./endpoints.ts";
import { SeafileError } from "./errors.ts";
import { type ClientOptions, HttpClient } from "./http.ts";
import { AccountLibrary } from "./library.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { LinkCache } from "./links.ts";
import { isWritable, rankOf } from "./permission.ts";
import { DEFAULT_RETRY, type RetryPolicy, retry } from "./retry.ts";
import type { LibraryLine } from "./schema.ts";
import type { Source } from "./source.ts";
import type { LibraryId, LibraryInfo, Quota } from "./types.ts";
import { Unlocker } from "./unlocker.ts";

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

export class Account implements Source {
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
    const { usage, total } = await repeat(this.#context, signal, () => getAccountInfo(this.#http, signal));
    return { used: usage, total: total > 0 ? total : null };
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
