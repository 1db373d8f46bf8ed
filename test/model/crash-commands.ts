/**
 * The end of the mounting process, among the random operations: kill -9, and a new mount that shows at once what was there
 * before. Open files are closed first, since what was never accepted comes back under another name: test/crash has tests of that.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { localTree } from "../support/trees.ts";
import { type Command, command, type Weighted } from "./command.ts";
import { closeAll } from "./handle-commands.ts";
import { treeOf } from "./model-run.ts";

const crash = (): Command =>
  command((model) => ({
    shown: "kill -9 and a new mount",
    run: async (real) => {
      await closeAll(model, real);
      await real.crash!();
      expect(await localTree(real.dir), "the mount after a crash").toEqual(treeOf(model));
    },
  }));

export const crashCommands: readonly Weighted[] = [{ weight: 4, arbitrary: fc.constant(undefined).map(crash) }];
