/**
 * What a mount reaches libraries through: an account, or a public link without one. Types only; implemented by Account and
 * LinkAccount, used by the vfs and mount.ts.
 */
import type { Library } from "./library.ts";
import type { LibraryInfo, Quota } from "./types.ts";

/** What a mount needs of whatever it reaches libraries through. */
export interface Source {
  /** Whether the server answered the last time that it was asked. */
  readonly isOnline: boolean;
  /** Bytes of content received since the start. */
  readonly downloaded: number;
  libraries(signal?: AbortSignal): Promise<readonly LibraryInfo[]>;
  library(info: LibraryInfo): Library;
  quota(signal?: AbortSignal): Promise<Quota>;
  close(): Promise<void>;
}
