/**
 * Which queued changes the words of a `queue` command mean: ids, files and folders in a mount, or a mount point.
 * Invariant: a word that means nothing pending is refused by name, and all words must belong to one mount, so that nothing is
 * discarded by mistake.
 */
import type { ControlClient } from "../control/client.ts";
import type { QueueItem } from "../control/protocol.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import type { MountRecord } from "./mount-record.ts";
import { findPlace, type Place, runningMounts, withControl } from "./running-mounts.ts";

export interface Selection {
  readonly record: MountRecord;
  readonly client: ControlClient;
  /** In the order of the queue. */
  readonly items: readonly QueueItem[];
  /** True when no word narrowed it: everything that is pending, and what comes meanwhile. */
  readonly isWhole: boolean;
}

/** Runs `use` with what the words select; without words that is everything in the only mount. Throws CliError. */
export async function withSelection<Result>(
  words: readonly string[],
  use: (selection: Selection) => Promise<Result>,
): Promise<Result> {
  const ids = words.filter(isId).map(Number);
  const places = await Promise.all(words.filter((word) => !isId(word)).map(findPlace));
  const record = oneMount(places);
  return await withControl(record, async (client) => {
    const queue = await client.queue();
    const below = places.filter(({ location }) => location !== "/");
    for (const id of ids)
      if (!queue.some((item) => item.id === id))
        throw new CliError(EXIT.notFound, `Nothing with the number ${id} is pending in ${record.mountpoint}.`);
    for (const { location } of below)
      if (!queue.some((item) => isIn(item, location)))
        throw new CliError(EXIT.notFound, `Nothing is pending in ${record.mountpoint}${location}.`);
    const isWhole = ids.length === 0 && below.length === 0;
    const wanted = new Set(ids);
    const items = queue.filter(
      (item) => isWhole || wanted.has(item.id) || below.some(({ location }) => isIn(item, location)),
    );
    return await use({ record, client, items, isWhole });
  });
}

/** As `seamount queue ls` shows it: a number. A file of such a name is written ./12. */
const isId = (word: string) => /^[1-9]\d{0,14}$/.test(word);

function isIn(item: QueueItem, location: string): boolean {
  return item.location === location || item.location?.startsWith(`${location}/`) === true;
}

function oneMount(places: readonly Place[]): MountRecord {
  const candidates = places.length > 0 ? places.map(({ record }) => record) : runningMounts();
  const mountpoints = [...new Set(candidates.map(({ mountpoint }) => mountpoint))];
  if (mountpoints.length === 1) return candidates[0]!;
  throw usageError(
    places.length > 0
      ? `One mount at a time, not ${mountpoints.join(" and ")}.`
      : `Several mounts are running; say which one: ${mountpoints.join(", ")}.`,
  );
}
