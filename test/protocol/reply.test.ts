/**
 * Replies and notifications byte by byte: each expectation is a hex dump with the struct's fields of include/uapi/linux/fuse.h
 * in their order, so that a wrong size, offset or sign shows.
 */
import { describe, expect, it } from "vitest";
import { DirBuffer } from "../../src/fuse/kernel/dir-buffer.ts";
import { negotiate } from "../../src/fuse/kernel/init.ts";
import { invalEntry, invalInode } from "../../src/fuse/kernel/notify.ts";
import { encodeReply, type Reply } from "../../src/fuse/kernel/reply.ts";
import type { Attr, EntryReply } from "../../src/fuse/transport.ts";

const hex = (unique: number, reply: Reply) => Buffer.concat(encodeReply(unique, reply)).toString("hex");
/** Joins the parts of an expected dump; spaces are for the reader. */
const dump = (...parts: readonly string[]) => parts.join("").replaceAll(" ", "");

const ATTR: Attr = {
  ino: 0x1_0000_0002,
  size: 5_000_000_000,
  blocks: 9_765_625,
  atime: { sec: -1, nsec: 999_999_999 },
  mtime: { sec: 4_294_967_296, nsec: 1 },
  ctime: { sec: 0, nsec: 0 },
  mode: 0o100644,
  nlink: 3,
  uid: 1000,
  gid: 0xffff_ffff,
  blksize: 4096,
};
const ATTR_HEX = dump(
  "0200000001000000 00f2052a01000000 f902950000000000", // ino, size, blocks
  "ffffffffffffffff 0000000001000000 0000000000000000", // atime, mtime, ctime
  "ffc99a3b 01000000 00000000", // their nanoseconds
  "a4810000 03000000 e8030000 ffffffff 00000000 00100000 00000000", // mode, nlink, uid, gid, rdev, blksize, flags
);
const ENTRY: EntryReply = { attr: ATTR, attrTtlMs: 1500, entryTtlMs: 60_000, generation: 7 };
const ENTRY_HEX = dump(
  "0200000001000000 0700000000000000 3c00000000000000 0100000000000000", // nodeid, generation, entry_valid, attr_valid
  "00000000 0065cd1d", // entry_valid_nsec, attr_valid_nsec
  ATTR_HEX,
);

describe("replies", () => {
  it("ok is a header alone", () => {
    expect(hex(0x1_0000_0004, { kind: "ok" })).toBe(dump("10000000 00000000 0400000001000000"));
  });

  it("an error carries the negated errno", () => {
    expect(hex(4, { kind: "error", errno: 2 })).toBe(dump("10000000 feffffff 0400000000000000"));
  });

  it("fuse_entry_out", () => {
    expect(hex(4, { kind: "entry", entry: ENTRY })).toBe(dump("90000000 00000000 0400000000000000", ENTRY_HEX));
  });

  it("a negative entry has nodeid 0 and a lifetime", () => {
    const reply = hex(4, { kind: "negative-entry", ttlMs: 2250 });
    const fields = dump("00".repeat(16), "0200000000000000 0000000000000000 80b2e60e 00000000", "00".repeat(88));
    expect(reply).toBe(dump("90000000 00000000 0400000000000000", fields));
  });

  it("fuse_attr_out", () => {
    const reply = hex(4, { kind: "attr", attr: { attr: ATTR, attrTtlMs: 0 } });
    expect(reply).toBe(dump("78000000 00000000 0400000000000000", "0000000000000000 00000000 00000000", ATTR_HEX));
  });

  it("fuse_open_out with its flags", () => {
    expect(hex(4, { kind: "open", open: { fh: 9, keepCache: true, directIo: true } })).toBe(
      dump("20000000 00000000 0400000000000000", "0900000000000000 03000000 00000000"),
    );
  });

  it("CREATE is an entry followed by an open", () => {
    expect(hex(4, { kind: "create", entry: ENTRY, open: { fh: 9 } })).toBe(
      dump("a0000000 00000000 0400000000000000", ENTRY_HEX, "0900000000000000 00000000 00000000"),
    );
  });

  it("fuse_write_out and fuse_getxattr_out", () => {
    const expected = dump("18000000 00000000 0400000000000000 00100000 00000000");
    expect(hex(4, { kind: "written", size: 4096 })).toBe(expected);
    expect(hex(4, { kind: "xattr-size", size: 4096 })).toBe(expected);
  });

  it("fuse_statfs_out with counters above 32 bits", () => {
    const statfs = { blocks: 2 ** 40, bfree: 2, bavail: 3, files: 4, ffree: 5, bsize: 6, frsize: 7, namelen: 255 };
    expect(hex(4, { kind: "statfs", statfs })).toBe(
      dump(
        "60000000 00000000 0400000000000000",
        "0000000000010000 0200000000000000 0300000000000000 0400000000000000 0500000000000000",
        "06000000 ff000000 07000000 00000000",
        "00".repeat(24),
      ),
    );
  });

  it("file data is passed on, not copied", () => {
    const slices = [Buffer.from("ab"), Buffer.from("cde")];
    const buffers = encodeReply(4, { kind: "data", slices });
    expect(Buffer.from(buffers[0]!).toString("hex")).toBe(dump("15000000 00000000 0400000000000000"));
    expect(buffers[1]).toBe(slices[0]);
    expect(buffers[2]).toBe(slices[1]);
  });

  it("more slices than writev takes are joined at the end", () => {
    const slices = Array.from({ length: 3000 }, (_, index) => Buffer.from([index & 0xff]));
    const buffers = encodeReply(4, { kind: "data", slices });
    expect(buffers.length).toBe(1024);
    expect(Buffer.concat(buffers).subarray(16)).toEqual(Buffer.concat(slices));
  });

  it("an endless lifetime is a very long one", () => {
    const [message] = encodeReply(4, { kind: "attr", attr: { attr: ATTR, attrTtlMs: Infinity } });
    expect(Buffer.from(message!).readBigUInt64LE(16)).toBe(1_000_000_000n);
  });

  it.each([
    ["an inode number that is no number", { ...ATTR, ino: Number.NaN }],
    ["nanoseconds out of range", { ...ATTR, mtime: { sec: 0, nsec: 2 ** 32 } }],
    ["a negative mode", { ...ATTR, mode: -1 }],
  ])("refuses %s", (_, attr) => {
    expect(() => encodeReply(4, { kind: "attr", attr: { attr, attrTtlMs: 0 } })).toThrow(RangeError);
  });
});

