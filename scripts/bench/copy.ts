/**
 * How long `cp -r` of 1,000 small files takes, and how long after it the server holds them: on the local disk (the limit) and in a
 * seamount mount, one after the other in every round, over a development server. Prints a table of
 * medians, and of the rounds' ratios to the local disk. Invariant: no mount, process or folder is left. Started by scripts/bench/copy.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { createDevServer } from "../../src/devserver/index.ts";
import { mountAt } from "../../src/fuse/system/mountinfo.ts";
import { unmountPath } from "../../src/fuse/system/unmount-path.ts";
import { median } from "./median.ts";

const FILES = 1000;
/** The account that the development server has by itself. */
const EMAIL = "test@example.com";
/** This file runs as scripts/bench/dist/scripts/bench/copy.js; the program is the built one. */
const MAIN = join(import.meta.dirname, "../../../../../dist/cli/main.js");
const run = promisify(execFile);

interface Result {
  readonly copyMs: number;
  /** After the end of cp. */
  readonly storedMs: number;
  readonly requests: number;
}

const { values: options } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const rounds = Number(options.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds is a number");

const interrupted = new AbortController();
const { signal } = interrupted;
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => interrupted.abort());
const folder = mkdtempSync(join(tmpdir(), "seamount-bench-"));
const source = join(folder, "source");
mkdirSync(source);
for (let i = 0; i < FILES; i++) writeFileSync(join(source, `file-${i}`), Buffer.alloc(1000 + 3 * i, `${i} `));
const server = await createDevServer({ compat: 12 });
const libraryId = server.store.createLibrary(EMAIL, "Work");
const running: { child: ChildProcess; dir: string; exited: Promise<unknown> }[] = [];

async function mounted(name: string, command: string, args: (dir: string) => string[], env: object): Promise<string> {
  const dir = join(folder, name);
  mkdirSync(dir);
  const child = spawn(command, args(dir), { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "inherit"] });
  let hasEnded = false;
  const exited = once(child, "exit").then(() => (hasEnded = true));
  running.push({ child, dir, exited });
  while ((await mountAt(dir)) === undefined) {
    if (hasEnded) throw new Error(`${name} did not mount`);
    await sleep(50, undefined, { signal });
  }
  return dir;
}

async function copy(to: string, stored?: string): Promise<Result> {
  server.requests.reset();
  const start = performance.now();
  await run("cp", ["-r", source, to]);
  const copied = performance.now();
  const held = () => [...server.store.tree(libraryId).keys()].filter((path) => path.startsWith(`${stored}/`)).length;
  while (stored !== undefined && held() < FILES) await sleep(50, undefined, { signal });
  return { copyMs: copied - start, storedMs: performance.now() - copied, requests: server.requests.count() };
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

try {
  const home = { HOME: folder, XDG_DATA_HOME: join(folder, "data"), XDG_RUNTIME_DIR: folder, XDG_CONFIG_HOME: folder };
  const seamount = await mounted(
    "mount",
    process.execPath,
    (dir) => [MAIN, "mount", "--foreground", "--library", "Work", dir],
    { ...home, SEAMOUNT_SERVER: server.url, SEAMOUNT_TOKEN: server.token(EMAIL) },
  );
  const results = { "local disk": [] as Result[], seamount: [] as Result[] };
  // Round 0 lets V8 compile what it will, and is not counted.
  for (let round = 0; round <= rounds; round++) {
    process.stderr.write(`round ${round} of ${rounds}\n`);
    const local = await copy(join(folder, `local-${round}`));
    const mount = await copy(join(seamount, `s${round}`), `/s${round}`);
    if (round === 0) continue;
    results["local disk"].push(local);
    results.seamount.push(mount);
  }
  const system = `Linux ${release()}, Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}`;
  const day = new Date().toISOString().slice(0, 10);
  console.log(
    `${day}, scripts/bench/copy --rounds ${rounds}: ${system}; medians; the ratio is the median of the rounds' ratios.\n`,
  );
  console.log("| cp -r of 1,000 files of 1 to 4 KB | time | to the local disk | on the server after | requests |");
  console.log("|---|---|---|---|---|");
  for (const [name, all] of Object.entries(results)) {
    const ratio = median(all.map(({ copyMs }, round) => copyMs / results["local disk"][round]!.copyMs));
    const rest =
      name === "local disk"
        ? "| | |"
        : `| ${seconds(median(all.map(({ storedMs }) => storedMs)))} | ${median(all.map(({ requests }) => requests))} |`;
    console.log(`| ${name} | ${seconds(median(all.map(({ copyMs }) => copyMs)))} | ${ratio.toFixed(1)} ${rest}`);
  }
} catch (error) {
  if (!signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  for (const { child, dir, exited } of running) {
    if ((await mountAt(dir)) !== undefined) await unmountPath(dir, { lazy: true });
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await exited;
    clearTimeout(late);
  }
  await server.close();
  rmSync(folder, { recursive: true, force: true });
}
