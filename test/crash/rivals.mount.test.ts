/**
 * Two programs on the same files: one opens, writes and closes what the other renames and removes, over a slow server. Afterwards,
 * and after kills at random moments, each name holds what was closed last of the file that was renamed there.
 * SEAMOUNT_CRASH_ROUNDS says how many kills (2 unless set), SEAMOUNT_CRASH_SEED repeats the load.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { EMAIL } from "../support/mounts.ts";
import { PYTHON } from "../support/process.ts";
import { type Scope, testScope, withScope } from "../support/scope.ts";
import { CrashingMount, randomNumbers } from "./crashing-mount.ts";

const PROGRAM = join(import.meta.dirname, "rivals.py");
const ROUNDS = Number(process.env["SEAMOUNT_CRASH_ROUNDS"] ?? 2);
const SEED = Number(process.env["SEAMOUNT_CRASH_SEED"] ?? Date.now() % 2 ** 31);
const LINES = 1000;

/** What rivals.py says at its end. A line stands for the content that repeats it. */
interface Outcome {
  readonly names: Readonly<Record<string, string>>;
  /** File -> what was closed, oldest first. */
  readonly history: Readonly<Record<string, readonly string[]>>;
  readonly asked:
    | { readonly op: "create"; readonly name: string; readonly line: string }
    | { readonly op: "unlink"; readonly name: string }
    | { readonly op: "rename"; readonly from: string; readonly to: string }
    | null;
  readonly writing: { readonly file: string; readonly line: string } | null;
  readonly errors: readonly string[];
}

/** Runs the two programs in a folder until `stop`, or until the mount dies. */
function rivals(scope: Scope, folder: string, seed: number): { stop(): void; readonly ended: Promise<Outcome> } {
  const child = spawn(PYTHON, [PROGRAM, folder, `${seed}`], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  scope.defer(async () => {
    child.kill("SIGKILL");
    await closed;
  });
  return { stop: () => child.kill("SIGTERM"), ended: closed.then(() => JSON.parse(text) as Outcome) };
}

/** What is wrong with what the names hold; empty: nothing. */
function problems({ names, history, asked, writing }: Outcome, tree: ReadonlyMap<string, string>): string[] {
  const newest = (file: string | undefined): (string | undefined)[] => {
    if (file === undefined) return [undefined];
    return [history[file]!.at(-1), ...(writing?.file === file ? [writing.line] : [])];
  };
  const allowed = new Map(Object.entries(names).map(([name, file]) => [name, newest(file)]));
  if (asked?.op === "create" && names[asked.name] === undefined) allowed.set(asked.name, [undefined, asked.line]);
  if (asked?.op === "unlink") allowed.get(asked.name)!.push(undefined);
  if (asked?.op === "rename") {
    const source = names[asked.from];
    const isMoved = tree.get(asked.from) === undefined;
    // In between, the target has the source's content as of when the rename began, and the source still its name.
    const target = isMoved ? newest(source) : [...newest(names[asked.to]), ...history[source!]!];
    allowed.set(asked.from, [undefined, ...newest(source)]);
    allowed.set(asked.to, target);
  }
  // What waited for the target counts as somebody else's when a kill comes between the target's new content and the end of the
  // rename: kept beside it, since the source may be gone already.
  const isKept = (name: string) =>
    asked?.op === "rename" && name.startsWith(`${asked.to} (SFConflict`) && names[asked.to] !== undefined;
  for (const name of tree.keys()) if (isKept(name)) allowed.set(name, newest(names[(asked as { to: string }).to]));
  const all = new Set([...allowed.keys(), ...tree.keys()]);
  return [...all].flatMap((name) => {
    const wanted = allowed.get(name) ?? [undefined];
    const found = tree.get(name);
    return wanted.includes(found) ? [] : [`${name}: ${found?.trim()} instead of ${wanted.map((line) => line?.trim())}`];
  });
}

/** Name -> the line that its content repeats, without copies of what was never closed. */
async function treeOf({ store }: DevServer, library: string, folder: string): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  for (const { name } of store.list(library, folder)) {
    if (name.includes(" (recovered ")) continue;
    const text = String(await store.readFile(library, `${folder}/${name}`));
    const line = text.slice(0, 16);
    tree.set(name, text === line.repeat(LINES) ? line : `torn: ${text.length} bytes`);
  }
  return tree;
}

it.each(["0.05", "0.5"])(
  "what one program closes while another renames it is stored, kills or not; delay %s s",
  {
    timeout: (ROUNDS + 1) * 60_000,
  },
  async (delay) => {
    console.log(`rivals: SEAMOUNT_CRASH_ROUNDS=${ROUNDS} SEAMOUNT_CRASH_SEED=${SEED}`);
    const scope = testScope();
    const server = await startServer(scope, { compat: 12 });
    const library = server.store.createLibrary(EMAIL, "Work");
    const random = randomNumbers(SEED);
    for (let round = 0; round <= ROUNDS; round++) server.store.mkdir(library, `/r${round}`);
    const mount = await CrashingMount.start(scope, { server, library: "Work", args: ["--write-back-delay", delay] });
    for (let round = 0; round <= ROUNDS; round++) {
      const isKilled = round > 0;
      await withScope(async (roundScope) => {
        server.faults.delay("upload", 200, { times: Number.POSITIVE_INFINITY });
        server.faults.delay("*", 20, { times: Number.POSITIVE_INFINITY });
        const load = rivals(roundScope, join(mount.dir, `r${round}`), SEED + round);
        await sleep(isKilled ? 500 + 3000 * random() : 5000);
        if (isKilled) await mount.kill();
        load.stop();
        const outcome = await load.ended;
        server.faults.clear();
        if (isKilled) await mount.start();
        const log = `round ${round}: ${JSON.stringify(outcome)}\n${mount.mounted.log()}`;
        expect(isKilled ? [] : outcome.errors, log).toEqual([]);
        expect(await mount.sync(), log).toMatchObject({ code: 0 });
        expect(problems(outcome, await treeOf(server, library, `/r${round}`)), log).toEqual([]);
        expect(await mount.leftovers(), log).toEqual([]);
      });
    }
  },
);
