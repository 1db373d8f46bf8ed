/** The backlog against a byte array: what it writes into the journal amounts to what it holds, whenever the process dies. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DirtyFile } from "../../src/writeback/dirty-file.ts";
import {
  adopt,
  backlog,
  bytesOf,
  collect,
  compact,
  folder,
  LIBRARY,
  Model,
  pending,
  renew,
  reopen,
  useWriteback,
  version,
} from "./writeback-stage.ts";

useWriteback();

const at = (path: string) => ({ library: LIBRARY, path, expects: null });

const SPACE = 300;
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("write" as const),
      at: fc.nat(SPACE),
      data: fc.uint8Array({ minLength: 1, maxLength: 60 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("truncate" as const), size: fc.nat(SPACE) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("seal" as const), mtime: fc.nat(2_000_000_000) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom("store" as const, "compact" as const, "crash" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("rename" as const), path: fc.constantFrom("/a", "/b", "/c/d") }),
  },
);

/** One file as a mount holds it, beside the byte array that it is to equal. */
class Subject {
  readonly base: Buffer;
  /** What the server has, as far as reading is concerned: the base of new content. */
  stored: Uint8Array;
  path = "/a";
  dirty: DirtyFile | undefined;
  sealed: { content: DirtyFile; bytes: Buffer; mtime: number } | undefined;
  model: Model;
  #versions = 7;
  readonly #bytesOf = new Map<string, Uint8Array>();

  constructor(base: Uint8Array) {
    this.base = Buffer.from(base);
    this.stored = this.base;
    this.model = new Model(base);
  }

  async writable(): Promise<DirtyFile> {
    if (this.dirty === undefined) this.dirty = await backlog.create(at(this.path), this.#version());
    else if (this.dirty.isSealed) this.dirty = await backlog.fork(this.dirty, at(this.path));
    return this.dirty;
  }

  #version() {
    const made = version(this.stored, this.#versions);
    this.#bytesOf.set(made.id, this.stored);
    return made;
  }

  async seal(mtime: number): Promise<void> {
    if (this.dirty === undefined || this.dirty.isSealed) return;
    const earlier = this.sealed?.content;
    await backlog.seal(this.dirty, mtime, earlier);
    this.dirty.retain();
    this.sealed = { content: this.dirty, bytes: Buffer.from(this.model.bytes), mtime };
    await earlier?.release();
  }

  async store(): Promise<void> {
    if (this.sealed === undefined) return;
    const { content, bytes } = this.sealed;
    expect((await collect(await content.content())).equals(bytes)).toBe(true);
    if (this.dirty !== content) await this.dirty?.detach();
    backlog.done(content.id);
    await content.release();
    if (this.dirty === content) {
      await content.release();
      this.dirty = undefined;
    }
    this.stored = bytes;
    this.#versions++;
    this.sealed = undefined;
  }

  async rename(path: string): Promise<void> {
    this.path = path;
    for (const content of [this.sealed?.content, this.dirty])
      if (content !== undefined) backlog.placed(content, path, null);
    await backlog.sync();
  }

  /** The process dies; the next one finds what was accepted, and what was being written. */
  async crash(): Promise<void> {
    const isOpen = this.dirty?.isSealed === false && this.dirty.isTouched;
    const found = [...(await reopen()).contents.values()];
    const revived = new Map<number, DirtyFile>();
    let open: Buffer | undefined;
    let accepted: DirtyFile | undefined;
    for (const content of found) {
      const base = content.base === null ? undefined : this.#bytesOf.get(content.base.id);
      const under = content.over === undefined ? undefined : revived.get(content.over);
      const dirty = await adopt(content, base, under);
      revived.set(content.id, dirty);
      const bytes = await bytesOf(dirty);
      if (!content.sealed) {
        open = bytes;
        backlog.done(dirty.id);
        await dirty.release();
        continue;
      }
      expect(accepted).toBeUndefined();
      expect([content.mtime, content.path]).toEqual([this.sealed?.mtime, this.path]);
      expect(bytes.equals(this.sealed!.bytes)).toBe(true);
      accepted = dirty;
    }
    expect(accepted === undefined).toBe(this.sealed === undefined);
    if (isOpen) expect(open?.equals(this.model.bytes)).toBe(true);
    accepted?.retain();
    if (this.sealed !== undefined) this.sealed = { ...this.sealed, content: accepted! };
    this.dirty = accepted;
    this.model = new Model(this.sealed?.bytes ?? this.stored);
  }
}

describe("the backlog", () => {
  it("is the same after any writes, truncates, seals, commits, renames, compactions and crashes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.array(step, { maxLength: 20 }), async (base, steps) => {
        await renew();
        const subject = new Subject(base);
        for (const s of steps) {
          if (s.op === "write") {
            await (await subject.writable()).write(s.at, s.data);
            subject.model.write(s.at, s.data);
          } else if (s.op === "truncate") {
            await (await subject.writable()).truncate(s.size);
            subject.model.truncate(s.size);
          } else if (s.op === "seal") await subject.seal(s.mtime);
          else if (s.op === "store") await subject.store();
          else if (s.op === "compact") await compact();
          else if (s.op === "crash") await subject.crash();
          else if (s.op === "rename") await subject.rename(s.path);
        }
        await subject.crash();
        await subject.store();
        await reopen();
        expect([[...pending.contents.values()], await readdir(join(folder, "spool"))]).toEqual([[], []]);
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});
