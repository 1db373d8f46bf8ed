/**
 * Starts the built program (dist/cli/main.js) on a temp folder and waits until the kernel lists the mount. Invariant: every
 * mount has an own HOME with own XDG folders, gets its token through the environment, and is gone when its scope ends.
 * The log is what the foreground process wrote to stderr. Called by all mount tests.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { chown, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DevServer } from "../../src/devserver/index.ts";
import { isMountPoint, lazyUnmount } from "./mountinfo.ts";
import { eventually, type RunOptions, type RunResult, run } from "./process.ts";
import { MAIN } from "./programs.ts";
import { type Scope, tempDir } from "./scope.ts";
import { transportArguments } from "./transport.ts";

export const EMAIL = "test@example.com";
export const NOBODY = 65534;

/** Many processes start at once on few cores. */
const READY_MS = 90_000;

export interface MountSettings {
  readonly server: DevServer;
  /** Value of --library; all libraries when absent. */
  readonly library?: string;
  /** Address of a public link, mounted instead and without a login. */
  readonly link?: string;
  readonly linkPassword?: string;
  /** Whose token; default the test user. */
  readonly email?: string;
  readonly token?: string;
  /** As `seamount mount` has it when it is told nothing: close and fsync do not wait for the server. */
  readonly background?: boolean;
  /** Further arguments of `seamount mount`. */
  readonly args?: readonly string[];
  /** Run as this user and group (only root can). */
  readonly uid?: number;
  /** Mount point; a fresh folder when absent. */
  readonly dir?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** HOME of an earlier mount, to find its state again. */
  readonly home?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Mounted {
  /** The mount point. */
  readonly dir: string;
  readonly home: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Everything the process wrote to stdout and stderr so far. */
  log(): string;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, as a service manager does; how the process ended. */
  unmount(): Promise<Exit>;
  kill9(): Promise<void>;
}

/** Environment of one user of seamount: own home, and no other login than the one given here. */
export function environment(home: string, settings: { server: DevServer; token?: string; email?: string }) {
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin:/usr/sbin:/sbin",
    LANG: "C.UTF-8",
    HOME: home,
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_DATA_HOME: join(home, "data"),
    XDG_STATE_HOME: join(home, "state"),
    XDG_CACHE_HOME: join(home, "cache"),
    XDG_RUNTIME_DIR: join(home, "run"),
    TMPDIR: join(home, "tmp"),
    SEAMOUNT_SERVER: settings.server.url,
    SEAMOUNT_TOKEN: settings.token ?? settings.server.token(settings.email ?? EMAIL),
  };
}

/** The same for somebody who has no account. */
function visitor(home: string, settings: MountSettings): Record<string, string> {
  const { SEAMOUNT_SERVER: _server, SEAMOUNT_TOKEN: _token, ...rest } = environment(home, settings);
  const { linkPassword } = settings;
  return linkPassword === undefined ? rest : { ...rest, SEAMOUNT_LINK_PASSWORD: linkPassword };
}

/** A home with the folders of environment(), owned by the user that will use it. */
export async function makeHome(scope: Scope, uid?: number): Promise<string> {
  const home = await tempDir(scope, "home");
  for (const name of ["", "config", "data", "state", "cache", "run", "tmp"]) {
    await mkdir(join(home, name), { recursive: true, mode: 0o700 });
    if (uid !== undefined) await chown(join(home, name), uid, uid);
  }
  return home;
}

export async function makeMountPoint(scope: Scope, uid?: number): Promise<string> {
  const dir = await tempDir(scope, "mnt");
  if (uid !== undefined) await chown(dir, uid, uid);
  return dir;
}

/** Runs the built program to its end, e.g. `seamount unmount DIR`. */
export function seamount(
  args: readonly string[],
  settings: { server: DevServer; home: string; token?: string; email?: string; uid?: number },
  options: RunOptions = {},
): Promise<RunResult> {
  const env = { ...environment(settings.home, settings), ...options.env };
  return run(process.execPath, [MAIN, ...args], {
    ...options,
    env,
    ...(settings.uid === undefined ? {} : { uid: settings.uid }),
  });
}

