/** What crosses fuse-native's addon: numbers of 32 bits, times in milliseconds, the options string, and the errors of loading it. */
import { describe, expect, it } from "vitest";
import { decodeTimes, encodeAttr, encodeStatfs, joinUint64 } from "../../src/fuse/libfuse/encode.ts";
import { libfuseOptions } from "../../src/fuse/libfuse/libfuse-options.ts";
import { loadBinding } from "../../src/fuse/libfuse/native-binding.ts";
import type { Attr, Statfs } from "../../src/fuse/transport.ts";
import { HandleTable } from "../../src/util/handle-table.ts";

const ATTR: Attr = {
  ino: 2 ** 40,
  size: 2 ** 40 + 5,
  blocks: 2 ** 33,
  atime: { sec: 1_000_000_000, nsec: 500_999_999 },
  mtime: { sec: 1_500_000_000, nsec: 250_000_000 },
  ctime: { sec: -1, nsec: 0 },
  mode: 0o100644,
  nlink: 0,
  uid: 0,
  gid: 4294967294,
  blksize: 131072,
};
const uint64 = (ints: Uint32Array, at: number) => ints[at]! + ints[at + 1]! * 2 ** 32;

describe("attributes", () => {
  it("keep sizes beyond 32 bits, and milliseconds of the times", () => {
    const ints = encodeAttr(ATTR);
    expect(ints).toHaveLength(18);
    expect(uint64(ints, 3)).toBe(ATTR.size);
    expect(uint64(ints, 10)).toBe(ATTR.blocks);
    expect(uint64(ints, 12)).toBe(1_000_000_000_500);
    expect(uint64(ints, 14)).toBe(1_500_000_000_250);
  });

  it("show a time before 1970 as 1970, not as a time in the far future", () => {
    expect(uint64(encodeAttr(ATTR), 16)).toBe(0);
  });

  it("keep owner 0 and no links as they are", () => {
    const ints = encodeAttr(ATTR);
    expect([ints[1], ints[2], ints[6]]).toEqual([0, 4294967294, 0]);
  });
});

describe("file system sizes", () => {
  const statfs = (blocks: number): Statfs => ({
    blocks,
    bfree: blocks / 2,
    bavail: blocks / 4,
    files: 2 ** 32,
    ffree: 2 ** 40,
    bsize: 4096,
    frsize: 4096,
    namelen: 255,
  });

  it.each([2 ** 20, 2 ** 32, 2 ** 38, 2 ** 45])(
    "of %i blocks are the same bytes in blocks that 32 bits can count",
    (blocks) => {
      const ints = encodeStatfs(statfs(blocks));
      expect(ints[1]! * ints[2]!).toBe(4096 * blocks);
      expect(ints[1]! * ints[3]!).toBe((4096 * blocks) / 2);
      expect(ints[1]! * ints[4]!).toBe((4096 * blocks) / 4);
      expect(ints[0]).toBe(ints[1]);
    },
  );

  it("count files up to what 32 bits can hold", () => {
    const ints = encodeStatfs(statfs(1));
    expect([ints[5], ints[6], ints[7]]).toEqual([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1]);
  });
});

describe("the times of utimens", () => {
  const ATIME = 104;
  const thread = (atimeMs: bigint, mtimeMs: bigint) => {
    const memory = Buffer.alloc(256);
    memory.writeBigInt64LE(atimeMs, ATIME);
    memory.writeBigInt64LE(mtimeMs, ATIME + 8);
    return memory;
  };
  const decode = (memory: Buffer) => decodeTimes(memory, memory.readUInt32LE(ATIME), memory.readUInt32LE(ATIME + 4));

  it("are both read, though the addon says atime twice", () => {
    expect(decode(thread(1_000_000_000_500n, 1_500_000_000_250n))).toEqual({
      atime: { sec: 1_000_000_000, nsec: 500_000_000 },
      mtime: { sec: 1_500_000_000, nsec: 250_000_000 },
    });
  });

  it("may be before 1970", () => {
    expect(decode(thread(-1500n, -86_400_000n))).toEqual({
      atime: { sec: -2, nsec: 500_000_000 },
      mtime: { sec: -86_400, nsec: 0 },
    });
  });

  it("are refused when the addon's memory is not as expected", () => {
    expect(() => decodeTimes(thread(5n, 6n), 4, 0)).toThrow(expect.objectContaining({ code: "ENOTSUP" }));
  });
});

