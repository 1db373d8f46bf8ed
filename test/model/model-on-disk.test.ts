/**
 * Is the model right? The same random commands against the local disk, where the kernel says what is true.
 * Without this, a wrong model and a wrong mount could agree.
 */
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { FsWorker } from "../support/fs-worker.ts";
import { tempDir, testScope, withScope } from "../support/scope.ts";
import { fileOf, localTree } from "../support/trees.ts";
import type { Model, Real } from "./command.ts";
import { closeAll, handleCommands } from "./handle-commands.ts";
import { ModelFs } from "./model-fs.ts";
import { pathCommands } from "./path-commands.ts";

it("the model answers what the local disk answers", async () => {
  const scope = testScope();
  const temp = await tempDir(scope, "disk");
  const commands = fc.commands([fc.oneof(...handleCommands, ...pathCommands)], { maxCommands: 300, size: "max" });
  await fc.assert(
    fc.asyncProperty(commands, (list) =>
      withScope(async (own) => {
        const model: Model = { fs: new ModelFs(), handles: new Map() };
        const real: Real = { dir: await mkdtemp(join(temp, "run-")), worker: new FsWorker(own), fds: new Map() };
        await fc.asyncModelRun(() => ({ model, real }), list);
        await closeAll(model, real);
        const expected = Object.entries(model.fs.tree()).map(([name, data]) => [
          name,
          data === null ? "" : fileOf(data),
        ]);
        expect(await localTree(real.dir)).toEqual(Object.fromEntries(expected));
      }),
    ),
    { numRuns: 60 },
  );
});
