/**
 * The file keys of encrypted libraries that users have unlocked (server/passwd-mgr.c). Invariants: in memory only, per library
 * and user; a key lives 3,600 s from when the password was given, use does not prolong it, and it is gone with the
 * next run of the reaper, each 60 s. Called by the web API (passwords) and the file server (keys).
 */
import { type FileKey, fileKeyOf } from "./encryption.ts";
import type { Library } from "./library.ts";

const LIFETIME_MS = 3_600_000;
const REAPER_MS = 60_000;

export class UnlockedKeys {
  readonly #keys = new Map<string, { readonly key: FileKey; readonly gone: number }>();
  readonly #now: () => number;
  readonly #started: number;

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#started = now();
  }

  /** Gives the user the hour; false when the password is wrong, which takes nothing away. Only for encrypted libraries. */
  unlock(library: Library, userId: string, password: string): boolean {
    const key = fileKeyOf(library.id, password, library.record.encryption!);
    if (key === undefined) return false;
    const age = this.#now() + LIFETIME_MS - this.#started;
    const gone = this.#started + Math.ceil(age / REAPER_MS) * REAPER_MS;
    this.#keys.set(`${library.id} ${userId}`, { key, gone });
    return true;
  }

  /** undefined: the library is not encrypted, or locked for this user; `isLocked` tells which. */
  key(library: Library, userId: string): FileKey | undefined {
    const known = this.#keys.get(`${library.id} ${userId}`);
    return known !== undefined && this.#now() < known.gone ? known.key : undefined;
  }

  isLocked(library: Library, userId: string): boolean {
    return library.isEncrypted && this.key(library, userId) === undefined;
  }

  /** As a restart of seaf-server does. */
  forgetAll(): void {
    this.#keys.clear();
  }
}
