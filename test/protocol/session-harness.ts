/**
 * What the session tests share: a KernelSession over a FakeChannel and MemoryOperations, and operations that answer on demand.
 */
import { KernelSession } from "../../src/fuse/kernel/kernel-session.ts";
import type { OpContext, Operations } from "../../src/fuse/transport.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { type Deferred, deferred } from "../../src/util/abort.ts";
import { type Code, errnoOf } from "../../src/util/errno.ts";
import { FakeChannel } from "./fake-channel.ts";
import { MemoryOperations } from "./memory-operations.ts";

/** As replies carry it: negative. */
export const errno = (code: Code) => -errnoOf(code);

/** A session over MemoryOperations with some operations replaced. */
export function start(replaced: Partial<Operations> = {}) {
  const channel = new FakeChannel();
  const memory = new MemoryOperations();
  const operations: Operations = Object.assign(memory, replaced);
  const warnings: { msg: string; err?: Error }[] = [];
  const log = silentLogger();
  log.warn = ((fields: object, msg: string) => void warnings.push({ ...fields, msg })) as unknown as typeof log.warn;
  const session = new KernelSession({ operations, channel, log });
  return { channel, memory, session, warnings };
}

/** An operation that records its contexts and answers when the test says so. */
export function gated<T>(): {
  calls: { ctx: OpContext; gate: Deferred<T> }[];
  operation: (ctx: OpContext) => Promise<T>;
} {
  const calls: { ctx: OpContext; gate: Deferred<T> }[] = [];
  const operation = (ctx: OpContext) => {
    const gate = deferred<T>();
    calls.push({ ctx, gate });
    return gate.promise;
  };
  return { calls, operation };
}