/** What `seamount` is told to mount a folder, over the transport of the project. */
export function mountArguments(
  dir: string,
  settings: Pick<MountSettings, "library" | "link" | "args" | "background"> = {},
): string[] {
  const library = settings.library === undefined ? [] : ["--library", settings.library];
  // Most tests ask the server right after a close. Flags among the arguments win over these words.
  const waits = settings.background === true ? [] : ["-o", "commit=close,fsync=server"];
  const place = settings.link === undefined ? [dir] : [settings.link, dir];
  return ["mount", ...place, ...transportArguments(), ...waits, ...library, ...(settings.args ?? [])];
}

class ForegroundMount implements Mounted {
  readonly dir: string;
  readonly home: string;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  #output = "";
  #over = false;

  constructor(dir: string, home: string, child: ChildProcess) {
    this.dir = dir;
    this.home = home;
    this.#child = child;
    const collect = (chunk: Buffer) => {
      this.#output += chunk.toString();
    };
    child.stdout?.on("data", collect);
    child.stderr?.on("data", collect);
    this.exited = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        this.#over = true;
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get over(): boolean {
    return this.#over;
  }

  log(): string {
    return this.#output;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#over) this.#child.kill(signal);
  }

  async unmount(): Promise<Exit> {
    this.signal("SIGTERM");
    return this.exited;
  }

  async kill9(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }

  /** Ends the process whatever it is doing: politely, then by force. */
  async dispose(): Promise<void> {
    if (!this.#over) {
      this.signal("SIGTERM");
      const timer = setTimeout(() => this.signal("SIGKILL"), 5000);
      await this.exited;
      clearTimeout(timer);
    }
    if (await isMountPoint(this.dir)) await lazyUnmount(this.dir);
  }
}

/** A mount that did not come up; `code` is the exit code of the program. */
export class MountFailed extends Error {
  override readonly name = "MountFailed";
  readonly code: number | null;
  readonly output: string;

  constructor(exit: Exit, output: string) {
    super(`the mount ended with ${exit.code ?? exit.signal}:\n${output}`);
    this.code = exit.code;
    this.output = output;
  }
}

/** `seamount mount DIR --foreground ...`, ready to be used. Rejects with MountFailed when the program ends instead. */
export async function mountLibrary(scope: Scope, settings: MountSettings): Promise<Mounted> {
  const home = settings.home ?? (await makeHome(scope, settings.uid));
  const dir = settings.dir ?? (await makeMountPoint(scope, settings.uid));
  const child = spawn(process.execPath, [MAIN, ...mountArguments(dir, settings), "--foreground"], {
    env: { ...(settings.link === undefined ? environment(home, settings) : visitor(home, settings)), ...settings.env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(settings.uid === undefined ? {} : { uid: settings.uid, gid: settings.uid }),
  });
  const mounted = new ForegroundMount(dir, home, child);
  scope.defer(() => mounted.dispose());
  await eventually(`${dir} is mounted`, async () => mounted.over || (await isReady(mounted)), READY_MS);
  if (mounted.over) throw new MountFailed(await mounted.exited, mounted.log());
  return mounted;
}

async function isReady(mounted: Mounted): Promise<boolean> {
  return mounted.log().includes(`mounted on ${mounted.dir}`) && (await isMountPoint(mounted.dir));
}

/**
 * `seamount mount DIR` in the background, ready to be used. Its process is found by its command line, so that it is
 * ended with the scope: politely when the server answers, by force after ten seconds.
 */
export async function mountInBackground(scope: Scope, settings: MountSettings): Promise<{ dir: string; home: string }> {
  const { uid, server } = settings;
  const home = settings.home ?? (await makeHome(scope, uid));
  const dir = await makeMountPoint(scope, uid);
  const user = { server, home, ...(uid === undefined ? {} : { uid }) };
  scope.defer(async () => {
    server.faults.clear();
    const pids = await servingProcesses(dir);
    await lazyUnmount(dir);
    const gone = async () => (await servingProcesses(dir)).length === 0;
    await eventually("the background process has ended", gone, 10_000).catch(() => {
      for (const pid of pids) process.kill(pid, "SIGKILL");
    });
  });
  const result = await seamount(mountArguments(dir, settings), user, { env: settings.env ?? {} });
  if (result.code !== 0) throw new MountFailed({ code: result.code, signal: result.signal }, result.stderr);
  return { dir, home };
}

/** Processes whose command line is a `seamount mount` of this folder. */
export async function servingProcesses(dir: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return pids.filter((_, i) => lines[i]!.split("\0").includes(dir) && lines[i]!.includes(MAIN));
}
