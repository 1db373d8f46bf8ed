/** What commands print, and which exit code a failure becomes. */
import { describe, expect, it } from "vitest";
import { CliError, EXIT, exitCodeOf, sentenceOf, usageError } from "../../src/cli/exit-codes.ts";
import { type Column, humanSize, plainLines, printable, tableLines } from "../../src/cli/output.ts";
import { type Kind, SeafileError } from "../../src/seafile/errors.ts";

interface Row {
  readonly name: string;
  readonly size: number;
}
const COLUMNS: readonly Column<Row>[] = [
  { title: "NAME", text: (row) => row.name },
  { title: "SIZE", text: (row) => humanSize(row.size), plain: (row) => String(row.size), align: "right" },
];
const ROWS: readonly Row[] = [
  { name: "Überblick", size: 1_234_567 },
  { name: "b", size: 5 },
];

describe("listing", () => {
  it("a terminal gets aligned columns with a heading", () => {
    expect(tableLines(ROWS, COLUMNS)).toEqual(["NAME         SIZE", "Überblick  1.2 MB", "b             5 B"]);
  });

  it("a pipe gets one tab-separated line per row, without a heading, with exact numbers", () => {
    expect(plainLines(ROWS, COLUMNS)).toEqual(["Überblick\t1234567", "b\t5"]);
  });

  it("an empty table is a heading for people and nothing for programs", () => {
    expect(tableLines([], COLUMNS)).toEqual(["NAME  SIZE"]);
    expect(plainLines([], COLUMNS)).toEqual([]);
  });

  it("names from a server cannot move the cursor, add lines or turn the text around", () => {
    expect(printable("a\u001b[2Jb\nc\td\u202ee\u2028f")).toBe("a\\u{1b}[2Jb\\u{a}c\\u{9}d\\u{202e}e\\u{2028}f");
    expect(plainLines([{ name: "x\ty\nz", size: 1 }], COLUMNS)).toEqual(["x\\u{9}y\\u{a}z\t1"]);
    expect(printable("日本語 – naïve 🚢")).toBe("日本語 – naïve 🚢");
  });

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 KB"],
    [9949, "9.9 KB"],
    [9960, "10 KB"],
    [999_499, "999 KB"],
    [999_500, "1.0 MB"],
    [5e9, "5.0 GB"],
    [2e18, "2000 PB"],
  ])("%d bytes are %s", (bytes, text) => {
    expect(humanSize(bytes)).toBe(text);
  });
});

describe("exit codes", () => {
  it("are the documented numbers", () => {
    expect(EXIT).toEqual({
      ok: 0,
      unexpected: 1,
      usage: 2,
      notLoggedIn: 3,
      server: 4,
      mount: 5,
      unstored: 6,
      notFound: 7,
    });
  });

  it.each<[Kind, number]>([
    ["unauthorized", 3],
    ["bad-credentials", 3],
    ["otp-required", 3],
    ["unreachable", 4],
    ["timeout", 4],
    ["server", 4],
    ["protocol", 4],
    ["throttled", 4],
    ["not-found", 7],
    ["quota", 1],
  ])("a server failure of kind %s is %d", (kind, code) => {
    expect(exitCodeOf(new SeafileError(kind, "No."))).toBe(code);
  });

  it("a failure of the command line brings its own, the rest is unexpected", () => {
    expect(exitCodeOf(new CliError(EXIT.mount, "No."))).toBe(5);
    expect(exitCodeOf(usageError("No."))).toBe(2);
    expect(exitCodeOf(new TypeError("x is not a function"))).toBe(1);
    expect(exitCodeOf("thrown text")).toBe(1);
  });

  it("a message is one line, whatever was thrown", () => {
    expect(sentenceOf(new Error("One\n  two.\n"))).toBe("One two.");
    expect(sentenceOf("text")).toBe("text");
    expect(sentenceOf(new Error(""))).toBe("Something failed without saying what.");
  });
});
