/**
 * The spool: a private folder of sparse files that hold what was written and is not yet stored on the server.
 * Invariants: folder 0700, files 0600; a file is opened when it is used and closed while it rests, so that ten thousand pending
 * files need no ten thousand descriptors. The journal says what each file is. Called by backlog.ts and dirty-file.ts.
 */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

export class Spool {
  readonly #folder: string;
  readonly #handle: FileHandle;

  private constructor(folder: string, handle: FileHandle) {
    this.#folder = folder;
    this.#handle = handle;
  }

  static async open(folder: string): Promise<Spool> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new Spool(folder, await open(folder, "r"));
  }

  /** A new, empty file. It is made while the caller goes on: errors of the local disk (ENOSPC, EMFILE ...) come from its first use. */
  create(): SpoolFile {
    const file = new SpoolFile(randomUUID(), this.#folder, "wx+");
    file.use(async () => {}).catch(() => {});
    return file;
  }

  /** A file that an earlier process left; it is opened when it is used. */
  existing(name: string): SpoolFile {
    const file = new SpoolFile(name, this.#folder, "r+");
    file.rest();
    return file;
  }

  names(): Promise<string[]> {
    return readdir(this.#folder);
  }

  /** Bytes; undefined when there is no such file. */
  async sizeOf(name: string): Promise<number | undefined> {
    try {
      return (await stat(this.pathOf(name))).size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  pathOf(name: string): string {
    return join(this.#folder, name);
  }

  /** Makes the names of new files durable: fdatasync of a file does not. */
  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

export class SpoolFile {
  readonly name: string;
  readonly path: string;
  /** "wx+" until it was made. */
  #flags: "wx+" | "r+";
  #handle: Promise<FileHandle> | undefined;
  #users = 0;
  #resting = false;
  #nameless = false;

  constructor(name: string, folder: string, flags: "wx+" | "r+") {
    this.name = name;
    this.path = join(folder, name);
    this.#flags = flags;
  }

  /** Runs `work` with the open file. */
  async use<T>(work: (handle: FileHandle) => Promise<T>): Promise<T> {
    this.#users++;
    try {
      this.#handle ??= open(this.path, this.#flags, 0o600);
      const handle = await this.#handle.catch((error: unknown) => {
        this.#handle = undefined;
        throw error;
      });
      this.#flags = "r+";
      return await work(handle);
    } finally {
      this.#users--;
      this.#closeIfIdle();
    }
  }

  /** Nobody writes to it any more: the descriptor is given back between uses. */
  rest(): void {
    this.#resting = true;
    this.#closeIfIdle();
  }

  /** Takes the name away now; the bytes stay for who has the file open, until `remove`. */
  async hide(): Promise<void> {
    await this.use(async () => {
      this.#nameless = true;
      this.#resting = false;
      await unlink(this.path).catch(() => {});
    });
  }

  async remove(): Promise<void> {
    const handle = await this.#handle?.catch(() => undefined);
    this.#handle = undefined;
    await handle?.close().catch(() => {});
    await unlink(this.path).catch(() => {});
  }

  #closeIfIdle(): void {
    if (!this.#resting || this.#nameless || this.#users > 0 || this.#handle === undefined) return;
    const handle = this.#handle;
    this.#handle = undefined;
    handle.then((open) => open.close()).catch(() => {});
  }
}
