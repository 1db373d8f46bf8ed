/**
 * Several small files of one folder in one POST, which is one commit. Invariants: as for one put, nothing that was not the
 * base is overwritten and nothing is stored twice; of a POST whose answer was lost, also in an earlier life, each file is
 * settled on its own, by one listing for all; one file that the server refuses does not keep the others. Called by
 * library-apply.ts.
 */
import type { ChangeResult } from "./change-result.ts";
import { type Context, repeat } from "./context.ts";
import type { ChangeTarget } from "./endpoints-change.ts";
import { postUpload, type Uploaded } from "./endpoints-file-server.ts";
import { type Kind, SeafileError } from "./errors.ts";
import { applyPut, conflict, type Put, storedEntry, upload } from "./library-put.ts";
import { fitsFormField, fitsMultipart, nameOf, parentOf } from "./names.ts";
import { fileIdOf } from "./object-id.ts";
import { entriesOf, type Found, findUploaded } from "./settle.ts";
import { throughLink, uncertainKey } from "./store-link.ts";
import type { RemoteEntry } from "./types.ts";

/** May the put share a POST at all? */
export function isGroupable(context: Context, { path, content }: Put): boolean {
  if (content.size > context.limits.groupedFileMax) return false;
  return fitsMultipart(nameOf(path)) && fitsFormField(parentOf(path));
}

/**
 * Stores groupable puts of one folder, each name once, and on servers that keep mtimes all of one mtime. A POST for the new
 * ones and one for those over a version; one listing checks bases and what earlier attempts have left. Rejects only with the abort reason; what has been
 * stored then counts as uncertain.
 */
export async function applyPuts(context: Context, at: ChangeTarget, puts: readonly Put[]): Promise<ChangeResult[]> {
  const group = new PutGroup(context, at, puts);
  try {
    await group.run(await context.keepsMtimes(at.signal));
  } catch (error) {
    if (!(error instanceof SeafileError)) {
      for (const path of group.stored()) context.uncertain.add(uncertainKey(at, path));
      throw error;
    }
    group.fail(error);
  }
  return group.outcomes();
}

/** What may be wrong with one file of several, or with so many bytes at once; content that cannot be read is "protocol". */
const OF_ONE_FILE: readonly Kind[] = [
  "invalid-name",
  "name-too-long",
  "too-large",
  "quota",
  "exists",
  "invalid",
  "protocol",
];

class PutGroup {
  readonly #context: Context;
  readonly #at: ChangeTarget;
  readonly #puts: readonly Put[];
  readonly #folder: string;
  readonly #outcomes = new Map<Put, ChangeResult>();
  #keepsMtimes = false;

  constructor(context: Context, at: ChangeTarget, puts: readonly Put[]) {
    this.#context = context;
    this.#at = at;
    this.#puts = puts;
    this.#folder = parentOf(puts[0]!.path);
  }

  outcomes(): ChangeResult[] {
    return this.#puts.map((put) => this.#outcomes.get(put)!);
  }

  stored(): string[] {
    return this.#puts.filter((put) => this.#outcomes.get(put)?.ok).map((put) => put.path);
  }

  /** `error` is that of all which have no outcome yet. */
  fail(error: SeafileError, puts = this.#puts): void {
    for (const put of this.#open(puts)) this.#failed(put, error);
  }

  async run(keepsMtimes: boolean): Promise<void> {
    this.#keepsMtimes = keepsMtimes;
    const seen = this.#puts.filter((put) => put.base !== null || this.#isUncertain(put));
    const fresh = this.#puts.filter((put) => !seen.includes(put));
    if (seen.length > 1) return this.#look(seen, fresh);
    await this.#storeOrFail(fresh, false);
    for (const put of seen) await this.#alone(put, () => applyPut(this.#context, this.#at, put));
  }

  #isUncertain({ path, attempted }: Put): boolean {
    return attempted !== undefined || this.#context.uncertain.has(uncertainKey(this.#at, path));
  }

  #open(puts: readonly Put[]): Put[] {
    return puts.filter((put) => !this.#outcomes.has(put));
  }

