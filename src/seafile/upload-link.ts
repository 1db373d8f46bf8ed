/**
 * An upload link as a Library without an account: a drop box. What was dropped through it is listed as long as it lives, and that is
 * all: the server tells nobody without an account what the folder holds, and gives nothing back.
 * Invariants: what others put there is never overwritten (a taken name gets a number); a file dropped here is replaced only by a newer
 * state of itself; empty folders exist here only, the server makes them with the first file. Made by LinkAccount.
 */
import { createHash } from "node:crypto";
import { joinPath, splitPath } from "../util/paths.ts";
import type { ChangeResult } from "./change-result.ts";
import { repeat } from "./context.ts";
import { postUpload, type Uploaded } from "./endpoints-file-server.ts";
import { getUploadAddress } from "./endpoints-links.ts";
import { SeafileError } from "./errors.ts";
import { gone, LinkLibrary, type LinkParts } from "./link-library.ts";
import { PASSWORD_NEEDED } from "./link-session.ts";
import { fitsFormField, fitsMultipart, toNfc } from "./names.ts";
import { fileIdOf } from "./object-id.ts";
import { isRefusedLink } from "./reader.ts";
import { retry } from "./retry.ts";
import { fileServerLink } from "./server-address.ts";
import type { Change, Content, ObjectId, RemoteEntry, RemoteListing } from "./types.ts";

type Put = Extract<Change, { op: "put" }>;

/** Addresses live for 3,600 s from their creation. */
const RENEW_AFTER_MS = 3_000_000;

export class UploadLinkLibrary extends LinkLibrary {
  readonly #parts: LinkParts;
  /** What was dropped, and the folders made for it, by path. */
  readonly #dropped = new Map<string, RemoteEntry>();
  #address: { readonly link: string; readonly takenAt: number } | undefined;
  /** The folder of the library that the link is for, which every upload must name. */
  #top: string | undefined;

  constructor(parts: LinkParts) {
    super(parts.address, { name: "drop box", writable: true, addOnly: true });
    this.#parts = parts;
  }

  /** Asks for the address of uploads, as a proof that the link works. Rejects with "bad-credentials", "forbidden" for a link that is gone. */
  async check(signal?: AbortSignal): Promise<void> {
    await this.#uploadLink(signal);
    await this.#topFolder(signal);
  }

  idOf(content: Content, signal?: AbortSignal): Promise<ObjectId> {
    return fileIdOf(content, undefined, signal);
  }

  async list(path: string, known?: ObjectId): Promise<RemoteListing | "unchanged"> {
    if (path !== "/" && this.#dropped.get(path)?.kind !== "dir") {
      throw new SeafileError("not-found", `Listing ${JSON.stringify(path)} failed: no such folder was made here.`);
    }
    const entries = this.#below(path).filter(({ at }) => splitPath(at).parent === path);
    const state = entries.map(({ entry: { name, id } }) => [name, id]);
    const id = createHash("sha1").update(JSON.stringify(state)).digest("hex") as ObjectId;
    return id === known ? "unchanged" : { id, writable: true, entries: entries.map(({ entry }) => entry) };
  }

  async stat(path: string): Promise<RemoteEntry | undefined> {
    const entry = this.#dropped.get(path);
    return entry?.kind === "file" ? entry : undefined;
  }

  async pin(): Promise<ObjectId> {
    throw notGivenBack();
  }

  // biome-ignore lint/correctness/useYield: it never has bytes to give.
  async *read(): AsyncGenerator<Buffer> {
    throw notGivenBack();
  }

