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

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<Spool> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new Spool(folder);
  }

  /** A new, empty file. Errors are those of the local disk (ENOSPC, EMFILE ...). */
  async create(): Promise<SpoolFile> {
    const name = randomUUID();
    const path = join(this.#folder, name);
    return new SpoolFile(name, path, await open(path, "wx+", 0o600));
  }

  /** A file that an earlier process left; it is opened when it is used. */
  existing(name: string): SpoolFile {
    return new SpoolFile(name, join(this.#folder, name), undefined);
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
    const handle = await open(this.#folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

export class SpoolFile {
  readonly name: string;
  readonly path: string;
  #handle: Promise<FileHandle> | undefined;
  #users = 0;
  #resting = false;
  #nameless = false;

  constructor(name: string, path: string, handle: FileHandle | undefined) {
    this.name = name;
    this.path = path;
    this.#handle = handle === undefined ? undefined : Promise.resolve(handle);
    this.#resting = handle === undefined;
  }

  /** Runs `work` with the open file. */
  async use<T>(work: (handle: FileHandle) => Promise<T>): Promise<T> {
    this.#users++;
    try {
      this.#handle ??= open(this.path, "r+");
      const handle = await this.#handle.catch((error: unknown) => {
        this.#handle = undefined;
        throw error;
      });
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
