/**
 * Compares the transports in one run: every round measures each row with each transport in turn (A B, then B A, ...), so that a
 * neighbour's noise meets both. Prints a table of medians, and the median of the rounds' ratios first / second; --json FILE
 * writes every measurement as a line. A row where kernel is slower than fuse-native is marked, and makes the exit code 1. Invariant: no mount, process or folder is left, also when interrupted. Started by scripts/bench/transport.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmdirSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { BenchServer } from "./bench-server.ts";
import { median } from "./median.ts";
import { ROWS, type Row } from "./rows.ts";
import { TRANSPORTS, type TransportName } from "./transports.ts";

/** This file runs as scripts/bench/dist/scripts/bench/transport.js. */
const DRIVER = join(import.meta.dirname, "../../../driver.py");

/** Before each measurement, so that what a server still tidies up (it collects garbage) is not in the time of the next one. */
const PAUSE_MS = 250;

interface Measurement {
  readonly row: string;
  readonly unit: string;
  readonly transport: TransportName;
  readonly round: number;
  readonly rate: number;
}

const { values: options } = parseArgs({
  options: {
    json: { type: "string" },
    rounds: { type: "string", default: "7" },
    only: { type: "string", default: "" },
    transports: { type: "string", default: "kernel,fuse-native" },
  },
});
const rounds = Number(options.rounds);
const names = options.transports.split(",") as TransportName[];
const unknown = names.filter((name) => !(name in TRANSPORTS));
if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  throw new Error(`--rounds is a number; --transports are of ${Object.keys(TRANSPORTS).join(", ")}`);
}
const rows = ROWS.filter(({ title }) => title.includes(options.only));

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => interrupted.abort());
const folder = mkdtempSync(join(tmpdir(), "seamount-bench-"));
const servers: BenchServer[] = [];
try {
  const measurements = await measureAll();
  if (options.json !== undefined) {
    writeFileSync(options.json, measurements.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
  printTable(measurements);
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  await Promise.all(servers.map((server) => server.stop()));
  rmdirSync(folder);
}

async function measureAll(): Promise<readonly Measurement[]> {
  for (const name of names) {
    for (const ttlMs of new Set(rows.map((row) => row.ttlMs))) servers.push(new BenchServer(name, ttlMs, folder));
  }
  await Promise.all(servers.map((server) => server.mounted()));
  const measurements: Measurement[] = [];
  // Round 0 lets V8 compile what it will, and is not counted.
  for (let round = 0; round <= rounds; round++) {
    process.stderr.write(`round ${round} of ${rounds}\n`);
    const inTurn = round % 2 === 0 ? names : names.toReversed();
    for (const row of rows) {
      for (const transport of inTurn) {
        const rate = await measure(row, transport, round);
        if (round > 0) measurements.push({ row: row.title, unit: row.unit, transport, round, rate });
      }
    }
  }
  return measurements;
}

/** Units per second. */
async function measure(row: Row, transport: TransportName, round: number): Promise<number> {
  const server = servers.find(({ name, ttlMs }) => name === transport && ttlMs === row.ttlMs)!;
  await sleep(PAUSE_MS, undefined, { signal: interrupted.signal });
  const { stdout } = await promisify(execFile)(
    "/usr/bin/env",
    ["python3", DRIVER, row.work, join(server.mountpoint, row.path(round)), `${row.count}`],
    { cwd: "/", signal: interrupted.signal, killSignal: "SIGKILL" },
  );
  return (row.count * row.unitsPerStep) / Number(stdout);
}

function printTable(measurements: readonly Measurement[]): void {
  const [cpu] = cpus();
  console.log(
    `${new Date().toISOString().slice(0, 10)}, scripts/bench/transport --rounds ${rounds}: Linux ${release()}, ` +
      `Node ${process.version}, ${cpus().length} x ${cpu?.model.trim()}; medians of ${rounds} rounds, least and most in brackets.\n`,
  );
  console.log(`| work | ${names.join(" | ")} |${names.length === 2 ? " ratio |" : ""}`);
  console.log(`|---|${names.map(() => "---|").join("")}${names.length === 2 ? "---|" : ""}`);
  for (const { title, unit, leastRatio = 1 } of rows) {
    const rates = names.map((name) =>
      measurements
        .filter((m) => m.row === title && m.transport === name)
        .map(({ rate }) => rate)
        .sort((a, b) => a - b),
    );
    const cells = rates.map((all) => `${show(median(all))} ${unit} (${show(all[0]!)}-${show(all.at(-1)!)})`);
    const ratio = names.length === 2 ? ratioOf(measurements, title) : undefined;
    const isSlower = names.join() === "kernel,fuse-native" && ratio! < leastRatio;
    if (isSlower) process.exitCode = 1;
    const last = ratio === undefined ? "" : ` ${ratio.toFixed(2)}${isSlower ? ", slower" : ""} |`;
    console.log(`| ${title} | ${cells.join(" | ")} |${last}`);
  }
}

/** What was measured next to each other is compared, because the machine is faster and slower by turns. */
function ratioOf(measurements: readonly Measurement[], title: string): number {
  const rateOf = (name: TransportName | undefined, round: number) =>
    measurements.find((m) => m.row === title && m.transport === name && m.round === round)!.rate;
  const ratios = Array.from({ length: rounds }, (_, n) => rateOf(names[0], n + 1) / rateOf(names[1], n + 1));
  return median(ratios);
}

/** Three significant digits are more than the machine keeps from run to run. */
function show(rate: number): string {
  return Number(rate.toPrecision(3)).toLocaleString("en");
}
