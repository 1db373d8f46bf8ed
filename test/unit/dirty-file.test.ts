/** Content that is being written: over a base, over sealed content, through failing disks; and the spool that holds it. */
import { type FileHandle, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Base, DirtyFile, type Tracker } from "../../src/writeback/dirty-file.ts";
import type { SpoolFile } from "../../src/writeback/spool.ts";
import { bytesOf, collect, folder, Model, spool, useWriteback } from "./writeback-stage.ts";

useWriteback();

const SPACE = 400;
const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("write" as const),
      at: fc.nat(SPACE),
      data: fc.uint8Array({ maxLength: 60 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("truncate" as const), size: fc.nat(SPACE) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("read" as const), at: fc.nat(SPACE), length: fc.nat(SPACE) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom("seal" as const, "detach" as const, "store" as const) }) },
);

const baseOf = (content: Uint8Array): Base => ({
  size: content.length,
  read: async (start, end) => [content.slice(start, end)],
});
const made = async (base?: Base) => new DirtyFile({ id: 1, file: await spool.create(), base });
const fork = async (under: DirtyFile, tracker?: Tracker) =>
  new DirtyFile({ id: 2, file: await spool.create(), under, tracker });
const text = async (dirty: DirtyFile) => String(await bytesOf(dirty));
const put = (dirty: DirtyFile, at: number, data: string) => dirty.write(at, Buffer.from(data));

async function sealed(content: string, base?: Base): Promise<DirtyFile> {
  const dirty = await made(base);
  await put(dirty, 0, content);
  await dirty.seal();
  return dirty;
}

/** A new file that says what is done to it. */
async function spiedFile(say: (call: string) => void): Promise<SpoolFile> {
  const real = await spool.create();
  const use = real.use.bind(real);
  real.use = (work) =>
    use((handle) =>
      work(
        new Proxy(handle, {
          get: (target, key) => {
            const value: unknown = Reflect.get(target, key);
            if (typeof value !== "function") return value;
            return (...args: unknown[]) => {
              say(String(key));
              return value.apply(target, args);
            };
          },
        }),
      ),
    );
  return real;
}

/** The file on a disk that has no room for what is asked of it, as long as `isFull` says so. */
async function onFullDisk(call: "write" | "datasync" | "truncate", isFull: () => boolean): Promise<SpoolFile> {
  const real = await spool.create();
  const use = real.use.bind(real);
  const full = () => Promise.reject(Object.assign(new Error("no space left"), { code: "ENOSPC" }));
  real.use = (work) =>
    use((handle) =>
      work(
        new Proxy(handle, {
          get: (target, key) => {
            if (key === call && isFull()) return full;
            const value: unknown = Reflect.get(target, key);
            return typeof value === "function" ? value.bind(target) : value;
          },
        }),
      ),
    );
  return real;
}

