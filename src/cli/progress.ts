/**
 * Shows on the terminal how the queues of mounts empty while something waits for it. Used by `sync` and `unmount`.
 * Invariant: showing never changes what is waited for: a status that cannot be had is not shown.
 */
import { ControlClient } from "../control/client.ts";
import type { MountStatus } from "../control/protocol.ts";
import { raceAbort, sleep } from "../util/abort.ts";
import { ProgressLine } from "./live-display.ts";
import type { MountRecord } from "./mount-record.ts";
import { printable } from "./output.ts";
import { progressText } from "./status-view.ts";

const INTERVAL_MS = 500;

/** Resolves or rejects as `work` does. */
export async function withProgress<Result>(records: readonly MountRecord[], work: Promise<Result>): Promise<Result> {
  const line = new ProgressLine();
  if (!line.isVisible) return await work;
  const over = new AbortController();
  const shown = showUntil(records, line, over.signal);
  try {
    return await work;
  } finally {
    over.abort();
    await shown;
    line.clear();
  }
}

async function showUntil(records: readonly MountRecord[], line: ProgressLine, signal: AbortSignal): Promise<void> {
  while (await isStillTime(signal)) {
    const statuses = await raceAbort(Promise.all(records.map(statusOf)), signal).catch(() => []);
    const known = statuses.flatMap((status) => status ?? []);
    if (known.length > 0) line.show(printable(progressText(known)));
  }
}

/** Short work ends before anything is shown. */
function isStillTime(signal: AbortSignal): Promise<boolean> {
  return sleep(INTERVAL_MS, signal).then(
    () => true,
    () => false,
  );
}

async function statusOf(record: MountRecord): Promise<MountStatus | undefined> {
  if (record.socket === undefined) return undefined;
  try {
    const client = await ControlClient.connect(record.socket);
    try {
      return await client.status();
    } finally {
      client.close();
    }
  } catch {
    return undefined;
  }
}
