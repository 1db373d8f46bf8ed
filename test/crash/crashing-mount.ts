/**
 * A mount with default arguments that is killed and comes back in the same place with the same home, and what is asked of it
 * then. Invariant: what is compared is what the server holds, asked directly, after `seamount sync` said that all is stored.
 * Used by the crash and stress tests.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { DevServer } from "../../src/devserver/index.ts";
import { isMountPoint, lazyUnmount } from "../support/mountinfo.ts";
import { type Mounted, makeHome, makeMountPoint, mountLibrary, seamount } from "../support/mounts.ts";
import { ok, type RunResult } from "../support/process.ts";
import type { Scope } from "../support/scope.ts";

export interface CrashingMountOptions {
  readonly server: DevServer;
  readonly library: string;
  readonly args?: readonly string[];
}

export class CrashingMount {
  readonly dir: string;
  readonly home: string;
  readonly #scope: Scope;
  readonly #options: CrashingMountOptions;
  #mounted: Mounted | undefined;

  private constructor(scope: Scope, options: CrashingMountOptions, home: string, dir: string) {
    this.#scope = scope;
    this.#options = options;
    this.home = home;
    this.dir = dir;
  }

  static async start(scope: Scope, options: CrashingMountOptions): Promise<CrashingMount> {
    const mount = new CrashingMount(scope, options, await makeHome(scope), await makeMountPoint(scope));
    await mount.start();
    return mount;
  }

  get mounted(): Mounted {
    if (this.#mounted === undefined) throw new Error("not mounted now");
    return this.#mounted;
  }

  /** Mounts, after clearing away what a killed process left. */
  async start(more: readonly string[] = []): Promise<void> {
    const { home, dir } = this;
    while (await isMountPoint(dir)) await clearAway(dir);
    const args = ["--refresh", "0.2", ...(this.#options.args ?? []), ...more];
    this.#mounted = await mountLibrary(this.#scope, { ...this.#options, background: true, args, home, dir });
  }

  /** SIGKILL. The dead mount stays until the next start, so that whoever uses it meets ENOTCONN and not an empty folder. */
  async kill(): Promise<void> {
    await this.mounted.kill9();
    this.#mounted = undefined;
  }

  /** `seamount sync`; its exit code is 0 when everything is stored. */
  sync(timeoutSeconds = 60): Promise<RunResult> {
    const { server } = this.#options;
    const args = ["sync", this.dir, "--timeout", `${timeoutSeconds}`];
    return seamount(args, { server, home: this.home }, { timeoutMs: (timeoutSeconds + 30) * 1000 });
  }

  /** Names of local files beside the journal: what the spool holds, and what was found without a place to go to. */
  async leftovers(): Promise<string[]> {
    const names = await readdir(join(this.home, "data"), { recursive: true });
    return names.filter((name) => /(^|\/)(spool|recovered)\/[^/]+$/.test(name));
  }
}

async function clearAway(dir: string): Promise<void> {
  if (process.getuid?.() === 0) await ok("fusermount3", ["-u", "-z", dir]).catch(() => lazyUnmount(dir));
  else await ok("fusermount3", ["-u", "-z", dir]);
}

/** Numbers in [0, 1) that are the same in every run with the seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
