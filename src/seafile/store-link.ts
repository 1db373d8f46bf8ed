/**
 * Storing through a link to the file server: the link is renewed when it is refused, the request repeated as retry() allows.
 * Invariant: when the outcome of a request stays unknown, its paths are remembered as uncertain, so that the next put of them
 * looks first. Called by library-put.ts and library-put-group.ts.
 */
import type { Context } from "./context.ts";
import { getAccountInfo, getLibrary } from "./endpoints.ts";
import type { ChangeTarget } from "./endpoints-change.ts";
import { isLocked, SeafileError } from "./errors.ts";
import { isRefusedLink } from "./reader.ts";
import { retry } from "./retry.ts";

export interface Storing<T> {
  readonly use: "upload" | "update";
  /** Bytes of content of one request. */
  readonly size: number;
  /** What is not yet known to be stored. */
  paths(): readonly string[];
  /** What became of a request whose answer was lost; undefined: not stored, or not all of it. */
  settle(): Promise<T | undefined>;
  post(link: string): Promise<T>;
}

export function uncertainKey(at: ChangeTarget, path: string): string {
  return `${at.library} ${path}`;
}

/** Repeats as retry() allows; once each, the link is renewed when the file server refuses it, and a library unlocked that is locked. */
export async function throughLink<T>(context: Context, at: ChangeTarget, storing: Storing<T>): Promise<T> {
  const { policy, log, links, uncertain } = context;
  const { signal } = at;
  let renewed = false;
  let unlocked = false;
  for (;;) {
    const lease = await links.store(storing.use, at.library, signal);
    const explain = async (error: unknown) => explainLocked(context, at, await explainCut(at, storing.size, error));
    const request = () =>
      storing.post(lease.link).catch(async (error) => {
        throw await explain(error);
      });
    const begun = context.unlocker.now();
    const paths = storing.paths();
    try {
      const settle = () => storing.settle();
      const stored = await retry({ policy, log, signal, settle, carriesBytes: true }, request);
      for (const path of paths) uncertain.delete(uncertainKey(at, path));
      return stored;
    } catch (error) {
      if (!(error instanceof SeafileError && error.unapplied)) {
        for (const path of storing.paths()) uncertain.add(uncertainKey(at, path));
      }
      if (isLocked(error) && !unlocked) {
        unlocked = true;
        context.unlocker.lost(at.library, begun);
        await context.unlocker.unlock(at.library, signal);
      } else if (isRefusedLink(error) && !renewed) {
        renewed = true;
        links.drop(lease);
      } else throw error;
    }
  }
}

/** So much fits into socket buffers, and is sent whole before a connection can break under it. */
const SENT_AT_ONCE = 64 * 1024;

/**
 * From 13 on servers refuse by Content-Length and close the connection while the body is still being sent, so that their
 * 443 may get lost on the way (server/upload-file.c): the account is asked whether the quota was the reason.
 */
async function explainCut(at: ChangeTarget, size: number, error: unknown): Promise<unknown> {
  if (
    at.own &&
    size > SENT_AT_ONCE &&
    error instanceof SeafileError &&
    error.kind === "unreachable" &&
    error.unapplied
  ) {
    const account = await getAccountInfo(at.http, at.signal).catch(() => undefined);
    if (account !== undefined && account.total > 0 && account.usage + size >= account.total) {
      const message = `Storing failed: ${size} bytes do not fit into the account's quota.`;
      return new SeafileError("quota", message, { cause: error, unapplied: true });
    }
  }
  return error;
}

/** The C server says "Internal error" where it has no key (server/upload-file.c); Seahub knows. Nothing was stored then. */
async function explainLocked(context: Context, at: ChangeTarget, error: unknown): Promise<unknown> {
  if (!(error instanceof SeafileError) || error.status !== 500 || !context.unlocker.isEncrypted(at.library))
    return error;
  const detail = await getLibrary(at.http, at.library, at.signal).catch(() => undefined);
  if (detail?.lib_need_decrypt !== true) return error;
  const message = "Storing failed: the library is encrypted, and the server needs its password.";
  return new SeafileError("encrypted", message, { status: error.status, unapplied: true, cause: error });
}
