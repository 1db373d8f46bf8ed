import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fstatSync, readSync, statSync } from "node:fs";
import { type FileHandle, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { Journal } from "../../src/writeback/journal.ts";
import { decodeLog, HEADER } from "../../src/writeback/journal-frame.ts";
import { compiled } from "../support/programs.ts";
import { type DiskCall, interceptDisk } from "../unit/file-handle-seam.ts";
import { idsOf, numbered } from "../unit/journal-records.ts";

const CHILD = compiled(import.meta.dirname, "journal-child");

let folder: string;
let path: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "seamount-crash-"));
  path = join(folder, "journal");
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
  await rm(folder, { recursive: true, force: true });
});

/** What a journal that a crash leaves may and must hold. Records have the ids 1, 2, 3 ... in the order of their calls. */
interface Promised {
  /** Ids whose sync has resolved. */
  readonly synced: ReadonlySet<number>;
  /** Ids that a compaction left out which has begun. */
  readonly leaving: ReadonlySet<number>;
  /** Ids that a compaction left out which has resolved. */
  readonly left: ReadonlySet<number>;
}

function check(bytes: Buffer, { synced, leaving, left }: Promised): void {
  const { records, damage } = decodeLog(bytes, "journal");
  const ids = idsOf(records);
  expect(damage).not.toBe("corrupt");
  expect(ids).toEqual([...ids].sort((a, b) => a - b));
  const found = new Set(ids);
  expect(found.size).toBe(ids.length);
  expect([...synced].filter((id) => !leaving.has(id) && !found.has(id))).toEqual([]);
  expect([...left].filter((id) => found.has(id))).toEqual([]);
  const holes = Array.from({ length: ids.at(-1) ?? 0 }, (_, i) => i + 1).filter(
    (id) => !found.has(id) && !leaving.has(id),
  );
  expect(holes).toEqual([]);
}

/** The disk below a journal, as a power cut may find it: of what was written since the last sync any end may be missing. */
class Platter {
  readonly #path: string;
  /** All that was written to each file, and how much of it is certain to be on the disk. */
  readonly #files = new Map<FileHandle, { bytes: Buffer; safe: number }>();
  /** The file that the name is certain to stand for; undefined: there may be none. */
  #named: FileHandle | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  note(call: DiskCall, handle: FileHandle): void {
    if (call === "sync") {
      this.#named = this.#current;
      return;
    }
    const { size } = fstatSync(handle.fd);
    const bytes = Buffer.alloc(size);
    readSync(handle.fd, bytes, 0, size, 0);
    const safe = call === "datasync" ? size : Math.min(size, this.#files.get(handle)?.safe ?? 0);
    this.#files.set(handle, { bytes, safe });
  }

  get #current(): FileHandle | undefined {
    const ino = statSync(this.#path, { throwIfNoEntry: false })?.ino;
    return [...this.#files.keys()].find((handle) => handle.fd >= 0 && fstatSync(handle.fd).ino === ino);
  }

  /** The log after kill -9 now, and after a power cut now that loses `share` of what is not certain. */
  logs(share: number): Buffer[] {
    const current = this.#current;
    const afterPowerCut = [current, this.#named].map((handle) => {
      if (handle === undefined) return Buffer.alloc(0);
      const { bytes, safe } = this.#files.get(handle)!;
      return bytes.subarray(0, bytes.length - Math.ceil((bytes.length - safe) * share));
    });
    return current === undefined ? afterPowerCut : [this.#files.get(current)!.bytes, ...afterPowerCut];
  }
}

/** Does commands, mostly without waiting, and keeps account of what was promised. */
class Run {
  readonly synced = new Set<number>();
  readonly leaving = new Set<number>();
  readonly left = new Set<number>();
  readonly #journal: Journal;
  #pending: Promise<void>[] = [];
  #id = 0;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  async step({ op, length }: Command): Promise<void> {
    if (op === "append") this.#journal.append(numbered(++this.#id, "x".repeat(length)));
    else if (op === "accept") this.#then(this.#journal.accept(numbered(++this.#id, "x".repeat(length))), this.synced);
    else if (op === "sync") this.#then(this.#journal.sync(), this.synced);
    else if (op === "compact") this.#compact();
    else if (op === "turn") await new Promise(setImmediate);
    else await this.settle();
  }

