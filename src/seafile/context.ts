/**
 * What the parts of one logged-in account share: the HTTP client, the links, how patient to be. Made by Account, used by
 * Library and its parts.
 */
import type { Logger } from "../observe/log.ts";
import type { HttpClient } from "./http.ts";
import type { Interrupted } from "./library-chunks.ts";
import type { Limits } from "./limits.ts";
import type { LinkCache } from "./links.ts";
import { type RetryPolicy, retry } from "./retry.ts";
import type { Unlocker } from "./unlocker.ts";

export interface Context {
  readonly http: HttpClient;
  readonly links: LinkCache;
  readonly unlocker: Unlocker;
  readonly log: Logger;
  readonly policy: RetryPolicy;
  readonly limits: Limits;
  /** What this server, or a proxy before it, has refused in a way that makes another attempt pointless. */
  readonly refused: Set<"batch-delete" | "chunks">;
  /** Library and path of uploads that ended without an answer: they may have been stored. */
  readonly uncertain: Set<string>;
  /** Library and path of uploads in chunks that were given up on the way. */
  readonly interrupted: Map<string, Interrupted>;
  /** Does the server store the `last_modify` of an upload? One request per account. */
  keepsMtimes(signal?: AbortSignal): Promise<boolean>;
}

/** Repeats a request that does no harm when applied twice. */
export function repeat<T>(
  context: Pick<Context, "log" | "policy">,
  signal: AbortSignal | undefined,
  request: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const { policy, log } = context;
  return retry({ policy, log, signal }, () => request(signal));
}
