/**
 * fsx-like random operations on a real mount whose close(2) waits for the server, changes by others among them.
 * SEAMOUNT_MODEL_SECONDS says how long (vitest.config.ts unless set), SEAMOUNT_MODEL_SEED repeats a run.
 */
import { inject, it } from "vitest";
import { mountLibrary } from "../support/mounts.ts";
import { findNoDifference } from "./model-run.ts";
import { remoteCommands } from "./remote-commands.ts";

const SECONDS = Number(process.env["SEAMOUNT_MODEL_SECONDS"] ?? inject("modelSeconds"));
const SEED = Number(process.env["SEAMOUNT_MODEL_SEED"] ?? Date.now() % 2 ** 31);

it(`random operations find no difference in ${SECONDS} seconds`, { timeout: (SECONDS + 120) * 1000 }, async () => {
  await findNoDifference({
    seconds: SECONDS,
    seed: SEED,
    events: remoteCommands,
    mount: async (scope, server, library) => {
      const mount = await mountLibrary(scope, { server, library, args: ["--refresh", "0.2"] });
      return { dir: mount.dir, settle: async () => {}, log: () => mount.log(), unmount: () => mount.unmount() };
    },
  });
});
