/**
 * What is written and not yet stored, as it survives a crash: the journal and the spool together, and what of them is alive.
 * Invariants: content is sealed only when its bytes, its name and its record are on the disk; a record is dropped only after the
 * server has the content, or its user gave it up; the journal never grows far beyond what is alive. Called by the vfs.
 */
import type { Logger } from "../observe/log.ts";
import type { LibraryId, ObjectId } from "../seafile/types.ts";
import { splitPath } from "../util/paths.ts";
import { type Base, DirtyFile, type Tracker } from "./dirty-file.ts";
import type { Journal, JournalRecord } from "./journal.ts";
import { destinationOf, historyOf, type Live, type LiveContent, openedRecords, sealedRecord, spoolOf } from "./live.ts";
import {
  heldRecord,
  isAtOrBelow,
  type Move,
  moved,
  type Pending,
  type PendingContent,
  type Removal,
  recordsOf,
} from "./records.ts";
import type { Spool, SpoolFile } from "./spool.ts";

/** Where content belongs, and what the server has there as far as is known (null: nothing). */
export interface Destination {
  readonly library: LibraryId;
  readonly path: string;
  readonly expects: ObjectId | null;
}

/** The version that content begins with. */
export interface BaseVersion extends Base {
  readonly id: ObjectId;
}

/** The journal is rewritten when it is longer than this and twice as long as when it was rewritten last. */
const COMPACT_BYTES = 1024 * 1024;

export class Backlog {
  readonly #journal: Journal;
  readonly #spool: Spool;
  readonly #log: Logger;
  readonly #live = new Map<number, Live>();
  readonly #moves = new Map<number, Move>();
  /** What the journal says and nobody has taken up yet, with the spool file if it has one. */
  readonly #unclaimed = new Map<number, string | undefined>();
  /** What its user keeps back. */
  readonly #held = new Set<number>();
  #next: number;
  #compacting: Promise<void> | undefined;
  /** Bytes of the journal after it was shortened last. */
  #compactSize = 0;

  /** `pending` is what the journal amounts to. */
  constructor(journal: Journal, spool: Spool, pending: Pending, log: Logger) {
    this.#journal = journal;
    this.#spool = spool;
    this.#next = pending.next;
    this.#log = log;
    this.#inherit(pending);
  }

  /** How much of what earlier processes left nobody has taken up yet. */
  get untaken(): number {
    return this.#unclaimed.size;
  }

  /** The journal has nothing that is still to be done. */
  get isEmpty(): boolean {
    return this.#live.size + this.#unclaimed.size + this.#moves.size === 0;
  }

  /** A number for something that waits, unlike any other in this journal. */
  number(): number {
    return this.#next++;
  }

  /** New content: empty, or made over a version. Errors of the local disk come when it is written or sealed. */
  create(to: Destination, base?: BaseVersion): DirtyFile {
    const file = this.#spool.create();
    return this.#begin(to, { file, base }, base, undefined, to.path);
  }

  /** New content that begins as sealed content, of which the caller hands over its share. */
  fork(under: DirtyFile, to: Destination): DirtyFile {
    const file = this.#spool.create();
    const live = this.#content(under.id);
    return this.#begin(to, { file, under }, live?.base ?? undefined, under.id, live?.basePath ?? to.path);
  }

