/**
 * What a mount reaches libraries through: an account, or a public link without one. Types only; implemented by Account and
 * LinkAccount, used by the vfs and mount.ts.
 */
import type { Library } from "./library.ts";
import type { ShareLinks } from "./share-links.ts";
import type { Stars } from "./stars.ts";
import type { LibraryId, LibraryInfo, Quota } from "./types.ts";

/** What a mount needs of whatever it reaches libraries through. */
export interface Source {
  /** Whether the server answered the last time that it was asked. */
  readonly isOnline: boolean;
  /** Bytes of content received since the start. */
  readonly downloaded: number;
  /** Only an account has these. */
  readonly stars?: Stars;
  readonly shareLinks?: ShareLinks;
  libraries(signal?: AbortSignal): Promise<readonly LibraryInfo[]>;
  library(info: LibraryInfo): Library;
  quota(signal?: AbortSignal): Promise<Quota>;
  /** Is the content of the library out of reach, as far as is known without a request? */
  isLocked(library: LibraryId): boolean;
  /** Unlocks an encrypted library now. Rejects with "wrong-password", and keeps the password that it had. */
  unlock(library: LibraryId, password: string, signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
