/**
 * What scripts/bench/transport measures, a row of its table each. Invariant: every round of a row works on names that the kernel
 * has not seen, except the warm row, which follows the first pass and works on the same names. Used by transport.ts.
 */
import { FILES_PER_FOLDER, READABLE_BYTES } from "./memory-file-system.ts";

export interface Row {
  readonly title: string;
  readonly unit: "stat/s" | "entries/s" | "MB/s";
  /** How long the kernel may remember names and attributes, in milliseconds. */
  readonly ttlMs: number;
  /** The function of driver.py, its path below the mount point and its count. */
  readonly work: "stat" | "names" | "list" | "read" | "write";
  readonly path: (round: number) => string;
  readonly count: number;
  /** How many units one step of the count is. */
  readonly unitsPerStep: number;
  /** Below this ratio, kernel to fuse-native, the kernel transport counts as slower; 1 when absent. */
  readonly leastRatio?: number;
}

const MIB = 2 ** 20;
const MB = 1e6;
const LONG_MS = 3_600_000;

const stat = { work: "stat", unit: "stat/s", unitsPerStep: 1 } as const;
const listing = { unit: "entries/s", unitsPerStep: FILES_PER_FOLDER, ttlMs: LONG_MS } as const;
const bytes = { unit: "MB/s", unitsPerStep: MIB / MB, ttlMs: LONG_MS } as const;

export const ROWS: readonly Row[] = [
  { ...stat, title: "stat, nothing remembered", ttlMs: 0, path: () => "d", count: 4000 },
  { ...stat, title: "stat, first of each file", ttlMs: LONG_MS, path: (round) => `d${round}`, count: FILES_PER_FOLDER },
  // Asks neither: what it shows is the machine's noise.
  {
    ...stat,
    title: "stat, all remembered",
    ttlMs: LONG_MS,
    path: (round) => `d${round}`,
    count: 200_000,
    leastRatio: 0.75,
  },
  { ...listing, title: "ls of 10,000 files", work: "names", path: (round) => `dn${round}`, count: 10 },
  { ...listing, title: "ls -l of 10,000 files", work: "list", path: (round) => `dl${round}`, count: 2 },
  { ...bytes, title: "read 512 MiB", work: "read", path: (round) => `r${round}`, count: READABLE_BYTES / MIB },
  { ...bytes, title: "write 512 MiB, 1 MiB at a time", work: "write", path: (round) => `w${round}`, count: 512 },
];
