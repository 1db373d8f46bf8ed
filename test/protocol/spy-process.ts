/**
 * Runs spy-child.ts and looks at it from outside: its requests, its threads, and whether it still answers. Invariant: whatever
 * hangs is let go when the scope ends, because the connection is aborted through fusectl first: a process that waits for
 * a deadlocked mount cannot be killed. Needs root. Used by the tests that native-notes name as proofs.
 */
import { spawn } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mountAt } from "../../src/fuse/system/mountinfo.ts";
import { makeMountPoint } from "../support/mounts.ts";
import { ok } from "../support/process.ts";
import { compiled } from "../support/programs.ts";
import { type Scope, tempDir } from "../support/scope.ts";
import { MountProcess } from "./mount-process.ts";
import type { SpySettings } from "./spy-child.ts";

const CHILD = compiled(import.meta.dirname, "spy-child");
/** How long a mount may take to answer one stat before it counts as deadlocked, in milliseconds. */
const NEVER_MS = 2000;

export interface SeenRequest {
  /** An opcode's name, or "JOB" where a job of the pool ended meanwhile. */
  readonly op: string;
  readonly pid: number;
}

export class Spy {
  readonly mount: MountProcess;
  readonly pid: number;
  readonly #connection: string;

  constructor(mount: MountProcess, pid: number, connection: string) {
    this.mount = mount;
    this.pid = pid;
    this.#connection = connection;
  }

  get dir(): string {
    return this.mount.dir;
  }

  /** What arrived since the last time. */
  async requests(): Promise<readonly SeenRequest[]> {
    return (await this.mount.ask("requests", "requests"))["requests"] as SeenRequest[];
  }

  async opcodes(): Promise<readonly string[]> {
    return (await this.requests()).map(({ op }) => op);
  }

  /** Whether a stat of the mount by another process stays without an answer. It ends with abort(), not by SIGKILL. */
  async isDeadlocked(): Promise<boolean> {
    const child = spawn("stat", [this.dir], { stdio: "ignore", cwd: "/" });
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(true), NEVER_MS);
      child.on("exit", () => {
        clearTimeout(timer);
        resolve(false);
      });
    });
  }

  /** Fails every request and ends all waiting (fs/fuse/control.c). */
  async abort(): Promise<void> {
    await writeFile(this.control("abort"), "1");
  }

  /** A file of the connection in fusectl: max_background, congestion_threshold, waiting or abort. */
  control(name: string): string {
    return join(this.#connection, name);
  }

  threads(): Promise<readonly string[]> {
    return readdir(`/proc/${this.pid}/task`);
  }
}

export interface SpyOptions extends SpySettings {
  readonly env?: Readonly<Record<string, string>>;
}

/** A mounted spy-child. */
export async function startSpy(scope: Scope, { env, ...settings }: SpyOptions = {}): Promise<Spy> {
  const connections = await tempDir(scope, "fusectl");
  await ok("mount", ["-t", "fusectl", "fusectl", connections]);
  const dir = await makeMountPoint(scope);
  const home = await tempDir(scope, "home");
  const started = spawn(process.execPath, [CHILD, dir, JSON.stringify(settings)], {
    env: { PATH: process.env["PATH"], HOME: home, ...env },
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
  });
  const mount = new MountProcess(dir, started);
  scope.defer(() => mount.dispose());
  await mount.next("mounted");
  // The device number names this mount's connection; all others in fusectl belong to somebody else.
  const device = (await mountAt(dir))!.device;
  const spy = new Spy(mount, started.pid!, join(connections, device.slice(device.indexOf(":") + 1)));
  scope.defer(() => spy.abort().catch(() => {}));
  return spy;
}
