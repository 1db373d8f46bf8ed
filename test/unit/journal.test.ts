import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { Journal } from "../../src/writeback/journal.ts";
import { decodeLog, encodeFrame, HEADER } from "../../src/writeback/journal-frame.ts";
import { isJournalRecord, type JournalRecord } from "../../src/writeback/journal-record.ts";
import { anyRecord, idsOf, numbered } from "./journal-records.ts";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "seamount-unit-"));
  path = join(folder, "journal");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => Journal.open(folder, silentLogger());

async function replay(): Promise<readonly JournalRecord[]> {
  const { journal, records } = await open();
  await journal.close();
  return records;
}

async function write(records: readonly JournalRecord[]): Promise<void> {
  const { journal } = await open();
  for (const record of records) journal.append(record);
  await journal.close();
}

const names = async () => (await readdir(folder)).sort();

describe("Journal", () => {
  it("replays any records as they were appended, over any number of openings", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(anyRecord, { maxLength: 8 }), { maxLength: 4 }), async (runs) => {
        await rm(path, { force: true });
        for (const run of runs) await write(run);
        expect(await replay()).toEqual(runs.flat());
      }),
      { numRuns: 60 },
    );
  });

  it("has every record on the disk when sync has resolved, without being closed", async () => {
    const { journal } = await open();
    for (let id = 1; id <= 5; id++) journal.append(numbered(id));
    await journal.sync();
    expect(idsOf(decodeLog(await readFile(path), path).records)).toEqual([1, 2, 3, 4, 5]);
    await journal.close();
  });

  it("writes what was appended without anybody waiting for it", async () => {
    const { journal } = await open();
    journal.append(numbered(1));
    await expect.poll(async () => idsOf(decodeLog(await readFile(path), path).records)).toEqual([1]);
    await journal.close();
  });

  it("keeps the order of calls between append and accept", async () => {
    const { journal } = await open();
    journal.append(numbered(1));
    const accepted = journal.accept(numbered(2), numbered(3));
    journal.append(numbered(4));
    await Promise.all([accepted, journal.accept(numbered(5))]);
    await journal.close();
    expect(idsOf(await replay())).toEqual([1, 2, 3, 4, 5]);
  });

  it("after a compaction holds the given records, then what was appended since", async () => {
    const { journal } = await open();
    for (let id = 1; id <= 100; id++) journal.append(numbered(id));
    const compacted = journal.compact([numbered(50), numbered(100)]);
    journal.append(numbered(101));
    const accepted = journal.accept(numbered(102));
    await Promise.all([compacted, accepted]);
    expect(journal.records).toBe(4);
    expect(journal.size).toBe((await stat(path)).size);
    journal.append(numbered(103));
    await journal.close();
    expect(idsOf(await replay())).toEqual([50, 100, 101, 102, 103]);
    expect(await names()).toEqual(["journal"]);
  });

  it("counts size and records across openings", async () => {
    await write([numbered(1), numbered(2)]);
    const { journal } = await open();
    expect(journal.size).toBe((await stat(path)).size);
    journal.append(numbered(3));
    expect(journal.records).toBe(3);
    await journal.close();
    expect(journal.size).toBe((await stat(path)).size);
  });

  it("refuses everything after close", async () => {
    const { journal } = await open();
    await journal.close();
    expect(() => journal.append(numbered(1))).toThrow("closed");
    await expect(journal.sync()).rejects.toThrow("closed");
    await expect(journal.accept(numbered(1))).rejects.toThrow("closed");
    await expect(journal.compact([])).rejects.toThrow("closed");
    await expect(journal.close()).resolves.toBeUndefined();
  });

  it("is for its owner only, a compacted one and a damaged one as well", async () => {
    await write([numbered(1)]);
    await chmod(path, 0o600);
    const { journal } = await open();
    await journal.compact([numbered(1), numbered(2)]);
    await journal.close();
    const bytes = await readFile(path);
    bytes[HEADER.length + 12]! ^= 1;
    await writeFile(path, bytes);
    await replay();
    for (const name of await names())
      expect([name, (await stat(join(folder, name))).mode & 0o777]).toEqual([name, 0o600]);
    expect(await names()).toHaveLength(2);
  });

  it("forgets a compaction that a crash interrupted", async () => {
    await write([numbered(1)]);
    await writeFile(`${path}.new`, Buffer.concat([HEADER, encodeFrame(numbered(2))]));
    expect(idsOf(await replay())).toEqual([1]);
    expect(await names()).toEqual(["journal"]);
  });
});

