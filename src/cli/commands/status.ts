/**
 * `seamount status`: what the running mounts are doing, once or each second. The answer of a mount that cannot be asked is a
 * remark (with --json an entry with "error") and exit code 1. Invariant: the fields of --json are documented in README.md.
 */

import type { MountStatus } from "../../control/protocol.ts";
import { sleep } from "../../util/abort.ts";
import type { Command } from "../command.ts";
import { EXIT, sentenceOf } from "../exit-codes.ts";
import { Screen } from "../live-display.ts";
import { listRecords, type MountRecord } from "../mount-record.ts";
import { remark, say, sayJson } from "../output.ts";
import { findPlace, withControl } from "../running-mounts.ts";
import { statusLines } from "../status-view.ts";

interface Args {
  readonly mountpoint?: string | undefined;
  readonly watch?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** A mount that did not answer. */
interface Silent {
  readonly mountpoint: string;
  readonly pid: number;
  readonly error: string;
}

type Report = MountStatus | Silent;

const WATCH_MS = 1000;
const NONE = "Nothing is mounted.";

export const statusCommand: Command<Args> = {
  command: "status [mountpoint]",
  describe: "Show what your mounts are doing and what is not stored yet",
  builder: (yargs) =>
    yargs
      .positional("mountpoint", { type: "string", describe: "Only this mount (default: all of yours)" })
      .option("watch", { type: "boolean", describe: "Refresh each second until Ctrl-C" })
      .option("json", { type: "boolean", describe: "Print JSON; with --watch one line per second" })
      .example("$0 status --watch", "progress bars on a terminal")
      .example("$0 status --json", "for programs"),
  handler: async (args) => {
    if (args.watch) await watch(args);
    else await once(args);
  },
};

async function once(args: Args): Promise<void> {
  const reports = await collect(args);
  const silent = reports.filter(isSilent);
  if (silent.length > 0) process.exitCode = EXIT.unexpected;
  if (args.json) {
    sayJson(reports);
    return;
  }
  if (reports.length === 0) remark(NONE);
  for (const line of linesOf(reports.filter(isAnswer))) say(line);
  for (const { error } of silent) remark(`seamount: ${error}`);
}

async function watch(args: Args): Promise<void> {
  const end = new AbortController();
  const stop = () => end.abort();
  process.on("SIGINT", stop).on("SIGTERM", stop).on("SIGHUP", stop);
  // A reader that is gone is the end, too.
  process.stdout.on("error", stop);
  const screen = process.stdout.isTTY && !args.json ? new Screen() : undefined;
  screen?.open();
  try {
    while (!end.signal.aborted) {
      const reports = await collect(args);
      if (args.json) say(JSON.stringify(reports));
      else if (screen) screen.paint(reportLines(reports));
      else for (const line of reportLines(reports)) say(line);
      await sleep(WATCH_MS, end.signal).catch(() => {});
    }
  } finally {
    screen?.close();
  }
}

/** Looked up anew each time: mounts come and go. */
async function collect(args: Args): Promise<readonly Report[]> {
  const records = args.mountpoint === undefined ? listRecords() : [(await findPlace(args.mountpoint)).record];
  return await Promise.all(records.map(ask));
}

async function ask(record: MountRecord): Promise<Report> {
  try {
    return await withControl(record, (client) => client.status());
  } catch (error) {
    return { mountpoint: record.mountpoint, pid: record.pid, error: sentenceOf(error) };
  }
}

const isSilent = (report: Report): report is Silent => "error" in report;
const isAnswer = (report: Report): report is MountStatus => !isSilent(report);

function linesOf(answers: readonly MountStatus[]): string[] {
  return answers.flatMap((answer) => statusLines(answer, { bars: process.stdout.isTTY === true, now: Date.now() }));
}

function reportLines(reports: readonly Report[]): string[] {
  if (reports.length === 0) return [NONE];
  return [...linesOf(reports.filter(isAnswer)), ...reports.filter(isSilent).map(({ error }) => error)];
}
