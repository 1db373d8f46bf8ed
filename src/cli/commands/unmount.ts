/**
 * `seamount unmount`: takes the mount away, which the system refuses while files are open, and waits until the process that
 * served it has stored what was pending and ended. Works for dead mount points, too.
 */
import type { CommandModule } from "yargs";
import { detachMount, mountStateOf } from "../../unmount.ts";
import { ErrnoError } from "../../util/errno.ts";
import { CliError, EXIT, sentenceOf } from "../exit-codes.ts";
import { findRecord, reportEnd, takeUnstored, waitForEnd } from "../mount-record.ts";
import { canonicalMountpoint } from "../mountpoint.ts";
import { remark, remarkOnTerminal, say } from "../output.ts";

interface Args {
  readonly mountpoint: string;
  readonly lazy?: boolean | undefined;
}

export const unmountCommand: CommandModule<object, Args> = {
  command: "unmount <mountpoint>",
  aliases: ["umount"],
  describe: "Unmount, after everything that was changed is stored",
  builder: (yargs) =>
    yargs
      .positional("mountpoint", { type: "string", demandOption: true, describe: "Where it is mounted" })
      .option("lazy", {
        type: "boolean",
        describe: "Detach now although files are open; the rest happens when they are closed",
      })
      .example("$0 unmount ~/Seafile", "")
      .example("$0 unmount --lazy ~/Seafile", "while a program still has a file open"),
  handler: async (args) => {
    const mountpoint = await canonicalMountpoint(args.mountpoint);
    const state = await mountStateOf(mountpoint);
    const record = findRecord(mountpoint);
    if (state === "other") throw new CliError(EXIT.notFound, `${mountpoint} is a mount, but not one of seamount.`);
    if (state === "nothing" && !record) throw new CliError(EXIT.notFound, `Nothing is mounted on ${mountpoint}.`);
    if (state === "seamount") await detach(mountpoint, args.lazy === true);
    if (record && !args.lazy)
      await waitForEnd(record, () => remarkOnTerminal("Waiting until everything is stored ..."));
    process.exitCode = reportEnd(args.lazy ? [] : takeUnstored(mountpoint), mountpoint, remark);
    if (process.exitCode === EXIT.ok) say(`${mountpoint} unmounted`);
  },
};

async function detach(mountpoint: string, lazy: boolean): Promise<void> {
  try {
    await detachMount(mountpoint, { lazy });
  } catch (error) {
    if ((await mountStateOf(mountpoint)) === "nothing") return; // Somebody else was faster.
    const isBusy = error instanceof ErrnoError && error.code === "EBUSY";
    const message = isBusy
      ? `${mountpoint} is busy: a program has files open there or works in it (\`fuser -vm ${mountpoint}\` names it); close it, or use --lazy.`
      : sentenceOf(error);
    throw new CliError(EXIT.mount, message, { cause: error });
  }
}
