/**
 * How commands print: tables for a terminal, tab-separated lines for a pipe, JSON on request.
 * Invariant: text from a server (names) never reaches the terminal with control characters in it.
 */

export interface Column<Row> {
  readonly title: string;
  /** For people. */
  readonly text: (row: Row) => string;
  /** For programs, when it differs (bytes instead of "1.2 MB"). */
  readonly plain?: (row: Row) => string;
  readonly align?: "right";
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Remarks go to stderr, so that stdout holds the answer only. */
export function remark(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A remark that only a person who waits has a use for. */
export function remarkOnTerminal(line: string): void {
  if (process.stderr.isTTY) remark(line);
}

export function sayJson(value: unknown): void {
  say(JSON.stringify(value, null, 2));
}

export function sayTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void {
  for (const line of process.stdout.isTTY ? tableLines(rows, columns) : plainLines(rows, columns)) say(line);
}

/** Aligned columns under a heading. */
export function tableLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => printable(column.text(row)))),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => [...line[i]!].length)));
  const pad = (cell: string, i: number) => {
    const space = " ".repeat(widths[i]! - [...cell].length);
    return columns[i]!.align === "right" ? space + cell : cell + space;
  };
  return cells.map((line) => line.map(pad).join("  ").trimEnd());
}

/** One line per row, cells separated by one tab, no heading. */
export function plainLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  return rows.map((row) => columns.map((column) => printable((column.plain ?? column.text)(row))).join("\t"));
}

/** Control, format (bidirectional overrides) and line separator characters as \u{HEX}; the two joiners are part of words. */
export function printable(text: string): string {
  return text.replace(
    /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`,
  );
}

/** "1 change", "2 changes". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** Bytes for people, in powers of 1,000 as Seafile's own pages show them: "1.2 MB". */
export function humanSize(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Unix seconds for people: local date and time; `none` when there is no time. */
export function localTime(seconds: number | undefined, none = "-"): string {
  if (seconds === undefined) return none;
  const at = new Date(seconds * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Unix seconds for programs: ISO 8601 in UTC; "" when there is no time. */
export function isoTime(seconds: number | undefined): string {
  return seconds === undefined ? "" : new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** "title  text" lines of one thing, with the titles aligned. */
export function fieldLines(fields: readonly (readonly [title: string, text: string])[]): string[] {
  const width = Math.max(...fields.map(([title]) => title.length));
  return fields.map(([title, text]) => `${title.padEnd(width)}  ${printable(text)}`.trimEnd());
}