describe("directory entries", () => {
  it("are padded to 8 bytes", () => {
    const buffer = new DirBuffer(4096, false, 0);
    expect(buffer.add({ name: "grün", ino: 5, kind: "file", offset: 1 })).toBe(true);
    expect(buffer.add({ name: "folder00", ino: 6, kind: "dir", offset: 2 })).toBe(true);
    expect(buffer.bytes().toString("hex")).toBe(
      dump(
        "0500000000000000 0100000000000000 05000000 08000000 6772c3bc6e000000",
        "0600000000000000 0200000000000000 08000000 04000000 666f6c6465723030",
      ),
    );
  });

  it("carry a fuse_entry_out before each fuse_dirent in READDIRPLUS, zero for the dots", () => {
    const buffer = new DirBuffer(4096, true, 0);
    buffer.add({ name: ".", ino: 5, kind: "dir", offset: 1 });
    buffer.add({ name: "a", ino: 6, kind: "file", offset: 2 }, ENTRY);
    expect(buffer.bytes().toString("hex")).toBe(
      dump(
        "00".repeat(128),
        "0500000000000000 0100000000000000 01000000 04000000 2e00000000000000",
        ENTRY_HEX,
        "0600000000000000 0200000000000000 01000000 08000000 6100000000000000",
      ),
    );
  });

  it("that do not fit are not taken, and what was taken stays", () => {
    const buffer = new DirBuffer(64, false, 0);
    expect(buffer.add({ name: "a", ino: 5, kind: "file", offset: 1 })).toBe(true);
    expect(buffer.add({ name: "b".repeat(9), ino: 6, kind: "file", offset: 2 })).toBe(false);
    expect(buffer.bytes().length).toBe(32);
    expect(buffer.add({ name: "c".repeat(8), ino: 7, kind: "file", offset: 3 })).toBe(true);
    expect(buffer.bytes().length).toBe(64);
  });

  it("leave no byte of a name that did not fit in the padding of the next", () => {
    const buffer = new DirBuffer(40, false, 0);
    expect(buffer.add({ name: "abcdefüüüüüü", ino: 6, kind: "file", offset: 2 })).toBe(false);
    expect(buffer.add({ name: "a", ino: 6, kind: "file", offset: 2 })).toBe(true);
    expect(buffer.bytes().subarray(24).toString("hex")).toBe("6100000000000000");
    expect(buffer.nextOffset).toBe(2);
  });
});

describe("READDIRPLUS", () => {
  const taken = (plus: boolean, offset: number) => {
    const buffer = new DirBuffer(1 << 20, plus, offset);
    let at = offset;
    while (buffer.add({ name: `${at}`, ino: 6, kind: "file", offset: at + 1 }, plus ? ENTRY : undefined)) at++;
    return at - offset;
  };

  it("gives the first 128 entries of a directory, because the program may want names only, and later all that fit", () => {
    expect(taken(true, 0)).toBe(128);
    expect(taken(true, 128)).toBeGreaterThan(6000);
    expect(taken(false, 0)).toBeGreaterThan(30_000);
  });
});

describe("notifications", () => {
  it("FUSE_NOTIFY_INVAL_ENTRY ends its name with a NUL that namelen does not count", () => {
    expect(invalEntry(7, "grün").toString("hex")).toBe(
      dump("26000000 03000000 0000000000000000", "0700000000000000 05000000 00000000", "6772c3bc6e00"),
    );
  });

  it("FUSE_NOTIFY_INVAL_INODE", () => {
    expect(invalInode(7, 4096, -1).toString("hex")).toBe(
      dump("28000000 02000000 0000000000000000", "0700000000000000 0010000000000000 ffffffffffffffff"),
    );
  });
});

describe("INIT", () => {
  const offered = { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73ff_fffb };

  it("answers 7.31 with 1 MiB writes, and no write-back cache and no remote locks", () => {
    const answer = negotiate(offered);
    expect(answer?.again).toBe(false);
    expect(hex(2, { kind: "init", init: answer!.init })).toBe(
      dump(
        "50000000 00000000 0200000000000000",
        "07000000 1f000000 00000200 29e04410", // major, minor, max_readahead, flags
        "4000 3000 00001000 01000000 0001 0000", // max_background, congestion, max_write, time_gran, max_pages, map_alignment
        "00".repeat(32),
      ),
    );
  });

  it("asks only for what the kernel offers", () => {
    expect(negotiate({ ...offered, minor: 28, flags: 0x21 })?.init).toMatchObject({ minor: 28, flags: 0x21 });
  });

  it("lets a kernel of a newer major version ask again", () => {
    expect(negotiate({ ...offered, major: 8, minor: 0 })).toMatchObject({ again: true, init: { major: 7, minor: 31 } });
  });

  it("gives up on kernels before 7.28", () => {
    expect(negotiate({ ...offered, minor: 27 })).toBeUndefined();
    expect(negotiate({ ...offered, major: 6 })).toBeUndefined();
  });
});
