/**
 * KernelSession over a FakeChannel: INTERRUPT during and after its request, the end of a session, and invalidation.
 */
import { describe, expect, it } from "vitest";
import { deferred } from "../../src/util/abort.ts";
import { ErrnoError } from "../../src/util/errno.ts";
import { encodeRequest } from "./encode-request.ts";
import { settle } from "./fake-channel.ts";
import { errno, gated, start } from "./session-harness.ts";

describe("INTERRUPT", () => {
  it("aborts the signal of its request; the operation's answer is the only reply", async () => {
    const { calls, operation } = gated<never>();
    const { channel } = start({ statfs: operation });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    await settle();
    const { signal } = calls[0]!.ctx;
    expect(signal.aborted).toBe(false);
    channel.push(encodeRequest({ unique: 3 }, { op: "interrupt", unique: 2 }));
    await settle();
    expect(signal.aborted).toBe(true);
    expect(channel.sent).toEqual([]);
    calls[0]!.gate.reject(signal.reason);
    await settle();
    expect(channel.errorsOf(2)).toEqual([errno("EINTR")]);
    expect(channel.sent.length).toBe(1);
  });

  it("is seen by an operation that asks for its signal only later", async () => {
    const { calls, operation } = gated<never>();
    const { channel } = start({ statfs: operation });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    await settle();
    channel.push(encodeRequest({ unique: 3 }, { op: "interrupt", unique: 2 }));
    await settle();
    expect(calls[0]!.ctx.signal.aborted).toBe(true);
  });

  it("an AbortError of a library counts as EINTR", async () => {
    const { calls, operation } = gated<never>();
    const { channel, warnings } = start({ statfs: operation });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    await settle();
    channel.push(encodeRequest({ unique: 3 }, { op: "interrupt", unique: 2 }));
    await settle();
    calls[0]!.gate.reject(new DOMException("This operation was aborted", "AbortError"));
    await settle();
    expect(channel.errorsOf(2)).toEqual([errno("EINTR")]);
    expect(warnings).toEqual([]);
  });

  it("does not touch an operation that goes on and succeeds", async () => {
    const { calls, operation } = gated<{ fh: number }>();
    const { channel } = start({ open: operation });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "open", flags: 0 }));
    await settle();
    channel.push(encodeRequest({ unique: 3 }, { op: "interrupt", unique: 2 }));
    await settle();
    calls[0]!.gate.resolve({ fh: 1 });
    await settle();
    expect(channel.errorsOf(2)).toEqual([0]);
  });

  it("after the answer is dropped without a reply", async () => {
    const { channel } = start();
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    await settle();
    channel.push(encodeRequest({ unique: 3 }, { op: "interrupt", unique: 2 }));
    await settle();
    expect([channel.errorsOf(2), channel.errorsOf(3)]).toEqual([[0], []]);
  });

  it("aborts only the request it names", async () => {
    const { calls, operation } = gated<never>();
    const { channel } = start({ statfs: operation });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    channel.push(encodeRequest({ unique: 4, nodeid: 1 }, { op: "statfs" }));
    await settle();
    channel.push(encodeRequest({ unique: 5 }, { op: "interrupt", unique: 4 }));
    await settle();
    expect(calls.map(({ ctx }) => ctx.signal.aborted)).toEqual([false, true]);
  });
});

describe("the end of a session", () => {
  it("aborts what runs, waits for it, then destroys once and closes", async () => {
    const { calls, operation } = gated<never>();
    const { channel, memory, session } = start({ statfs: operation });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    await settle();
    let closed = false;
    void session.closed.then(() => {
      closed = true;
    });
    channel.end();
    await settle();
    expect(calls[0]!.ctx.signal.reason).toMatchObject({ code: "ENOTCONN" });
    expect([channel.closed, memory.destroyed, closed]).toEqual([true, 0, false]);
    calls[0]!.gate.reject(calls[0]!.ctx.signal.reason);
    await session.closed;
    expect(memory.destroyed).toBe(1);
  });

  it("answers each running request once, also when its operation answers late", async () => {
    const { calls, operation } = gated<never>();
    const { channel, session } = start({ statfs: operation });
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    await settle();
    session.stop();
    expect(channel.errorsOf(2)).toEqual([errno("ENOTCONN")]);
    calls[0]!.gate.reject(new ErrnoError("EIO"));
    await settle();
    expect(channel.errorsOf(2)).toEqual([errno("ENOTCONN")]);
  });

  it("after stop() refuses what still arrives without asking the filesystem", async () => {
    const { channel, memory, session } = start();
    session.stop();
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "mkdir", name: "a", mode: 0 }));
    await settle();
    expect(channel.errorsOf(2)).toEqual([errno("ENOTCONN")]);
    expect(memory.calls).toEqual([]);
  });

  it("DESTROY is answered, and destroy() is not called again at the end", async () => {
    const { channel, memory, session } = start();
    channel.push(encodeRequest({ unique: 2 }, { op: "destroy" }));
    await settle();
    expect([channel.errorsOf(2), memory.destroyed]).toEqual([[0], 1]);
    channel.end();
    await session.closed;
    expect(memory.destroyed).toBe(1);
  });

  it("before INIT rejects ready", async () => {
    const { channel, session } = start();
    channel.end();
    await expect(session.ready).rejects.toThrow("The kernel ended the mount before it was ready");
    await session.closed;
  });

  it("resolves closed although an operation, destroy() and reading fail", async () => {
    const { channel, memory, session } = start();
    memory.destroy = () => {
      throw new Error("destroy failed");
    };
    channel.push(encodeRequest({ unique: 2, nodeid: 99 }, { op: "statfs" }));
    channel.end(new Error("read failed"));
    await session.closed;
    expect(channel.closed).toBe(true);
  });
});

describe("invalidation", () => {
  it("is sent one message at a time, in order, without blocking requests", async () => {
    const { channel, session } = start();
    const gate = deferred<void>();
    channel.notifyGate = gate.promise;
    session.kernelCache.invalidateEntry(1, "a");
    session.kernelCache.invalidateInode(5, 0, 0);
    channel.push(encodeRequest({ unique: 2, nodeid: 1 }, { op: "statfs" }));
    await settle();
    expect(channel.errorsOf(2)).toEqual([0]);
    expect(channel.notified.length).toBe(0);
    gate.resolve();
    await settle();
    expect(channel.notified.map((b) => b.readInt32LE(4))).toEqual([3, 2]);
    session.kernelCache.invalidateInode(6, 0, 0);
    await settle();
    expect(channel.notified.length).toBe(3);
  });

  it("that the kernel refuses does not stop the next one", async () => {
    const { channel, session } = start();
    const accepts = channel.notify.bind(channel);
    channel.notify = () => {
      channel.notify = accepts;
      return Promise.reject(Object.assign(new Error("ENOTDIR"), { code: "ENOTDIR" }));
    };
    session.kernelCache.invalidateEntry(1, "a");
    session.kernelCache.invalidateEntry(1, "b");
    await settle();
    expect(channel.notified.length).toBe(1);
  });

  it("keeps the descriptor open while one is being written, and drops the rest at the end", async () => {
    const { channel, session } = start();
    const gate = deferred<void>();
    channel.notifyGate = gate.promise;
    session.kernelCache.invalidateEntry(1, "a");
    session.kernelCache.invalidateEntry(1, "b");
    await settle();
    channel.end();
    await settle();
    expect(channel.closed).toBe(false);
    gate.resolve();
    await session.closed;
    expect([channel.closed, channel.notified.length]).toEqual([true, 1]);
  });
});