  /** In order; small files of one folder with one time go together. */
  async apply(changes: readonly Change[], signal?: AbortSignal): Promise<ChangeResult[]> {
    const results: ChangeResult[] = [];
    while (results.length < changes.length) {
      const group = this.#group(changes.slice(results.length));
      try {
        if (group.length > 0)
          results.push(...(await this.#drop(group, signal)).map((entry) => ({ ok: true, entry }) as const));
        else results.push(await this.#applyOne(changes[results.length]!, signal));
      } catch (error) {
        if (!(error instanceof SeafileError)) throw error;
        const failed = Math.max(1, group.length);
        results.push(...Array.from({ length: failed }, () => ({ ok: false, error }) as const));
      }
    }
    return results;
  }

  /** The first of the changes that one request can store; none when the first change is of another sort. */
  #group(changes: readonly Change[]): Put[] {
    const { limits } = this.#parts.context;
    const first = changes[0]!;
    const group: Put[] = [];
    let bytes = 0;
    for (const change of changes) {
      if (change.op !== "put" || change.base !== null || problemOf(change.path) !== undefined) break;
      if (first.op !== "put" || splitPath(change.path).parent !== splitPath(first.path).parent) break;
      if (Math.floor(change.mtime) !== Math.floor(first.mtime)) break;
      bytes += change.content.size;
      if (group.length > 0 && (bytes > limits.groupBytes || group.length >= limits.groupFiles)) break;
      group.push(change);
    }
    return group;
  }

  async #applyOne(change: Change, signal: AbortSignal | undefined): Promise<ChangeResult> {
    switch (change.op) {
      case "put":
        return { ok: true, entry: await this.#replace(change, signal) };
      case "mkdir":
        return { ok: true, entry: this.#mkdir(toNfc(change.path)) };
      case "remove":
        this.#assertEmptyFolders(change.path);
        for (const { at } of [...this.#below(change.path)]) this.#dropped.delete(at);
        this.#dropped.delete(change.path);
        return { ok: true };
      case "move":
        return { ok: true, entry: this.#move(change.from, toNfc(change.to)) };
    }
  }

  #mkdir(path: string): RemoteEntry {
    const problem = problemOf(`${path}/x`);
    if (problem !== undefined) throw problem;
    return this.#keep(path, {
      name: splitPath(path).name,
      kind: "dir",
      id: folderId(path),
      size: 0,
      mtime: this.#now(),
      writable: true,
    });
  }

  #move(from: string, to: string): RemoteEntry {
    this.#assertEmptyFolders(from);
    const moved = [...this.#below(from)];
    const entry = this.#mkdir(to);
    for (const { at, entry: below } of moved) {
      this.#dropped.delete(at);
      this.#dropped.set(to + at.slice(from.length), below);
    }
    this.#dropped.delete(from);
    return entry;
  }

  /** A newer state of what was dropped here. */
  async #replace(change: Put, signal: AbortSignal | undefined): Promise<RemoteEntry> {
    const problem = problemOf(change.path);
    if (problem !== undefined) throw problem;
    const isOurs = change.base !== null && this.#dropped.get(change.path)?.id === change.base;
    // Dropped by an earlier mount: what has become of it since then cannot be known.
    const [entry] = await this.#drop([change], signal, isOurs);
    return entry!;
  }

  async #drop(puts: readonly Put[], signal: AbortSignal | undefined, replace = false): Promise<RemoteEntry[]> {
    const { context } = this.#parts;
    const { parent } = splitPath(puts[0]!.path);
    const top = await this.#topFolder(signal);
    const files = puts.map(({ path, content, progress }) => ({ name: splitPath(toNfc(path)).name, content, progress }));
    const body = { top, folder: toNfc(parent).slice(1), files, replace, mtime: puts[0]!.mtime };
    const { policy, log } = context;
    // Whether it was stored cannot be asked: rather there twice than not at all.
    const settle = async (): Promise<undefined> => undefined;
    for (let renewed = false; ; renewed = true) {
      const link = await this.#uploadLink(signal);
      try {
        const post = () => postUpload(context.http, link, body, signal);
        const stored = await retry({ policy, log, signal, settle, carriesBytes: true }, post);
        return stored.map((file) => this.#keepFile(parent, file));
      } catch (error) {
        if (!isRefusedLink(error) || renewed) throw error;
        this.#address = undefined;
      }
    }
  }

  #keepFile(parent: string, { name, id, size, now }: Uploaded): RemoteEntry {
    return this.#keep(joinPath(parent, name), { name, kind: "file", id, size, mtime: now, writable: true });
  }

  #keep(path: string, entry: RemoteEntry): RemoteEntry {
    for (let { parent } = splitPath(path); parent !== "/"; { parent } = splitPath(parent)) {
      if (!this.#dropped.has(parent)) {
        const { name } = splitPath(parent);
        this.#dropped.set(parent, {
          name,
          kind: "dir",
          id: folderId(parent),
          size: 0,
          mtime: this.#now(),
          writable: true,
        });
      }
    }
    this.#dropped.set(path, entry);
    return entry;
  }

  #below(path: string): { at: string; entry: RemoteEntry }[] {
    const prefix = path === "/" ? "/" : `${path}/`;
    return [...this.#dropped].filter(([at]) => at.startsWith(prefix)).map(([at, entry]) => ({ at, entry }));
  }

  #assertEmptyFolders(path: string): void {
    const all = [this.#dropped.get(path), ...this.#below(path).map(({ entry }) => entry)];
    if (!all.some((entry) => entry?.kind === "file")) return;
    throw new SeafileError("forbidden", `${JSON.stringify(path)} has been dropped: it cannot be moved or removed.`, {
      unapplied: true,
    });
  }

  #now(): number {
    return this.#parts.context.http.serverNow();
  }

  async #uploadLink(signal: AbortSignal | undefined): Promise<string> {
    const { context, address, session, password, fileServer, clock } = this.#parts;
    const known = this.#address;
    if (known !== undefined && clock() - known.takenAt < RENEW_AFTER_MS) return known.link;
    const takenAt = clock();
    const ask = () =>
      repeat(context, signal, () => getUploadAddress(context.http, address.token, signal, session.cookie));
    const link = await ask().catch(async (error: unknown) => {
      if (!(error instanceof SeafileError)) throw error;
      if (error.status === 404) throw gone(error);
      if (error.status !== 403) throw error;
      if (password === undefined) {
        throw new SeafileError("bad-credentials", PASSWORD_NEEDED, { status: 403, cause: error, unapplied: true });
      }
      await session.open(signal);
      return ask();
    });
    this.#address = { link: fileServerLink(link, fileServer), takenAt };
    return this.#address.link;
  }

  /** Only the link's web page tells which folder it is for (seahub/templates/view_shared_upload_link_react.html). */
  async #topFolder(signal: AbortSignal | undefined): Promise<string> {
    if (this.#top !== undefined) return this.#top;
    const { context, session } = this.#parts;
    const page = await repeat(context, signal, () => session.page(signal));
    const script = /window\.uploadLink\s*=\s*\{([\s\S]*?)\};?\s*<\/script>/.exec(page)?.[1];
    const path = script === undefined ? undefined : /\bpath:\s*(['"])(.*?)\1/.exec(script)?.[2];
    if (path === undefined) throw gone();
    this.#top = unescapeJs(path);
    return this.#top;
  }
}

/** Django's escapejs: everything that could end the string is \\uXXXX. */
function unescapeJs(text: string): string {
  return text.replaceAll(/\\u([0-9A-Fa-f]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function folderId(path: string): ObjectId {
  return createHash("sha1").update(path).digest("hex") as ObjectId;
}

/** Other names would have to be given by a rename, which a link does not permit. */
function problemOf(path: string): SeafileError | undefined {
  const { parent, name } = splitPath(toNfc(path));
  if (fitsMultipart(name) && fitsFormField(parent)) return undefined;
  const message = `A drop box cannot take the name ${JSON.stringify(name)}: it has quotes, backslashes or control characters, or is too long.`;
  return new SeafileError("invalid-name", message, { unapplied: true });
}

function notGivenBack(): SeafileError {
  return new SeafileError(
    "forbidden",
    "A drop box gives nothing back: what was dropped can be read by its owner only.",
  );
}
