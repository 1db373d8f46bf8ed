/**
 * Reading bytes of one file version over its download lease. Invariants: the bytes are of exactly that version, in order,
 * none twice and none missing, however often connections break or links expire; nothing is requested for an empty range.
 * Called by Library.read. The file server names the version that it serves in the ETag (server/access-file.c).
 */
import type { Context } from "./context.ts";
import { getContent } from "./endpoints-file-server.ts";
import { isLocked, SeafileError } from "./errors.ts";
import type { HttpStream } from "./http-message.ts";
import type { DownloadLease } from "./links.ts";
import { RetryBudget } from "./retry.ts";
import type { FileVersion, LibraryId, ObjectId } from "./types.ts";

export interface ReadRequest {
  readonly library: LibraryId;
  readonly version: FileVersion;
  /** 0 <= start, end <= version.size. */
  readonly start: number;
  readonly end: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether the version that the file server names is the wanted one; unless given, whether the ids are equal. */
  readonly isWanted?: (served: ObjectId) => boolean;
}

/** Where links to content come from. */
export interface Leases {
  /** A lease for the version, or for what its path holds now (compare `id`). Kind "not-found" when it holds no file. */
  download(library: LibraryId, version: FileVersion, signal?: AbortSignal): Promise<DownloadLease>;
  /** The file server refused the lease: the next one is another. */
  drop(lease: DownloadLease): void;
}

/** A public link has nothing to unlock. */
type Reading = Pick<Context, "http" | "log" | "policy"> & Partial<Pick<Context, "unlocker">>;

/** Yields bytes [start, end). A cut body is continued where it stopped; bytes that arrive renew the patience. */
export async function* readVersion(context: Reading, leases: Leases, request: ReadRequest): AsyncGenerator<Buffer> {
  const { library, version, end, signal } = request;
  const budget = new RetryBudget(context.policy, context.log);
  let offset = request.start;
  let renewed = false;
  let unlocked = false;
  while (offset < end) {
    const lease = await leases.download(library, version, signal).catch((error: unknown) => {
      // Only an opened version is read: that nothing is at its path any more does not make it a name that never was.
      throw error instanceof SeafileError && error.kind === "not-found" ? gone(version, error) : error;
    });
    if (lease.id !== version.id) throw gone(version);
    const { unlocker } = context;
    const begun = unlocker?.now();
    try {
      for await (const chunk of range(context, lease.link, { ...request, start: offset })) {
        offset += chunk.length;
        budget.reset();
        renewed = false;
        unlocked = false;
        yield chunk;
      }
    } catch (error) {
      // The link has expired, or the server has forgotten it with a restart.
      if (isRefusedLink(error) && !renewed) {
        renewed = true;
        leases.drop(lease);
        continue;
      }
      // The server keeps the key of an encrypted library for an hour, and not over a restart.
      if (isLocked(error) && !unlocked && unlocker !== undefined && begun !== undefined) {
        unlocked = true;
        unlocker.lost(library, begun);
        await unlocker.unlock(library, signal);
        continue;
      }
      await budget.backOff(error, signal);
    }
  }
}

/** Did the file server refuse a link, rather than Seahub a request? */
export function isRefusedLink(error: unknown): boolean {
  return error instanceof SeafileError && error.status === 403 && error.kind === "forbidden";
}

function gone(version: FileVersion, cause?: SeafileError): SeafileError {
  const message = `The version of ${JSON.stringify(version.path)} that was opened has been replaced or removed.`;
  return new SeafileError("gone", message, cause === undefined ? {} : { cause });
}

/** One ranged GET. Fails with a transient error when the body ends early. */
async function* range(context: Reading, link: string, request: ReadRequest): AsyncGenerator<Buffer> {
  const { version, start, end, signal } = request;
  const whole = start === 0 && end === version.size;
  const answer = await getContent(context.http, link, version, whole ? undefined : { start, end }, signal);
  const served = /^"?([0-9a-f]{40})"?$/.exec(answer.header("etag") ?? "")?.[1];
  const { isWanted = (id: ObjectId) => id === version.id } = request;
  if (served !== undefined && !isWanted(served as ObjectId)) {
    answer.discard();
    throw gone(version);
  }
  const rangeIgnored = answer.status === 200 && !whole;
  let skip = bytesBefore(answer, request);
  let wanted = end - start;
  let last: Buffer | undefined;
  for await (const chunk of answer.chunks) {
    const useful = chunk.subarray(Math.min(skip, chunk.length)).subarray(0, wanted);
    skip -= Math.min(skip, chunk.length);
    wanted -= useful.length;
    if (wanted > 0 && useful.length > 0) yield useful;
    if (wanted === 0) last ??= useful;
    if (wanted === 0 && rangeIgnored) break;
  }
  // Held back until the body has ended, so that a caller who stops at the last byte does not cost the connection.
  if (last !== undefined) {
    yield last;
    return;
  }
  throw new SeafileError("protocol", `Reading ${JSON.stringify(version.path)} failed: the server sent too few bytes.`, {
    transient: true,
  });
}

/** How many bytes in front of `start` the answer holds: none in a partial answer, all of them in a whole one. */
function bytesBefore(answer: HttpStream, { version, start }: ReadRequest): number {
  if (answer.status === 200) return start;
  const [, first, size] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.header("content-range") ?? "") ?? [];
  if (answer.status === 206 && Number(first) === start && (size === "*" || Number(size) === version.size)) return 0;
  answer.discard();
  const path = JSON.stringify(version.path);
  throw new SeafileError("protocol", `Reading ${path} failed: the server sent other bytes than those asked for.`);
}
