/**
 * LibfuseSession over an addon that is a literal: every call is answered exactly once, when nothing touches its buffers any more,
 * whatever happens to the operation, to the session or to the answer.
 */
import { describe, expect, it } from "vitest";
import { CALLBACK_TABLE } from "../../src/fuse/libfuse/callbacks.ts";
import { LibfuseSession } from "../../src/fuse/libfuse/libfuse-session.ts";
import type { NativeBinding, NativeHandler, ThreadLocals } from "../../src/fuse/libfuse/native-binding.ts";
import type { Operations } from "../../src/fuse/transport.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { deferred, sleep } from "../../src/util/abort.ts";
import { ErrnoError } from "../../src/util/errno.ts";
import { MemoryOperations } from "../protocol/memory-operations.ts";
import { errno, gated } from "../protocol/session-harness.ts";

const NAMES = ["init", ...Object.keys(CALLBACK_TABLE)];
const HIDDEN = "/.fuse_hidden0000000200000001";

type Signal = readonly [name: string, result: number, ...payload: unknown[]];

/** A mounted session over MemoryOperations with some operations replaced. `refuse` says which signals throw, after they are recorded. */
async function start(replaced: Partial<Operations> = {}, refuse: (signal: Signal) => boolean = () => false) {
  const memory = Object.assign(new MemoryOperations(), replaced);
  const end = deferred<void>();
  const signals: Signal[] = [];
  const errors: string[] = [];
  const log = silentLogger();
  log.error = ((_: object, msg: string) => void errors.push(msg)) as unknown as typeof log.error;
  let handlers: readonly NativeHandler[] = [];
  let unmounts = 0;
  const binding: NativeBinding = {
    sizeof_fuse_thread_t: 8,
    fuse_native_mount: (_mountpoint, _options, _session, _context, _malloc, given) => {
      handlers = given;
    },
    fuse_native_unmount: () => void unmounts++,
    ...Object.fromEntries(NAMES.map((name, op) => [`op_${name}`, op])),
    ...Object.fromEntries(
      NAMES.map((name) => [
        `fuse_native_signal_${name}`,
        (_thread: ThreadLocals, result: number, ...payload: unknown[]) => {
          signals.push([name, result, ...payload]);
          if (refuse(signals.at(-1)!)) throw new TypeError("refused");
        },
      ]),
    ),
  };
  const devices = {
    mountAndFindDevice: (mount: () => void) => {
      mount();
      return { fd: 3 };
    },
    deviceClosed: () => end.promise,
  };
  const session = new LibfuseSession({ operations: memory, binding, log, devices });
  session.mount("/mnt", "-o");
  const callOn = (thread: ThreadLocals, name: string, ...args: unknown[]) =>
    handlers[NAMES.indexOf(name)]!(thread, 0, ...(args as never[]));
  const call = (name: string, ...args: unknown[]) => callOn(Buffer.alloc(8), name, ...args);
  /** The answer to one call. */
  const ask = async (name: string, ...args: unknown[]) => {
    const before = signals.length;
    call(name, ...args);
    await expect.poll(() => signals.length, { interval: 1 }).toBe(before + 1);
    return signals[before]!;
  };
  call("init");
  await session.ready;
  signals.splice(0);
  return { memory, session, signals, errors, call, callOn, ask, end, unmounts: () => unmounts };
}

const buffer = (text: string) => Buffer.from(new TextEncoder().encode(text).buffer as ArrayBuffer);

