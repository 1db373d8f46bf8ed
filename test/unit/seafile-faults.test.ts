/**
 * Changes of every kind and size under faults at random places: a caller that repeats what failed ends with exactly the
 * files it wanted, each once, whatever was cut, refused, expired or lost on the way.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import type { Change, ObjectId } from "../../src/seafile/types.ts";
import { contentOf } from "./seafile-server.ts";
import { FLAVOURS, openStage, type Stage } from "./seafile-stage.ts";

/** Uploads more often than the rest: they are what may be stored twice. */
const KINDS = [
  "upload",
  "upload",
  "upload",
  "upload",
  "upload-link",
  "dir",
  "detail",
  "batch-delete",
  "delete-file",
  "uploaded-bytes",
];
const fault = fc.record({
  kind: fc.constantFrom(...KINDS),
  after: fc.nat(4),
  effect: fc.oneof(
    fc.record({ type: fc.constant("status" as const), status: fc.constantFrom(409, 429, 500, 502, 503) }),
    fc.record({ type: fc.constant("cut" as const), bytes: fc.nat(20_000), answer: fc.boolean() }),
    fc.constant({ type: "forbidden" as const }),
  ),
});
type Fault = typeof fault extends fc.Arbitrary<infer T> ? T : never;

function plan({ faults }: DevServer, { kind, after, effect }: Fault): void {
  if (effect.type === "cut") faults.cut(kind, effect.answer ? 0 : effect.bytes, { after, answer: effect.answer });
  else if (effect.type === "forbidden") faults.fail("upload", 403, { after });
  else faults.fail(kind, effect.status, { after, headers: { "Retry-After": "0" } });
}

const SIZES = [0, 1, 900, 1_100, 9_000, 40_000];
/** What shall be of a name: replaced, removed, made, or left alone. */
const fate = fc.record({
  folder: fc.constantFrom("", "/d", "/d/e"),
  before: fc.boolean(),
  after: fc.option(fc.constantFrom(...SIZES)),
});
type Fate = typeof fate extends fc.Arbitrary<infer T> ? T : never;

const limits = { groupedFileMax: 1_000, groupBytes: 2_500, groupFiles: 4, namesPerDelete: 3, chunkedAbove: 8_000 };
const bytesFor = (path: string, size: number) => Buffer.alloc(size, `${path} in its new version, `);

async function changesFor(
  stage: Stage,
  fates: readonly Fate[],
): Promise<{ changes: Change[]; wanted: Map<string, Buffer> }> {
  const changes: Change[] = [];
  const wanted = new Map<string, Buffer>();
  for (const [index, { folder, before, after }] of fates.entries()) {
    const path = `${folder}/f${index}`;
    const base: ObjectId | null = before ? await stage.write(path, `old ${index}`) : null;
    if (after !== null) {
      const bytes = bytesFor(path, after);
      wanted.set(path, bytes);
      changes.push({ op: "put", path, content: contentOf(bytes, 3_000), mtime: 1_000_000_000, base });
    } else if (before) changes.push({ op: "remove", kind: "file", path, expects: base });
  }
  return { changes, wanted };
}

/** Repeats what failed, as a committer does. */
async function applyAll(stage: Stage, changes: readonly Change[]): Promise<void> {
  let left = changes;
  for (let round = 0; left.length > 0; round++) {
    if (round > 30) throw new Error(`Not applied in the end: ${left.map((change) => JSON.stringify(change)).join()}`);
    const results = await stage.library.apply(left);
    left = left.filter((_, index) => !results[index]!.ok);
  }
}

describe.each(FLAVOURS)("file server $flavour, version $compat", (options) => {
  it("has exactly what was wanted in the end, each file once", { timeout: 120_000 }, async () => {
    const run = async (fates: Fate[], faults: Fault[]) => {
      const stage = await openStage(options, { limits: { ...limits, chunkBytes: 3_500 } });
      try {
        const { changes, wanted } = await changesFor(stage, fates);
        for (const each of faults) plan(stage.server, each);
        await applyAll(stage, changes);
        const files = stage.paths().filter((path) => /f\d+[^/]*$/.test(path));
        expect(files).toEqual([...wanted.keys()].sort());
        for (const [path, bytes] of wanted) {
          const stored = await stage.server.store.readFile(stage.library.id, path);
          expect(stored.equals(bytes), path).toBe(true);
        }
      } finally {
        await stage.close();
      }
    };
    const fates = fc.array(fate, { minLength: 2, maxLength: 14 });
    const faults = fc.array(fault, { minLength: 2, maxLength: 8 });
    await fc.assert(fc.asyncProperty(fates, faults, run), { numRuns: 10, interruptAfterTimeLimit: 60_000 });
  });
});
