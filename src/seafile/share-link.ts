/**
 * A download link, of a folder or of one file, as a read-only Library: without an account, with its password if it has one.
 * Invariants: bytes are of exactly the version that was listed (the file server names it); the address of a download is used once,
 * because up to 12.0 it works once. Made by LinkAccount.
 */
import { createHash } from "node:crypto";
import { joinPath, splitPath } from "../util/paths.ts";
import type { ChangeResult } from "./change-result.ts";
import { type Context, repeat } from "./context.ts";
import { getDirents, getRedirect, getSharedDir, getSharedFile, type LinkEntry } from "./endpoints-visitor.ts";
import { SeafileError } from "./errors.ts";
import { pageOf } from "./link-address.ts";
import { gone, LinkLibrary, type LinkParts } from "./link-library.ts";
import { PASSWORD_NEEDED, PASSWORD_WRONG } from "./link-session.ts";
import type { DownloadLease } from "./links.ts";
import { type Leases, readVersion } from "./reader.ts";
import { fileServerLink } from "./server-address.ts";
import type { Change, FileVersion, ObjectId, RemoteEntry, RemoteListing } from "./types.ts";

/** Opening many files of one folder lists it once in so many milliseconds. */
const LISTING_GOOD_FOR_MS = 1000;
const LISTINGS_KEPT = 256;

interface Seen {
  readonly at: number;
  readonly entries: readonly RemoteEntry[];
}

