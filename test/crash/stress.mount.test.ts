/**
 * Many writers, renames and removals over a server that fails one request in ten, goes away twice and forgets its links: when
 * `seamount sync` says so, everything is on the server, byte by byte. SEAMOUNT_STRESS_SECONDS says for how long (10 unless set),
 * SEAMOUNT_STRESS_SEED repeats the load and the faults.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { DevServer, DevServerOptions } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { EMAIL } from "../support/mounts.ts";
import { testScope } from "../support/scope.ts";
import { localTree, serverTree } from "../support/trees.ts";
import { CrashingMount, randomNumbers } from "./crashing-mount.ts";
import { Load } from "./manifest.ts";

const SECONDS = Number(process.env["SEAMOUNT_STRESS_SECONDS"] ?? 10);
const SEED = Number(process.env["SEAMOUNT_STRESS_SEED"] ?? Date.now() % 2 ** 31);
const WORKERS = 4;
/** More than the load can ask for. */
const REQUESTS = 1000 * SECONDS;

/** One request in ten: refused by a proxy, broken off, or done without an answer. */
function failOneInTen({ faults }: DevServer, random: () => number): void {
  for (let after = Math.floor(random() * 10); after < REQUESTS; after += 1 + Math.floor(random() * 19)) {
    const dice = random();
    if (dice < 0.5) faults.fail("*", dice < 0.25 ? 500 : 502, { after });
    else faults.cut("*", dice < 0.8 ? 0 : 100, { after, answer: dice < 0.7 });
  }
}

/** Down and up again, and links that are not good any more. */
async function disturb({ faults }: DevServer): Promise<void> {
  const part = (SECONDS * 1000) / 10;
  for (let i = 0; i < 2; i++) {
    await sleep(2 * part);
    faults.expireLinks();
    await sleep(2 * part);
    faults.down();
    await sleep(part);
    faults.up();
  }
}

describe.each([
  { flavour: "c", compat: 11 },
  { flavour: "go", compat: 12 },
] satisfies DevServerOptions[])("over a bad server, flavour $flavour, as of version $compat", (options) => {
  it(`what ${WORKERS} writers do in ${SECONDS} seconds arrives whole`, {
    timeout: SECONDS * 10_000 + 240_000,
  }, async () => {
    console.log(`stress: SEAMOUNT_STRESS_SECONDS=${SECONDS} SEAMOUNT_STRESS_SEED=${SEED}`);
    const scope = testScope();
    const server = await startServer(scope, options);
    const libraryId = server.store.createLibrary(EMAIL, "Work");
    for (let worker = 0; worker < WORKERS; worker++) server.store.mkdir(libraryId, `/w${worker}`);
    const mount = await CrashingMount.start(scope, { server, library: "Work", args: ["--write-back-delay", "0.2"] });
    const load = new Load(scope, {
      folder: mount.dir,
      workers: WORKERS,
      seed: SEED,
      pauseMs: 50,
      start: {},
      goesOn: true,
    });
    failOneInTen(server, randomNumbers(SEED));
    await disturb(server);
    await load.stop();
    console.log(
      `stress: ${load.accepted} changes, ${server.requests.count()} requests, failed: ${JSON.stringify(load.failures)}`,
    );

    // The faults go on while what is left is stored.
    const synced = await mount.sync(120);
    server.faults.clear();
    const log = mount.mounted.log();
    expect(load.complaints, log).toEqual([]);
    expect(synced, log).toMatchObject({ code: 0 });
    for (let worker = 0; worker < WORKERS; worker++) {
      const stored = await serverTree(server, libraryId, `/w${worker}`);
      const read = (path: string) => server.store.readFile(libraryId, `/w${worker}/${path}`);
      expect(await load.problems(worker, stored, read), `worker ${worker}\n${log}`).toEqual([]);
      expect(await localTree(join(mount.dir, `w${worker}`)), log).toEqual(stored);
    }
    expect(await mount.leftovers()).toEqual([]);
    expect(load.accepted).toBeGreaterThan(SECONDS);
  });
});
