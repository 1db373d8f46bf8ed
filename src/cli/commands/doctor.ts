/**
 * `seamount doctor`: everything that a mount needs, checked, on one screen. Invariant: the exit code is that of the first failed
 * check, in the order in which a mount would meet them; warnings are no failure.
 */
import type { Command } from "../command.ts";
import { type Check, fuseChecks, serverChecks } from "../doctor-checks.ts";
import { EXIT } from "../exit-codes.ts";
import { type Column, sayJson, sayTable } from "../output.ts";
import { JSON_FLAG, SERVER_FLAG } from "../session.ts";

interface Args {
  readonly server?: string | undefined;
  readonly json?: boolean | undefined;
}

const COLUMNS: readonly Column<Check>[] = [
  { title: "CHECK", text: ({ name }) => name },
  { title: "STATE", text: ({ state }) => (state === "ok" ? state : state.toUpperCase()), plain: ({ state }) => state },
  { title: "", text: ({ text }) => text },
];

export const doctorCommand: Command<Args> = {
  command: "doctor",
  describe: "Check what a mount needs: server, login, clock, FUSE",
  builder: (yargs) =>
    yargs
      .options({ json: JSON_FLAG, server: SERVER_FLAG })
      .example("$0 doctor", "the exit code is that of the first check that failed"),
  handler: async (args) => {
    const { fuseHealth } = await import("../../fuse-health.ts");
    const [server, fuse] = await Promise.all([serverChecks(args.server), fuseHealth().then(fuseChecks)]);
    const checks = [...server, ...fuse];
    const first = checks.find(({ state }) => state === "failed");
    process.exitCode = first?.exitCode ?? EXIT.ok;
    if (args.json) {
      const lines = checks.map(({ name, state, text, facts }) => ({ check: name, state, text, ...facts }));
      sayJson({ ok: first === undefined, checks: lines });
    } else sayTable(checks, COLUMNS);
  },
};
