/**
 * A serving process (serve.ts) and its mount, as transport.ts sees them. Invariant: after stop() the process, the mount and its
 * folder are gone, whatever state they were in.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { mountAt } from "../../src/fuse/system/mountinfo.ts";
import { unmountPath } from "../../src/fuse/system/unmount-path.ts";
import type { TransportName } from "./transports.ts";

/** How long a server may take to unmount before it is killed. */
const STOP_MS = 5000;

export class BenchServer {
  readonly name: TransportName;
  readonly ttlMs: number;
  readonly mountpoint: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  /** Starts the process; `mountpoint` is made in `folder`. */
  constructor(name: TransportName, ttlMs: number, folder: string) {
    this.name = name;
    this.ttlMs = ttlMs;
    this.mountpoint = join(folder, `${name}-${ttlMs}`);
    mkdirSync(this.mountpoint);
    const script = join(import.meta.dirname, "serve.js");
    this.#child = spawn(process.execPath, [script, name, this.mountpoint, String(ttlMs)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdin!.on("error", () => {});
    this.#exited = once(this.#child, "exit");
  }

  /** Rejects when the process ends instead. */
  async mounted(): Promise<void> {
    const said = once(this.#child.stdout!, "data").then(() => true);
    if ((await Promise.race([said, this.#exited])) !== true) throw new Error(`${this.name} did not mount`);
  }

  async stop(): Promise<void> {
    this.#child.stdin!.end();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    await this.#exited;
    clearTimeout(late);
    if ((await mountAt(this.mountpoint)) !== undefined) await unmountPath(this.mountpoint, { lazy: true });
    rmdirSync(this.mountpoint);
  }
}