export class ShareLinkLibrary extends LinkLibrary {
  readonly #parts: LinkParts;
  readonly #seen = new Map<string, Seen>();
  readonly #leases: Leases = {
    download: (_, version, signal) => this.#lease(version, signal),
    drop: () => {},
  };

  /** The server has no api2 listing of links: v2.1's, which tells no ids, stands in. */
  #hasIds = true;
  /** Of versions without an id of the server's: which one was served first. */
  readonly #served = new Map<ObjectId, ObjectId>();

  constructor(parts: LinkParts) {
    super(parts.address, { name: parts.address.kind === "file" ? "shared file" : "shared folder", writable: false });
    this.#parts = parts;
  }

  async idOf(): Promise<undefined> {}

  /** One request. The server gives no id for the state of a folder; one is made of what it holds. */
  async list(path: string, known?: ObjectId, signal?: AbortSignal): Promise<RemoteListing | "unchanged"> {
    const entries = await this.#list(path, signal);
    const state = entries.map(({ name, kind, id, mtime, size }) => [name, kind, id, mtime, size]);
    const id = createHash("sha1").update(JSON.stringify(state)).digest("hex") as ObjectId;
    return id === known ? "unchanged" : { id, writable: false, entries };
  }

  async stat(path: string, signal?: AbortSignal): Promise<RemoteEntry | undefined> {
    const { parent, name } = splitPath(path);
    const found = (await this.#list(parent, signal)).find((entry) => entry.name === name);
    return found?.kind === "file" ? found : undefined;
  }

  async pin(version: FileVersion, signal?: AbortSignal): Promise<ObjectId> {
    const { parent, name } = splitPath(version.path);
    const seen = this.#seen.get(parent);
    const isGood = seen !== undefined && this.#parts.clock() - seen.at < LISTING_GOOD_FOR_MS;
    const entries = isGood ? seen.entries : await this.#list(parent, signal);
    const found = entries.find((entry) => entry.name === name && entry.kind === "file");
    if (found !== undefined) return found.id;
    throw new SeafileError("not-found", `Opening ${JSON.stringify(version.path)} failed: it is not shared any more.`);
  }

  async *read(version: FileVersion, start: number, end: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
    const last = Math.min(end, version.size);
    if (start >= last) return;
    const request = { library: this.id, version, start, end: last, signal };
    const isWanted = (served: ObjectId) => this.#isOneVersion(version.id, served);
    yield* readVersion(this.#parts.context, this.#leases, this.#hasIds ? request : { ...request, isWanted });
  }

  async apply(changes: readonly Change[]): Promise<ChangeResult[]> {
    const error = new SeafileError("read-only", "A link that was shared for reading takes no changes.", {
      unapplied: true,
    });
    return changes.map(() => ({ ok: false, error }));
  }

  async #list(path: string, signal: AbortSignal | undefined): Promise<readonly RemoteEntry[]> {
    const { address, clock } = this.#parts;
    const at = clock();
    const found =
      address.kind === "file"
        ? [await this.#asked(signal, (http, password) => getSharedFile(http, address.token, password, signal))]
        : await this.#folder(path, signal);
    const entries = found.map(entryOf);
    this.#seen.delete(path);
    this.#seen.set(path, { at, entries });
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= LISTINGS_KEPT) break;
      this.#seen.delete(oldest);
    }
    return entries;
  }

  async #folder(path: string, signal: AbortSignal | undefined): Promise<readonly LinkEntry[]> {
    const { token } = this.#parts.address;
    if (this.#hasIds) {
      try {
        return await this.#asked(signal, (http, password) => getSharedDir(http, token, path, password, signal));
      } catch (error) {
        // A 404 without the words of the API: a server, or a proxy before it, without this address.
        if (!(error instanceof SeafileError && error.kind === "protocol" && error.status === 404)) throw error;
        this.#hasIds = false;
      }
    }
    const { session, password } = this.#parts;
    const ask = () => this.#asked(signal, (http) => getDirents(http, token, path, session.cookie, signal));
    return ask().catch(async (error: unknown) => {
      if (!(error instanceof SeafileError && error.status === 403)) throw error;
      if (password === undefined)
        throw new SeafileError("bad-credentials", PASSWORD_NEEDED, { status: 403, cause: error });
      await session.open(signal);
      return ask();
    });
  }

  /** Parts of different versions must not be mixed, whatever their ids are. */
  #isOneVersion(wanted: ObjectId, served: ObjectId): boolean {
    const first = this.#served.get(wanted) ?? served;
    this.#served.set(wanted, first);
    return first === served;
  }

  /** The answers of the link's own API, in the words of a link. */
  async #asked<T>(
    signal: AbortSignal | undefined,
    ask: (http: Context["http"], password: string | undefined) => Promise<T>,
  ): Promise<T> {
    const { context, password } = this.#parts;
    try {
      return await repeat(context, signal, () => ask(context.http, password));
    } catch (error) {
      if (!(error instanceof SeafileError) || error.kind === "protocol") throw error;
      const { status, message } = error;
      if (status === 403 && /password/i.test(message)) {
        const said = password === undefined ? PASSWORD_NEEDED : PASSWORD_WRONG;
        throw new SeafileError("bad-credentials", said, { status, cause: error });
      }
      if ((status === 400 && /path/i.test(message)) || (status === 404 && /\(Folder /.test(message)))
        throw new SeafileError("not-found", message, { status, cause: error });
      if (status === 400 || status === 404) throw gone(error);
      throw error;
    }
  }

  async #lease(version: FileVersion, signal: AbortSignal | undefined): Promise<DownloadLease> {
    const { clock, fileServer } = this.#parts;
    const takenAt = clock();
    const link = (await this.#redirect(version, signal)) ?? (await this.#redirectOrWhyNot(version, signal));
    return { key: "", link: fileServerLink(link, fileServer), takenAt, id: version.id };
  }

  #redirect(version: FileVersion, signal: AbortSignal | undefined): Promise<string | undefined> {
    const { context, address, session } = this.#parts;
    const { cookie } = session;
    const page =
      address.kind === "file"
        ? { target: pageOf(address), query: { dl: "1" }, cookie }
        : { target: `${pageOf(address)}files/`, query: { p: version.path, dl: "1" }, cookie };
    const what = `Reading ${JSON.stringify(version.path)}`;
    return repeat(context, signal, () => getRedirect(context.http, page, what, signal));
  }

  /** After a page instead of a redirect, which says for people only what is the matter. */
  async #redirectOrWhyNot(version: FileVersion, signal: AbortSignal | undefined): Promise<string> {
    const { parent } = splitPath(version.path);
    const isThere = (await this.#list(parent, signal)).some((entry) => joinPath(parent, entry.name) === version.path);
    if (!isThere) throw new SeafileError("gone", `${JSON.stringify(version.path)} is not shared any more.`);
    if (this.#parts.password !== undefined) {
      await this.#parts.session.open(signal);
      const link = await this.#redirect(version, signal);
      if (link !== undefined) return link;
    }
    throw new SeafileError(
      "forbidden",
      `Reading ${JSON.stringify(version.path)} failed: the link lets it be looked at in a browser, not downloaded.`,
    );
  }
}

function entryOf({ type, name, id, mtime, size }: LinkEntry): RemoteEntry {
  return { name, kind: type, id, size: size ?? 0, mtime, writable: false };
}
