/**
 * What `status` shows of a mount, and the one line that says how far storing has come. Pure: status in, lines out.
 * Invariant: names and messages from a server are made printable before they reach a line.
 */
import type { MountStatus, QueueItem } from "../control/protocol.ts";
import { counted, humanSize, printable } from "./output.ts";

const BAR_WIDTH = 20;
const MAX_LIBRARIES = 8;
const MAX_ERRORS = 5;
const MAX_UPLOADS = 8;

/** The report of one mount. `bars`: for a person at a terminal. `now` in milliseconds. */
export function statusLines(status: MountStatus, view: { readonly bars: boolean; readonly now: number }): string[] {
  const { rates, cache, errors, timesNotKept } = status;
  const uploads = status.queue.uploading.slice(0, MAX_UPLOADS);
  const more = status.queue.uploading.length - uploads.length;
  return [
    printable(`${status.mountpoint}: ${status.user} at ${status.server}`),
    field(
      "state",
      `${status.online ? "online" : "offline"}, transport ${status.transport}, process ${status.pid}, mounted ${moment(status.since, view.now)}`,
    ),
    field("libraries", librariesText(status.libraries)),
    field("pending", pendingText(status.queue)),
    ...uploads.map((item) => field("uploading", uploadText(item, view.bars))),
    ...(more > 0 ? [field("uploading", `and ${more} more`)] : []),
    field("rates", `up ${rate(rates.uploadBytesPerSecond)}, down ${rate(rates.downloadBytesPerSecond)}`),
    field("cache", `${humanSize(cache.bytes)} of ${humanSize(cache.maxBytes)}, ${cache.listedEntries} listed entries`),
    ...(timesNotKept > 0
      ? [field("times", `${counted(timesNotKept, "file")} with a modification time that ends with this mount`)]
      : []),
    ...errors.slice(-MAX_ERRORS).map(({ at, message }) => field("error", `${moment(at, view.now)}  ${message}`)),
  ];
}

/** "12 changes, 34 MB to store; big.iso 52 %; 1.2 MB/s": what there is to wait for, over all these mounts. */
export function progressText(statuses: readonly MountStatus[]): string {
  const sum = (of: (status: MountStatus) => number) => statuses.reduce((total, status) => total + of(status), 0);
  const files = sum(({ queue }) => queue.files);
  if (files === 0) return "Nothing is left to store ...";
  const held = sum(({ queue }) => queue.held);
  const current = statuses.flatMap(({ queue }) => queue.uploading)[0];
  return [
    `${counted(files, "change")}, ${humanSize(sum(({ queue }) => queue.bytes))} to store${held > 0 ? ` (${held} held)` : ""}`,
    ...(current ? [`${nameOf(current)}${percentOf(current)}`] : []),
    rate(sum(({ rates }) => rates.uploadBytesPerSecond)),
  ].join("; ");
}

/** "uploading 52 %", "retrying at 10:02:03", "held: quota", or the state's own name. */
export function stateText(item: QueueItem, now: number): string {
  if (item.state === "uploading") return `uploading${percentOf(item)}`;
  if (item.state === "retrying" && item.at !== undefined) return `retrying at ${moment(item.at, now)}`;
  return item.state === "held" && item.reason !== undefined ? `held: ${item.reason}` : item.state;
}

/** Local time: with seconds on the day of `now`, otherwise with the date. */
export function moment(at: number, now: number): string {
  const [date, time] = localParts(at);
  return date === localParts(now)[0] ? time : `${date} ${time.slice(0, 5)}`;
}

function localParts(ms: number): [date: string, time: string] {
  const at = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  return [
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
  ];
}

const field = (title: string, text: string) => `  ${title.padEnd(9)}  ${printable(text)}`;
const rate = (bytesPerSecond: number) => `${humanSize(bytesPerSecond)}/s`;
const nameOf = (item: QueueItem) => item.path.slice(item.path.lastIndexOf("/") + 1);

function librariesText(libraries: MountStatus["libraries"]): string {
  const shown = libraries.slice(0, MAX_LIBRARIES).map(({ name, permission, encrypted, locked }) => {
    const remarks = [
      ...(permission === "r" ? ["read-only"] : []),
      ...(encrypted ? [locked ? "encrypted, locked" : "encrypted"] : []),
    ];
    return remarks.length > 0 ? `${name} (${remarks.join(", ")})` : name;
  });
  const more = libraries.length - shown.length;
  return shown.length === 0 ? "none" : `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function pendingText(queue: MountStatus["queue"]): string {
  if (queue.files === 0) return "nothing, everything is stored";
  const troubles = [
    ...(queue.retrying > 0 ? [`${queue.retrying} retrying`] : []),
    ...(queue.held > 0 ? [`${queue.held} held (\`seamount queue ls\` says why)`] : []),
  ];
  return [`${counted(queue.files, "change")}, ${humanSize(queue.bytes)}`, ...troubles].join("; ");
}

function uploadText(item: QueueItem, bars: boolean): string {
  const done = doneOf(item);
  const filled = Math.round(done * BAR_WIDTH);
  const bar = bars ? `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}] ` : "";
  const percent = `${Math.floor(done * 100)} %`.padStart(5);
  return `${bar}${percent} of ${humanSize(item.size)}  ${item.location ?? `${item.library}:${item.path}`}`;
}

const percentOf = (item: QueueItem) => (item.sent === undefined ? "" : ` ${Math.floor(doneOf(item) * 100)} %`);

/** From 0 to 1. */
function doneOf(item: QueueItem): number {
  return item.size === 0 ? 1 : Math.min(1, (item.sent ?? 0) / item.size);
}