  /** Content that an earlier process left, which the journal knows already. */
  adopt(
    content: PendingContent,
    size: number,
    from: { readonly base?: Base | undefined; readonly under?: DirtyFile | undefined },
  ): DirtyFile {
    const { id, library, path, base, basePath, over, created, expects, attempted, mtime, baseLimit, sealed } = content;
    const file = this.#spool.existing(content.spool);
    content.written.add(baseLimit, size);
    const known = { size, baseLimit, present: content.written.extents, sealed };
    const dirty = DirtyFile.remembered({ id, file, tracker: this.#tracker(id), ...from }, known);
    const to = { library, path, basePath, expects, attempted };
    this.#live.set(id, { kind: "content", dirty, base, over, created, mtime, ...to });
    this.#unclaimed.delete(id);
    return dirty;
  }

  adoptRemoval(id: number, removal: Removal): void {
    this.#live.set(id, { kind: "removal", removal });
    this.#unclaimed.delete(id);
  }

  /** The server was asked about a move that an earlier process did not hear the answer of; what waits below it follows it. */
  moveSettled(id: number, isMade: boolean): void {
    this.#end(id, isMade ? "done" : "void");
  }

  /**
   * Takes over what another journal says is pending, unless that was done before; its spool files are in this spool by now.
   * Durable when this resolves.
   */
  async import(pending: Pending): Promise<Pending> {
    const known = new Set([...this.#unclaimed.values(), ...[...this.#live.values()].map(spoolOf)]);
    const wanted = [...pending.contents].filter(([, { spool }]) => !known.has(spool));
    const ids = new Map([...wanted.map(([id]) => id), ...pending.removals.keys()].map((id) => [id, this.#next++]));
    const renumbered = (content: PendingContent): PendingContent => ({
      ...content,
      id: ids.get(content.id)!,
      over: content.over === undefined ? undefined : ids.get(content.over),
    });
    const contents = new Map(wanted.map(([id, content]) => [ids.get(id)!, renumbered(content)]));
    const removals = new Map([...pending.removals].map(([id, removal]) => [ids.get(id)!, removal]));
    const records = [...contents.values()].flatMap(recordsOf);
    for (const [id, removal] of removals) records.push({ t: "removing", id, ...removal });
    const held = new Set([...pending.held].flatMap((id) => ids.get(id) ?? []));
    records.push(...[...held].map(heldRecord));
    const imported = { contents, removals, moves: new Map(), held, finished: new Set<string>(), next: this.#next };
    this.#inherit(imported);
    try {
      if (records.length > 0) await this.#journal.accept(...records);
    } catch (error) {
      for (const id of ids.values()) {
        this.#unclaimed.delete(id);
        this.#held.delete(id);
      }
      throw error;
    }
    return imported;
  }

  /**
   * Makes the content immutable and durable, with its time (whole seconds), in place of the sealed content `replaces`. Removals
   * in `instead` are over with it. Rejects as the local disk does; then nothing counts as sealed.
   */
  async seal(dirty: DirtyFile, mtime: number, replaces?: DirtyFile, instead: readonly number[] = []): Promise<void> {
    try {
      await allDone(dirty.seal(), this.#spool.sync());
    } catch (error) {
      if (dirty.isSealed) dirty.unseal();
      throw error;
    }
    const over = [...instead, ...(replaces === undefined || replaces === dirty ? [] : [replaces.id])];
    const ended = new Map(over.flatMap((id) => (this.#live.has(id) ? [[id, this.#live.get(id)!] as const] : [])));
    const ends = [...ended.keys()].map((id) => ({ t: "done", id }) as const);
    const live = this.#content(dirty.id);
    const before = live?.mtime;
    // In the same turn as the records, since the journal may be shortened before they are on the disk.
    if (live !== undefined) live.mtime = mtime;
    for (const id of over) this.#live.delete(id);
    const isHeld = replaces !== undefined && replaces !== dirty && this.#held.delete(replaces.id);
    if (isHeld) this.#held.add(dirty.id);
    try {
      await this.#journal.accept(sealedRecord(dirty, mtime, replaces), ...ends);
    } catch (error) {
      dirty.unseal();
      if (live !== undefined) live.mtime = before;
      for (const [id, it] of ended) this.#live.set(id, it);
      if (isHeld && this.#held.delete(dirty.id)) this.#held.add(replaces.id);
      throw error;
    }
    this.#compactIfWorthwhile();
  }

  /** Sealed content has another time now. */
  async retime(dirty: DirtyFile, mtime: number): Promise<void> {
    const live = this.#content(dirty.id);
    if (live === undefined || live.mtime === mtime) return;
    live.mtime = mtime;
    await this.#journal.accept(sealedRecord(dirty, mtime));
  }

  /** What was written so far survives a crash of the machine, as a file that was never closed. */
  async persist(dirty: DirtyFile): Promise<void> {
    await allDone(dirty.persist(), this.#spool.sync());
    await this.#journal.sync();
  }

  /** The content belongs elsewhere, or something else is known to be there. Durable with the next sync. */
  placed(dirty: DirtyFile, path: string, expects: ObjectId | null, attempted?: ObjectId): void {
    const live = this.#content(dirty.id);
    if (live === undefined) return;
    if (live.path === path && live.expects === expects && live.attempted === attempted) return;
    Object.assign(live, { path, expects, attempted });
    if (expects !== null) live.basePath = path;
    const more = attempted === undefined ? {} : { attempted };
    this.#journal.append({ t: "placed", id: dirty.id, path, expects, ...more });
  }

  /** Its user keeps it back, also in later mounts. Durable when this resolves. */
  async hold(ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      if (!this.#live.has(id) || this.#held.has(id)) continue;
      this.#held.add(id);
      this.#journal.append(heldRecord(id));
    }
    await this.#journal.sync();
  }

  released(id: number): void {
    if (this.#held.delete(id)) this.#journal.append({ t: "released", id });
  }

  /** Nothing of it is needed any more: stored, or given up. */
  done(id: number): void {
    this.#end(id, "done");
    this.#compactIfWorthwhile();
  }

  /** The file has no name any more: a crash leaves nothing of it, who has it open goes on. */
  async forget(dirty: DirtyFile): Promise<void> {
    if (this.#content(dirty.id) === undefined) return;
    await dirty.hide();
    this.#end(dirty.id, "done");
  }

  /** Remembers, durably, that something is to be removed from the server. Resolves with its number. */
  async removing(removal: Removal): Promise<number> {
    const id = this.#next++;
    this.#live.set(id, { kind: "removal", removal });
    try {
      await this.#journal.accept({ t: "removing", id, ...removal });
    } catch (error) {
      this.#live.delete(id);
      throw error;
    }
    return id;
  }

  /**
   * Around a move on the server: `work` says whether it was made. What waits at or below the source follows, and what waits where a
   * file goes is over, also when the process dies before it knows the outcome: then the server is asked.
   */
  async moving<T>(move: Move, work: () => Promise<T>): Promise<T> {
    const { library, from, to } = move;
    // The server makes it in two steps: a crash between them must not leave the entry under a third name.
    const isTwofold = splitPath(from).parent !== splitPath(to).parent && splitPath(from).name !== splitPath(to).name;
    const isConcerned = (at: { readonly library: LibraryId; readonly path: string }) =>
      isAtOrBelow(at, library, from) || (at.library === library && at.path === to);
    if (!isTwofold && ![...this.#live.values()].some((live) => isConcerned(destinationOf(live)))) return work();
    const id = this.#next++;
    this.#moves.set(id, move);
    try {
      await this.#journal.accept({ t: "moving", id, ...move });
      return await this.#moved(id, move, work);
    } finally {
      this.#moves.delete(id);
    }
  }

  async #moved<T>(id: number, { library, from, to }: Move, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.moved(library, from, to);
      this.#journal.append({ t: "done", id });
      return result;
    } catch (error) {
      this.#journal.append({ t: "void", id });
      throw error;
    } finally {
      this.#moves.delete(id);
      // A disk that is full changes nothing: without this record the server is asked.
      await this.#journal.sync().catch(() => {});
    }
  }

  /** What belongs at or below `from` belongs at or below `to` now. */
  moved(library: LibraryId, from: string, to: string): void {
    for (const live of this.#live.values()) {
      const at = destinationOf(live);
      if (live.kind === "content" && isAtOrBelow({ library: live.library, path: live.basePath }, library, from))
        live.basePath = moved(live.basePath, from, to);
      if (!isAtOrBelow(at, library, from)) continue;
      const path = moved(at.path, from, to);
      if (live.kind === "content") live.path = path;
      else live.removal = { ...live.removal, path };
    }
  }

  /** Everything appended so far is on the disk when this resolves. */
  sync(): Promise<void> {
    return this.#journal.sync();
  }

  async close(): Promise<void> {
    await this.#compacting;
    await allDone(this.#journal.close(), this.#spool.close());
  }

  #inherit({ contents, removals, moves, held }: Pending): void {
    for (const id of held) this.#held.add(id);
    for (const { id, spool } of contents.values()) this.#unclaimed.set(id, spool);
    for (const id of [...removals.keys(), ...moves.keys()]) this.#unclaimed.set(id, undefined);
  }

  #begin(
    to: Destination,
    from: { file: SpoolFile; base?: Base | undefined; under?: DirtyFile },
    base: { readonly id: ObjectId; readonly size: number } | undefined,
    over: number | undefined,
    basePath: string,
  ): DirtyFile {
    const id = this.#next++;
    const dirty = new DirtyFile({ id, tracker: this.#tracker(id), ...from });
    const live: LiveContent = {
      kind: "content",
      dirty,
      base: base === undefined ? null : { id: base.id, size: base.size },
      over,
      created: Date.now(),
      ...to,
      basePath,
      attempted: undefined,
      mtime: undefined,
    };
    this.#live.set(id, live);
    for (const record of openedRecords(live)) this.#journal.append(record);
    return dirty;
  }

  #tracker(id: number): Tracker {
    return {
      wrote: (start, end) => this.#track(id, { t: "wrote", id, start, end }),
      truncated: (size) => this.#track(id, { t: "truncated", id, size }),
      noted: () => this.#journal.written(),
    };
  }

  /** Coverage of content that is over already concerns nobody. */
  #track(id: number, record: JournalRecord): void {
    if (this.#live.has(id)) this.#journal.append(record);
  }

  #content(id: number): LiveContent | undefined {
    const live = this.#live.get(id);
    return live?.kind === "content" ? live : undefined;
  }

  #end(id: number, t: "done" | "void"): void {
    const isKnown = this.#live.delete(id) || this.#unclaimed.delete(id);
    this.#held.delete(id);
    if (isKnown) this.#journal.append({ t, id });
  }

  #compactIfWorthwhile(): void {
    // What nobody has taken up yet is in the journal only.
    if (this.#compacting !== undefined || this.#unclaimed.size > 0) return;
    if (this.#journal.size < Math.max(COMPACT_BYTES, 2 * this.#compactSize)) return;
    this.#compacting = this.#journal
      .compact(this.#records())
      .catch((error: unknown) => this.#log.warn({ err: error }, "the journal could not be shortened"))
      .then(() => {
        // What is alive may be long by itself; if it failed, it is not tried at once again either.
        this.#compactSize = this.#journal.size;
      })
      .finally(() => {
        this.#compacting = undefined;
      });
  }

  /** What a new journal would have to say. */
  #records(): JournalRecord[] {
    const records: JournalRecord[] = [];
    for (const [id, move] of this.#moves) records.push({ t: "moving", id, ...move });
    for (const [id, live] of this.#live) records.push(...historyOf(id, live));
    for (const id of this.#held) records.push(heldRecord(id));
    return records;
  }
}

/** At the same time: the disk can make one write of both. Rejects when both have ended, with the first failure. */
async function allDone(...works: readonly Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(works)) if (end.status === "rejected") throw end.reason;
}
