/**
 * The spool: a private folder of sparse files that hold what was written and is not yet stored on the server.
 * Invariants: folder 0700, files 0600; a folder belongs to one process, and what a dead process left is removed at the next
 * start (close(2) answered only what the server had stored, so nothing acknowledged is in there). Called by the vfs and mount.ts.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Logger } from "../observe/log.ts";

export interface SpoolFile {
  readonly path: string;
  readonly handle: FileHandle;
}

export class Spool {
  readonly #folder: string;
  #kept: Promise<string> | undefined;
  readonly #recovered: string;

  private constructor(folder: string, recovered: string) {
    this.#folder = folder;
    this.#recovered = recovered;
  }

  /** Creates this process's folder under `stateDir` and removes those of processes that no longer exist. */
  static async open(stateDir: string, log: Logger): Promise<Spool> {
    const all = join(stateDir, "spool");
    await mkdir(all, { recursive: true, mode: 0o700 });
    for (const name of await readdir(all)) {
      const pid = Number.parseInt(name, 10);
      if (Number.isInteger(pid) && !isAlive(pid)) {
        log.info({ folder: join(all, name) }, "removing the spool of a mount that ended without cleaning up");
        await rm(join(all, name), { recursive: true, force: true });
      }
    }
    const folder = join(all, `${process.pid}-${randomUUID().slice(0, 8)}`);
    await mkdir(folder, { mode: 0o700 });
    return new Spool(folder, join(stateDir, "recovered"));
  }

  async create(): Promise<SpoolFile> {
    const path = join(this.#folder, randomUUID());
    return { path, handle: await open(path, "wx+", 0o600) };
  }

  async discard(file: SpoolFile): Promise<void> {
    await file.handle.close().catch(() => {});
    await unlink(file.path).catch(() => {});
  }

  /** Keeps the file for its user, outside the spool, and says where. `name` is the file's own name, shown in the new one. */
  async recover(file: SpoolFile, name: string): Promise<string> {
    await mkdir(this.#recovered, { recursive: true, mode: 0o700 }).catch(() => {});
    const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
    // Only the last 200 bytes of the name, so that stamp and id still fit into NAME_MAX.
    const shown = Buffer.from(basename(name))
      .subarray(-200)
      .toString("latin1")
      .replaceAll(/[^\x20-\x7e]|\//g, "_");
    const path = join(this.#recovered, `${stamp} ${randomUUID().slice(0, 4)} ${shown}`);
    await file.handle.sync().catch(() => {});
    await file.handle.close().catch(() => {});
    try {
      await rename(file.path, path);
      return path;
    } catch {
      return this.#keep(basename(file.path));
    }
  }

  /** Nothing can be moved out of the spool: the folder itself is kept, once, under a name that the next start does not remove. */
  async #keep(name: string): Promise<string> {
    this.#kept ??= (async () => {
      const kept = join(dirname(this.#folder), `kept-${basename(this.#folder)}`);
      await rename(this.#folder, kept);
      return kept;
    })();
    return join(await this.#kept, name);
  }

  /** Removes the folder with whatever is still in it. Call when every dirty file was stored, discarded or recovered. */
  async close(): Promise<void> {
    if (this.#kept !== undefined) return;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
