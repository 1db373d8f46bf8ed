/**
 * Runs lists of random commands on real mounts and compares: with the model after every step, with the server after the unmount,
 * and with a new mount after that. The seed and the shrunk list of commands are printed. Used by the random-operations tests,
 * which say what kind of mount it is and what happens to it.
 */
import fc from "fast-check";
import { expect } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker } from "../support/fs-worker.ts";
import { EMAIL, type Exit, mountLibrary } from "../support/mounts.ts";
import { type Scope, testScope, withScope } from "../support/scope.ts";
import { has } from "../support/transport.ts";
import { fileOf, localTree, serverTree, type Tree } from "../support/trees.ts";
import type { Command, Model, Real, Remote, Weighted } from "./command.ts";
import { closeAll, handleCommands } from "./handle-commands.ts";
import { ModelFs } from "./model-fs.ts";
import { pathCommands } from "./path-commands.ts";

/** The mount under test, whatever happens to it during a run. */
export interface ModelMount {
  readonly dir: string;
  /** Stores what is pending; before somebody else changes something, since a conflict copy would be right otherwise. */
  settle(): Promise<void>;
  /** Ends it as a crash does and mounts again; absent when that is not among the commands. */
  readonly crash?: () => Promise<void>;
  log(): string;
  unmount(): Promise<Exit>;
}

export interface ModelRunOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly mount: (scope: Scope, server: DevServer, library: string) => Promise<ModelMount>;
  /** What does not come from the programs on the mount: it takes long and is rare therefore, one command in 60. */
  readonly events: readonly Weighted[];
}

const LOCAL_SHARE = 59;

function remoteOf(server: DevServer, libraryId: string, mount: ModelMount): Remote {
  const settled =
    <Args extends readonly unknown[]>(change: (...args: Args) => unknown) =>
    async (...args: Args) => {
      await mount.settle();
      await change(...args);
    };
  return {
    write: settled((path: string, data: Buffer) => server.store.writeFile(libraryId, path, data)),
    mkdir: settled((path: string) => server.store.mkdir(libraryId, path)),
    remove: settled((path: string) => server.store.remove(libraryId, path)),
    move: settled((from: string, to: string) => server.store.move(libraryId, from, to)),
  };
}

export function treeOf({ fs }: Readonly<Model>): Tree {
  return Object.fromEntries(Object.entries(fs.tree()).map(([path, data]) => [path, data === null ? "" : fileOf(data)]));
}

/** Lists of commands, one after the other, on a fresh library; then the three comparisons. */
async function runCommands(
  scope: Scope,
  server: DevServer,
  name: string,
  start: ModelRunOptions["mount"],
  lists: readonly Iterable<Command>[],
) {
  const libraryId = server.store.createLibrary(EMAIL, name);
  const mount = await start(scope, server, name);
  const worker = new FsWorker(scope);
  const model: Model = { fs: new ModelFs(), handles: new Map() };
  const crash = mount.crash === undefined ? {} : { crash: mount.crash };
  const real: Real = { dir: mount.dir, worker, fds: new Map(), remote: remoteOf(server, libraryId, mount), ...crash };
  for (const list of lists) await fc.asyncModelRun(() => ({ model, real }), list);
  await closeAll(model, real);

  const expected = treeOf(model);
  expect(await localTree(mount.dir), "the mount before the unmount").toEqual(expected);
  expect(await mount.unmount(), mount.log()).toEqual({ code: 0, signal: null });
  expect(await serverTree(server, libraryId), "the server after the unmount").toEqual(expected);
  const again = await mountLibrary(scope, { server, library: name });
  expect(await localTree(again.dir), "a new mount").toEqual(expected);
  expect(await again.unmount()).toEqual({ code: 0, signal: null });
  server.store.deleteLibrary(libraryId);
}

/** Fails with the shortest list of commands found that makes a difference. */
export async function findNoDifference({ seconds, seed, mount, events }: ModelRunOptions): Promise<void> {
  console.log(`random operations: SEAMOUNT_MODEL_SECONDS=${seconds} SEAMOUNT_MODEL_SEED=${seed}`);
  const server = await startServer(testScope());
  const local = fc.oneof(
    ...[...handleCommands, ...pathCommands].filter((each) => !each.requires || has(each.requires)),
  );
  const mixed = fc.oneof({ weight: LOCAL_SHARE, arbitrary: local }, { weight: 1, arbitrary: fc.oneof(...events) });
  // Lists are often short; several of them are worth a mount.
  const lists = fc.array(fc.commands([mixed], { maxCommands: 200, size: "max" }), {
    minLength: 1,
    maxLength: 8,
    size: "max",
  });
  let runs = 0;
  let running: Promise<void> = Promise.resolve();
  const property = fc.asyncProperty(lists, (given) => {
    running = withScope((scope) => runCommands(scope, server, `Run ${++runs}`, mount, given));
    return running;
  });
  try {
    await fc.assert(property, {
      seed,
      numRuns: 1_000_000,
      interruptAfterTimeLimit: seconds * 1000,
      markInterruptAsFailure: false,
    });
  } finally {
    // The time limit does not wait for the list that is being run: its mount must end before the test does.
    await running.catch(() => {});
  }
  await running;
  console.log(`random operations: ${runs} mounts`);
  expect(runs).toBeGreaterThan(1);
}
