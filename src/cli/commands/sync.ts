/**
 * `seamount sync`: stores everything pending now and waits for it. For scripts, its exit code is the answer.
 * Invariant: exit code 0 only when every mount that was asked has said that nothing of it is pending.
 */

import { MAX_WAIT_MS, type SyncResult } from "../../control/protocol.ts";
import type { Command } from "../command.ts";
import { type CliError, EXIT } from "../exit-codes.ts";
import { parseSeconds } from "../mount-flags.ts";
import { counted, remark, sayJson } from "../output.ts";
import { withProgress } from "../progress.ts";
import { findPlace, type Place, runningMounts, withControl } from "../running-mounts.ts";

interface Args {
  readonly path?: string | undefined;
  readonly timeout?: string | undefined;
  readonly json?: boolean | undefined;
}

export const syncCommand: Command<Args> = {
  command: "sync [path]",
  describe: "Store everything that was written now, and wait until it is",
  builder: (yargs) =>
    yargs
      .positional("path", {
        type: "string",
        describe: "A mount point, or a file or folder in a mount (default: all mounts)",
      })
      .option("timeout", { type: "string", describe: "Seconds to wait at most (default: as long as it takes)" })
      .option("json", { type: "boolean", describe: "Print JSON" })
      .example("$0 sync && poweroff", "exit code 6 when something could not be stored")
      .example("$0 sync ~/Seafile/Work --timeout 60", "only what is below this folder"),
  handler: async (args) => {
    const timeoutMs =
      args.timeout === undefined ? undefined : Math.min(parseSeconds(args.timeout, "--timeout"), MAX_WAIT_MS);
    const places = await placesOf(args.path);
    const records = places.map(({ record }) => record);
    const outcomes = await withProgress(
      records,
      Promise.allSettled(places.map((place) => syncPlace(place, timeoutMs))),
    );
    const results = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    if (args.json) sayJson(results);
    for (const result of results) if (isLeft(result)) remark(leftSentence(result));
    if (results.some(isLeft)) process.exitCode = EXIT.unstored;
    const failure = outcomes.find((outcome) => outcome.status === "rejected");
    if (failure) throw failure.reason as CliError;
  },
};

interface PlaceResult extends SyncResult {
  readonly mountpoint: string;
}

async function placesOf(path: string | undefined): Promise<readonly Place[]> {
  return path === undefined ? runningMounts().map((record) => ({ record, location: "/" })) : [await findPlace(path)];
}

async function syncPlace({ record, location }: Place, timeoutMs: number | undefined): Promise<PlaceResult> {
  const below = location === "/" ? undefined : location;
  const { pending, held } = await withControl(record, (client) => client.sync(below, timeoutMs));
  return { mountpoint: record.mountpoint, pending, held };
}

const isLeft = ({ pending, held }: SyncResult) => pending > 0 || held > 0;

function leftSentence({ mountpoint, pending, held }: PlaceResult): string {
  const part = held === 0 ? "" : ` (${held} held)`;
  const verb = pending === 1 ? "is" : "are";
  return `seamount: ${mountpoint}: ${counted(pending, "change")} ${verb} not stored${part}; \`seamount queue ls ${mountpoint}\` lists them.`;
}
