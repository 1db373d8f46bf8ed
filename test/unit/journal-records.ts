/**
 * Records of the journal for tests: any record at all, and short ones that are told apart by their id.
 * Invariant: every record made here is one that the journal accepts. Used by the journal's unit and crash tests.
 */
import fc from "fast-check";
import type { LibraryId, ObjectId } from "../../src/seafile/types.ts";
import type { JournalRecord } from "../../src/writeback/journal-record.ts";

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
const objectId = hex(40) as fc.Arbitrary<ObjectId>;
const library = fc.uuid() as unknown as fc.Arbitrary<LibraryId>;
const path = fc.string({ unit: "binary", maxLength: 40 }).map((name) => `/${name}`);
const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const size = fc.maxSafeNat();
const range = fc.tuple(size, size).map(([a, b]): readonly [number, number] => [Math.min(a, b), Math.max(a, b)]);
const expects = fc.option(objectId);
const kind = fc.constantFrom("file" as const, "dir" as const);
const time = fc.double({ noNaN: true, noDefaultInfinity: true }).map((ms) => ms + 0);
const type = <T extends JournalRecord["t"]>(t: T) => fc.constant(t);

/** Every kind of record with any fields. */
export const anyRecord: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record(
    {
      t: type("opened"),
      id,
      library,
      path,
      spool: fc.uuid(),
      base: fc.option(fc.record({ id: objectId, size })),
      over: id,
      expects,
      created: time,
    },
    { requiredKeys: ["t", "id", "library", "path", "spool", "base", "expects", "created"] },
  ),
  fc.record({ t: type("wrote"), id, range }).map(({ range: [start, end], ...rest }) => ({ ...rest, start, end })),
  fc.record({ t: type("truncated"), id, size }),
  fc.record(
    { t: type("sealed"), id, size, mtime: time, gaps: fc.array(range, { maxLength: 5 }), replaces: id },
    { requiredKeys: ["t", "id", "size", "mtime", "gaps"] },
  ),
  fc.record(
    { t: type("placed"), id, path, expects, attempted: objectId },
    { requiredKeys: ["t", "id", "path", "expects"] },
  ),
  fc.record({ t: type("removing"), id, library, path, kind, expects }),
  fc.record({ t: type("moving"), id, library, from: path, to: path, kind }),
  fc.record({ t: type("held"), id, reason: fc.string(), because: fc.string({ unit: "binary" }) }),
  fc.record({ t: fc.constantFrom("released" as const, "done" as const, "void" as const), id }),
);

/** A record of some length with this id. */
export function numbered(id: number, text = ""): JournalRecord {
  return { t: "held", id, reason: "test", because: text };
}

export function idsOf(records: readonly JournalRecord[]): number[] {
  return records.map((record) => record.id);
}