it("an offset or size beyond what a number holds exactly is EFBIG", () => {
  expect(joinUint64(5, 1)).toBe(2 ** 32 + 5);
  expect(() => joinUint64(0, 2 ** 22)).toThrow(expect.objectContaining({ code: "EFBIG" }));
});

it("handles are positive numbers of 31 bits and are not given out twice while in use", () => {
  const table = new HandleTable<string>(2);
  const first = table.add("a");
  const second = table.add("b");
  expect(first).toBeGreaterThan(0);
  expect(second).not.toBe(first);
  expect(table.take(first)).toBe("a");
  expect(() => table.get(first)).toThrow(expect.objectContaining({ code: "EBADF" }));
  expect(table.get(second)).toBe("b");
  expect(table.add("c")).toBe(first);
});

describe("the options string", () => {
  const plain = {
    mountpoint: "/mnt",
    fsname: "host:Work",
    readOnly: false,
    allowOther: false,
    defaultPermissions: false,
    extraOptions: [],
  };
  const words = (fsname: string) => libfuseOptions({ ...plain, fsname }, { ttlMs: 1000, negativeTtlMs: 0 });

  it("says what fuse-native's own options cannot: large writes, short lifetimes of zero, read-only", () => {
    const text = libfuseOptions(
      { ...plain, readOnly: true, allowOther: true, defaultPermissions: true, extraOptions: ["noexec"] },
      { ttlMs: 0, negativeTtlMs: 0 },
    );
    expect(text.slice(2).split(",")).toEqual(
      expect.arrayContaining([
        "big_writes",
        "entry_timeout=0",
        "attr_timeout=0",
        "negative_timeout=0",
        "ro",
        "allow_other",
        "default_permissions",
        "noexec",
      ]),
    );
  });

  it("a name of a library cannot add an option", () => {
    expect(words("host:a,allow_other,suid").endsWith(",fsname=host:a\\,allow_other\\,suid")).toBe(true);
    expect(words("host:a\\,dev").endsWith(",fsname=host:a\\\\\\,dev")).toBe(true);
  });

  it("never exceeds what the addon takes, whatever the name: it is cut at a character", () => {
    const text = words(`host:${"ä,".repeat(600)}`);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1023);
    expect(text).toMatch(/ä(\\,)?$/);
  });

  it("refuses a mount point that the addon would cut", () => {
    expect(() =>
      libfuseOptions({ ...plain, mountpoint: `/${"m".repeat(1023)}` }, { ttlMs: 0, negativeTtlMs: 0 }),
    ).toThrow("The mount point has more than 1023 bytes.");
  });
});

describe("loading fuse-native", () => {
  const failing = (error: Error) =>
    Object.assign(() => {}, {
      resolve: () => {
        throw error;
      },
    }) as unknown as NodeJS.Require;

  it("says which package is missing when it is not installed", () => {
    const error = Object.assign(new Error("Cannot find module 'fuse-native/package.json'"), {
      code: "MODULE_NOT_FOUND",
    });
    expect(() => loadBinding(failing(error))).toThrow(
      "The package fuse-native is not installed. Install it: npm install fuse-native",
    );
  });

  it("says which package has libfuse 2 when the library is missing", () => {
    const error = new Error("libfuse.so.2: cannot open shared object file: No such file or directory");
    expect(() => loadBinding(failing(error))).toThrow(/libfuse2 \(Debian, Ubuntu\) or fuse-libs \(Fedora\)/);
  });
});