  async settle(): Promise<void> {
    await Promise.all(this.#pending);
    this.#pending = [];
  }

  /** Every id so far goes into `set` when the work is done. */
  #then(work: Promise<void>, set: Set<number>, ids = this.#all()): void {
    this.#pending.push(
      work.then(() => {
        for (const id of ids) set.add(id);
      }),
    );
  }

  #all(): number[] {
    return Array.from({ length: this.#id }, (_, i) => i + 1);
  }

  #compact(): void {
    const gone = this.#all().filter((id) => id % 3 === 0);
    const kept = this.#all().filter((id) => id % 3 !== 0);
    for (const id of gone) this.leaving.add(id);
    this.#then(this.#journal.compact(kept.map((id) => numbered(id))), this.left, gone);
  }
}

type Command = { readonly op: "append" | "accept" | "sync" | "compact" | "turn" | "settle"; readonly length: number };
const op = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("append" as const, "accept" as const, "turn" as const) },
  { weight: 1, arbitrary: fc.constantFrom("sync" as const, "compact" as const, "settle" as const) },
);
const commands: fc.Arbitrary<Command[]> = fc.array(fc.record({ op, length: fc.nat(200) }), { maxLength: 40 });

describe("a journal whose process dies", () => {
  it("at any moment of any run loses nothing synced, and has no hole and no other order, also after a power cut", async () => {
    let crashes = 0;
    await fc.assert(
      fc.asyncProperty(
        commands,
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        async (steps, shares) => {
          await rm(path, { force: true });
          vi.restoreAllMocks();
          const platter = new Platter(path);
          let run: Run | undefined;
          const crash = () => {
            for (const log of run === undefined ? [] : platter.logs(shares.next().value)) {
              crashes++;
              check(log, run!);
            }
          };
          await interceptDisk(async (call, handle, real) => {
            // A rename has happened since the call before.
            crash();
            const result = await real();
            platter.note(call, handle);
            crash();
            return result;
          });
          const { journal } = await Journal.open(folder, silentLogger());
          run = new Run(journal);
          for (const step of steps) await run.step(step);
          await run.settle();
          await journal.close();
        },
      ),
      { numRuns: 120 },
    );
    expect(crashes).toBeGreaterThan(1000);
  }, 60_000);

  it("leaves a log that reads back up to any byte it is cut at, and takes new records there", async () => {
    const { journal } = await Journal.open(folder, silentLogger());
    for (let id = 1; id <= 6; id++) await journal.accept(numbered(id, "{".repeat(id)));
    await journal.compact([1, 2, 4, 5].map((id) => numbered(id)));
    await journal.accept(numbered(7), numbered(8));
    await journal.close();
    const whole = await readFile(path);
    let before: readonly number[] = [];
    for (let length = HEADER.length; length <= whole.length; length++) {
      await writeFile(path, whole.subarray(0, length));
      const cut = await Journal.open(folder, silentLogger());
      const ids = idsOf(cut.records);
      expect([1, 2, 4, 5, 7, 8].slice(0, ids.length)).toEqual(ids);
      expect(ids.length - before.length).toBeLessThanOrEqual(1);
      before = ids;
      await cut.journal.accept(numbered(9));
      await cut.journal.close();
      expect(idsOf(decodeLog(await readFile(path), path).records)).toEqual([...ids, 9]);
    }
    expect(before).toHaveLength(6);
  }, 60_000);

  it.each([20, 400])(
    "by kill -9 after %i promises under load has kept them all",
    async (promises) => {
      const child = spawn(process.execPath, [CHILD, folder], { stdio: ["pipe", "pipe", "inherit"] });
      children.push(child);
      const run = { synced: new Set<number>(), leaving: new Set<number>(), left: new Set<number>() };
      const exited = once(child, "exit");
      for await (const line of createInterface({ input: child.stdout })) {
        const { set, ids } = JSON.parse(line) as { set: keyof typeof run; ids: number[] };
        for (const id of ids) run[set].add(id);
        if (run.synced.size >= promises) child.kill("SIGKILL");
      }
      await exited;
      expect(child.signalCode).toBe("SIGKILL");
      expect(run.left.size).toBeGreaterThan(0);
      check(await readFile(path), run);
      const { journal, aside } = await Journal.open(folder, silentLogger());
      expect(aside).toBeUndefined();
      await journal.close();
    },
    120_000,
  );
});
