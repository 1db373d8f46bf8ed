/**
 * The passwords of encrypted libraries, and whether the server has them: it keeps a key for the account in memory, for an hour
 * from when the password was given, and decrypts and encrypts with it. Invariants: a password is sent at first need, renewed
 * before the hour is over for as long as the account is open, and once more when the server has forgotten it; one that is
 * wrong is not sent again; none appears in a message. Made by Account; called by Library, reader.ts and store-link.ts.
 */
import type { Logger } from "../observe/log.ts";
import { SingleFlight } from "../util/single-flight.ts";
import { getKeyMaterial, postLibraryPassword } from "./endpoints-password.ts";
import { SeafileError } from "./errors.ts";
import type { HttpClient } from "./http.ts";
import { type FileKey, fileKeyOf } from "./library-key.ts";
import { type RetryPolicy, retry } from "./retry.ts";
import type { LibraryId, LibraryInfo } from "./types.ts";

export interface UnlockerOptions {
  readonly http: HttpClient;
  readonly policy: RetryPolicy;
  readonly log: Logger;
  /** Milliseconds from one password to the next; default 45 minutes. */
  readonly renewMs?: number | undefined;
}

interface Entry {
  /** undefined: nobody has asked for the library yet. */
  name: string | undefined;
  password: string | undefined;
  /** The server has taken this password, at some time. */
  isVerified: boolean;
  /** Since when the server has the key, as far as is known. */
  setAt: number | undefined;
  /** Why the password is of no use. */
  refused: SeafileError | undefined;
  key: FileKey | undefined;
  timer: NodeJS.Timeout | undefined;
}

const RENEW_MS = 45 * 60_000;
/** After a renewal that failed: several more fit into the hour. */
const RENEW_AGAIN_MS = 60_000;
/** A key of this age is not relied on: the machine may have slept through its renewal. */
const TRUSTED_MS = 58 * 60_000;

export class Unlocker {
  readonly #options: UnlockerOptions;
  readonly #entries = new Map<LibraryId, Entry>();
  readonly #flights = new SingleFlight<LibraryId, void>();
  #isStopped = false;

  constructor(options: UnlockerOptions) {
    this.#options = options;
  }

  /** The account has this library. */
  know(info: LibraryInfo): void {
    if (info.encrypted) this.#entry(info.id).name = info.name;
  }

  /** A password that somebody says is right; it is sent at first need. */
  give(library: LibraryId, password: string): void {
    const entry = this.#entry(library);
    Object.assign(entry, { password, isVerified: false, setAt: undefined, refused: undefined, key: undefined });
  }

  /** Sends a password now, and keeps it if it is right. Rejects with "wrong-password" or as the request does; then nothing changes. */
  async offer(library: LibraryId, password: string, signal?: AbortSignal): Promise<void> {
    const at = this.now();
    await this.#send(library, password, signal);
    const entry = this.#entry(library);
    if (entry.password !== password) this.give(library, password);
    this.#taken(library, entry, at);
  }

  /** Milliseconds, for `lost`. Not the time of day, which may be set back. */
  now(): number {
    return performance.now();
  }

  isEncrypted(library: LibraryId): boolean {
    return this.#entries.get(library)?.name !== undefined;
  }

  /** Whether the password has been right before. */
  isVerified(library: LibraryId): boolean {
    return this.#entries.get(library)?.isVerified === true;
  }

  /** Why the content cannot be used, where that takes no request to know. */
  refusal(library: LibraryId): SeafileError | undefined {
    const entry = this.#entries.get(library);
    if (entry?.name === undefined) return undefined;
    if (entry.password !== undefined) return entry.refused;
    return new SeafileError(
      "encrypted",
      `The library "${entry.name}" is encrypted and locked here: give its password with \`seamount unlock\`.`,
      { unapplied: true },
    );
  }

