/** What every handler works with: the store, the links, the clock, the addresses, and which server is imitated. */
import type { AccessTokens } from "./links.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { Store } from "./store.ts";

export type Flavour = "c" | "go";

export interface Services {
  readonly store: Store;
  readonly links: AccessTokens;
  /** Milliseconds. */
  readonly now: () => number;
  readonly flavour: Flavour;
  /** 12 keeps the `last_modify` of uploads and refuses emoji in names. */
  readonly compat: 11 | 12;
  readonly rateLimit: RateLimit | undefined;
  /** Base addresses without a final slash. */
  readonly seahubUrl: () => string;
  readonly fileServerUrl: () => string;
}
