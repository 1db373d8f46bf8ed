/** The reading of directories in the kernel transport: what is packed ahead, and when it must not be answered. */
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { DirReader } from "../../src/fuse/kernel/dir-reader.ts";
import type { DirSink, OpContext, Operations } from "../../src/fuse/transport.ts";

const CTX: OpContext = { uid: 0, gid: 0, pid: 1, signal: new AbortController().signal };
/** Three entries of 32 bytes. */
const SIZE = 100;

class Listing {
  names = Array.from({ length: 10 }, (_, index) => `${index}`);
  readonly asked: number[] = [];
  failure: Error | undefined;

  async readdir(_ctx: OpContext, _ino: number, _fh: number, offset: number, _plus: boolean, sink: DirSink) {
    this.asked.push(offset);
    if (this.failure !== undefined) throw this.failure;
    for (const [at, name] of this.names.entries()) {
      if (at >= offset && !sink.add({ name, ino: 5, kind: "file", offset: at + 1 })) return;
    }
  }
}

function aReader() {
  const listing = new Listing();
  const reader = new DirReader(listing as unknown as Operations);
  const names = async (offset: number, { size = SIZE, plus = false } = {}) => {
    const bytes = await reader.read(CTX, 1, { fh: 7, offset, size }, plus);
    const entryOut = plus ? 128 : 0;
    const found: string[] = [];
    for (let at = entryOut; at < bytes.length; at += 32 + entryOut)
      found.push(bytes.toString("utf8", at + 24, at + 25));
    // Here what comes next is packed.
    await turn();
    await turn();
    return found.join("");
  };
  return { listing, reader, names };
}

it("the names that will be asked for next are packed before they are", async () => {
  const { listing, names } = aReader();
  expect(await names(0)).toBe("012");
  expect(listing.asked).toEqual([0, 3]);
  expect([await names(3), await names(6), await names(9), await names(10)]).toEqual(["345", "678", "9", ""]);
  expect(listing.asked).toEqual([0, 3, 6, 9, 10]);
});

it("what was packed ahead is not the answer to another offset, another size or a READDIRPLUS", async () => {
  const { listing, names } = aReader();
  await names(0);
  listing.names = listing.names.map((name) => String.fromCharCode(name.charCodeAt(0) + 49));
  expect(await names(4)).toBe("efg");
  await names(0);
  expect(await names(3, { size: 64 })).toBe("de");
  await names(0);
  expect(await names(3, { plus: true, size: 500 })).toBe("def");
});

it("after a rewind nothing of before is answered", async () => {
  const { listing, names } = aReader();
  await names(0);
  listing.names = ["a", "b", "c", "d"];
  expect(await names(0)).toBe("abc");
  expect(await names(3)).toBe("d");
});

it("attributes are never packed ahead: each entry of them counts as a lookup", async () => {
  const { listing, names } = aReader();
  expect(await names(0, { plus: true, size: 500 })).toBe("012");
  expect(listing.asked).toEqual([0]);
});

it("a directory that is closed meanwhile is not read any more", async () => {
  const { listing, reader } = aReader();
  await reader.read(CTX, 1, { fh: 7, offset: 0, size: SIZE }, false);
  reader.release(7);
  await turn();
  await turn();
  expect(listing.asked).toEqual([0]);
});

it("a failure ahead of time is told to who asks for those names, and only then", async () => {
  const { listing, reader, names } = aReader();
  await reader.read(CTX, 1, { fh: 7, offset: 0, size: SIZE }, false);
  listing.failure = new Error("gone");
  await turn();
  await expect(names(3)).rejects.toThrow("gone");
  listing.failure = undefined;
  expect(await names(3)).toBe("345");
});
