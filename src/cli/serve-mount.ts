/**
 * The life of one mount inside its process: mount, say when it is ready, wait for its end, report what could not be stored.
 * Used in the foreground by the mount command and in the background by daemonize.ts.
 * Invariant: SIGINT and SIGTERM end the mount only after pending work was stored; a second one interrupts nothing.
 */
import { type Mount, mount } from "../mount.ts";
import { type Logger, silentLogger } from "../observe/log.ts";
import type { MountOptions } from "../options.ts";
import { mountStateOf } from "../unmount.ts";
import { deferred } from "../util/abort.ts";
import { type ControlSocket, type ControlSocketOptions, startControl } from "./control-socket.ts";
import { CliError, EXIT, type ExitCode, exitCodeOf, sentenceOf } from "./exit-codes.ts";
import { reportEnd } from "./mount-end.ts";
import { type MountEnd, type RecordFile, writeRecord } from "./mount-record.ts";

export interface MountEvents {
  /** The mount works from now on, carried by `transport` (Mount.transport). */
  ready(transport: string): void;
  /** A remark for whoever watches the terminal or reads the log. */
  tell(line: string): void;
}

/** Resolves with the exit code when the mount has ended, whoever ended it. Rejects when mounting fails. */
export async function serveMount(
  options: MountOptions,
  signals: readonly NodeJS.Signals[],
  events: MountEvents,
): Promise<ExitCode> {
  const ending = new Ending(options.mountpoint, events);
  const onSignal = (signal: NodeJS.Signals) => ending.request(signal);
  const onCrash = (error: unknown) => ending.crash(error);
  for (const signal of signals) process.on(signal, onSignal);
  process.on("uncaughtException", onCrash);
  try {
    const mounted = await mountUnlessInterrupted(options, ending);
    const end = await untilClosed({
      mounted,
      ending,
      events,
      log: options.log ?? silentLogger(),
    });
    return ending.crashed ? EXIT.unexpected : reportEnd(end, options.mountpoint, events.tell);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    process.off("uncaughtException", onCrash);
  }
}

interface Serving {
  readonly mounted: Mount;
  readonly ending: Ending;
  readonly events: MountEvents;
  readonly log: Logger;
}

/** Makes the mount known, and resolves with what it left when it has ended. */
async function untilClosed({ mounted, ending, events, log }: Serving): Promise<MountEnd> {
  const { control, mountpoint } = mounted;
  const socket = await tryToControl({ control, mountpoint, log }, events);
  const record = tryToRecord(mountpoint, socket?.path, events);
  let end: MountEnd = { unstored: [] };
  try {
    events.ready(mounted.transport);
    ending.attach(mounted);
    end = await mounted.closed;
    return end;
  } finally {
    // The record first: whoever gets the last answer may read it.
    record?.finish(end);
    await socket?.close();
  }
}

/** Without a socket nobody can ask this mount anything; that is no reason to give up a mount that works. */
async function tryToControl(options: ControlSocketOptions, events: MountEvents): Promise<ControlSocket | undefined> {
  try {
    return await startControl(options);
  } catch (error) {
    events.tell(`This mount cannot be asked for its status: ${sentenceOf(error)}`);
    return undefined;
  }
}

/** Without a record `unmount` cannot wait for this process; that is no reason to give up either. */
function tryToRecord(mountpoint: string, socket: string | undefined, events: MountEvents): RecordFile | undefined {
  try {
    return writeRecord(mountpoint, socket);
  } catch (error) {
    events.tell(`There will be no record of this mount: ${sentenceOf(error)}`);
    return undefined;
  }
}

/** Connecting to a server that does not answer takes long: an interrupt does not wait for it unless the kernel has the mount. */
async function mountUnlessInterrupted(options: MountOptions, ending: Ending): Promise<Mount> {
  const mounting = mount(options);
  mounting.catch(() => {});
  try {
    return await Promise.race([mounting, ending.interrupted]);
  } catch (error) {
    if (ending.requested && (await mountStateOf(options.mountpoint)) === "seamount") await (await mounting).unmount();
    throw mountFailure(error);
  }
}

/** Turns signals and crashes into one orderly unmount. */
class Ending {
  /** Rejects when the end is requested before there is a mount. */
  readonly interrupted: Promise<never>;
  readonly #mountpoint: string;
  readonly #events: MountEvents;
  readonly #interrupt: (reason: Error) => void;
  #mount: Mount | undefined;
  #requested = false;
  #crashed = false;

  constructor(mountpoint: string, events: MountEvents) {
    this.#mountpoint = mountpoint;
    this.#events = events;
    const { promise, reject } = deferred<never>();
    promise.catch(() => {});
    this.interrupted = promise;
    this.#interrupt = reject;
  }

  get requested(): boolean {
    return this.#requested;
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  attach(mount: Mount): void {
    this.#mount = mount;
    if (this.#requested) this.#unmount(mount);
  }

  request(signal: NodeJS.Signals): void {
    if (this.#requested) {
      this.#events.tell(
        `Still storing what was changed in ${this.#mountpoint}; it ends by itself. (kill -9 ${process.pid} would leave it to the next mount.)`,
      );
      return;
    }
    this.#requested = true;
    if (this.#mount) {
      this.#events.tell(`${signal}: unmounting ${this.#mountpoint} ...`);
      this.#unmount(this.#mount);
    } else {
      this.#interrupt(new CliError(EXIT.mount, `${signal}: interrupted before the mount was ready.`));
    }
  }

  /** A defect: what is pending is still stored, then the process ends with code 1 instead of leaving a dead mount point. */
  crash(error: unknown): void {
    this.#crashed = true;
    this.#events.tell(`Internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    if (!this.#requested) this.request("SIGTERM");
  }

  #unmount(mount: Mount): void {
    mount.unmount().catch((error: unknown) => {
      // The mount is still there: the next signal tries again.
      this.#requested = false;
      this.#events.tell(`Unmounting ${this.#mountpoint} failed: ${sentenceOf(error)}`);
    });
  }
}

/** Failures of the server keep their own code; programming errors stay what they are; the rest is "mounting failed". */
function mountFailure(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError) return error;
  if (exitCodeOf(error) !== EXIT.unexpected) return error;
  // Node's own errors ("EACCES: permission denied, mkdir ...") do not say what was attempted.
  const isSystemError = error instanceof Error && "syscall" in error;
  return new CliError(EXIT.mount, `${isSystemError ? "Mounting failed: " : ""}${sentenceOf(error)}`, { cause: error });
}
