/**
 * KernelSession over a FakeChannel: one reply per request whatever happens, what becomes of errors, and what the operations
 * are asked. What real kernels send is in request.test.ts; real mounts are in kernel-session.mount.test.ts.
 */
import { describe, expect, it } from "vitest";
import { OPCODE } from "../../src/fuse/kernel/abi.ts";
import { REQUEST_BUFFER_SIZE } from "../../src/fuse/kernel/init.ts";
import { type Deferred, deferred } from "../../src/util/abort.ts";
import { type Code, ErrnoError } from "../../src/util/errno.ts";
import { encodeRaw, encodeRequest } from "./encode-request.ts";
import { settle } from "./fake-channel.ts";
import { errno, gated, start } from "./session-harness.ts";

const INIT = { op: "init", major: 7, minor: 45, maxReadahead: 131072, flags: 0x73ff_fffb } as const;

describe("one reply per request", () => {
  it("answers INIT and is ready", async () => {
    const { channel, session } = start();
    channel.push(encodeRequest({ unique: 2 }, INIT));
    expect(await session.ready).toMatchObject({ major: 7, minor: 31, maxWrite: 1 << 20 });
    expect(channel.errorsOf(2)).toEqual([0]);
  });

  it("refuses a kernel that is too old, and says so", async () => {
    const { channel, session } = start();
    channel.push(encodeRequest({ unique: 2 }, { ...INIT, minor: 8 }));
    await expect(session.ready).rejects.toThrow("The kernel speaks FUSE 7.8; 7.28 or newer is needed");
    expect(channel.errorsOf(2)).toEqual([errno("EPROTO")]);
  });

  it("answers INIT twice when the kernel's major version is newer", async () => {
    const { channel, session } = start();
    channel.push(encodeRequest({ unique: 2 }, { ...INIT, major: 8 }));
    channel.push(encodeRequest({ unique: 4 }, INIT));
    await session.ready;
    expect([channel.errorsOf(2), channel.errorsOf(4)]).toEqual([[0], [0]]);
  });

  it("gives the caller's pid, uid and gid to the operation", async () => {
    const { calls, operation } = gated<never>();
    const { channel } = start({ getattr: operation });
    channel.push(encodeRequest({ unique: 2, nodeid: 1, pid: 11, uid: 12, gid: 13 }, { op: "getattr", fh: undefined }));
    await settle();
    expect(calls[0]!.ctx).toMatchObject({ pid: 11, uid: 12, gid: 13 });
  });

  const wrongAnswers: readonly [string, () => unknown, Code][] = [
    ["an ErrnoError rejected", async () => Promise.reject(new ErrnoError("EDQUOT")), "EDQUOT"],
    [
      "an ErrnoError thrown at once",
      () => {
        throw new ErrnoError("EACCES");
      },
      "EACCES",
    ],
    ["any other error", async () => Promise.reject(new TypeError("x is undefined")), "EIO"],
    ["something that is no error", async () => Promise.reject("a string"), "EIO"],
    ["an answer that cannot be encoded", async () => ({ attrTtlMs: 0, attr: { ino: "one" } }), "EIO"],
    ["no answer", async () => undefined, "EIO"],
  ];
  it.each(wrongAnswers)("answers %s once", async (_, getattr, code) => {
    const { channel } = start({ getattr: getattr as never });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "getattr", fh: undefined }));
    await settle();
    expect(channel.errorsOf(2)).toEqual([errno(code)]);
  });

  it("logs what was not foreseen with its stack, and nothing for an ErrnoError", async () => {
    const { channel, warnings } = start({
      getattr: () => Promise.reject(new TypeError("x is undefined")),
      statfs: () => Promise.reject(new ErrnoError("EIO")),
    });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "getattr", fh: undefined }));
    channel.push(encodeRequest({ unique: 4, nodeid: 1 }, { op: "statfs" }));
    await settle();
    expect(warnings.length).toBe(1);
    expect(warnings[0]!.err?.stack).toContain("x is undefined");
  });

  it("answers EIO when the kernel refuses a reply", async () => {
    const { channel } = start();
    channel.refuse = (message) => {
      if (message.length > 16) throw Object.assign(new Error("EINVAL"), { code: "EINVAL" });
    };
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    await settle();
    expect(channel.errorsOf(2)).toEqual([errno("EIO")]);
  });

  it.each([
    ["an unknown opcode", 4711, "ENOSYS"],
    ["LSEEK", OPCODE.LSEEK, "ENOSYS"],
    ["POLL", OPCODE.POLL, "ENOSYS"],
    ["COPY_FILE_RANGE", OPCODE.COPY_FILE_RANGE, "ENOSYS"],
    ["STATX", OPCODE.STATX, "ENOSYS"],
    ["SETLK", OPCODE.SETLK, "ENOSYS"],
    ["IOCTL", OPCODE.IOCTL, "ENOTTY"],
  ] as const)("answers %s", async (_, opcode, code) => {
    const { channel } = start();
    channel.push(encodeRaw({ unique: 2, nodeid: 1 }, opcode, Buffer.alloc(64)));
    await settle();
    expect(channel.errorsOf(2)).toEqual([errno(code)]);
  });

  it("never answers FORGET and BATCH_FORGET, not even when they are malformed or fail", async () => {
    const { channel, memory } = start();
    channel.push(encodeRequest({ unique: 2, nodeid: 5 }, { op: "forget", nlookup: 3 }));
    channel.push(
      encodeRequest(
        { unique: 4 },
        {
          op: "batch_forget",
          forgets: [
            { ino: 6, nlookup: 1 },
            { ino: 7, nlookup: 2 },
          ],
        },
      ),
    );
    channel.push(encodeRaw({ unique: 6, nodeid: 5 }, OPCODE.FORGET, Buffer.alloc(3)));
    channel.push(encodeRaw({ unique: 8 }, OPCODE.BATCH_FORGET, Buffer.from("ffffffff00000000", "hex")));
    await settle();
    memory.forget = () => {
      throw new Error("forget failed");
    };
    channel.push(encodeRequest({ unique: 10, nodeid: 5 }, { op: "forget", nlookup: 3 }));
    await settle();
    expect(memory.calls).toEqual(["forget 5 3", "forget 6 1", "forget 7 2"]);
    expect(channel.sent).toEqual([]);
  });

  it("answers a malformed request EIO, and drops what has no header or no id", async () => {
    const { channel } = start();
    channel.push(encodeRaw({ unique: 2, nodeid: 1 }, OPCODE.LOOKUP, Buffer.from("no NUL")));
    const wrongLength = encodeRequest({ unique: 4, nodeid: 1 }, { op: "statfs" });
    wrongLength.writeUInt32LE(41, 0);
    channel.push(wrongLength);
    channel.push(Buffer.from("too short"));
    channel.push(encodeRequest({ unique: 0, nodeid: 1 }, { op: "statfs" }));
    await settle();
    expect(channel.sent.length).toBe(2);
    expect([channel.errorsOf(2), channel.errorsOf(4)]).toEqual([[errno("EIO")], [errno("EIO")]]);
  });

  it("goes on serving after all of that", async () => {
    const { channel } = start();
    for (let unique = 2; unique < 100; unique += 2) channel.push(encodeRaw({ unique }, OPCODE.WRITE, Buffer.alloc(7)));
    channel.push(encodeRequest({ unique: 100, nodeid: 1 }, { op: "statfs" }));
    await settle();
    await settle();
    expect(channel.errorsOf(100)).toEqual([0]);
  });
});