  #done(put: Put, stored: Uploaded): void {
    this.#context.uncertain.delete(uncertainKey(this.#at, put.path));
    this.#outcomes.set(put, { ok: true, entry: storedEntry(put, stored, this.#keepsMtimes) });
  }

  #failed(put: Put, error: SeafileError): void {
    this.#outcomes.set(put, { ok: false, error });
  }

  /** One listing tells of all what is there; it is made right before the POST that relies on it. */
  async #look(puts: readonly Put[], fresh: readonly Put[]): Promise<void> {
    const entries = await repeat(this.#context, this.#at.signal, () => entriesOf(this.#at, this.#folder));
    const over: Put[] = [];
    const free: Put[] = [];
    for (const put of puts) {
      const found = entries.filter((entry) => entry.name === nameOf(put.path));
      const has = (wanted: Put["base"] | undefined) => found.some(({ type, id }) => type === "file" && id === wanted);
      if (found.length === 0) free.push(put);
      else if (put.base !== null && has(put.base)) over.push(put);
      // Our own earlier attempt, broken off before its answer came.
      else if (await this.#isStored(put, entries, put.base !== null)) continue;
      else if (has(put.attempted)) over.push(put);
      else if (put.base === null) free.push(put);
      else this.#failed(put, conflict(put.path));
    }
    await this.#storeOrFail(over, true);
    await this.#storeOrFail([...free, ...fresh], false);
  }

  /** Whether the content is among the entries where an upload would have put it: then the put is done. */
  async #isStored(put: Put, entries: readonly Found[], replace: boolean): Promise<boolean> {
    const { path, content } = put;
    const id = await fileIdOf(content, this.#at.key, this.#at.signal);
    const stored = findUploaded(entries, { folder: this.#folder, name: nameOf(path), content, replace }, id);
    if (stored !== undefined) this.#done(put, stored);
    return stored !== undefined;
  }

  async #storeOrFail(puts: readonly Put[], replace: boolean): Promise<void> {
    try {
      await this.#store(this.#open(puts), replace);
    } catch (error) {
      if (!(error instanceof SeafileError)) throw error;
      const open = this.#open(puts);
      const concernsOne = error.unapplied && !error.transient && OF_ONE_FILE.includes(error.kind);
      if (open.length < 2 || !concernsOne) return this.fail(error, open);
      for (const put of open) {
        const store = () => upload(this.#context, this.#at, put, replace);
        await this.#alone(put, async () => storedEntry(put, await store(), this.#keepsMtimes));
      }
    }
  }

  async #alone(put: Put, store: () => Promise<RemoteEntry>): Promise<void> {
    try {
      this.#outcomes.set(put, { ok: true, entry: await store() });
    } catch (error) {
      if (!(error instanceof SeafileError)) throw error;
      this.#failed(put, error);
    }
  }

  /** One POST; after a lost answer another one with what is not there. */
  async #store(puts: readonly Put[], replace: boolean): Promise<void> {
    if (puts.length === 0) return;
    const { signal, http } = this.#at;
    const [folder, mtime] = [this.#folder.slice(1), puts[0]!.mtime];
    await throughLink(this.#context, this.#at, {
      use: "upload",
      size: puts.reduce((sum, put) => sum + put.content.size, 0),
      paths: () => this.#open(puts).map((put) => put.path),
      settle: () => this.#settle(puts, replace),
      post: async (link) => {
        const open = this.#open(puts);
        const files = open.map(({ path, content, progress }) => ({ name: nameOf(path), content, progress }));
        const stored = await postUpload(http, link, { folder, files, replace, mtime }, signal);
        for (const [index, put] of open.entries()) this.#done(put, stored[index]!);
        return true;
      },
    });
  }

  async #settle(puts: readonly Put[], replace: boolean): Promise<true | undefined> {
    const entries = await entriesOf(this.#at, this.#folder);
    for (const put of this.#open(puts)) await this.#isStored(put, entries, replace);
    return this.#open(puts).length === 0 ? true : undefined;
  }
}
