/**
 * `seamount unmount`: ends a mount, which is refused while files are open, and waits until the process that serves it has stored
 * what was pending and ended. A mount whose process cannot be asked is taken away through the system; dead ones, too.
 * Invariant: exit code 0 only when the process has ended in order and left nothing (of one that was dead before nothing is known).
 */

import { MAX_WAIT_MS } from "../../control/protocol.ts";
import { detachMount, mountStateOf } from "../../unmount.ts";
import { ErrnoError } from "../../util/errno.ts";
import type { Command } from "../command.ts";
import { CliError, EXIT, sentenceOf } from "../exit-codes.ts";
import { reportEnd } from "../mount-end.ts";
import { parseSeconds } from "../mount-flags.ts";
import { findRecord, type MountRecord, takeEnd, waitForEnd } from "../mount-record.ts";
import { canonicalMountpoint } from "../mountpoint.ts";
import { remark, remarkOnTerminal, say } from "../output.ts";
import { withProgress } from "../progress.ts";
import { endThroughControl } from "../running-mounts.ts";

interface Args {
  readonly mountpoint: string;
  readonly lazy?: boolean | undefined;
  readonly now?: boolean | undefined;
  readonly timeout?: string | undefined;
}

export const unmountCommand: Command<Args> = {
  command: "unmount <mountpoint>",
  aliases: ["umount"],
  describe: "Unmount, after everything that was changed is stored",
  builder: (yargs) =>
    yargs
      .positional("mountpoint", { type: "string", demandOption: true, describe: "Where it is mounted" })
      .options({
        timeout: { type: "string", describe: "Seconds to wait for what is pending; the next mount stores the rest" },
        now: { type: "boolean", describe: "Wait for nothing: the next mount stores what is pending" },
        lazy: {
          type: "boolean",
          describe: "Detach now although files are open; the rest happens when they are closed",
        },
      })
      .conflicts({ now: ["timeout", "lazy"], timeout: "lazy" })
      .example("$0 unmount ~/Seafile", "")
      .example("$0 unmount --now ~/Seafile", "before the network goes")
      .example("$0 unmount --lazy ~/Seafile", "while a program still has a file open"),
  handler: async (args) => {
    const drainMs = drainMsOf(args);
    const mountpoint = await canonicalMountpoint(args.mountpoint);
    const state = await mountStateOf(mountpoint);
    const record = findRecord(mountpoint);
    if (state === "other") throw new CliError(EXIT.notFound, `${mountpoint} is a mount, but not one of seamount.`);
    if (state === "nothing" && !record) throw new CliError(EXIT.notFound, `Nothing is mounted on ${mountpoint}.`);
    if (args.lazy) {
      if (state === "seamount") await detach(mountpoint, true);
      say(`${mountpoint} unmounted`);
      return;
    }
    const pending = await endAndWait(mountpoint, record, drainMs);
    const end = takeEnd(mountpoint);
    if (end === undefined) throw diedError(mountpoint);
    process.exitCode = reportEnd({ ...end, pending: end.pending ?? pending }, mountpoint, remark);
    if (process.exitCode === EXIT.ok) say(`${mountpoint} unmounted`);
  },
};

/** 0: not at all; undefined: as the mount itself would. */
function drainMsOf(args: Args): number | undefined {
  if (args.now) return 0;
  return args.timeout === undefined ? undefined : Math.min(parseSeconds(args.timeout, "--timeout"), MAX_WAIT_MS);
}

/** Resolves when the process is gone, with the number of changes that it left, as far as it said so. */
async function endAndWait(
  mountpoint: string,
  record: MountRecord | undefined,
  drainMs: number | undefined,
): Promise<number> {
  const asked = record && (await withProgress([record], endThroughControl(record, drainMs)));
  if (asked === "busy") throw busyError(mountpoint);
  if (asked === undefined || asked === "silent") {
    if ((await mountStateOf(mountpoint)) === "seamount") await detach(mountpoint, false);
  }
  if (record) {
    await withProgress(
      [record],
      waitForEnd(record, () => remarkOnTerminal("Waiting until everything is stored ...")),
    );
  }
  return typeof asked === "object" ? asked.pending : 0;
}

async function detach(mountpoint: string, lazy: boolean): Promise<void> {
  try {
    await detachMount(mountpoint, { lazy });
  } catch (error) {
    if ((await mountStateOf(mountpoint)) === "nothing") return; // Somebody else was faster.
    if (error instanceof ErrnoError && error.code === "EBUSY") throw busyError(mountpoint, error);
    throw new CliError(EXIT.mount, sentenceOf(error), { cause: error });
  }
}

function diedError(mountpoint: string): CliError {
  const message = `${mountpoint} is unmounted, but its process died before it said what is stored; the next mount stores what was left.`;
  return new CliError(EXIT.unstored, message);
}

function busyError(mountpoint: string, cause?: unknown): CliError {
  const message = `${mountpoint} is busy: a program has files open there or works in it (\`fuser -vm ${mountpoint}\` names it); close it, or use --lazy.`;
  return new CliError(EXIT.mount, message, { cause });
}
