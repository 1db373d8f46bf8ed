import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { DirtyFile } from "../../src/writeback/dirty-file.ts";
import { Spool } from "../../src/writeback/spool.ts";

let stateDir: string;
let spool: Spool;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "seamount-unit-"));
  spool = await Spool.open(stateDir, silentLogger());
});
afterEach(async () => {
  await spool.close();
  await rm(stateDir, { recursive: true, force: true });
});

const SPACE = 400;
const command = fc.oneof(
  fc.record({ op: fc.constant("write" as const), at: fc.nat(SPACE), data: fc.uint8Array({ maxLength: 60 }) }),
  fc.record({ op: fc.constant("truncate" as const), size: fc.nat(SPACE) }),
  fc.record({ op: fc.constant("read" as const), at: fc.nat(SPACE), length: fc.nat(SPACE) }),
  fc.record({ op: fc.constant("commit" as const) }),
);

async function collect(content: { open(): AsyncIterable<Uint8Array> }): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of content.open()) parts.push(part);
  return Buffer.concat(parts);
}

describe("DirtyFile", () => {
  it("reads and commits as a plain byte array would after any writes and truncates over any base", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(command, { maxLength: 25 }),
        async (base, commands) => {
          const dirty = await DirtyFile.create(spool, {
            size: base.length,
            read: async (start, end) => [base.slice(start, end)],
          });
          let model = Buffer.from(base);
          const grow = (size: number) => {
            if (size > model.length) model = Buffer.concat([model, Buffer.alloc(size - model.length)]);
          };
          for (const c of commands) {
            if (c.op === "write") {
              await dirty.write(c.at, c.data);
              if (c.data.length > 0) {
                grow(c.at + c.data.length);
                model.set(c.data, c.at);
              }
            } else if (c.op === "truncate") {
              await dirty.truncate(c.size);
              grow(c.size);
              model = Buffer.from(model.subarray(0, c.size));
            } else if (c.op === "read") {
              const got = Buffer.concat(await dirty.read(c.at, c.at + c.length));
              expect(got.equals(model.subarray(c.at, c.at + c.length))).toBe(true);
            } else {
              const stored = await dirty.commit(async (content) => {
                expect(content.size).toBe(model.length);
                return collect(content);
              });
              expect(stored.equals(model)).toBe(true);
            }
            expect(dirty.size).toBe(model.length);
          }
          expect((await dirty.commit(collect)).equals(model)).toBe(true);
          await dirty.discard();
        },
      ),
      { numRuns: 60 },
    );
    expect(await readdir(join(stateDir, "spool", (await readdir(join(stateDir, "spool")))[0]!))).toEqual([]);
  });

  it("content can be opened again for a retry and is the same", async () => {
    const dirty = await DirtyFile.create(spool);
    await dirty.write(0, Buffer.from("hello"));
    const both = await dirty.commit(async (content) => [await collect(content), await collect(content)]);
    expect(both.map(String)).toEqual(["hello", "hello"]);
    await dirty.discard();
  });

  it("a writer waits while a commit reads the content", async () => {
    const dirty = await DirtyFile.create(spool);
    await dirty.write(0, Buffer.from("one"));
    let write: Promise<void> | undefined;
    const stored = await dirty.commit(async (content) => {
      write = dirty.write(0, Buffer.from("two"));
      return collect(content);
    });
    await write;
    expect(String(stored)).toBe("one");
    expect(String(Buffer.concat(await dirty.read(0, 3)))).toBe("two");
    await dirty.discard();
  });

  it("a recovered file holds the whole content, 0600, outside the spool", async () => {
    const dirty = await DirtyFile.create(spool, {
      size: 4,
      read: async (s, e) => [Buffer.from("base").subarray(s, e)],
    });
    await dirty.write(6, Buffer.from("tail"));
    const place = await dirty.recover("a/b\nname.txt");
    expect(String(await readFile(place))).toBe("base\0\0tail");
    expect((await stat(place)).mode & 0o777).toBe(0o600);
    expect(place.startsWith(join(stateDir, "recovered"))).toBe(true);
  });

  it("the spool folder is 0700, its files 0600, and a dead process's spool is removed at the next start", async () => {
    const dirty = await DirtyFile.create(spool);
    const [mine] = await readdir(join(stateDir, "spool"));
    const folder = join(stateDir, "spool", mine!);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    const [name] = await readdir(folder);
    expect((await stat(join(folder, name!))).mode & 0o777).toBe(0o600);
    const { mkdir, writeFile } = await import("node:fs/promises");
    const dead = join(stateDir, "spool", `${2 ** 22 + 1}-dead`);
    await mkdir(dead);
    await writeFile(join(dead, "x"), "x");
    const second = await Spool.open(stateDir, silentLogger());
    const left = await readdir(join(stateDir, "spool"));
    expect(left).toContain(mine);
    expect(left).not.toContain(`${2 ** 22 + 1}-dead`);
    await second.close();
    await dirty.discard();
  });
});
