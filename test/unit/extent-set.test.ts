import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ExtentSet } from "../../src/util/extent-set.ts";

const SPACE = 64;
const range = fc.tuple(fc.nat(SPACE), fc.nat(SPACE)).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));
const command = fc.oneof(
  range.map((r) => ({ op: "add" as const, ...r })),
  fc.nat(SPACE).map((size) => ({ op: "truncate" as const, size })),
);

describe("ExtentSet", () => {
  it("holds exactly the positions that a plain set of positions holds, in ascending disjoint ranges", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), range, (commands, asked) => {
        const set = new ExtentSet();
        const plain = new Set<number>();
        for (const c of commands) {
          if (c.op === "add") {
            set.add(c.start, c.end);
            for (let i = c.start; i < c.end; i++) plain.add(i);
          } else {
            set.truncate(c.size);
            for (const i of [...plain]) if (i >= c.size) plain.delete(i);
          }
        }
        const listed = set.extents.flatMap((e) => Array.from({ length: e.end - e.start }, (_, i) => e.start + i));
        expect(listed).toEqual([...plain].sort((a, b) => a - b));
        for (const [i, extent] of set.extents.entries()) {
          expect(extent.start).toBeLessThan(extent.end);
          if (i > 0) expect(extent.start).toBeGreaterThan(set.extents[i - 1]!.end);
        }
        const missing = set
          .gaps(asked.start, asked.end)
          .flatMap((g) => Array.from({ length: g.end - g.start }, (_, i) => g.start + i));
        const expected = Array.from({ length: asked.end - asked.start }, (_, i) => asked.start + i).filter(
          (i) => !plain.has(i),
        );
        expect(missing).toEqual(expected);
      }),
    );
  });
});