describe("what the operations are asked", () => {
  it("remembers a missing name only as long as the filesystem says", async () => {
    const forget = start();
    forget.channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "lookup", name: "none" }));
    const remember = start({ negativeTtlMs: 3000 });
    remember.channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "lookup", name: "none" }));
    await settle();
    expect(forget.channel.errorsOf(2)).toEqual([errno("ENOENT")]);
    expect(remember.channel.errorsOf(2)).toEqual([0]);
    expect(remember.channel.sent[0]!.readBigUInt64LE(16)).toBe(0n);
    expect(remember.channel.sent[0]!.readBigUInt64LE(32)).toBe(3n);
  });

  it("refuses to exchange names and unknown rename flags, and passes NOREPLACE on", async () => {
    const { channel } = start();
    const name = { op: "rename", newParent: 1, name: "a", newName: "b" } as const;
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "mkdir", name: "a", mode: 0 }));
    channel.push(encodeRequest({ unique: 4, nodeid: 1 }, { op: "mkdir", name: "b", mode: 0 }));
    await settle();
    for (const [index, flags] of [2, 4, 8, 1].entries()) {
      channel.push(encodeRequest({ unique: 10 + index * 2, nodeid: 1 }, { ...name, flags }));
    }
    await settle();
    const [einval, eexist] = [errno("EINVAL"), errno("EEXIST")];
    expect([10, 12, 14, 16].map((unique) => channel.errorsOf(unique))).toEqual([
      [einval],
      [einval],
      [einval],
      [eexist],
    ]);
  });

  it("follows the size protocol of getxattr and listxattr", async () => {
    const { channel, memory } = start();
    memory.poke("file", "");
    const [file] = [...memory.nodes.values()].slice(-1);
    file!.xattrs.set("user.a", Buffer.from("12345"));
    const about = { nodeid: file!.ino };
    channel.push(encodeRequest({ unique: 2, ...about }, { op: "getxattr", name: "user.a", size: 0 }));
    channel.push(encodeRequest({ unique: 4, ...about }, { op: "getxattr", name: "user.a", size: 4 }));
    channel.push(encodeRequest({ unique: 6, ...about }, { op: "getxattr", name: "user.a", size: 5 }));
    channel.push(encodeRequest({ unique: 8, ...about }, { op: "listxattr", size: 0 }));
    channel.push(encodeRequest({ unique: 10, ...about }, { op: "listxattr", size: 6 }));
    channel.push(encodeRequest({ unique: 12, ...about }, { op: "listxattr", size: 7 }));
    await settle();
    const replies = new Map(channel.sent.map((b) => [b.readUInt32LE(8), b.readInt32LE(4) || b.toString("latin1", 16)]));
    expect(replies).toEqual(
      new Map<number, string | number>([
        [2, "\x05\0\0\0\0\0\0\0"],
        [4, errno("ERANGE")],
        [6, "12345"],
        [8, "\x07\0\0\0\0\0\0\0"],
        [10, errno("ERANGE")],
        [12, "user.a\0"],
      ]),
    );
  });

  it("answers EFBIG where an offset or size would be rounded, and EPERM for special files", async () => {
    const { channel, memory } = start();
    const nodeid = memory.poke("file", "");
    channel.push(
      encodeRequest({ unique: 2, nodeid }, { op: "write", fh: 1, offset: 2 ** 53 - 1, data: Buffer.from("ab") }),
    );
    channel.push(encodeRequest({ unique: 4, nodeid }, { op: "setattr", set: { size: 2 ** 60 } }));
    channel.push(
      encodeRequest({ unique: 6, nodeid }, { op: "fallocate", fh: 1, offset: 1, length: 2 ** 53 - 1, mode: 0 }),
    );
    channel.push(encodeRequest({ unique: 8, nodeid: 1 }, { op: "mknod", name: "fifo", mode: 0o010644 }));
    await settle();
    const efbig = [errno("EFBIG")];
    expect([2, 4, 6, 8].map((unique) => channel.errorsOf(unique))).toEqual([efbig, efbig, efbig, [errno("EPERM")]]);
  });

  it("a WRITE's data stays as it was until the operation settles, whatever is read meanwhile", async () => {
    const held: { data: Uint8Array; gate: Deferred<number> }[] = [];
    const { channel } = start({
      write: (_ctx, _ino, _fh, _offset, data) => {
        const gate = deferred<number>();
        held.push({ data, gate });
        return gate.promise;
      },
    });
    const sizes = [1, 4096, 65536, 65537, 1 << 20, 1 << 20, 1 << 20, 100_000];
    sizes.forEach((size, index) => {
      const data = Buffer.alloc(size, index + 1);
      channel.push(encodeRequest({ unique: 2 + index * 2, nodeid: 1 }, { op: "write", fh: 1, offset: 0, data }));
    });
    await settle();
    await settle();
    expect(held.map(({ data }) => data.length)).toEqual(sizes);
    for (let unique = 1000; unique < 1020; unique += 2) {
      channel.push(encodeRaw({ unique }, OPCODE.LSEEK, Buffer.alloc(REQUEST_BUFFER_SIZE - 40, 0xee)));
    }
    await settle();
    await settle();
    expect(held.map(({ data }, index) => data.every((byte) => byte === index + 1))).toEqual(sizes.map(() => true));
    for (const { data, gate } of held) gate.resolve(data.length);
    await settle();
    expect(sizes.map((_, index) => channel.errorsOf(2 + index * 2))).toEqual(sizes.map(() => [0]));
  });
});
