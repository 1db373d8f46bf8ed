/** Writing into files: at offsets, past the end, by mmap, by truncation. Each ends with what the server holds. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SERVERS, useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { eventually, ok, python } from "../support/process.ts";
import { fileOf, pattern } from "../support/trees.ts";

const SIZE = 300_000;

describe.each(SERVERS)("file server $flavour, as of version $compat", (options) => {
  const shared = useMount({ server: options, mount: { args: ["--refresh", "0.2"] } });

  /** A file of SIZE pattern bytes that the server has and this mount has never read, and its content. */
  async function stored(name = "data.bin") {
    const folder = await shared.folder();
    const [data, file] = [pattern(SIZE), join(folder.dir, name)];
    await shared.server.store.writeFile(shared.libraryId, `${folder.path}/${name}`, data);
    await eventually("the file is shown", async () => (await outcome(shared.worker.stat(file))) === "ok");
    return { folder, file, data };
  }

  describe("writing at offsets", () => {
    it("dd conv=notrunc changes bytes in the middle only", async () => {
      const { folder, file, data } = await stored();
      await ok("dd", [`of=${file}`, "bs=1", "seek=123457", "conv=notrunc", "status=none"], { input: "CHANGED" });
      data.write("CHANGED", 123_457);
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(data) });
    });

    it("a second change right after the first one keeps both", async () => {
      const { folder, file, data } = await stored();
      for (const [at, word] of [
        [70_000, "FIRST"],
        [200_000, "SECOND"],
      ] as const) {
        await ok("dd", [`of=${file}`, "bs=1", `seek=${at}`, "conv=notrunc", "status=none"], { input: word });
        data.write(word, at);
      }
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(data) });
      expect(await ok("sha256sum", [file])).toContain(fileOf(data).split(" ").at(-1));
    });

    it("dd oflag=append conv=notrunc appends", async () => {
      const { folder, file, data } = await stored();
      await ok("dd", [`of=${file}`, "oflag=append", "conv=notrunc", "status=none"], { input: "tail" });
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(Buffer.concat([data, Buffer.from("tail")])) });
    });

    it("O_APPEND writes go to the end although another handle made the file longer", async () => {
      const folder = await shared.folder();
      const file = join(folder.dir, "log");
      const { worker } = shared;
      const a = await worker.open(file, "O_WRONLY|O_CREAT|O_APPEND");
      const b = await worker.open(file, "O_WRONLY|O_APPEND");
      await worker.write(a, "one ");
      await worker.write(b, "two ");
      await worker.write(a, "three");
      await worker.close(a);
      await worker.close(b);
      expect(await folder.text("log")).toBe("one two three");
    });

    it("a write past the end leaves zeros between", async () => {
      const folder = await shared.folder();
      const file = join(folder.dir, "gap");
      const fd = await shared.worker.open(file, "O_RDWR|O_CREAT");
      await shared.worker.pwrite(fd, "end", 100_000);
      expect(fileOf(await shared.worker.pread(fd, 10, 50_000))).toBe(fileOf(Buffer.alloc(10)));
      await shared.worker.close(fd);
      expect(await folder.tree()).toEqual({ gap: fileOf(Buffer.concat([Buffer.alloc(100_000), Buffer.from("end")])) });
    });

    it("writes in random order make the same file", async () => {
      const folder = await shared.folder();
      const data = pattern(1_000_000, 7);
      const fd = await shared.worker.open(join(folder.dir, "shuffled"), "O_RDWR|O_CREAT");
      const pieces = Array.from({ length: 100 }, (_, i) => (i * 37) % 100);
      for (const piece of pieces) {
        await shared.worker.pwrite(fd, data.subarray(piece * 10_000, (piece + 1) * 10_000), piece * 10_000);
      }
      expect(fileOf(await shared.worker.pread(fd, 5000, 497_500))).toBe(fileOf(data.subarray(497_500, 502_500)));
      await shared.worker.close(fd);
      expect(await folder.tree()).toEqual({ shuffled: fileOf(data) });
    });

    it("a sparse file of 8 MiB with three islands is stored whole", async () => {
      const folder = await shared.folder();
      const file = join(folder.dir, "sparse");
      const data = Buffer.alloc(8 * 1024 * 1024);
      for (const at of [0, 4_000_003, data.length - 5]) data.write("islan", at);
      await python(
        `
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.ftruncate(fd, ${data.length})
for at in (0, 4000003, ${data.length - 5}): os.pwrite(fd, b"islan", at)
os.close(fd)`,
        [file],
      );
      expect(await folder.tree()).toEqual({ sparse: fileOf(data) });
      await ok("cmp", [file, "-"], { input: data });
    });

    it("mmap writes reach the server", async () => {
      const { folder, file, data } = await stored();
      await python(
        `
import mmap, sys
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[4090:4100] = b"0123456789"
    m[299990:300000] = b"abcdefghij"
    m.flush()
    m.close()`,
        [file],
      );
      data.write("0123456789", 4090);
      data.write("abcdefghij", 299_990);
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(data) });
    });

    it("mmap writes without msync reach the server by the time the file is closed", async () => {
      const { folder, file, data } = await stored();
      await python(
        `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 0)
m[100:104] = b"mmap"
m.close()
os.close(fd)`,
        [file],
      );
      data.write("mmap", 100);
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(data) });
    });
  });

  describe("truncating", () => {
    it.each([0, 1, 4096, 123_457, SIZE - 1])("shrinks to %i bytes", async (size) => {
      const { folder, file, data } = await stored();
      await ok("truncate", ["-s", String(size), file]);
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(data.subarray(0, size)) });
      expect((await shared.worker.stat(file)).size).toBe(size);
    });

    it("extends with zeros", async () => {
      const { folder, file, data } = await stored();
      await ok("truncate", ["-s", "400000", file]);
      const longer = Buffer.concat([data, Buffer.alloc(100_000)]);
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(longer) });
      await ok("cmp", [file, "-"], { input: longer });
    });

    it("shrinking and extending shows zeros, not the old bytes", async () => {
      const { folder, file, data } = await stored();
      await ok("truncate", ["-s", "1000", file]);
      await ok("truncate", ["-s", "2000", file]);
      const expected = Buffer.concat([data.subarray(0, 1000), Buffer.alloc(1000)]);
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(expected) });
      await ok("cmp", [file, "-"], { input: expected });
    });

    it("an open file that is shrunk and extended again has zeros, not the bytes of its stored version", async () => {
      const { folder, file, data } = await stored();
      const { worker } = shared;
      const fd = await worker.open(file, "O_RDWR");
      await worker.call("ftruncate", fd, 1000);
      await worker.call("ftruncate", fd, 200_000);
      await worker.pwrite(fd, "end", 250_000);
      const expected = Buffer.concat([data.subarray(0, 1000), Buffer.alloc(249_000), Buffer.from("end")]);
      expect(fileOf(await worker.pread(fd, SIZE, 0))).toBe(fileOf(expected));
      await worker.close(fd);
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(expected) });
    });

    it("ftruncate of an open file is seen by its handle and stored at close", async () => {
      const { folder, file, data } = await stored();
      const { worker } = shared;
      const fd = await worker.open(file, "O_RDWR");
      await worker.pwrite(fd, "dirty", 0);
      await worker.call("ftruncate", fd, 50_000);
      expect((await worker.fstat(fd)).size).toBe(50_000);
      expect(fileOf(await worker.pread(fd, 100, 50_000))).toBe(fileOf(Buffer.alloc(0)));
      await worker.close(fd);
      data.write("dirty", 0);
      expect(await folder.tree()).toEqual({ "data.bin": fileOf(data.subarray(0, 50_000)) });
    });

    it("open with O_TRUNC and no write stores an empty file", async () => {
      const { folder, file } = await stored();
      await shared.worker.close(await shared.worker.open(file, "O_WRONLY|O_TRUNC"));
      expect(await folder.tree()).toEqual({ "data.bin": fileOf("") });
    });

    it("of a missing file is ENOENT, of a folder EISDIR", async () => {
      const folder = await shared.folder();
      expect(await outcome(shared.worker.call("truncate", join(folder.dir, "none"), 0))).toBe("ENOENT");
      expect(await outcome(shared.worker.call("truncate", folder.dir, 0))).toBe("EISDIR");
    });
  });
});
