/**
 * Storing a big file in chunks, so that a broken connection costs a chunk and not the file. The server collects them in a
 * temporary file per path, which lives for days, is shared by all who send to the path, is never cut shorter, and is taken
 * as it is with the last chunk. Invariants: so nothing is built on what is not known to be ours; what the server made of the
 * chunks is compared with the content by its id; memory does not grow with the file. Called by library-put.ts.
 */
import { sleep } from "../util/abort.ts";
import { ContentCursor } from "./content.ts";
import { type Context, repeat } from "./context.ts";
import type { ChangeTarget } from "./endpoints-change.ts";
import { getUploadedBytes, postChunk } from "./endpoints-chunks.ts";
import { storingTime, type Uploaded } from "./endpoints-file-server.ts";
import { SeafileError } from "./errors.ts";
import { applyRemove } from "./library-remove.ts";
import { join, nameOf, parentOf } from "./names.ts";
import { ContentHasher } from "./object-id.ts";
import { entriesOf, findUploaded } from "./settle.ts";
import { throughLink, uncertainKey } from "./store-link.ts";
import type { Content, ObjectId } from "./types.ts";

export interface ChunkedPut {
  readonly path: string;
  readonly content: Content;
  /** Unix seconds. */
  readonly mtime: number;
  readonly replace: boolean;
  readonly progress?: ((bytesSent: number) => void) | undefined;
  /** Called right before the chunk that makes the file visible; rejects when it must not be. */
  readonly confirm: () => Promise<void>;
}

/** `whole`: to be stored in one piece instead, over what has been stored wrongly, if that is given. */
export type ChunkedOutcome =
  | { readonly stored: Uploaded }
  | { readonly whole: true; readonly over: Uploaded | undefined };

/** How far an upload came that was given up: the first `sent` bytes, whose id as a file is `id`, are in the temporary file. */
export interface Interrupted {
  readonly total: number;
  readonly sent: number;
  readonly id: ObjectId;
}

/** The Go server makes a temporary file of the name and up to ten characters. */
const CHUNKED_NAME_MAX = 245;

export function isForChunks(
  { limits, refused }: Context,
  { path, content }: { path: string; content: Content },
): boolean {
  if (content.size <= limits.chunkedAbove || refused.has("chunks")) return false;
  return Buffer.byteLength(nameOf(path)) <= CHUNKED_NAME_MAX;
}

export async function putInChunks(context: Context, at: ChangeTarget, put: ChunkedPut): Promise<ChunkedOutcome> {
  const upload = new ChunkedUpload(context, at, put);
  try {
    return await upload.run();
  } finally {
    await upload.close();
  }
}

/** A temporary file that vanishes is begun again, but not for ever. */
const MAX_RESTARTS = 2;

class ChunkedUpload {
  readonly #context: Context;
  readonly #at: ChangeTarget;
  readonly #put: ChunkedPut;
  readonly #cursor: ContentCursor;
  /** What the server has taken: so many bytes, and their id. */
  #sent = 0;
  #hasher: ContentHasher;
  /** The same with the chunk under way. */
  #next: ContentHasher;
  #end = 0;
  #restarts = 0;
  /** After a failure it is asked what has arrived. */
  #inDoubt = false;

  constructor(context: Context, at: ChangeTarget, put: ChunkedPut) {
    this.#context = context;
    this.#at = at;
    this.#put = put;
    this.#cursor = new ContentCursor(put.content, at.signal);
    this.#hasher = new ContentHasher(at.key);
    this.#next = new ContentHasher(at.key);
  }

  close(): Promise<void> {
    return this.#cursor.close();
  }