describe("DirtyFile", () => {
  it("reads and is stored as a plain byte array would be, through any writes, truncates, seals and forks over any base", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(command, { maxLength: 25 }),
        async (base, commands) => {
          let dirty = await made(baseOf(base));
          const model = new Model(base);
          const accepted: { content: DirtyFile; bytes: Buffer }[] = [];
          const writable = async () => {
            if (dirty.isSealed) dirty = await fork(dirty);
            return dirty;
          };
          for (const c of commands) {
            if (c.op === "write") {
              await (await writable()).write(c.at, c.data);
              model.write(c.at, c.data);
            } else if (c.op === "truncate") {
              await (await writable()).truncate(c.size);
              model.truncate(c.size);
            } else if (c.op === "read") {
              const got = Buffer.concat(await dirty.read(c.at, c.at + c.length));
              expect(got.equals(model.bytes.subarray(c.at, c.at + c.length))).toBe(true);
            } else if (c.op === "detach") await dirty.detach();
            else if (c.op === "seal" && !dirty.isSealed) {
              await dirty.seal();
              dirty.retain();
              accepted.push({ content: dirty, bytes: Buffer.from(model.bytes) });
            } else if (c.op === "store") {
              const oldest = accepted.shift();
              if (oldest === undefined) continue;
              expect((await collect(await oldest.content.content())).equals(oldest.bytes)).toBe(true);
              await oldest.content.release();
            }
            expect(dirty.size).toBe(model.bytes.length);
          }
          expect((await bytesOf(dirty)).equals(model.bytes)).toBe(true);
          for (const { content, bytes } of accepted) {
            expect((await bytesOf(content)).equals(bytes)).toBe(true);
            await content.release();
          }
          await dirty.release();
        },
      ),
      { numRuns: 80 },
    );
    expect(await readdir(join(folder, "spool"))).toEqual([]);
  });

  it("content can be opened again for a retry and is the same", async () => {
    const content = await (await sealed("hello")).content();
    expect([await collect(content), await collect(content)].map(String)).toEqual(["hello", "hello"]);
  });

  it("takes no write and no truncate once it is sealed", async () => {
    const dirty = await sealed("one");
    expect([await put(dirty, 0, "two"), await dirty.truncate(0)]).toEqual([false, false]);
    expect(await text(dirty)).toBe("one");
  });

  it("a write that comes while it is sealed is in it, or is refused", async () => {
    const dirty = await made();
    await put(dirty, 0, "one");
    const [, taken] = await Promise.all([dirty.seal(), put(dirty, 0, "two")]);
    expect(await text(dirty)).toBe(taken ? "two" : "one");
  });

  it("is not stored before it is sealed", async () => {
    await expect((await made()).content()).rejects.toThrow("only sealed content");
  });

  it("what is forked from it shows its content until it is written over, and leaves it as it is", async () => {
    const under = await sealed("0123456789");
    const over = await fork(under);
    under.retain();
    expect(await text(over)).toBe("0123456789");
    await put(over, 3, "abc");
    expect([await text(over), await text(under)]).toEqual(["012abc6789", "0123456789"]);
  });

  it("a fork that was made shorter and longer again has zeros where the content under it had bytes", async () => {
    const over = await fork(await sealed("0123456789"));
    await over.truncate(4);
    await over.truncate(8);
    expect(await text(over)).toBe("0123\0\0\0\0");
    await over.seal();
    expect(String(await collect(await over.content()))).toBe("0123\0\0\0\0");
  });

  it("a fork shows zeros where the content under it was made longer, not the base version's bytes", async () => {
    const under = await made(baseOf(Buffer.from("base version")));
    await under.truncate(4);
    await under.truncate(12);
    await under.seal();
    const over = await fork(under);
    await put(over, 6, "x");
    const before = await text(over);
    await over.detach();
    expect([before, await text(over)]).toEqual(["base\0\0x\0\0\0\0\0", "base\0\0x\0\0\0\0\0"]);
  });

  it("a sealed fork needs nothing of the content under it but ranges of the base version", async () => {
    const under = await made(baseOf(Buffer.from("0123456789")));
    await put(under, 2, "ab");
    await under.seal();
    const over = await fork(under);
    await put(over, 6, "cd");
    await over.seal();
    expect(await readdir(join(folder, "spool"))).toEqual([over.spoolName]);
    expect(over.gaps).toEqual([
      { start: 0, end: 2 },
      { start: 4, end: 6 },
      { start: 8, end: 10 },
    ]);
    expect(String(await collect(await over.content()))).toBe("01ab45cd89");
    expect(over.needsBase).toBe(false);
  });

  it("a detached fork can still be written, and reads on when the content under it is gone", async () => {
    const under = await sealed("0123456789");
    const over = await fork(under);
    await put(over, 0, "ab");
    await over.detach();
    expect(await readdir(join(folder, "spool"))).toEqual([over.spoolName]);
    await put(over, 9, "cd");
    expect(await text(over)).toBe("ab2345678cd");
  });

  it("tells its tracker of every range that it takes over from the content under it, zeros included", async () => {
    const under = await made(baseOf(Buffer.from("01234567")));
    await under.truncate(2);
    await under.truncate(10);
    await put(under, 4, "ab");
    await under.seal();
    const told: [number, number][] = [];
    const over = await fork(under, {
      wrote: (start, end) => told.push([start, end]),
      truncated: () => {},
      noted: async () => {},
    });
    await over.detach();
    const covered = Array.from({ length: 10 }, (_, at) => told.some(([start, end]) => start <= at && at < end));
    expect(covered).toEqual([false, false, ...Array.from({ length: 8 }, () => true)]);
  });

  it.each(["content", "seal", "detach"] as const)(
    "what %s copies into the spool is on the disk before it is told to the tracker: a power cut must not leave zeros there",
    async (way) => {
      const base = baseOf(Buffer.from("0123456789"));
      const under = await made(base);
      await put(under, 2, "ab");
      await under.seal();
      const calls: string[] = [];
      const tracker: Tracker = { wrote: () => calls.push("told"), truncated: () => {}, noted: async () => {} };
      const file = await spiedFile((call) => calls.push(call));
      const dirty =
        way === "content"
          ? new DirtyFile({ id: 2, file, base, tracker })
          : new DirtyFile({ id: 2, file, under, tracker });
      await put(dirty, 4, "c");
      calls.length = 0;
      if (way === "detach") await dirty.detach();
      else await dirty.seal();
      if (way === "content") await dirty.content();
      expect(calls).toContain("told");
      const unsynced = calls.filter(
        (call, i) =>
          call === "told" && calls.slice(0, i).lastIndexOf("write") > calls.slice(0, i).lastIndexOf("datasync"),
      );
      expect(unsynced).toEqual([]);
      expect(calls.filter((call) => call === "datasync").length).toBe(way === "content" ? 2 : 1);
    },
  );

  it("the spool file goes with the last who needs it", async () => {
    const dirty = await sealed("x");
    dirty.retain();
    await dirty.release();
    expect([await readdir(join(folder, "spool")), await text(dirty)]).toEqual([[dirty.spoolName], "x"]);
    await dirty.release();
    expect(await readdir(join(folder, "spool"))).toEqual([]);
    await expect(dirty.read(0, 1)).rejects.toThrow("closed");
  });

  it("the spool file of sealed content stays as long as a fork needs it", async () => {
    const under = await sealed("x");
    const over = await fork(under);
    expect(await text(over)).toBe("x");
    await over.release();
    expect(await readdir(join(folder, "spool"))).toEqual([]);
  });

  it("hidden content leaves nothing after a crash and can be read and written on", async () => {
    const dirty = await made();
    await put(dirty, 0, "before");
    await dirty.hide();
    await put(dirty, 0, "AFTER");
    expect([await readdir(join(folder, "spool")), await text(dirty)]).toEqual([[], "AFTERe"]);
    await dirty.release();
  });

  it("hidden sealed content can be read on", async () => {
    const dirty = await sealed("x");
    await dirty.hide();
    expect(await text(dirty)).toBe("x");
    await dirty.release();
  });

  it.each(["datasync"] as const)("a disk that fails at %s leaves it unsealed, to be sealed later", async (call) => {
    let isFull = true;
    const dirty = new DirtyFile({ id: 1, file: await onFullDisk(call, () => isFull) });
    await put(dirty, 0, "one");
    await expect(dirty.seal()).rejects.toMatchObject({ code: "ENOSPC" });
    expect([dirty.isSealed, await put(dirty, 3, "two")]).toEqual([false, true]);
    isFull = false;
    await dirty.seal();
    expect(String(await collect(await dirty.content()))).toBe("onetwo");
  });

  it("a write that fails half-way leaves zeros where there were zeros", async () => {
    const file = await spool.create();
    const use = file.use.bind(file);
    let writes = 0;
    const write = async (handle: FileHandle, data: Uint8Array, from: number, length: number, at: number) => {
      if (++writes === 2) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      return handle.write(data, from, writes === 1 ? 3 : length, at);
    };
    file.use = (work) =>
      use((handle) =>
        work(
          new Proxy(handle, {
            get: (target, key) => {
              if (key === "write") return (...args: [Uint8Array, number, number, number]) => write(target, ...args);
              const value: unknown = Reflect.get(target, key);
              return typeof value === "function" ? value.bind(target) : value;
            },
          }),
        ),
      );
    const dirty = new DirtyFile({ id: 1, file, base: baseOf(Buffer.from("0123")) });
    await dirty.truncate(8);
    await expect(put(dirty, 2, "abcdef")).rejects.toMatchObject({ code: "ENOSPC" });
    expect(await text(dirty)).toBe("0123\0\0\0\0");
    await dirty.seal();
    expect(String(await collect(await dirty.content()))).toBe("0123\0\0\0\0");
  });

  it("a disk that is full when a fork is sealed leaves it as it was, and the content under it in place", async () => {
    let isFull = false;
    const under = await sealed("0123456789");
    const dirty = new DirtyFile({ id: 2, file: await onFullDisk("write", () => isFull), under });
    await put(dirty, 0, "ab");
    isFull = true;
    await expect(dirty.seal()).rejects.toMatchObject({ code: "ENOSPC" });
    expect([dirty.isSealed, await text(dirty)]).toEqual([false, "ab23456789"]);
    isFull = false;
    await dirty.seal();
    expect(String(await collect(await dirty.content()))).toBe("ab23456789");
  });

  it("a base version that cannot be read fails the upload, not the content", async () => {
    let isGone = true;
    const read = async () => {
      if (isGone) throw new Error("gone");
      return [Buffer.from("34")];
    };
    const dirty = await made({ size: 5, read });
    await put(dirty, 0, "abc");
    await dirty.seal();
    await expect(dirty.content()).rejects.toThrow("gone");
    isGone = false;
    expect(String(await collect(await dirty.content()))).toBe("abc34");
  });
});

describe("the spool", () => {
  it("is a folder of 0700, with files of 0600", async () => {
    const dirty = await made();
    expect((await stat(join(folder, "spool"))).mode & 0o777).toBe(0o700);
    expect((await stat(spool.pathOf(dirty.spoolName))).mode & 0o777).toBe(0o600);
  });

  it("holds no descriptor for a file that rests, and opens it again when it is used", async () => {
    const before = (await readdir("/proc/self/fd")).length;
    const many = await Promise.all(Array.from({ length: 30 }, () => sealed("x")));
    await expect.poll(async () => (await readdir("/proc/self/fd")).length).toBeLessThan(before + 10);
    expect(await Promise.all(many.map(text))).toEqual(many.map(() => "x"));
  });

  it("fails with the disk's error when a resting file is gone, and serves it when it is back", async () => {
    const dirty = await sealed("x");
    const { writeFile } = await import("node:fs/promises");
    await expect.poll(async () => unlink(spool.pathOf(dirty.spoolName)).then(() => true)).toBe(true);
    await expect(text(dirty)).rejects.toMatchObject({ code: "ENOENT" });
    await writeFile(spool.pathOf(dirty.spoolName), "y");
    expect(await text(dirty)).toBe("y");
  });
});
