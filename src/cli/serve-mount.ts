/**
 * The life of one mount inside its process: mount, say when it is ready, wait for its end, report what could not be stored.
 * Used in the foreground by the mount command and in the background by daemonize.ts.
 * Invariant: SIGINT and SIGTERM end the mount only after pending work was stored; a second one interrupts nothing.
 */
import { type Mount, mount } from "../mount.ts";
import type { MountOptions } from "../options.ts";
import { CliError, EXIT, type ExitCode, exitCodeOf, sentenceOf } from "./exit-codes.ts";
import { writeRecord } from "./mount-record.ts";

export interface MountEvents {
  /** The mount works from now on. */
  ready(): void;
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
    const mounted = await mount(options).catch((error: unknown) => {
      throw mountFailure(error);
    });
    const record = writeRecord(mounted.mountpoint);
    let unstored: readonly string[] = [];
    try {
      events.ready();
      ending.attach(mounted);
      ({ unstored } = await mounted.closed);
    } finally {
      record.finish(unstored);
    }
    return ending.crashed ? EXIT.unexpected : reportEnd(unstored, options.mountpoint, events);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    process.off("uncaughtException", onCrash);
  }
}

/** Turns signals and crashes into one orderly unmount, also when they arrive before the mount is there. */
class Ending {
  readonly #mountpoint: string;
  readonly #events: MountEvents;
  #mount: Mount | undefined;
  #requested = false;
  #crashed = false;

  constructor(mountpoint: string, events: MountEvents) {
    this.#mountpoint = mountpoint;
    this.#events = events;
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
        this.#mount
          ? `Still storing what was changed in ${this.#mountpoint}; it ends by itself. (kill -9 ${process.pid} would end it at once.)`
          : "Still starting; it ends as soon as that is over.",
      );
      return;
    }
    this.#requested = true;
    this.#events.tell(`${signal}: unmounting ${this.#mountpoint} ...`);
    if (this.#mount) this.#unmount(this.#mount);
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

/** Says what a mount left behind, in one line and then one line per file. */
export function reportEnd(
  unstored: readonly string[],
  mountpoint: string,
  events: Pick<MountEvents, "tell">,
): ExitCode {
  if (unstored.length === 0) return EXIT.ok;
  const files = unstored.length === 1 ? "1 file" : `${unstored.length} files`;
  events.tell(`${mountpoint} is unmounted, but ${files} could not be stored on the server:`);
  for (const file of unstored) events.tell(`  ${file}`);
  return EXIT.unstored;
}

/** Failures of the server keep their own code; programming errors stay what they are; the rest is "mounting failed". */
function mountFailure(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError) return error;
  if (exitCodeOf(error) !== EXIT.unexpected) return error;
  // Node's own errors ("EACCES: permission denied, mkdir ...") do not say what was attempted.
  const isSystemError = error instanceof Error && "syscall" in error;
  return new CliError(EXIT.mount, `${isSystemError ? "Mounting failed: " : ""}${sentenceOf(error)}`, { cause: error });
}
