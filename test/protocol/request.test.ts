/**
 * Real requests of a 6.18 kernel (captures.json: bytes, and the command that caused them; recorded by logging every read of
 * /dev/fuse under MemoryOperations) decode to what the command asked for, and encode to the same bytes again.
 */
import { describe, expect, it } from "vitest";
import { OPCODE } from "../../src/fuse/kernel/abi.ts";
import { ProtocolError } from "../../src/fuse/kernel/cursor.ts";
import { decodeHeader, decodeRequest, type Request } from "../../src/fuse/kernel/request.ts";
import captures from "./captures.json" with { type: "json" };
import { encodeRaw, encodeRequest } from "./encode-request.ts";

/** What each capture means, in the order of captures.json. An errno: the name is not valid UTF-8. */
const MEANINGS: readonly (Request | "ENOENT" | "EINVAL")[] = [
  { op: "init", major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb },
  { op: "lookup", name: "folder" },
  { op: "mkdir", mode: 0o755, name: "folder" },
  { op: "create", flags: 0o101101, mode: 0o100644, name: "file" },
  { op: "write", fh: 1, offset: 0, data: Buffer.from("hello") },
  { op: "getxattr", size: 0, name: "security.capability" },
  { op: "open", flags: 0o102001 },
  { op: "flush", fh: 2 },
  { op: "write", fh: 2, offset: 5, data: Buffer.from("more") },
  { op: "release", fh: 2 },
  { op: "getattr", fh: 3 },
  { op: "read", fh: 3, offset: 0, size: 4096 },
  { op: "unknown" },
  { op: "getattr", fh: undefined },
  { op: "opendir", flags: 0o304000 },
  { op: "readdirplus", fh: 5, offset: 0, size: 32768 },
  { op: "readdir", fh: 5, offset: 4, size: 32768 },
  { op: "releasedir", fh: 5 },
  { op: "setattr", set: { mode: 0o100600 } },
  { op: "setattr", set: { uid: 1, gid: 2 } },
  { op: "setattr", set: { atime: { sec: -3600, nsec: 250_000_000 }, mtime: { sec: -3600, nsec: 250_000_000 } } },
  { op: "setattr", set: { atime: "now", mtime: "now" } },
  { op: "setattr", set: { atime: { sec: 0, nsec: 1 }, mtime: { sec: 2 ** 32, nsec: 7 } } },
  { op: "setattr", set: { size: 5_000_000_000, fh: 10 } },
  { op: "setattr", set: { size: 3, fh: 9 } },
  { op: "link", ino: 3, newName: "hard" },
  { op: "symlink", name: "soft", target: "target of it" },
  { op: "readlink" },
  { op: "rename", newParent: 2, flags: 1, name: "hard", newName: "grün" },
  { op: "rename", newParent: 1, flags: 1, name: "grün", newName: "hard" },
  { op: "rename", newParent: 1, flags: 2, name: "file", newName: "folder" },
  { op: "mknod", mode: 0o100644, name: "node" },
  { op: "mknod", mode: 0o010644, name: "fifo" },
  { op: "setxattr", flags: 0, name: "user.colour", value: Buffer.from("blue") },
  { op: "listxattr", size: 256 },
  { op: "getxattr", size: 256, name: "user.colour" },
  { op: "removexattr", name: "user.colour" },
  { op: "statfs" },
  { op: "fsync", fh: 13, datasync: false },
  { op: "fsync", fh: 15, datasync: true },
  { op: "fsyncdir", fh: 14, datasync: false },
  { op: "access", mask: 6 },
  { op: "fallocate", fh: 16, offset: 0, length: 100, mode: 0 },
  { op: "unknown" },
  { op: "ioctl" },
  { op: "unknown" },
  { op: "unknown" },
  { op: "unknown" },
  "ENOENT",
  "EINVAL",
  { op: "create", flags: 0o102301, mode: 0o100640, name: "excl" },
  { op: "interrupt", unique: 480 },
  { op: "unlink", name: "hard2" },
  { op: "rmdir", name: "folder" },
  { op: "forget", nlookup: 13 },
  {
    op: "batch_forget",
    forgets: [
      { ino: 115, nlookup: 3 },
      { ino: 114, nlookup: 3 },
      { ino: 113, nlookup: 3 },
      { ino: 112, nlookup: 3 },
      { ino: 111, nlookup: 10 },
    ],
  },
];

/** Bytes of the arguments that the decoder skips: umask, lock owners, ctime, flags without a meaning here, padding. */
const SKIPPED: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  INIT: [[16, 64]],
  MKDIR: [[4, 8]],
  MKNOD: [[4, 16]],
  CREATE: [[8, 16]],
  READ: [[20, 40]],
  READDIR: [[20, 40]],
  READDIRPLUS: [[20, 40]],
  WRITE: [[20, 40]],
  FLUSH: [[8, 24]],
  RELEASE: [[8, 24]],
  RELEASEDIR: [[8, 24]],
  SETATTR: [
    [24, 32],
    [48, 56],
    [64, 68],
  ],
};
const HEADER = 40;
/** FATTR_LOCKOWNER, FATTR_CTIME and FATTR_KILL_SUIDGID of fuse_setattr_in.valid, in its second byte. */
const SKIPPED_VALID = 0b1110;