describe("a call", () => {
  it("is answered once, with what its signal needs", async () => {
    const { ask, signals } = await start();
    const [, result, id] = await ask("create", "/f", 0o644);
    expect(result).toBe(0);
    const data = buffer("text");
    expect(await ask("write", "/f", id, data, 4, 0, 0)).toEqual(["write", 4, 0, data.buffer]);
    expect(await ask("release", "/f", id)).toEqual(["release", 0]);
    expect(await ask("getattr", "/f")).toMatchObject(["getattr", 0, expect.any(Uint32Array)]);
    await sleep(20);
    expect(signals).toHaveLength(4);
  });

  it.each([
    ["of an operation", async () => Promise.reject(new ErrnoError("EDQUOT")), "EDQUOT"],
    ["that was not foreseen", async () => Promise.reject(new TypeError("broken on purpose")), "EIO"],
    [
      "that is thrown at once",
      () => {
        throw new TypeError("broken on purpose");
      },
      "EIO",
    ],
  ] as const)("is answered once with the errno of a failure %s", async (_, mkdir, code) => {
    const { ask, signals } = await start({ mkdir });
    expect(await ask("mkdir", "/d", 0o755)).toEqual(["mkdir", errno(code)]);
    await sleep(20);
    expect(signals).toHaveLength(1);
  });

  it("with data has no answer before its operation has settled, also when the session is stopped: the buffer is in use", async () => {
    const { calls, operation } = gated<number>();
    const { ask, call, signals, session } = await start({ write: operation });
    const [, , id] = await ask("create", "/f", 0o644);
    signals.splice(0);
    const data = buffer("text");
    call("write", "/f", id, data, 4, 0, 0);
    await expect.poll(() => calls.length).toBe(1);
    session.stop();
    expect(calls[0]!.ctx.signal.aborted).toBe(true);
    await sleep(20);
    expect(signals).toEqual([]);
    calls[0]!.gate.resolve(4);
    await expect.poll(() => signals).toEqual([["write", 4, 0, data.buffer]]);
  });

  it("after stop() is ENOTCONN, and reaches no operation", async () => {
    const { ask, session, memory } = await start();
    session.stop();
    expect(await ask("mkdir", "/d", 0o755)).toEqual(["mkdir", errno("ENOTCONN")]);
    expect(memory.calls).toEqual([]);
  });

  it("whose answer is refused is answered EIO", async () => {
    const { call, signals, errors } = await start({}, ([name, result]) => name === "mkdir" && result === 0);
    call("mkdir", "/d", 0o755);
    await expect
      .poll(() => signals)
      .toEqual([
        ["mkdir", 0],
        ["mkdir", errno("EIO")],
      ]);
    expect(errors).toEqual(["an answer was refused; answered EIO instead"]);
  });

  it("whose second answer is refused, too, is told to the log, and throws nothing", async () => {
    const { call, signals, errors, end, session } = await start({}, ([name]) => name === "mkdir");
    call("mkdir", "/d", 0o755);
    await expect
      .poll(() => errors)
      .toEqual(["an answer was refused; answered EIO instead", "a call could not be answered"]);
    expect(signals).toHaveLength(2);
    end.resolve();
    await session.closed;
  });
});

describe("the end of the session", () => {
  it("comes after all operations have settled, and calls destroy() and the addon once", async () => {
    const { calls, operation } = gated<void>();
    const { call, session, memory, end, unmounts } = await start({ rmdir: operation });
    await memory.mkdir({ pid: 0, uid: 0, gid: 0, signal: new AbortController().signal }, 1, "d", 0o755);
    call("rmdir", "/d");
    await expect.poll(() => calls.length).toBe(1);
    end.resolve();
    expect(await Promise.race([session.closed, sleep(20).then(() => "waits")])).toBe("waits");
    expect(calls[0]!.ctx.signal.aborted).toBe(true);
    calls[0]!.gate.resolve();
    await session.closed;
    expect([session.ended, memory.destroyed, unmounts()]).toEqual([true, 1, 1]);
  });

  it("comes after what unlink(2) has promised is done, with a signal that has not aborted", async () => {
    const { callOn, ask, signals, session, memory, end } = await start();
    const unlinked: [string, boolean][] = [];
    const unlink = memory.unlink.bind(memory);
    memory.unlink = async (ctx, parent, name) => {
      unlinked.push([name, ctx.signal.aborted]);
      return unlink(ctx, parent, name);
    };
    await ask("create", "/f", 0o644);
    callOn(Buffer.alloc(8), "rename", "/f", HIDDEN);
    await expect.poll(() => signals.at(-1), { interval: 1 }).toEqual(["rename", 0]);
    end.resolve();
    await session.closed;
    expect(unlinked).toEqual([["f", false]]);
  });
});