describe("a damaged journal", () => {
  const three = [numbered(1, "first {"), numbered(2, 'a "quoted" {"t":1}'), numbered(3)];
  const frames = three.map(encodeFrame);
  const whole = Buffer.concat([HEADER, ...frames]);
  /** How many frames end at or before a length. */
  const framesIn = (length: number) => {
    let end = HEADER.length;
    return frames.filter((frame) => {
      end += frame.length;
      return end <= length;
    }).length;
  };

  it("cut at any byte has exactly the records whose frames are whole, and can be appended to", async () => {
    for (let length = 0; length <= whole.length; length++) {
      await writeFile(path, whole.subarray(0, length));
      const { journal, records, aside } = await open();
      expect([length, records]).toEqual([length, three.slice(0, framesIn(length))]);
      expect(aside).toBeUndefined();
      await journal.accept(numbered(9));
      await journal.close();
      expect(idsOf(await replay())).toEqual([...idsOf(records), 9]);
    }
    expect(await names()).toEqual(["journal"]);
  }, 60_000);

  it("with any single byte changed never yields a wrong record", () => {
    fc.assert(
      fc.property(
        fc.array(anyRecord, { maxLength: 6 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (records, at, flip) => {
          const bytes = Buffer.concat([HEADER, ...records.map(encodeFrame)]);
          const position = at % bytes.length;
          fc.pre(position !== HEADER.length - 1);
          bytes[position]! ^= flip;
          const decoded = decodeLog(bytes, path);
          expect(decoded.records.length).toBeLessThan(records.length + (position < HEADER.length ? 1 : 0));
          expect(decoded.records).toEqual(records.slice(0, decoded.records.length));
          expect(decoded.end).toBeLessThanOrEqual(position);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("is kept aside whole when good records are behind the damage", async () => {
    const bytes = Buffer.from(whole);
    bytes[HEADER.length + frames[0]!.length + 20]! ^= 4;
    await writeFile(path, bytes);
    const { journal, records, aside } = await open();
    await journal.close();
    expect(idsOf(records)).toEqual([1]);
    expect(await readFile(aside!)).toEqual(bytes);
    expect(await names()).toEqual(["journal", expect.stringMatching(/^journal\.torn-\d{4}-\d\d-\d\dT/)]);
    expect(idsOf(await replay())).toEqual([1]);
  });

  it("is kept aside when a wrong length makes good records look like one that was cut", async () => {
    const bytes = Buffer.from(whole);
    bytes.writeUInt32LE(whole.length * 2, HEADER.length);
    await writeFile(path, bytes);
    const { journal, records, aside } = await open();
    await journal.close();
    expect(records).toEqual([]);
    expect(await readFile(aside!)).toEqual(bytes);
  });

  it("is kept aside when it is no journal at all, and a new one is begun", async () => {
    await writeFile(path, "something else entirely");
    const { journal, records, aside } = await open();
    await journal.accept(numbered(1));
    await journal.close();
    expect(records).toEqual([]);
    expect(await readFile(aside!, "utf8")).toBe("something else entirely");
    expect(idsOf(await replay())).toEqual([1]);
  });

  it("with zeros behind the last record, as a power cut leaves them, loses only the zeros", async () => {
    await writeFile(path, Buffer.concat([whole, Buffer.alloc(5000)]));
    const { journal, records, aside } = await open();
    await journal.close();
    expect(records).toEqual(three);
    expect(aside).toBeUndefined();
    expect((await stat(path)).size).toBe(whole.length);
  });

  it("of a newer format is refused with a sentence and stays as it is", async () => {
    const bytes = Buffer.from(whole);
    bytes[HEADER.length - 1] = 2;
    await writeFile(path, bytes);
    await expect(open()).rejects.toThrow(`${path} has version 2 of its format and this program knows only version 1`);
    expect(await readFile(path)).toEqual(bytes);
    expect(await names()).toEqual(["journal"]);
  });

  it("ends at a record of an unknown type, with a missing field, or with one of the wrong type", () => {
    const strange: unknown[] = [
      { t: "renamed", id: 1 },
      { t: "toString", id: 1 },
      { id: 1 },
      { t: "done" },
      { t: "done", id: 0 },
      { t: "done", id: 1.5 },
      { t: "done", id: "1" },
      { t: "wrote", id: 1, start: 5, end: -1 },
      { t: "truncated", id: 1, size: 2 ** 60 },
      { t: "sealed", id: 1, size: 1, mtime: null, gaps: [] },
      { t: "sealed", id: 1, size: 1, mtime: 1, gaps: [[3, 2]] },
      { t: "sealed", id: 1, size: 1, mtime: 1, gaps: [[1, 2, 3]] },
      { t: "placed", id: 1, path: "relative", expects: null },
      { t: "placed", id: 1, path: "/a", expects: "0123" },
      { t: "placed", id: 1, path: "/a", expects: null, attempted: null },
      { t: "removing", id: 1, library: "x", path: "/a", kind: "file", expects: null },
      { t: "moving", id: 1, library: "a".repeat(36), from: "/a", to: "/b", kind: "link" },
      [],
      null,
    ];
    for (const record of strange) expect([record, isJournalRecord(record)]).toEqual([record, false]);
    for (const spool of ["", ".", "..", "a/b", "../x", "a\0"]) {
      const opened = {
        t: "opened",
        id: 1,
        library: "a".repeat(36),
        path: "/a",
        spool,
        base: null,
        expects: null,
        created: 1,
      };
      expect([spool, isJournalRecord(opened)]).toEqual([spool, false]);
      expect(isJournalRecord({ ...opened, spool: "f" })).toBe(true);
    }
  });

  it("is never made by writing: a record that could not be read back is refused, and the others stay", async () => {
    const { journal } = await open();
    await journal.accept(numbered(1));
    expect(() => journal.append({ t: "truncated", id: 2, size: Number.NaN })).toThrow(TypeError);
    expect(() => journal.append(numbered(3, "x".repeat(17 * 1024 * 1024)))).toThrow(RangeError);
    await expect(journal.accept(numbered(4), { t: "done", id: 0 })).rejects.toThrow(TypeError);
    await expect(journal.compact([{ t: "done", id: -1 }])).rejects.toThrow(TypeError);
    await journal.accept(numbered(5));
    await journal.close();
    expect(idsOf(await replay())).toEqual([1, 5]);
  });
});
