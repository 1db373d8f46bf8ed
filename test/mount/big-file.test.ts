/** A file that does not fit into one request, one block or one read-ahead window: 64 MiB, in order and out of order. */
import { createReadStream, createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { ok } from "../support/process.ts";
import { fileOf, pattern, sha256 } from "../support/trees.ts";

const MIB = 1024 * 1024;
const shared = useMount();

/** 64 MiB of which no two MiB are the same. */
function bigData(): Buffer {
  const piece = pattern(MIB, 11);
  return Buffer.concat(
    Array.from({ length: 64 }, (_, i) => {
      const copy = Buffer.from(piece);
      copy.writeUInt32LE(i, 0);
      copy.writeUInt32LE(~i >>> 0, MIB - 4);
      return copy;
    }),
  );
}

/** The most memory that the process of the mount ever had, in bytes. */
async function peak(): Promise<number> {
  const status = await readFile(`/proc/${shared.mount.pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) * 1024;
}

it("memory does not grow with the size of a file that is written and stored", async () => {
  const folder = await shared.folder();
  // What any file takes: buffers, connections, compiled code.
  await ok("dd", ["if=/dev/zero", `of=${join(folder.dir, "first")}`, "bs=1M", "count=32"]);
  const before = await peak();
  await ok("dd", ["if=/dev/zero", `of=${join(folder.dir, "second")}`, "bs=1M", "count=128"]);
  expect((await folder.tree())["second"]).toBe(fileOf(Buffer.alloc(128 * MIB)));
  expect((await peak()) - before).toBeLessThan(48 * MIB);
});

describe("a file of 64 MiB", () => {
  it("is written and read in order, and read from the end and the middle after a remount", async () => {
    const data = bigData();
    const folder = await shared.folder();
    const file = join(folder.dir, "big.bin");
    await pipeline(Readable.from([data]), createWriteStream(file, { highWaterMark: MIB }));
    expect(sha256(await shared.server.store.readFile(shared.libraryId, `${folder.path}/big.bin`))).toBe(sha256(data));

    await shared.remount();
    const { worker } = shared;
    const fd = await worker.open(file, "O_RDONLY");
    for (const offset of [60 * MIB + 17, 30 * MIB - 1000, 5, 64 * MIB - 10]) {
      expect(fileOf(await worker.pread(fd, 100_000, offset))).toBe(fileOf(data.subarray(offset, offset + 100_000)));
    }
    await worker.close(fd);
    expect(await ok("sha256sum", [file])).toContain(sha256(data));
  });

  it("reading a few bytes does not download the whole file", async () => {
    const folder = await shared.folder();
    await shared.server.store.writeFile(shared.libraryId, `${folder.path}/remote.bin`, bigData());
    await shared.remount();
    const before = shared.server.requests.count("download");
    const stream = createReadStream(join(folder.dir, "remote.bin"), { start: 40 * MIB, end: 40 * MIB + 3 });
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    expect(Buffer.concat(chunks).readUInt32LE(0)).toBe(40);
    const ranges = shared.server.requests.list().filter((request) => request.kind === "download");
    expect(ranges.length - before).toBeGreaterThan(0);
    expect(ranges.length - before).toBeLessThanOrEqual(4);
  });
});
