/**
 * Cleaning up after a test, also when it fails: everything the harness starts is deferred here and undone in reverse order.
 * Invariant: one step that fails does not keep the others from running. Used by every part of test/support.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, inject, onTestFinished } from "vitest";
import { lazyUnmount, mountsUnder } from "./mountinfo.ts";

export interface Scope {
  defer(undo: () => Promise<unknown>): void;
}

class Undos implements Scope {
  readonly #undos: (() => Promise<unknown>)[] = [];

  defer(undo: () => Promise<unknown>): void {
    this.#undos.push(undo);
  }

  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const undo of this.#undos.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `clean-up failed: ${failures.map(String).join("; ")}`);
  }
}

/** Lives as long as the test file (or describe block) that calls it while it is collected. */
export function fileScope(): Scope {
  const scope = new Undos();
  afterAll(() => scope.close());
  return scope;
}

/** Lives as long as the running test. A concurrent test passes the onTestFinished of its own context. */
export function testScope(whenFinished: typeof onTestFinished = onTestFinished): Scope {
  const scope = new Undos();
  whenFinished(() => scope.close());
  return scope;
}

/** For loops inside one test (the model runs): closed by the caller. */
export async function withScope<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const scope = new Undos();
  try {
    return await work(scope);
  } finally {
    await scope.close();
  }
}

/** A fresh folder below the temp folder of the run. Mounts left in it are detached before it is removed. */
export async function tempDir(scope: Scope, prefix = "work"): Promise<string> {
  const root = inject("temp");
  await mkdir(root, { recursive: true });
  const dir = await mkdtemp(join(root, `${prefix}-`));
  scope.defer(async () => {
    for (const mountpoint of await mountsUnder(dir)) await lazyUnmount(mountpoint);
    await rm(dir, { recursive: true, force: true });
  });
  return dir;
}
