/** What a journal amounts to: records in, what is pending out. */
import { describe, expect, it } from "vitest";
import type { LibraryId } from "../../src/seafile/types.ts";
import type { JournalRecord } from "../../src/writeback/journal-record.ts";
import { recordsOf } from "../../src/writeback/records.ts";
import { follow, replay } from "../../src/writeback/recovery.ts";
import { LIBRARY, objectId } from "./writeback-stage.ts";

const OTHER = "00000000-0000-4000-8000-000000000002" as LibraryId;
const base = (size: number) => ({ id: objectId(9), size });

function opened(id: number, path: string, more: Partial<Extract<JournalRecord, { t: "opened" }>> = {}): JournalRecord {
  return { t: "opened", id, library: LIBRARY, path, spool: `s${id}`, base: null, expects: null, created: 5, ...more };
}
const sealed = (
  id: number,
  size: number,
  more: Partial<Extract<JournalRecord, { t: "sealed" }>> = {},
): JournalRecord => ({
  t: "sealed",
  id,
  size,
  mtime: 1000 + id,
  gaps: [],
  ...more,
});
const removing = (id: number, path: string, library = LIBRARY): JournalRecord => ({
  t: "removing",
  id,
  library,
  path,
  kind: "file",
  expects: objectId(1),
});
const moving = (id: number, from: string, to: string): JournalRecord => ({
  t: "moving",
  id,
  library: LIBRARY,
  from,
  to,
  kind: "dir",
});

function summary(records: readonly JournalRecord[]) {
  const { contents, removals, moves } = replay(records);
  return {
    contents: [...contents.values()].map(({ id, path, sealed }) => `${id} ${path}${sealed ? "" : " open"}`),
    removals: [...removals].map(([id, { path }]) => `${id} ${path}`),
    moves: [...moves.keys()],
  };
}

describe("replay", () => {
  it("of nothing is nothing, and the first number is 1", () => {
    expect([summary([]), replay([]).next]).toEqual([{ contents: [], removals: [], moves: [] }, 1]);
  });

  it("a file that was moved takes the place of content that waited there, once the move is known to be made", () => {
    const move: JournalRecord = { ...moving(2, "/a", "/b"), kind: "file" } as JournalRecord;
    const before = [opened(1, "/b"), sealed(1, 3), move];
    expect(summary(before).contents).toEqual(["1 /b"]);
    expect(summary([...before, { t: "void", id: 2 }]).contents).toEqual(["1 /b"]);
    const pending = replay([...before, { t: "done", id: 2 }]);
    expect([[...pending.contents], [...pending.finished]]).toEqual([[], ["s1"]]);
  });

  it("answers with a number above every number in the journal, those of what is over included", () => {
    expect(replay([removing(7, "/a"), { t: "done", id: 7 }, opened(3, "/b")]).next).toBe(8);
  });

  it("forgets what was done or given up", () => {
    const records = [opened(1, "/a"), sealed(1, 0), removing(2, "/b"), moving(3, "/c", "/d"), moving(4, "/e", "/f")];
    const ends = [1, 2, 3].map((id): JournalRecord => ({ t: "done", id }));
    expect(summary([...records, ...ends, { t: "void", id: 4 }])).toEqual({ contents: [], removals: [], moves: [] });
  });

  it("does not mind records about what it does not know", () => {
    const strays: JournalRecord[] = [
      { t: "wrote", id: 1, start: 0, end: 1 },
      { t: "truncated", id: 1, size: 4 },
      sealed(1, 4),
      { t: "placed", id: 1, path: "/a", expects: null },
      { t: "held", id: 1, reason: "quota", because: "full" },
      { t: "released", id: 1 },
      { t: "done", id: 1 },
      { t: "void", id: 1 },
    ];
    expect(summary(strays)).toEqual({ contents: [], removals: [], moves: [] });
  });

  it("knows the size and the gaps of content that was written over a version", () => {
    const content = replay([
      opened(1, "/a", { base: base(100) }),
      { t: "wrote", id: 1, start: 10, end: 20 },
      { t: "truncated", id: 1, size: 50 },
      { t: "truncated", id: 1, size: 80 },
      { t: "wrote", id: 1, start: 90, end: 95 },
    ]).contents.get(1)!;
    expect([content.size, content.baseLimit, content.written.gaps(0, content.baseLimit)]).toEqual([
      95,
      50,
      [
        { start: 0, end: 10 },
        { start: 20, end: 50 },
      ],
    ]);
  });

  it("takes the gaps of sealed content from its record", () => {
    const gaps = [[2, 4] as const, [6, 10] as const];
    const content = replay([opened(1, "/a", { base: base(10) }), sealed(1, 12, { gaps })]).contents.get(1)!;
    expect(content.written.gaps(0, 12)).toEqual([
      { start: 2, end: 4 },
      { start: 6, end: 10 },
    ]);
  });

  it("a fork begins as long as the sealed content under it", () => {
    const records = [opened(1, "/a"), sealed(1, 30), opened(2, "/a", { over: 1 })];
    expect(replay(records).contents.get(2)).toMatchObject({ size: 30, baseLimit: 30, over: 1, sealed: false });
  });

  it("the newest sealed content of a file is the only one", () => {
    expect(
      summary([opened(1, "/a"), sealed(1, 3), opened(2, "/a", { over: 1 }), sealed(2, 4, { replaces: 1 })]).contents,
    ).toEqual(["2 /a"]);
  });

  it("sealed content takes the place of what was removed under its path before, in its library only", () => {
    const records = [removing(1, "/a"), removing(2, "/b"), removing(3, "/a", OTHER), opened(4, "/a")];
    expect(summary(records).removals).toEqual(["1 /a", "2 /b", "3 /a"]);
    expect(summary([...records, sealed(4, 0)]).removals).toEqual(["2 /b", "3 /a"]);
  });

  it("what was removed after content was sealed is removed", () => {
    expect(summary([opened(1, "/a"), sealed(1, 0), removing(2, "/a")]).removals).toEqual(["2 /a"]);
  });

  it("content is where it was placed last, over what is expected there", () => {
    const placed: JournalRecord = { t: "placed", id: 1, path: "/b", expects: objectId(2), attempted: objectId(3) };
    const pending = replay([opened(1, "/a"), sealed(1, 0), placed]);
    expect(pending.contents.get(1)).toMatchObject({ path: "/b", expects: objectId(2), attempted: objectId(3) });
    const again: JournalRecord = { t: "placed", id: 1, path: "/c", expects: null };
    expect(replay([opened(1, "/a"), placed, again]).contents.get(1)?.attempted).toBeUndefined();
  });

  it("everything at or below the source of a move that was made follows it, and nothing else", () => {
    const records = [
      opened(1, "/d/a"),
      opened(2, "/dd/a"),
      opened(3, "/d/a", { library: OTHER }),
      removing(4, "/d/sub/gone"),
      removing(5, "/d"),
      moving(6, "/d", "/e/f"),
    ];
    expect(summary(records).contents).toEqual(["1 /d/a open", "2 /dd/a open", "3 /d/a open"]);
    expect(summary([...records, { t: "done", id: 6 }])).toEqual({
      contents: ["1 /e/f/a open", "2 /dd/a open", "3 /d/a open"],
      removals: ["4 /e/f/sub/gone", "5 /e/f"],
      moves: [],
    });
  });

  it("a move follows what a move before it left, and what came after it stays", () => {
    const records: JournalRecord[] = [
      opened(1, "/a/x"),
      moving(2, "/a", "/b"),
      { t: "done", id: 2 },
      moving(3, "/b", "/c"),
      opened(4, "/a/y"),
      { t: "done", id: 3 },
    ];
    expect(summary(records).contents).toEqual(["1 /c/x open", "4 /a/y open"]);
  });

  it("a move that was not made moves nothing", () => {
    expect(summary([opened(1, "/d/a"), moving(2, "/d", "/e"), { t: "void", id: 2 }])).toMatchObject({
      contents: ["1 /d/a open"],
      moves: [],
    });
  });

  it("a move of unknown outcome is left to be asked about, and can be followed then", () => {
    const pending = replay([opened(1, "/d/a"), removing(2, "/d/b"), moving(3, "/d", "/e")]);
    expect([pending.contents.get(1)?.path, [...pending.moves.keys()]]).toEqual(["/d/a", [3]]);
    follow(pending, pending.moves.get(3)!);
    expect([pending.contents.get(1)?.path, pending.removals.get(2)?.path]).toEqual(["/e/a", "/e/b"]);
  });
});