  async run(): Promise<ChunkedOutcome> {
    const { refused, interrupted } = this.#context;
    const arrived = await this.#arrivedBefore();
    // A longer temporary file is another attempt's, and its tail would become ours.
    if (arrived === undefined || arrived > this.#total) return { whole: true, over: undefined };
    await this.#resume(arrived);
    for (;;) {
      const taken = await this.#sendChunk();
      if (taken === "accepted") {
        if (this.#end === this.#total) throw endless(this.#put.path);
        this.#sent = this.#end;
        this.#hasher = this.#next;
      } else if (taken === "unknown") {
        refused.add("chunks");
        return { whole: true, over: undefined };
      } else {
        interrupted.delete(this.#key);
        return this.#end === this.#total ? this.#compare(taken) : this.#undo(taken);
      }
    }
  }

  get #total(): number {
    return this.#put.content.size;
  }

  get #key(): string {
    return uncertainKey(this.#at, this.#put.path);
  }

  /** Undefined when the server, or this folder on it, does not know chunks. */
  async #arrivedBefore(): Promise<number | undefined> {
    try {
      return await repeat(this.#context, this.#at.signal, () => this.#arrived());
    } catch (error) {
      if (!(error instanceof SeafileError) || error.transient || error.kind === "unauthorized") throw error;
      if (error.kind === "protocol") this.#context.refused.add("chunks");
      return undefined;
    }
  }

  /** Asks once: between chunks whoever sends them repeats this, too. */
  #arrived(): Promise<number> {
    const { path } = this.#put;
    const { library, http, signal } = this.#at;
    return getUploadedBytes(http, { library, folder: parentOf(path), name: nameOf(path) }, signal);
  }

  /** Goes on where an earlier attempt of the same content was given up. Else it begins at 0, over whatever is there. */
  async #resume(arrived: number): Promise<void> {
    const left = this.#context.interrupted.get(this.#key);
    if (left === undefined || left.total !== this.#total || left.sent > arrived) return;
    const hasher = new ContentHasher(this.#at.key);
    for await (const piece of this.#cursor.read(0, left.sent)) hasher.update(piece);
    if (hasher.id() !== left.id) return;
    this.#sent = left.sent;
    this.#hasher = hasher;
  }

  /** Sends the next chunk, whichever that is by the time the server takes it; "unknown": it does not take chunks. */
  async #sendChunk(): Promise<"accepted" | "unknown" | Uploaded> {
    const { path } = this.#put;
    try {
      return await throughLink<"accepted" | Uploaded>(this.#context, this.#at, {
        use: "upload",
        size: this.#total,
        paths: () => (this.#isCertain ? [] : [path]),
        settle: () => this.#settle(),
        post: (link) => this.#post(link),
      });
    } catch (error) {
      if (this.#sent > 0) this.#remember();
      if (!(error instanceof SeafileError)) throw error;
      // Of the server, that is: content that cannot be read is kind "protocol", too.
      const isRefusal = error.status !== undefined && (error.kind === "invalid" || error.kind === "protocol");
      if (isRefusal && error.unapplied && this.#sent === 0) return "unknown";
      throw this.#isCertain ? unapplied(error) : error;
    }
  }

  /** Nothing becomes visible before the last chunk, once the server has shown that it takes chunks for chunks. */
  get #isCertain(): boolean {
    return this.#sent > 0 && this.#end < this.#total;
  }

  async #post(link: string): Promise<"accepted" | Uploaded> {
    if (this.#inDoubt && (await this.#arrived()) < this.#sent) {
      const stored = await this.#find();
      if (stored !== undefined) return stored;
      this.#restart();
    }
    const { path, mtime, progress, confirm } = this.#put;
    const [start, total] = [this.#sent, this.#total];
    const end = Math.min(start + this.#context.limits.chunkBytes, total);
    this.#end = end;
    if (end === total) await confirm();
    this.#inDoubt = true;
    const part = { fileName: "chunk", size: end - start, bytes: () => this.#bytes(start, end, progress) };
    const folder = parentOf(path).slice(1);
    // Only the last chunk may replace: a server that takes another one for the whole file then makes a new one of it.
    const replace = this.#put.replace && end === total;
    const chunk = { folder, name: nameOf(path), start, total, part, mtime, replace };
    const taken = await postChunk(this.#at.http, link, chunk, this.#at.signal);
    this.#inDoubt = false;
    return taken;
  }

  async *#bytes(start: number, end: number, progress: ChunkedPut["progress"]): AsyncGenerator<Uint8Array> {
    const hasher = this.#hasher.copy();
    this.#next = hasher;
    let sent = start;
    for await (const piece of this.#cursor.read(start, end)) {
      hasher.update(piece);
      yield piece;
      sent += piece.length;
      progress?.(sent);
    }
  }

  /** What was taken is gone: by a restart, a clean-up, or a last chunk that was refused. */
  #restart(): void {
    if (++this.#restarts > MAX_RESTARTS) {
      const message = `Storing ${JSON.stringify(nameOf(this.#put.path))} failed: the server loses what it has received.`;
      throw new SeafileError("server", message, { unapplied: true });
    }
    this.#sent = 0;
    this.#hasher = new ContentHasher(this.#at.key);
    this.#next = new ContentHasher(this.#at.key);
  }

  /**
   * Only the last chunk can have changed anything. While its temporary file is there the server may still be at work, and
   * would store the file twice if it got the chunk again: so it is given the time.
   */
  async #settle(): Promise<Uploaded | undefined> {
    if (!this.#wasSent) return undefined;
    const deadline = performance.now() + storingTime(this.#total);
    for (let pause = 100; ; pause = Math.min(2 * pause, 5_000)) {
      const isGone = (await this.#arrived()) < this.#sent;
      const stored = await this.#find();
      if (stored !== undefined || isGone || performance.now() > deadline) return stored;
      await sleep(pause, this.#at.signal);
    }
  }

  /** Has the whole content been handed to the connection? */
  get #wasSent(): boolean {
    return this.#next.size === this.#total;
  }

  async #find(): Promise<Uploaded | undefined> {
    if (!this.#wasSent) return undefined;
    const { path, content, replace } = this.#put;
    const folder = parentOf(path);
    const entries = await entriesOf(this.#at, folder);
    return findUploaded(entries, { folder, name: nameOf(path), content, replace }, this.#next.id());
  }

  #remember(): void {
    const { interrupted } = this.#context;
    interrupted.set(this.#key, { total: this.#total, sent: this.#sent, id: this.#hasher.id() });
  }

  /** Another sender's chunks in between, or a cluster whose nodes share no temporary files, make other content of them. */
  #compare(stored: Uploaded): ChunkedOutcome {
    const { log, refused } = this.#context;
    const { path, replace } = this.#put;
    // Of an encryption that is not known here the server cannot be checked.
    const isUnknown = this.#context.unlocker.isEncrypted(this.#at.library) && this.#at.key === undefined;
    if (isUnknown || stored.id === this.#next.id()) return { stored };
    refused.add("chunks");
    log.warn(
      { path, replace },
      `the server made other content of the chunks of ${path}; it is stored again in one piece`,
    );
    return { whole: true, over: stored };
  }

  /** A chunk was taken for the whole file. */
  async #undo({ name, id }: Uploaded): Promise<ChunkedOutcome> {
    this.#context.refused.add("chunks");
    const path = join(parentOf(this.#put.path), name);
    await applyRemove(this.#context, this.#at, { op: "remove", kind: "file", path, expects: id });
    return { whole: true, over: undefined };
  }
}

function endless(path: string): SeafileError {
  const message = `Storing ${JSON.stringify(nameOf(path))} failed: the server waits for more than the file has.`;
  return new SeafileError("protocol", message);
}

/** The same error where it is certain that nothing became visible. */
function unapplied(error: SeafileError): SeafileError {
  const { status, transient, retryAfterMs } = error;
  return new SeafileError(error.kind, error.message, {
    status,
    transient,
    retryAfterMs,
    cause: error,
    unapplied: true,
  });
}
