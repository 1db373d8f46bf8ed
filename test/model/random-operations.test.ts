/**
 * fsx-like random operations on a real mount, changes by others among them, compared with the model after every step, with
 * the server after the unmount, and with a new mount after that. SEAMOUNT_MODEL_SECONDS says how long (vitest.config.ts unless
 * set), SEAMOUNT_MODEL_SEED repeats a run; the seed and the shrunk list of commands are printed.
 */
import fc from "fast-check";
import { expect, inject, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker } from "../support/fs-worker.ts";
import { EMAIL, mountLibrary } from "../support/mounts.ts";
import { type Scope, testScope, withScope } from "../support/scope.ts";
import { has } from "../support/transport.ts";
import { fileOf, localTree, serverTree } from "../support/trees.ts";
import type { Command, Model, Real, Remote } from "./command.ts";
import { closeAll, handleCommands } from "./handle-commands.ts";
import { ModelFs } from "./model-fs.ts";
import { pathCommands } from "./path-commands.ts";
import { remoteCommands } from "./remote-commands.ts";

const SECONDS = Number(process.env["SEAMOUNT_MODEL_SECONDS"] ?? inject("modelSeconds"));
const SEED = Number(process.env["SEAMOUNT_MODEL_SEED"] ?? Date.now() % 2 ** 31);
/** A remote change waits for the refresh and is rare therefore: one command in 60. */
const LOCAL_SHARE = 59;

function remoteOf(server: DevServer, libraryId: string): Remote {
  return {
    write: (path, data) => server.store.writeFile(libraryId, path, data),
    mkdir: async (path) => server.store.mkdir(libraryId, path),
    remove: async (path) => server.store.remove(libraryId, path),
    move: async (from, to) => server.store.move(libraryId, from, to),
  };
}

/** Lists of commands, one after the other, on a fresh library; then the three comparisons. */
async function runCommands(scope: Scope, server: DevServer, name: string, lists: readonly Iterable<Command>[]) {
  const libraryId = server.store.createLibrary(EMAIL, name);
  const mount = await mountLibrary(scope, { server, library: name, args: ["--refresh", "0.2"] });
  const worker = new FsWorker(scope);
  const model: Model = { fs: new ModelFs(), handles: new Map() };
  const real: Real = { dir: mount.dir, worker, fds: new Map(), remote: remoteOf(server, libraryId) };
  for (const list of lists) await fc.asyncModelRun(() => ({ model, real }), list);
  await closeAll(model, real);

  const contents = Object.entries(model.fs.tree()).map(([path, data]) => [path, data === null ? "" : fileOf(data)]);
  const expected = Object.fromEntries(contents);
  expect(await localTree(mount.dir), "the mount before the unmount").toEqual(expected);
  expect(await mount.unmount(), mount.log()).toEqual({ code: 0, signal: null });
  expect(await serverTree(server, libraryId), "the server after the unmount").toEqual(expected);
  const again = await mountLibrary(scope, { server, library: name });
  expect(await localTree(again.dir), "a new mount").toEqual(expected);
  expect(await again.unmount()).toEqual({ code: 0, signal: null });
  server.store.deleteLibrary(libraryId);
}

it(`random operations find no difference in ${SECONDS} seconds`, { timeout: (SECONDS + 120) * 1000 }, async () => {
  console.log(`random operations: SEAMOUNT_MODEL_SECONDS=${SECONDS} SEAMOUNT_MODEL_SEED=${SEED}`);
  const server = await startServer(testScope());
  const local = fc.oneof(
    ...[...handleCommands, ...pathCommands].filter((each) => !each.requires || has(each.requires)),
  );
  const mixed = fc.oneof(
    { weight: LOCAL_SHARE, arbitrary: local },
    { weight: 1, arbitrary: fc.oneof(...remoteCommands) },
  );
  // Lists are often short; several of them are worth a mount.
  const lists = fc.array(fc.commands([mixed], { maxCommands: 200, size: "max" }), {
    minLength: 1,
    maxLength: 8,
    size: "max",
  });
  let runs = 0;
  let running: Promise<void> = Promise.resolve();
  const property = fc.asyncProperty(lists, (given) => {
    running = withScope((scope) => runCommands(scope, server, `Run ${++runs}`, given));
    return running;
  });
  try {
    await fc.assert(property, {
      seed: SEED,
      numRuns: 1_000_000,
      interruptAfterTimeLimit: SECONDS * 1000,
      markInterruptAsFailure: false,
    });
  } finally {
    // The time limit does not wait for the list that is being run: its mount must end before the test does.
    await running.catch(() => {});
  }
  await running;
  console.log(`random operations: ${runs} mounts`);
  expect(runs).toBeGreaterThan(1);
});