function withoutSkipped(opcode: string, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (const [from, to] of SKIPPED[opcode] ?? []) copy.fill(0, HEADER + from, HEADER + to);
  if (opcode !== "SETATTR") return copy;
  const valid = copy.readUInt8(HEADER + 1) & ~SKIPPED_VALID;
  copy.writeUInt8(valid, HEADER + 1);
  // The kernel fills in its own clock where it asks for "now" (FATTR_ATIME_NOW is bit 7 of the first byte).
  if (copy.readUInt8(HEADER) & 0x80) copy.fill(0, HEADER + 32, HEADER + 64);
  return copy;
}

const decode = (bytes: Buffer) => decodeRequest(decodeHeader(bytes, bytes.length), bytes, bytes.length);

describe("requests of a real kernel", () => {
  it("has a meaning for every capture", () => {
    expect(MEANINGS.length).toBe(captures.length);
  });

  captures.forEach(({ opcode, command, hex }, index) => {
    const bytes = Buffer.from(hex, "hex");
    const meaning = MEANINGS[index]!;

    it(`${opcode} of: ${command}`, () => {
      if (typeof meaning === "string") {
        expect(() => decode(bytes)).toThrow(expect.objectContaining({ name: "ErrnoError", code: meaning }));
        return;
      }
      const header = decodeHeader(bytes, bytes.length);
      expect(header.len).toBe(bytes.length);
      expect(header.opcode).toBe(OPCODE[opcode as keyof typeof OPCODE]);
      const request = decode(bytes);
      expect(request).toEqual(meaning);
      const encoded = encodeRequest(header, request);
      if (meaning.op === "unknown" || meaning.op === "ioctl") {
        expect(encoded.subarray(8, HEADER)).toEqual(bytes.subarray(8, HEADER));
      } else {
        expect(encoded.toString("hex")).toBe(withoutSkipped(opcode, bytes).toString("hex"));
      }
    });
  });
});

describe("requests no command here causes", () => {
  it("RENAME without flags, as kernels before 3.15 send it", () => {
    const body = Buffer.concat([Buffer.from("0700000000000000", "hex"), Buffer.from("a\0b\0")]);
    const expected = { op: "rename", newParent: 7, flags: 0, name: "a", newName: "b" };
    expect(decode(encodeRaw({ unique: 2 }, OPCODE.RENAME, body))).toEqual(expected);
  });

  it("DESTROY, which only fuseblk mounts send", () => {
    expect(decode(encodeRaw({ unique: 2 }, OPCODE.DESTROY, Buffer.alloc(0)))).toEqual({ op: "destroy" });
  });

  it("inode numbers, offsets and handles up to 2^53 - 1 exactly", () => {
    const { MAX_SAFE_INTEGER } = Number;
    const bytes = encodeRequest(
      { unique: 2, nodeid: MAX_SAFE_INTEGER },
      { op: "read", fh: MAX_SAFE_INTEGER, offset: MAX_SAFE_INTEGER, size: 0xffffffff },
    );
    expect(decodeHeader(bytes, bytes.length).nodeid).toBe(MAX_SAFE_INTEGER);
    expect(decode(bytes)).toEqual({ op: "read", fh: MAX_SAFE_INTEGER, offset: MAX_SAFE_INTEGER, size: 0xffffffff });
  });
});

describe("names", () => {
  it("keeps a replacement character and a byte order mark that are really in the name", () => {
    const name = "\ufeffa\ufffd";
    expect(decode(encodeRequest({ unique: 2 }, { op: "lookup", name }))).toEqual({ op: "lookup", name });
  });

  const invalid = Buffer.from([0x61, 0xff, 0]);
  const word = (bytes: number) => Buffer.alloc(bytes);
  const a = Buffer.from("a\0");
  it.each([
    ["LOOKUP", "ENOENT", invalid],
    ["UNLINK", "ENOENT", invalid],
    ["RMDIR", "ENOENT", invalid],
    ["RENAME2", "ENOENT", Buffer.concat([word(16), invalid, a])],
    ["RENAME2", "EINVAL", Buffer.concat([word(16), a, invalid])],
    ["MKDIR", "EINVAL", Buffer.concat([word(8), invalid])],
    ["MKNOD", "EINVAL", Buffer.concat([word(16), invalid])],
    ["CREATE", "EINVAL", Buffer.concat([word(16), invalid])],
    ["SYMLINK", "EINVAL", Buffer.concat([invalid, a])],
    ["SYMLINK", "EINVAL", Buffer.concat([a, invalid])],
    ["LINK", "EINVAL", Buffer.concat([word(8), invalid])],
    ["GETXATTR", "ENODATA", Buffer.concat([word(8), invalid])],
    ["SETXATTR", "EINVAL", Buffer.concat([word(8), invalid])],
    ["REMOVEXATTR", "ENODATA", invalid],
  ] as const)("%s of a name that is not UTF-8 is %s", (opcode, code, body) => {
    const bytes = encodeRaw({ unique: 2 }, OPCODE[opcode], body);
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ name: "ErrnoError", code }));
  });

  it.each(["", "a/b"])("refuses the name %j, which no kernel sends", (name) => {
    const bytes = encodeRaw({ unique: 2 }, OPCODE.LOOKUP, Buffer.from(`${name}\0`));
    expect(() => decode(bytes)).toThrow(ProtocolError);
  });
});
