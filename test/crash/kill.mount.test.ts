/**
 * kill -9 of a mount at random moments under load: afterwards the server holds what close, rename and unlink had accepted, whole
 * and once. SEAMOUNT_CRASH_ROUNDS says how often (6 unless set), SEAMOUNT_CRASH_SEED repeats the load; both are printed. The
 * moment itself is the machine's.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { EMAIL } from "../support/mounts.ts";
import { eventually } from "../support/process.ts";
import { testScope, withScope } from "../support/scope.ts";
import { fileOf, localTree, serverTree } from "../support/trees.ts";
import { CrashingMount, randomNumbers } from "./crashing-mount.ts";
import { Load, startContent } from "./manifest.ts";

const ROUNDS = Number(process.env["SEAMOUNT_CRASH_ROUNDS"] ?? 6);
const SEED = Number(process.env["SEAMOUNT_CRASH_SEED"] ?? Date.now() % 2 ** 31);
const WORKERS = 3;
const START = { old: startContent("s1", 120), "old.txt": startContent("s2", 3000), "older.txt": startContent("s3", 9) };
const START_TREE = Object.fromEntries(Object.entries(START).map(([name, text]) => [name, fileOf(text)]));

async function prepare(server: DevServer, libraryId: string, folder: string): Promise<void> {
  server.store.mkdir(libraryId, folder);
  for (let worker = 0; worker < WORKERS; worker++) {
    server.store.mkdir(libraryId, `${folder}/w${worker}`);
    for (const [name, text] of Object.entries(START)) {
      await server.store.writeFile(libraryId, `${folder}/w${worker}/${name}`, Buffer.from(text));
    }
  }
}

/** One life of the mount: a load, and the kill. */
interface Life {
  /** Of the mount that takes over, and bears the next load, in seconds. */
  readonly delay: string;
  readonly latencyMs: number;
  /** The kill comes so long after so many changes. */
  readonly changes: number;
  readonly pauseMs: number;
}

function aLife(random: () => number): Life {
  const oneOf = <T>(...values: readonly T[]) => values[Math.floor(random() * values.length)]!;
  return {
    delay: oneOf("0", "0.05", "1"),
    latencyMs: oneOf(0, 0, 20, 100),
    changes: Math.floor(1 + random() * 100),
    pauseMs: random() * 50,
  };
}

it(`after ${ROUNDS} kills nothing accepted is lost, torn or there twice`, { timeout: ROUNDS * 60_000 }, async () => {
  console.log(`kills: SEAMOUNT_CRASH_ROUNDS=${ROUNDS} SEAMOUNT_CRASH_SEED=${SEED}`);
  const scope = testScope();
  const server = await startServer(scope, { compat: 12 });
  const libraryId = server.store.createLibrary(EMAIL, "Work");
  const random = randomNumbers(SEED);
  for (let round = 1; round <= ROUNDS; round++) await prepare(server, libraryId, `/r${round}`);
  const mount = await CrashingMount.start(scope, { server, library: "Work" });
  let accepted = 0;

  for (let round = 1; round <= ROUNDS; round++) {
    const life = aLife(random);
    const log = () => `round ${round}: ${JSON.stringify(life)}\n${mount.mounted.log()}`;
    const folder = join(mount.dir, `r${round}`);
    await withScope(async (roundScope) => {
      if (life.latencyMs > 0) server.faults.delay("*", life.latencyMs, { times: Number.POSITIVE_INFINITY });
      const options = { folder, workers: WORKERS, seed: SEED + round, pauseMs: 30, start: START_TREE };
      const load = new Load(roundScope, options);
      await eventually("there is enough to lose", () => load.accepted >= life.changes || load.complaints.length > 0);
      await sleep(life.pauseMs);
      await mount.kill();
      await load.ended;
      expect(load.complaints, `round ${round}`).toEqual([]);
      server.faults.clear();
      await mount.start(["--write-back-delay", life.delay]);
      expect(await mount.sync(), log()).toMatchObject({ code: 0 });
      for (let worker = 0; worker < WORKERS; worker++) {
        const read = (path: string) => server.store.readFile(libraryId, `/r${round}/w${worker}/${path}`);
        const stored = await serverTree(server, libraryId, `/r${round}/w${worker}`);
        expect(await load.problems(worker, stored, read), `the server, worker ${worker}, ${log()}`).toEqual([]);
        expect(await localTree(join(folder, `w${worker}`)), `the mount, worker ${worker}, ${log()}`).toEqual(stored);
      }
      expect(await mount.leftovers(), log()).toEqual([]);
      accepted += load.accepted;
    });
  }
  expect(await mount.mounted.unmount(), mount.mounted.log()).toEqual({ code: 0, signal: null });
  console.log(`kills: ${accepted} changes were accepted`);
  expect(accepted).toBeGreaterThan(ROUNDS);
});
