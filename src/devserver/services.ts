/**
 * What every handler works with: the store, the links, the clock, the addresses, and which server is imitated.
 * Made once per server by index.ts.
 */
import type { LinkPolicy } from "./link-options.ts";
import type { AccessTokens } from "./links.ts";
import type { Mailer } from "./mail.ts";
import type { PartialFiles } from "./partial-files.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { Store } from "./store.ts";

export type Flavour = "c" | "go";

export interface Services {
  readonly store: Store;
  readonly links: AccessTokens;
  readonly partials: PartialFiles;
  /** ENABLE_RESUMABLE_FILEUPLOAD: file-uploaded-bytes says Accept-Ranges. Chunks are taken in any case. */
  readonly announcesChunks: boolean;
  /** Milliseconds. */
  readonly now: () => number;
  readonly flavour: Flavour;
  /** 12 keeps the `last_modify` of uploads and refuses emoji in names. */
  readonly compat: 11 | 12;
  /** Ids of copy and move tasks; each is complete when its id is given out. */
  readonly tasks: Set<string>;
  readonly rateLimit: RateLimit | undefined;
  readonly linkPolicy: LinkPolicy;
  /** Undefined: seahub's e-mail is not configured. */
  readonly mailer: Mailer | undefined;
  /** Base addresses without a final slash. */
  readonly seahubUrl: () => string;
  readonly fileServerUrl: () => string;
}