  /**
   * Resolves when the server has the key, or when it needs none. Rejects with "encrypted" (no password here), "wrong-password", or as the
   * request does.
   */
  async unlock(library: LibraryId, signal?: AbortSignal): Promise<void> {
    const refused = this.refusal(library);
    if (refused !== undefined) throw refused;
    const entry = this.#entries.get(library);
    if (entry?.name === undefined || this.#isTrusted(entry)) return;
    await this.#flights.run(library, (shared) => this.#set(library, entry, shared), signal);
  }

  /** The server had no key for a request that began at `since`. */
  lost(library: LibraryId, since: number): void {
    const entry = this.#entries.get(library);
    if (entry?.setAt === undefined || entry.setAt > since) return;
    this.#options.log.info({ library }, `the server has forgotten the password of "${entry.name}"; it gets it again`);
    entry.setAt = undefined;
  }

  /** Of an unlocked library; undefined when ids of its content cannot be known. */
  async fileKey(library: LibraryId, signal?: AbortSignal): Promise<FileKey | undefined> {
    const entry = this.#entries.get(library);
    if (entry?.password === undefined || entry.key !== undefined) return entry?.key;
    const { http, policy, log } = this.#options;
    const material = await retry({ policy, log, signal }, () => getKeyMaterial(http, library, signal));
    if (material !== undefined) entry.key = fileKeyOf(entry.password, material);
    return entry.key;
  }

  /** No password is sent from here on. */
  stop(): void {
    this.#isStopped = true;
    for (const { timer } of this.#entries.values()) clearTimeout(timer);
  }

  #entry(library: LibraryId): Entry {
    const known = this.#entries.get(library);
    if (known !== undefined) return known;
    const entry: Entry = {
      ...{ name: undefined, password: undefined, isVerified: false, setAt: undefined },
      ...{ refused: undefined, key: undefined, timer: undefined },
    };
    this.#entries.set(library, entry);
    return entry;
  }

  #isTrusted({ setAt }: Entry): boolean {
    return setAt !== undefined && this.now() - setAt < TRUSTED_MS;
  }

  async #set(library: LibraryId, entry: Entry, signal: AbortSignal | undefined): Promise<void> {
    const { password } = entry;
    if (password === undefined) return;
    const at = this.now();
    try {
      await this.#send(library, password, signal);
    } catch (error) {
      // Another one may have been given meanwhile.
      if (entry.password !== password) return this.#set(library, entry, signal);
      if (error instanceof SeafileError && error.kind === "wrong-password") throw this.#refuse(library, entry, error);
      throw error;
    }
    if (entry.password !== password) return this.#set(library, entry, signal);
    this.#taken(library, entry, at);
  }

  #send(library: LibraryId, password: string, signal: AbortSignal | undefined): Promise<void> {
    const { http, policy, log } = this.#options;
    const patience = signal === undefined ? http.closing : AbortSignal.any([http.closing, signal]);
    const send = () => postLibraryPassword(http, library, password, patience);
    return retry({ policy, log, signal: patience }, send);
  }

  #taken(library: LibraryId, entry: Entry, at: number): void {
    if (!entry.isVerified) this.#options.log.info({ library }, `the library "${entry.name ?? library}" is unlocked`);
    entry.isVerified = true;
    entry.refused = undefined;
    entry.setAt = at;
    this.#renewIn(library, entry, this.#options.renewMs ?? RENEW_MS);
  }

  #refuse(library: LibraryId, entry: Entry, cause: SeafileError): SeafileError {
    const name = entry.name ?? library;
    const message = `The password given for the encrypted library "${name}" is wrong: give the right one with \`seamount unlock\`.`;
    const refused = new SeafileError("wrong-password", message, { status: cause.status, unapplied: true, cause });
    entry.refused = refused;
    entry.isVerified = false;
    entry.setAt = undefined;
    clearTimeout(entry.timer);
    this.#options.log.warn({ library }, message);
    return refused;
  }

  #renewIn(library: LibraryId, entry: Entry, ms: number): void {
    clearTimeout(entry.timer);
    if (this.#isStopped) return;
    const renew = () => {
      this.#flights
        .run(library, (shared) => this.#set(library, entry, shared))
        .catch((error: unknown) => {
          if (entry.refused !== undefined || this.#isStopped) return;
          this.#options.log.warn({ library, err: error }, `the password of "${entry.name}" could not be renewed yet`);
          this.#renewIn(library, entry, RENEW_AGAIN_MS);
        });
    };
    entry.timer = setTimeout(renew, ms).unref();
  }
}
