/**
 * Property: whatever bytes arrive, decoding throws only ProtocolError (or ErrnoError for a name), and a session answers at
 * most once per request, exactly once where the kernel waits for an answer, and goes on serving.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OPCODE } from "../../src/fuse/kernel/abi.ts";
import { ProtocolError } from "../../src/fuse/kernel/cursor.ts";
import { KernelSession } from "../../src/fuse/kernel/kernel-session.ts";
import { decodeHeader, decodeRequest } from "../../src/fuse/kernel/request.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { ErrnoError } from "../../src/util/errno.ts";
import captures from "./captures.json" with { type: "json" };
import { encodeRequest } from "./encode-request.ts";
import { FakeChannel, settle } from "./fake-channel.ts";
import { MemoryOperations } from "./memory-operations.ts";

const REAL = captures.map(({ hex }) => Buffer.from(hex, "hex"));
const WITHOUT_REPLY: readonly number[] = [OPCODE.FORGET, OPCODE.BATCH_FORGET, OPCODE.INTERRUPT, OPCODE.NOTIFY_REPLY];

/** A real request with some bytes changed, possibly cut, possibly with its length corrected to what is left. */
const mutated = fc
  .record({
    request: fc.constantFrom(...REAL),
    changes: fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }), { maxLength: 6 }),
    cut: fc.option(fc.nat(), { nil: undefined }),
    fixLength: fc.boolean(),
  })
  .map(({ request, changes, cut, fixLength }) => {
    const bytes = Buffer.from(request);
    for (const { at, value } of changes) bytes[at % bytes.length] = value;
    const left = cut === undefined ? bytes : bytes.subarray(0, cut % (bytes.length + 1));
    if (fixLength && left.length >= 4) left.writeUInt32LE(left.length, 0);
    return left;
  });
const anything = fc.oneof(
  { weight: 4, arbitrary: mutated },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
);

describe("malformed requests", () => {
  it("every truncation of every real request is a ProtocolError or a smaller request, never anything else", () => {
    for (const request of REAL) {
      for (let length = 0; length < request.length; length++) {
        const bytes = Buffer.from(request.subarray(0, length));
        if (length >= 4) bytes.writeUInt32LE(length, 0);
        expectTypedOutcome(bytes);
      }
    }
  });

  it("mutated bytes throw nothing but the typed errors", () => {
    fc.assert(fc.property(anything, expectTypedOutcome), { numRuns: 3000 });
  });

  it("never crash a session nor make it answer twice or not at all", async () => {
    await fc.assert(fc.asyncProperty(fc.array(anything, { maxLength: 20 }), feedSession), { numRuns: 200 });
  });
});

function expectTypedOutcome(bytes: Buffer): void {
  try {
    decodeRequest(decodeHeader(bytes, bytes.length), bytes, bytes.length);
  } catch (error) {
    const typed = error instanceof ProtocolError || error instanceof ErrnoError;
    if (!typed) throw error;
  }
}

async function feedSession(requests: readonly Buffer[]): Promise<void> {
  const channel = new FakeChannel();
  const session = new KernelSession({ operations: boundedMemory(), channel, log: silentLogger() });
  // Each request gets an id of its own, because a kernel never uses one twice at a time.
  requests.forEach((bytes, index) => {
    if (bytes.length >= 16) bytes.writeBigUInt64LE(BigInt(1000 + index * 2), 8);
    channel.push(bytes);
  });
  channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
  await settle();
  await settle();
  await settle();
  expect(channel.errorsOf(2)).toEqual([0]);
  requests.forEach((bytes, index) => {
    if (bytes.length < 40) return;
    const answers = channel.errorsOf(1000 + index * 2).length;
    expect(answers).toBe(WITHOUT_REPLY.includes(bytes.readUInt32LE(4)) ? 0 : 1);
  });
  channel.end();
  await session.closed;
}

/** MemoryOperations would really allocate the terabytes that a mutated size asks for. */
function boundedMemory(): MemoryOperations {
  const memory = new MemoryOperations();
  const tooBig = () => Promise.reject(new ErrnoError("EFBIG"));
  const { write, setattr, fallocate } = memory;
  memory.write = (ctx, ino, fh, offset, data) =>
    offset > 1e6 ? tooBig() : write.call(memory, ctx, ino, fh, offset, data);
  memory.setattr = (ctx, ino, set) => ((set.size ?? 0) > 1e6 ? tooBig() : setattr.call(memory, ctx, ino, set));
  memory.fallocate = (ctx, ino, fh, offset, length, mode) =>
    offset + length > 1e6 ? tooBig() : fallocate.call(memory, ctx, ino, fh, offset, length, mode);
  return memory;
}
