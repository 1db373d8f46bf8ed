/**
 * One Seafile library: listing, reading, applying changes. Paths in, domain values out; names and ids of entries are as
 * the server has them. Invariant: callers never learn which endpoint, link or retry was behind an answer.
 * Made by Account.library; called by vfs, writeback and the CLI.
 */
import type { ChangeResult } from "./change-result.ts";
import { type Context, repeat } from "./context.ts";
import { type DirAnswer, getDir, getFileDetail, getLibrary } from "./endpoints.ts";
import { type Kind, SeafileError } from "./errors.ts";
import { applyChanges } from "./library-apply.ts";
import { nameOf } from "./names.ts";
import { fileIdOf } from "./object-id.ts";
import { isWritable } from "./permission.ts";
import { readVersion } from "./reader.ts";
import type {
  Change,
  Content,
  FileVersion,
  LibraryId,
  LibraryInfo,
  ObjectId,
  Quota,
  RemoteEntry,
  RemoteListing,
} from "./types.ts";

export type { ChangeResult } from "./change-result.ts";

const OUT_OF_REACH: ReadonlySet<Kind> = new Set(["unreachable", "timeout", "server", "throttled", "busy", "protocol"]);

/** What the layers above see of a library, whatever it is reached through: an account, a share link or an upload link. */
export interface Library {
  readonly id: LibraryId;
  readonly info: LibraryInfo;
  keepsMtimes(signal?: AbortSignal): Promise<boolean>;
  readonly isLocked: boolean;
  prepareWriting(signal?: AbortSignal): Promise<void> | undefined;
  idOf(content: Content, signal?: AbortSignal): Promise<ObjectId | undefined>;
  list(path: string, known?: ObjectId, signal?: AbortSignal): Promise<RemoteListing | "unchanged">;
  stat(path: string, signal?: AbortSignal): Promise<RemoteEntry | undefined>;
  pin(version: FileVersion, signal?: AbortSignal): Promise<ObjectId>;
  read(version: FileVersion, start: number, end: number, signal?: AbortSignal): AsyncIterable<Buffer>;
  apply(changes: readonly Change[], signal?: AbortSignal): Promise<ChangeResult[]>;
  quota(signal?: AbortSignal): Promise<Quota>;
}

/** A library of an account. */
export class AccountLibrary implements Library {
  readonly id: LibraryId;
  readonly #context: Context;
  readonly #accountQuota: (signal?: AbortSignal) => Promise<Quota>;
  #info: LibraryInfo;

  constructor(context: Context, info: LibraryInfo, accountQuota: (signal?: AbortSignal) => Promise<Quota>) {
    this.id = info.id;
    this.#context = context;
    this.#info = info;
    this.#accountQuota = accountQuota;
  }

  /** As of the newest listing of the account's libraries that was turned into this object. */
  get info(): LibraryInfo {
    return this.#info;
  }

  /** Takes over a newer line about the same library. */
  update(info: LibraryInfo): void {
    this.#info = info;
  }

  /** Does an upload keep the mtime it came with on this server (from 12.0 on)? At most one request per account. */
  keepsMtimes(signal?: AbortSignal): Promise<boolean> {
    return this.#context.keepsMtimes(signal);
  }

  /** Is the content out of reach, as far as is known without a request? */
  get isLocked(): boolean {
    return this.#context.unlocker.refusal(this.id) !== undefined;
  }

