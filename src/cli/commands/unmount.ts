/**
 * `seamount unmount`: takes the mount away through the system's helper, which refuses while files are open, and waits until
 * the process that served it has stored what was pending and ended. Works for dead mount points, too.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { CommandModule } from "yargs";
import { CliError, EXIT } from "../exit-codes.ts";
import { findRecord, takeUnstored, waitForEnd } from "../mount-record.ts";
import { canonicalMountpoint, findMount } from "../mount-table.ts";
import { remark, say } from "../output.ts";
import { reportEnd } from "../serve-mount.ts";

interface Args {
  readonly mountpoint: string;
  readonly lazy?: boolean | undefined;
}

const execute = promisify(execFile);

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
    const mountpoint = canonicalMountpoint(args.mountpoint);
    const mount = findMount(mountpoint);
    const record = findRecord(mountpoint);
    if (mount && mount.type !== "fuse.seamount")
      throw new CliError(EXIT.notFound, `${mountpoint} is a mount of type ${mount.type}, not one of seamount.`);
    if (!mount && !record) throw new CliError(EXIT.notFound, `Nothing is mounted on ${mountpoint}.`);
    if (mount) await detach(mountpoint, args.lazy === true);
    if (record && !args.lazy) await waitForEnd(record, () => remark("Waiting until everything is stored ..."));
    process.exitCode = reportEnd(args.lazy ? [] : takeUnstored(mountpoint), mountpoint, { tell: remark });
    if (process.exitCode === EXIT.ok) say(`${mountpoint} unmounted`);
  },
};

/** fusermount3 serves root and users alike; umount is for a root without the fuse3 package. */
async function detach(mountpoint: string, lazy: boolean): Promise<void> {
  const helpers: [string, string[]][] = [
    ["fusermount3", lazy ? ["-u", "-z", mountpoint] : ["-u", mountpoint]],
    ["umount", lazy ? ["-i", "-l", mountpoint] : ["-i", mountpoint]],
  ];
  let failure: { code?: unknown; stderr?: string } = {};
  for (const [command, args] of helpers) {
    try {
      await execute(command, args, { env: { ...process.env, LC_ALL: "C" } });
      return;
    } catch (error) {
      failure = error as typeof failure;
      if (failure.code !== "ENOENT") break;
    }
  }
  if (!findMount(mountpoint)) return; // Somebody else was faster.
  const said = (failure.stderr ?? "").trim();
  if (/busy/i.test(said))
    throw new CliError(
      EXIT.mount,
      `${mountpoint} is busy: a program has files open there or works in it (\`fuser -vm ${mountpoint}\` names it); close it, or use --lazy.`,
    );
  throw new CliError(
    EXIT.mount,
    `Unmounting ${mountpoint} failed: ${said || "neither fusermount3 nor umount is installed"}.`,
  );
}
