/**
 * The development server answers as two real Seafile 11.0.13 servers answered: every recorded step is a test, for the C file
 * server's flavour and for the Go one's. The steps of a scenario follow each other on one server, as they were recorded.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Check, type Flavour, loadScenarios, type Scenario, type Setup, type Step } from "./recording.ts";
import { Replay } from "./replay.ts";
import { Stage } from "./stage.ts";

const FLAVOURS: readonly Flavour[] = ["c", "go"];

for (const flavour of FLAVOURS) {
  for (const scenario of loadScenarios()) {
    describe.sequential(`${flavour} · ${scenario.section}`, () => replayed(scenario, flavour));
  }
}

function replayed(scenario: Scenario, flavour: Flavour): void {
  let stage: Stage;
  let replay: Replay;

  beforeAll(async () => {
    stage = await Stage.open({ flavour, ...scenario.server });
    replay = new Replay(stage, flavour);
    await stage.prepare(scenario.setup);
  });

  afterAll(() => stage?.close());

  let pending: Setup[] = [];
  for (const step of scenario.steps) {
    if ("setup" in step) {
      pending.push(...step.setup);
      continue;
    }
    const setup = pending;
    pending = [];
    it(titleOf(step), async () => {
      await stage.prepare(setup);
      const { expected, actual } = await replay.check(step);
      expect(actual).toEqual(expected);
    });
  }
}

function titleOf(check: Exclude<Step, { setup: unknown }> & Check): string {
  if ("request" in check) return check.title;
  return "content" in check ? `then ${check.content} reads` : `then ${check.listing} lists`;
}
