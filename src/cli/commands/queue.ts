/**
 * `seamount queue`: what is not stored yet, change by change: list, show, retry, hold, release, discard, export.
 * Invariant: nothing is lost by a command that was not confirmed: `discard` asks, or wants --yes. Fields of --json are
 * documented in README.md.
 */
import type { Argv } from "yargs";
import { type Command, subcommand } from "../command.ts";
import { CliError, EXIT, usageError } from "../exit-codes.ts";
import { listRecords } from "../mount-record.ts";
import { counted, plainLines, printable, remark, say, sayJson, tableLines } from "../output.ts";
import { ask, canAsk } from "../prompt.ts";
import { exportItem } from "../queue-export.ts";
import { type Selection, withSelection } from "../queue-selection.ts";
import { detailLines, PLAIN_COLUMNS, placeText, type QueueRow, tableColumns } from "../queue-view.ts";
import { findPlace, withControl } from "../running-mounts.ts";

interface Args {
  readonly mountpoint?: string | undefined;
  readonly what?: readonly string[] | undefined;
  readonly file?: string | undefined;
  readonly json?: boolean | undefined;
  readonly yes?: boolean | undefined;
}

const WHAT = "Numbers from `seamount queue ls`, or files and folders in a mount";
/** How many changes a question names. */
const MAX_NAMED = 10;

export const queueCommand: Command = {
  command: "queue",
  describe: "List and handle what is not stored yet",
  builder: (yargs) =>
    yargs
      .example("$0 queue ls", "a table; tab-separated lines when piped")
      .example("$0 queue export 12 ~/rescued.txt", "then: seamount queue discard 12")
      .example("$0 queue retry ~/Seafile/Work", "everything below this folder"),
  subcommands: [
    subcommand("ls [mountpoint]", "List what is pending", listing, list),
    subcommand("show <what..>", "Show everything that is known of changes", choosing, show),
    subcommand("retry [what..]", "Try changes, or all of them, now", selecting, retry),
    subcommand("hold <what..>", "Keep changes back until they are released", selecting, hold),
    subcommand("release <what..>", "Let held changes go on", selecting, release),
    subcommand("discard <what..>", "Give changes up; what was written is lost", discarding, discard),
    subcommand("export <what> <file>", "Copy what was written to a local file", exporting, exportOne),
  ],
};

function listing(yargs: Argv) {
  return yargs
    .positional("mountpoint", { type: "string", describe: "Only this mount, or a folder in it (default: all mounts)" })
    .option("json", { type: "boolean", describe: "Print JSON" });
}

function selecting(yargs: Argv) {
  return yargs.positional("what", { type: "string", array: true, describe: WHAT });
}

function choosing(yargs: Argv) {
  return selecting(yargs).option("json", { type: "boolean", describe: "Print JSON" });
}

function discarding(yargs: Argv) {
  return selecting(yargs).option("yes", { type: "boolean", describe: "Do not ask" });
}

function exporting(yargs: Argv) {
  return yargs
    .positional("what", { type: "string", describe: "A number from `seamount queue ls`, or a file in a mount" })
    .positional("file", { type: "string", describe: "Where to; must not exist. In a folder it keeps its name" })
    .coerce("what", (word: string) => [word]);
}

async function list(args: Args): Promise<void> {
  const rows = args.mountpoint === undefined ? await everything() : await below(args.mountpoint);
  if (args.json) sayJson(rows);
  else if (!process.stdout.isTTY) for (const line of plainLines(rows, PLAIN_COLUMNS)) say(line);
  else if (rows.length === 0) say("Everything is stored.");
  else for (const line of tableLines(rows, tableColumns(Date.now()))) say(line);
}

async function everything(): Promise<QueueRow[]> {
  const records = listRecords();
  if (records.length === 0) remark("Nothing is mounted.");
  const queues = await Promise.all(
    records.map((record) => withControl(record, async (client) => rowsOf(record.mountpoint, await client.queue()))),
  );
  return queues.flat();
}

async function below(path: string): Promise<QueueRow[]> {
  const { record, location } = await findPlace(path);
  const queue = await withControl(record, (client) => client.queue());
  const isBelow = (place: string | undefined) =>
    location === "/" || place === location || place?.startsWith(`${location}/`);
  return rowsOf(
    record.mountpoint,
    queue.filter((item) => isBelow(item.location)),
  );
}

async function show(args: Args): Promise<void> {
  await withSelection(args.what ?? [], async ({ record, items }) => {
    const rows = rowsOf(record.mountpoint, items);
    if (args.json) sayJson(rows);
    else for (const row of rows) for (const line of detailLines(row, Date.now())) say(line);
  });
}

async function retry(args: Args): Promise<void> {
  await withSelection(args.what ?? [], async (selection) => {
    const { client, isWhole } = selection;
    tell(selection, isWhole ? await client.retry() : await client.retry(idsOf(selection)), "tried again now");
  });
}

async function hold(args: Args): Promise<void> {
  await withSelection(args.what ?? [], async (selection) => {
    tell(selection, await selection.client.hold(idsOf(selection)), "held");
  });
}

async function release(args: Args): Promise<void> {
  await withSelection(args.what ?? [], async (selection) => {
    tell(selection, await selection.client.release(idsOf(selection)), "released");
  });
}

async function discard(args: Args): Promise<void> {
  await withSelection(args.what ?? [], async (selection) => {
    if (!args.yes && selection.items.length > 0) await confirm(selection);
    tell(selection, await selection.client.discard(idsOf(selection)), "discarded");
  });
}

async function exportOne(args: Args): Promise<void> {
  await withSelection(args.what ?? [], async (selection) => {
    const file = await exportItem(selection, args.file!);
    say(`Copied to ${printable(file)}`);
  });
}

function rowsOf(mountpoint: string, items: Selection["items"]): QueueRow[] {
  return items.map((item) => ({ mountpoint, ...item }));
}

const idsOf = ({ items }: Selection) => items.map(({ id }) => id);

function tell({ record }: Selection, count: number, what: string): void {
  say(`${record.mountpoint}: ${counted(count, "change")} ${what}`);
}

/** Throws CliError unless a person says yes. */
async function confirm({ record, items }: Selection): Promise<void> {
  if (!canAsk()) throw usageError("Discarding loses what was written: say --yes when nobody can be asked.");
  for (const row of rowsOf(record.mountpoint, items.slice(0, MAX_NAMED))) remark(`  ${printable(placeText(row))}`);
  if (items.length > MAX_NAMED) remark(`  and ${items.length - MAX_NAMED} more`);
  const answer = await ask(`Lose what was written to ${items.length === 1 ? "it" : "these"} for good? [y/N]`);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError(EXIT.unexpected, "Nothing was discarded.");
}
