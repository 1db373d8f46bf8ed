/**
 * Which running mount a word of the command line means, and a connection to its process.
 * Invariants: a path is matched against the records, so that no mounted filesystem that may be dead or slow is asked about what
 * is inside it; a failure of the control socket becomes a sentence that names the mount. Used by status, queue, sync and unmount.
 */
import { realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ControlClient } from "../control/client.ts";
import { ControlError } from "../control/protocol.ts";
import { CliError, EXIT, type ExitCode } from "./exit-codes.ts";
import { listRecords, type MountRecord } from "./mount-record.ts";

/** A place in a mount: `location` is absolute below the mount point, "/" for the mount point itself. */
export interface Place {
  readonly record: MountRecord;
  readonly location: string;
}

/** All mounts that run. Throws CliError (notFound) when there is none. */
export function runningMounts(): readonly MountRecord[] {
  const records = listRecords();
  if (records.length === 0) throw new CliError(EXIT.notFound, "Nothing is mounted.");
  return records;
}

/** The running mount that `path` is in. Throws CliError (notFound). */
export async function findPlace(path: string): Promise<Place> {
  const records = listRecords();
  const absolute = resolve(path);
  const place = placeOf(absolute, records) ?? placeOf(await resolveOutside(absolute, records), records);
  if (place === undefined) throw new CliError(EXIT.notFound, `${absolute} is not in a running mount of seamount.`);
  return place;
}

/** Compares names only; of nested mounts the inner one counts. */
function placeOf(path: string, records: readonly MountRecord[]): Place | undefined {
  const around = records.filter(({ mountpoint }) => path === mountpoint || path.startsWith(`${mountpoint}/`));
  const record = around.sort((a, b) => b.mountpoint.length - a.mountpoint.length)[0];
  return record && { record, location: path.slice(record.mountpoint.length) || "/" };
}

/** Resolves the symbolic links on the way to a mount, and none inside it. */
async function resolveOutside(path: string, records: readonly MountRecord[]): Promise<string> {
  const names = path.split("/").filter((name) => name !== "");
  let resolved = "/";
  for (const [i, name] of names.entries()) {
    resolved = join(resolved, name);
    resolved = await realpath(resolved).catch(() => resolved);
    if (placeOf(resolved, records) !== undefined) return join(resolved, ...names.slice(i + 1));
  }
  return resolved;
}

/** Runs `use` with a connection to the mount. Throws CliError for whatever goes wrong with it. */
export async function withControl<Result>(
  record: MountRecord,
  use: (client: ControlClient) => Promise<Result>,
): Promise<Result> {
  try {
    if (record.socket === undefined) throw new ControlError("unreachable", "It has no control socket.");
    const client = await ControlClient.connect(record.socket);
    try {
      return await use(client);
    } finally {
      client.close();
    }
  } catch (error) {
    throw error instanceof ControlError ? asCliError(error, record) : error;
  }
}

const EXIT_OF: Readonly<Record<string, ExitCode>> = { EBUSY: EXIT.mount, EEXIST: EXIT.usage, ENOENT: EXIT.notFound };
const NO_ANSWER = ["unreachable", "timeout", "closed"];

function asCliError(error: ControlError, { mountpoint, pid }: MountRecord): CliError {
  if (error.code === "unknown-method")
    return new CliError(EXIT.unexpected, `${mountpoint} is served by another version of seamount: mount it again.`);
  const message = NO_ANSWER.includes(error.code)
    ? `${mountpoint} (process ${pid}) cannot be asked: ${error.message}`
    : error.message;
  return new CliError(EXIT_OF[error.code] ?? EXIT.unexpected, message, { cause: error });
}

/**
 * Asks the mount to end. "silent": its process cannot be asked (any more), which is no failure of the end itself; "busy": programs
 * have files open. Throws CliError for everything else.
 */
export async function endThroughControl(
  record: MountRecord,
  drainMs: number | undefined,
): Promise<{ readonly pending: number } | "busy" | "silent"> {
  try {
    return await withControl(record, (client) => client.unmount(drainMs));
  } catch (error) {
    const code = error instanceof CliError && error.cause instanceof ControlError ? error.cause.code : undefined;
    if (code === "EBUSY") return "busy";
    if (code !== undefined && NO_ANSWER.includes(code)) return "silent";
    throw error;
  }
}