describe("the records of pending content", () => {
  it.each<[string, JournalRecord[]]>([
    ["open, over a version", [opened(1, "/a", { base: base(50) }), { t: "wrote", id: 1, start: 10, end: 70 }]],
    [
      "open, made shorter and longer again",
      [opened(1, "/a", { base: base(50) }), { t: "truncated", id: 1, size: 5 }, { t: "truncated", id: 1, size: 60 }],
    ],
    ["sealed, with gaps", [opened(1, "/a", { base: base(50) }), sealed(1, 60, { gaps: [[3, 8]] })]],
    [
      "moved, with an upload of unknown outcome",
      [opened(1, "/a"), sealed(1, 4), { t: "placed", id: 1, path: "/b", expects: objectId(4), attempted: objectId(5) }],
    ],
  ])("amount to it: %s", (_, records) => {
    const content = replay(records).contents.get(1)!;
    expect(replay(recordsOf(content)).contents.get(1)).toEqual(content);
  });

  it("say where its base is, which stays behind when the content goes elsewhere as something new", () => {
    const elsewhere: JournalRecord = { t: "placed", id: 1, path: "/copy", expects: null };
    const content = replay([opened(1, "/d/a", { base: base(9), expects: objectId(9) }), elsewhere]).contents.get(1)!;
    expect([content.path, content.basePath]).toEqual(["/copy", "/d/a"]);
    const again = replay([...recordsOf(content), moving(2, "/d", "/e"), { t: "done", id: 2 }]).contents.get(1)!;
    expect([again.path, again.basePath]).toEqual(["/copy", "/e/a"]);
    const renamed: JournalRecord = { t: "placed", id: 1, path: "/b", expects: objectId(9) };
    expect(replay([opened(1, "/a", { base: base(9) }), renamed]).contents.get(1)?.basePath).toBe("/b");
  });

  it("amount to it: a fork, behind those of what it was forked from", () => {
    const { contents } = replay([
      opened(1, "/a", { base: base(20) }),
      sealed(1, 30),
      opened(2, "/a", { over: 1, base: base(20) }),
      { t: "wrote", id: 2, start: 25, end: 28 },
    ]);
    expect(replay([...contents.values()].flatMap(recordsOf)).contents).toEqual(contents);
  });
});