  /**
   * Before content is accepted that an encrypted library shall store: undefined when nothing has to be waited for. Throws, or rejects
   * with, "encrypted" or "wrong-password"; a server that cannot be asked now is no reason to refuse.
   */
  prepareWriting(signal?: AbortSignal): Promise<void> | undefined {
    const { unlocker } = this.#context;
    const refused = unlocker.refusal(this.id);
    if (refused !== undefined) throw refused;
    if (!this.#info.encrypted || unlocker.isVerified(this.id)) return undefined;
    return unlocker.unlock(this.id, signal).catch((error: unknown) => {
      if (error instanceof SeafileError && !signal?.aborted && OUT_OF_REACH.has(error.kind)) return;
      throw error;
    });
  }

  /** The id that the server will give to the content; undefined when that cannot be known. */
  async idOf(content: Content, signal?: AbortSignal): Promise<ObjectId | undefined> {
    const { unlocker } = this.#context;
    const key = this.#info.encrypted ? await unlocker.fileKey(this.id, signal).catch(() => undefined) : undefined;
    return this.#info.encrypted && key === undefined ? undefined : fileIdOf(content, key, signal);
  }

  /** Lists a folder in one request; "unchanged" when it still has the id `known`. Rejects with "not-found" for files too. */
  async list(path: string, known?: ObjectId, signal?: AbortSignal): Promise<RemoteListing | "unchanged"> {
    const { http } = this.#context;
    const answer = await repeat(this.#context, signal, () => getDir(http, this.id, path, known, signal));
    return answer === "unchanged" ? answer : this.#listingOf(answer);
  }

  /** A file's entry; undefined when there is none, or a folder. One request. */
  async stat(path: string, signal?: AbortSignal): Promise<RemoteEntry | undefined> {
    const { http } = this.#context;
    try {
      const detail = await repeat(this.#context, signal, () => getFileDetail(http, this.id, path, signal));
      const { id, size, mtime, permission } = detail;
      return { name: nameOf(path), kind: "file", id, size, mtime, writable: this.#writable(permission) };
    } catch (error) {
      if (error instanceof SeafileError && error.kind === "not-found") return undefined;
      throw error;
    }
  }

  /**
   * Makes sure that a download lease exists for the version, and says which id its path has now (the version's own without
   * a request when it is leased). Rejects with "not-found" when the path holds no file, "encrypted" or
   * "wrong-password" when the library is locked.
   */
  async pin(version: FileVersion, signal?: AbortSignal): Promise<ObjectId> {
    await this.#context.unlocker.unlock(this.id, signal);
    const lease = await this.#context.links.download(this.id, version, signal);
    return lease.id;
  }

  /**
   * Bytes [start, end) of exactly that version, clamped to its size, in order, as they arrive. Renews links and repeats
   * broken requests. Rejects with "gone" when only other content is at the path, "encrypted" or "wrong-password"
   * when the library is locked.
   */
  async *read(version: FileVersion, start: number, end: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
    const last = Math.min(end, version.size);
    if (start >= last) return;
    await this.#context.unlocker.unlock(this.id, signal);
    yield* readVersion(this.#context, this.#context.links, { library: this.id, version, start, end: last, signal });
  }

  /**
   * Applies the changes in order, with one result per change. Neighbours share requests: removes in one folder, and small
   * puts in one folder. Rejects only with the abort reason.
   */
  apply(changes: readonly Change[], signal?: AbortSignal): Promise<ChangeResult[]> {
    return applyChanges(this.#context, this.#info, changes, signal);
  }

  /** An own library has the account's quota. Of another's only its size is known, and whether its owner's quota is used up. */
  async quota(signal?: AbortSignal): Promise<Quota> {
    if (this.#info.kind === "own") return this.#accountQuota(signal);
    const { http } = this.#context;
    const { size, no_quota: full } = await repeat(this.#context, signal, () => getLibrary(http, this.id, signal));
    return { used: size, total: full === true ? size : null };
  }

  #listingOf({ id, permission, entries }: DirAnswer): RemoteListing {
    const writable = this.#writable(permission);
    return {
      id,
      writable,
      entries: entries.map((entry) => ({
        name: entry.name,
        kind: entry.type,
        id: entry.id,
        size: entry.size ?? 0,
        mtime: entry.mtime,
        writable: entry.permission == null ? writable : this.#writable(entry.permission),
      })),
    };
  }

  #writable(permission: string | null | undefined): boolean {
    return this.#info.writable && (permission == null || isWritable(permission));
  }
}
