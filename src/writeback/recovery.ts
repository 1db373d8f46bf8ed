/**
 * What a journal says is still to be done, in the order in which it was promised. Pure: records in, a state out; who calls it
 * (vfs/recovered.ts) brings the state back to life.
 * Invariants: what was done is not there any more; sealed content takes the place of what was removed under its path before, and
 * of other content when it is renamed there, and so does a file that was moved there; a move that was made is followed by
 * everything at or below its source.
 */
import { ExtentSet } from "../util/extent-set.ts";
import type { JournalRecord } from "./journal-record.ts";
import { isAtOrBelow, type Move, moved, type Pending, type PendingContent, type Removal } from "./records.ts";

export function replay(records: readonly JournalRecord[]): Pending {
  const state = new Replay();
  for (const record of records) state.take(record);
  return state;
}

/** Puts what belongs at or below a moved path where it is now. Answers with the content that a moved file took the place of. */
export function follow(
  { contents, removals, finished }: Pick<Pending, "contents" | "removals" | "finished">,
  { library, from, to, kind }: Move,
): number[] {
  const replaced = [...contents.values()].filter((it) => kind === "file" && it.library === library && it.path === to);
  for (const { id, spool } of replaced) {
    (contents as Map<number, PendingContent>).delete(id);
    (finished as Set<string>).add(spool);
  }
  for (const content of contents.values()) {
    const { path, basePath } = content;
    if (isAtOrBelow(content, library, from)) content.path = moved(path, from, to);
    const isBaseMoved = isAtOrBelow({ library: content.library, path: basePath }, library, from);
    if (isBaseMoved) content.basePath = moved(basePath, from, to);
  }
  for (const [id, removal] of removals) {
    if (!isAtOrBelow(removal, library, from)) continue;
    (removals as Map<number, Removal>).set(id, { ...removal, path: moved(removal.path, from, to) });
  }
  return replaced.map(({ id }) => id);
}

class Replay implements Pending {
  readonly contents = new Map<number, PendingContent>();
  readonly removals = new Map<number, Removal>();
  readonly moves = new Map<number, Move>();
  readonly held = new Set<number>();
  readonly finished = new Set<string>();
  next = 1;

  take(record: JournalRecord): void {
    this.next = Math.max(this.next, record.id + 1);
    const content = this.contents.get(record.id);
    switch (record.t) {
      case "opened":
        this.contents.set(record.id, this.#opened(record));
        break;
      case "wrote":
        if (content !== undefined) wrote(content, record);
        break;
      case "truncated":
        if (content !== undefined) truncate(content, record.size);
        break;
      case "sealed":
        if (content !== undefined) this.#sealed(content, record);
        break;
      case "placed":
        if (content !== undefined) this.#placed(content, record);
        break;
      case "removing": {
        const { library, path, kind, expects } = record;
        this.removals.set(record.id, { library, path, kind, expects });
        break;
      }
      case "moving": {
        const { id: _id, t: _t, ...move } = record;
        this.moves.set(record.id, move);
        break;
      }
      case "done":
        this.#done(record.id);
        break;
      case "void":
        this.moves.delete(record.id);
        break;
      case "held":
        this.held.add(record.id);
        break;
      case "released":
        this.held.delete(record.id);
        break;
    }
  }

  #opened(record: Extract<JournalRecord, { t: "opened" }>): PendingContent {
    const { id, library, path, spool, base, over, created, expects } = record;
    const under = over === undefined ? undefined : this.contents.get(over);
    const size = (under ?? base)?.size ?? 0;
    return {
      id,
      library,
      path,
      spool,
      base,
      basePath: under?.basePath ?? path,
      over,
      created,
      expects,
      attempted: undefined,
      mtime: undefined,
      sealed: false,
      changed: false,
      size,
      baseLimit: size,
      written: new ExtentSet(),
    };
  }

  #sealed(content: PendingContent, { size, mtime, gaps, replaces }: Extract<JournalRecord, { t: "sealed" }>): void {
    const missing = new ExtentSet();
    for (const [start, end] of gaps) missing.add(start, end);
    for (const { start, end } of missing.gaps(0, size)) content.written.add(start, end);
    content.written.truncate(size);
    const isAsBegun = size === content.base?.size && missing.gaps(0, size).length === 0;
    Object.assign(content, {
      size,
      mtime,
      sealed: true,
      changed: !isAsBegun,
      baseLimit: Math.min(content.base?.size ?? 0, size),
    });
    if (replaces !== undefined) {
      if (this.held.has(replaces)) this.held.add(content.id);
      this.#finish(replaces);
    }
    for (const [id, removal] of this.removals) {
      if (removal.library === content.library && removal.path === content.path) this.removals.delete(id);
    }
  }

  /** One record for both halves of a rename over another file: a crash finds the name with its old or its new content. */
  #placed(content: PendingContent, { path, expects, attempted }: Extract<JournalRecord, { t: "placed" }>): void {
    if (content.sealed && content.path !== path) {
      for (const [id, other] of this.contents) {
        if (other.library === content.library && other.path === path) this.#finish(id);
      }
    }
    Object.assign(content, { path, expects, attempted });
    if (expects !== null) content.basePath = path;
  }

  #finish(id: number): void {
    const content = this.contents.get(id);
    if (content !== undefined) this.finished.add(content.spool);
    this.contents.delete(id);
    this.held.delete(id);
  }

  #done(id: number): void {
    const move = this.moves.get(id);
    if (move !== undefined) follow(this, move);
    this.moves.delete(id);
    this.#finish(id);
    this.removals.delete(id);
  }
}

function wrote(content: PendingContent, { start, end }: { readonly start: number; readonly end: number }): void {
  // What comes after the seal is a part of the base that was read for the upload.
  content.changed ||= !content.sealed;
  content.written.add(start, end);
  content.size = Math.max(content.size, end);
}

function truncate(content: PendingContent, size: number): void {
  content.changed ||= size !== content.size;
  content.written.truncate(size);
  content.baseLimit = Math.min(content.baseLimit, size);
  content.size = size;
}
