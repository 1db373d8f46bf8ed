#!/usr/bin/env node
/**
 * The program `seamount`, started by the shell, and by daemonize.ts for the process that serves a mount in the background,
 * which takes its orders from a channel instead of its arguments. Invariant: no other place ends the process.
 */
import { hideBin } from "yargs/helpers";
import { isBackgroundProcess } from "./background-protocol.ts";

async function main(): Promise<number> {
  if (isBackgroundProcess()) {
    const { runInBackground } = await import("./background-process.ts");
    return await runInBackground();
  }
  // Nobody reads any more (`seamount libraries | head -1`): no failure, and no reason to abandon a mount.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const { runCommandLine } = await import("./command-line.ts");
  return await runCommandLine(hideBin(process.argv));
}

process.exit(await main());
