/**
 * The folders of the data directory that hold what is not yet on the server: accounts/ACCOUNT/TARGET with "lock", "journal" and "spool/".
 * Invariants: folders are 0700; who has a StateDir has its lock, so that one process at a time works in a folder; a folder that is
 * removed was locked until it was gone. Called by mount.ts.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "../observe/log.ts";
import type { LibraryId } from "../seafile/types.ts";
import { sleep } from "../util/abort.ts";
import { ErrnoError } from "../util/errno.ts";
import { normalizeServerUrl } from "../util/server-url.ts";
import { syncFolder } from "./journal-file.ts";
import { LOCK_FILE, type LockAttempt, PID_LOCK_FILE, takeLock } from "./state-lock.ts";

export interface StateDirOptions {
  /** The data directory of the user. */
  readonly stateDir: string;
  /** Base URL. */
  readonly server: string;
  /** E-mail of the account. */
  readonly user: string;
  /** Made by `targetName`. */
  readonly target: string;
  /** Told to who finds the folder locked. */
  readonly mountpoint: string;
  readonly log: Logger;
}

type Lock = Extract<LockAttempt, { kind: "locked" }>;

const TARGET = /^(all|[0-9a-f-]{36}(-[0-9a-f]{8})?)$/;
/** A mount that was killed, or that is just giving a folder back, needs a moment. */
const ATTEMPTS = 10;
const PAUSE_MS = 100;

/** The folder name for what is mounted: everything (undefined), a library, or a folder of it (absolute path in the library). */
export function targetName(library: LibraryId | undefined, path: string): string {
  if (library === undefined) return "all";
  return path === "/" ? library : `${library}-${hash(path).slice(0, 8)}`;
}

export class StateDir {
  /** Here is the journal. */
  readonly folder: string;
  readonly target: string;
  readonly #options: StateDirOptions;
  readonly #lock: Lock;

  private constructor(options: StateDirOptions, target: string, lock: Lock) {
    this.folder = folderOf(options, target);
    this.target = target;
    this.#options = options;
    this.#lock = lock;
  }

  /**
   * Makes the folders and takes the lock. Rejects with ErrnoError EBUSY, a sentence that names the other process and its mount point,
   * when another mount works there, or with the disk's error.
   */
  static async open(options: StateDirOptions): Promise<StateDir> {
    if (!TARGET.test(options.target))
      throw new TypeError("the target of a state folder is not one that targetName made");
    const folder = folderOf(options, options.target);
    for (let attempt = 1; ; attempt++) {
      await makeFolder(folder);
      const lock = await takeLock(folder, options.mountpoint);
      if (lock.kind === "locked") return StateDir.#locked(options, options.target, lock);
      if (attempt === ATTEMPTS) throw inUse(folder, lock);
      await sleep(PAUSE_MS);
    }
  }

  /** The folder for content, made by `open`. */
  get spool(): string {
    return join(this.folder, "spool");
  }

  /** Where content goes that can be kept in no other way; shared by all mounts of the user, and made by who needs it. */
  get recovered(): string {
    return join(this.#options.stateDir, "recovered");
  }

  /** The other folders of the account that no mount works in, each locked now. What cannot be had is logged and left out. */
  async siblings(): Promise<StateDir[]> {
    const { mountpoint, log } = this.#options;
    const account = dirname(this.folder);
    const found: StateDir[] = [];
    for (const target of (await readdir(account)).sort()) {
      if (target === this.target || !TARGET.test(target)) continue;
      const folder = join(account, target);
      try {
        const lock = await takeLock(folder, mountpoint);
        if (lock.kind === "locked") found.push(await StateDir.#locked(this.#options, target, lock));
      } catch (error) {
        log.warn(
          { folder, code: (error as NodeJS.ErrnoException).code },
          "the state of an earlier mount cannot be taken over",
        );
      }
    }
    return found;
  }

  /** Gives the folder back with what is in it. */
  async release(): Promise<void> {
    await this.#lock.release();
  }

  /** Deletes the folder, then gives up its lock. Call when the server has everything. */
  async remove(): Promise<void> {
    // The journal first, and durably: after a power cut it must not ask for content that is gone.
    await rm(join(this.folder, "journal"), { force: true });
    await syncFolder(this.folder);
    for (const name of await readdir(this.folder)) {
      if (name !== LOCK_FILE && name !== PID_LOCK_FILE)
        await rm(join(this.folder, name), { recursive: true, force: true });
    }
    await rm(join(this.folder, LOCK_FILE), { force: true });
    await this.#lock.release();
    // From here on somebody else may have made and locked it anew: then it is not empty, and theirs.
    await rmdir(this.folder).catch(() => {});
  }

  static async #locked(options: StateDirOptions, target: string, lock: Lock): Promise<StateDir> {
    const dir = new StateDir(options, target, lock);
    try {
      await makeFolder(dir.spool);
      return dir;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }
}

function folderOf({ stateDir, server, user }: StateDirOptions, target: string): string {
  const account = hash(`${normalizeServerUrl(server)}\n${user}`).slice(0, 16);
  return join(stateDir, "accounts", account, target);
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** With the folders above it, durably: a journal is worth nothing in a folder that a power cut takes away. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

function inUse(folder: string, { by }: Extract<LockAttempt, { kind: "taken" }>): ErrnoError {
  const who = by === undefined ? "another process" : `process ${by.pid}, which serves the mount at ${by.mountpoint}`;
  return new ErrnoError("EBUSY", `The local state of this mount, ${folder}, is in use by ${who}.`);
}
