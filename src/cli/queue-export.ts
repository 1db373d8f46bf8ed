/**
 * `queue export`: brings the content of one pending change to a local file, which the mounting process writes.
 * Invariant: the destination is outside of every mount of seamount, where that process would wait for itself, and is not there yet.
 */
import { lstat, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { QueueItem } from "../control/protocol.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import { listRecords } from "./mount-record.ts";
import type { Selection } from "./queue-selection.ts";

/** Returns the path of the new file. Throws CliError. */
export async function exportItem(selection: Selection, destination: string): Promise<string> {
  const [item, ...more] = selection.items.filter(({ op }) => op === "put");
  if (item === undefined) throw new CliError(EXIT.notFound, "There is no content to copy in this.");
  if (more.length > 0) throw usageError("Several changes are meant: export one at a time, by its number.");
  const file = await fileFor(item, destination);
  await selection.client.export(item.id, file);
  return file;
}

async function fileFor(item: QueueItem, destination: string): Promise<string> {
  const wanted = resolve(destination);
  refuseMounts(wanted);
  const isFolder = (await stat(wanted).catch(() => undefined))?.isDirectory() === true;
  const file = isFolder ? join(wanted, basename(item.path)) : wanted;
  const folder = await realpath(dirname(file)).catch((cause: unknown) => {
    throw new CliError(EXIT.notFound, `There is no folder ${dirname(file)}.`, { cause });
  });
  const real = join(folder, basename(file));
  refuseMounts(real);
  if ((await lstat(real).catch(() => undefined)) !== undefined) throw usageError(`${real} exists already.`);
  return real;
}

function refuseMounts(path: string): void {
  const around = listRecords().find(({ mountpoint }) => path === mountpoint || path.startsWith(`${mountpoint}/`));
  if (around) throw usageError(`${path} is in the mount ${around.mountpoint}: choose a local folder.`);
}
