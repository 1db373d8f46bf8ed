/**
 * Runs mount-child.ts (MemoryOperations behind a transport) in a process of its own and talks to it by lines.
 * Invariant: process and mount are gone when their scope ends, also when the test failed. Used by the mount tests of this folder and of fuse-native.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { TransportOptions } from "../../src/fuse/transport.ts";
import { lazyUnmount, mountsUnder } from "../support/mountinfo.ts";
import { makeMountPoint } from "../support/mounts.ts";
import { eventually } from "../support/process.ts";
import { compiled } from "../support/programs.ts";
import { type Scope, tempDir } from "../support/scope.ts";

/** Serves MemoryOperations; arguments: mount point, TransportOptions in JSON, transport. */
export const CHILD = compiled(import.meta.dirname, "mount-child");

export type ChildEvent = Readonly<Record<string, unknown>> & { readonly event: string };

export interface ChildSettings {
  readonly options?: Partial<TransportOptions>;
  /** Run as this user and group (only root can). */
  readonly uid?: number | undefined;
  /** Mount point; a fresh folder when absent. */
  readonly dir?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeArguments?: readonly string[];
  /** The kernel transport when absent. */
  readonly transport?: "kernel" | "fuse-native";
}

export class MountProcess {
  readonly dir: string;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  readonly #events: ChildEvent[] = [];
  #stderr = "";
  #over = false;

  constructor(dir: string, child: ChildProcess) {
    this.dir = dir;
    this.#child = child;
    createInterface({ input: child.stdout! }).on("line", (line) => {
      this.#events.push(line.startsWith("{") ? JSON.parse(line) : { event: "log", ...{ line } });
    });
    child.stderr!.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    child.stdin!.on("error", () => {});
    this.exited = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        this.#over = true;
        resolve({ code, signal });
      });
    });
  }

  get over(): boolean {
    return this.#over;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What the child logged. */
  get log(): string {
    return this.#stderr;
  }

  send(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.#over) this.#child.kill(signal);
  }

  /** The next event of that name; fails when the process ends without one. */
  async next(name: string): Promise<ChildEvent> {
    const found = () => this.#events.findIndex(({ event }) => event === name);
    await eventually(`${name} from the mount`, () => found() >= 0 || this.#over);
    const at = found();
    if (at < 0) throw new Error(`no "${name}": ${JSON.stringify(this.#events)}\n${this.#stderr}`);
    return this.#events.splice(at, 1)[0]!;
  }

  /** Sends a command and waits for the event it causes. */
  async ask(line: string, event: string): Promise<ChildEvent> {
    this.send(line);
    return this.next(event);
  }

  /** The operations called since the last time. */
  async calls(): Promise<readonly string[]> {
    return (await this.ask("calls", "calls"))["calls"] as string[];
  }

  async dispose(): Promise<void> {
    for (const mountpoint of await mountsUnder(this.dir)) await lazyUnmount(mountpoint);
    this.kill("SIGKILL");
    await this.exited;
  }
}

/** Starts the child; its first event is "mounted" or "failed". */
export async function startMount(scope: Scope, settings: ChildSettings = {}): Promise<MountProcess> {
  const { uid } = settings;
  const home = await tempDir(scope, "home");
  const dir = settings.dir ?? (await makeMountPoint(scope, uid));
  const childArguments = [CHILD, dir, JSON.stringify(settings.options ?? {}), settings.transport ?? "kernel"];
  const started = spawn(process.execPath, [...(settings.nodeArguments ?? []), ...childArguments], {
    env: { PATH: process.env["PATH"], HOME: home, ...settings.env },
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const mount = new MountProcess(dir, started);
  scope.defer(() => mount.dispose());
  return mount;
}

/** Starts the child and waits until it has mounted. */
export async function mounted(scope: Scope, settings: ChildSettings = {}): Promise<MountProcess> {
  const mount = await startMount(scope, settings);
  await mount.next("mounted");
  return mount;
}
