/**
 * How queued changes are shown: a table for people, tab-separated lines for programs, one block per change for `show`.
 * Invariant: the plain columns are documented in README.md and keep their order. Pure but for the clock that is handed in.
 */
import type { QueueItem } from "../control/protocol.ts";
import { type Column, humanSize, printable } from "./output.ts";
import { moment, stateText } from "./status-view.ts";

/** An item with the mount it belongs to, as --json prints it. */
export interface QueueRow extends QueueItem {
  readonly mountpoint: string;
}

/** Where a person finds it: below the mount point, or in the library when the mount does not show it. */
export function placeText({ mountpoint, location, library, path }: QueueRow): string {
  return location === undefined ? `${library}:${path}` : `${mountpoint}${location}`;
}

/** For a terminal. */
export function tableColumns(now: number): readonly Column<QueueRow>[] {
  return [
    { title: "ID", text: (row) => String(row.id), align: "right" },
    { title: "CHANGE", text: (row) => row.op },
    { title: "SIZE", text: (row) => (row.op === "put" ? humanSize(row.size) : ""), align: "right" },
    { title: "SINCE", text: (row) => moment(row.since, now) },
    { title: "STATE", text: (row) => stateText(row, now) },
    { title: "PATH", text: placeText },
  ];
}

/** For a pipe. */
export const PLAIN_COLUMNS: readonly Column<QueueRow>[] = [
  { title: "ID", text: (row) => String(row.id) },
  { title: "MOUNTPOINT", text: (row) => row.mountpoint },
  { title: "CHANGE", text: (row) => row.op },
  { title: "SIZE", text: (row) => String(row.size) },
  { title: "SINCE", text: (row) => new Date(row.since).toISOString() },
  { title: "STATE", text: (row) => row.state },
  { title: "REASON", text: (row) => row.reason ?? "" },
  { title: "LIBRARY", text: (row) => row.library },
  { title: "PATH", text: (row) => row.path },
];

/** Everything that is known of one change. */
export function detailLines(row: QueueRow, now: number): string[] {
  const tries = row.attempts === 0 ? [] : [field("attempts", String(row.attempts))];
  return [
    printable(`${row.id}  ${placeText(row)}`),
    field("change", row.op),
    field("library", row.library),
    field("path", row.path),
    ...(row.op === "put" ? [field("size", `${row.size} bytes`)] : []),
    field("since", moment(row.since, now)),
    field("state", stateText(row, now)),
    ...tries,
    ...(row.because === undefined ? [] : [field("because", row.because)]),
  ];
}

const field = (title: string, text: string) => `  ${title.padEnd(8)}  ${printable(text)}`;
