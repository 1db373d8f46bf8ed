/**
 * The random operations on a mount as it is by default: close(2) is not told what becomes of the commit, and the mounting process
 * is killed now and then. SEAMOUNT_MODEL_SECONDS and SEAMOUNT_MODEL_SEED as for random-operations.test.ts; 25 s unless set.
 */
import { expect, it } from "vitest";
import { CrashingMount } from "../crash/crashing-mount.ts";
import { crashCommands } from "./crash-commands.ts";
import { findNoDifference } from "./model-run.ts";
import { remoteCommands } from "./remote-commands.ts";

const SECONDS = Number(process.env["SEAMOUNT_MODEL_SECONDS"] ?? 25);
const SEED = Number(process.env["SEAMOUNT_MODEL_SEED"] ?? Date.now() % 2 ** 31);

it(`with kills among them they find no difference in ${SECONDS} seconds`, {
  timeout: (SECONDS + 120) * 1000,
}, async () => {
  await findNoDifference({
    seconds: SECONDS,
    seed: SEED,
    events: [...remoteCommands, ...crashCommands],
    mount: async (scope, server, library) => {
      const mount = await CrashingMount.start(scope, { server, library });
      return {
        dir: mount.dir,
        settle: async () => {
          expect(await mount.sync(), mount.mounted.log()).toMatchObject({ code: 0 });
        },
        crash: async () => {
          await mount.kill();
          await mount.start();
        },
        log: () => mount.mounted.log(),
        unmount: () => mount.mounted.unmount(),
      };
    },
  });
});
