/**
 * One library: its name, owner, shares, head, and every change that can be made to its tree.
 * Invariants: each change is one synchronous step from head to new head, so changes of one library never interleave and no
 * commit is lost; a change that leaves the root as it was makes no commit. Names and parent paths are stored in NFC.
 * Called by store.ts, transfer.ts, the web API and the file server.
 */
import type { FsObjects } from "./fs-objects.ts";
import type { ObjectStore } from "./object-store.ts";
import {
  type Commit,
  commitId,
  type Dirent,
  decodeCommit,
  encodeCommit,
  isDirectory,
  MODE_FILE,
  ZERO_ID,
} from "./objects.ts";
import { basename, canonicalDirectory, dirname, freeNameB } from "./paths.ts";
import * as tree from "./tree.ts";

export type Permission = "rw" | "r";

/** What seaf-server's RPC would say no with; seahub shows it as 520 or 500. */
export class RpcError extends Error {
  override readonly name = "RpcError";
}

/** A library shared to a group, whose members are listed here. */
export interface GroupShare {
  readonly groupId: number;
  readonly name: string;
  /** User ids. */
  readonly members: readonly string[];
  readonly permission: Permission;
}

export interface LibraryRecord {
  readonly id: string;
  name: string;
  description: string;
  readonly ownerId: string;
  /** User id -> permission. */
  readonly shares: Record<string, Permission>;
  readonly groupShares: GroupShare[];
  /** Library status 1: everybody reads, nobody writes. */
  readOnly: boolean;
  head: string;
}

export interface LibraryContext {
  readonly objects: ObjectStore;
  readonly fs: FsObjects;
  /** Unix seconds. */
  readonly clock: () => number;
  /** Called after every change of the record. */
  readonly changed: () => void;
}

/** A file to be put: `mtime` absent means now. */
export interface NewFile {
  readonly name: string;
  readonly id: string;
  readonly size: number;
  readonly mtime?: number | undefined;
}

const nfc = (text: string) => text.normalize("NFC");

export class Library {
  readonly record: LibraryRecord;
  readonly #context: LibraryContext;
  #head: Commit | undefined;

  constructor(record: LibraryRecord, context: LibraryContext) {
    this.record = record;
    this.#context = context;
  }

  get id(): string {
    return this.record.id;
  }

  get fs(): FsObjects {
    return this.#context.fs;
  }

  get root(): string {
    return this.head.rootId;
  }

  get head(): Commit {
    this.#head ??= this.commitById(this.record.head)!;
    return this.#head;
  }

  now(): number {
    return this.#context.clock();
  }

  commitById(id: string): Commit | undefined {
    const { objects } = this.#context;
    if (!objects.has("commits", id)) return undefined;
    const commit = decodeCommit(objects.get("commits", id));
    return commit.libraryId === this.id ? commit : undefined;
  }

  /** Newest first. */
  *history(): Generator<Commit> {
    for (let id: string | null = this.record.head; id !== null && id !== ""; ) {
      const commit: Commit = this.commitById(id)!;
      yield commit;
      id = commit.parentId;
    }
  }

  find(path: string): Dirent | undefined {
    return tree.lookup(this.fs, this.root, path);
  }

  directoryId(path: string): string | undefined {
    return tree.directoryId(this.fs, this.root, path);
  }

  /** Entries in stored order, or undefined when there is no such directory. */
  entries(path: string): readonly Dirent[] | undefined {
    const id = this.directoryId(path);
    return id === undefined ? undefined : this.fs.directory(id);
  }

  names(path: string): Set<string> | undefined {
    const entries = this.entries(path);
    return entries && new Set(entries.map((entry) => entry.name));
  }

  /** Moves the head to a new commit, unless the root is the head's already. */
  commit(by: string, description: string, rootId: string): void {
    if (this.record.head !== "" && rootId === this.root) return;
    this.#commitAlways(by, description, rootId);
  }

  rename(by: string, name: string): void {
    this.record.name = name;
    this.#commitAlways(by, "Changed library name or description", this.root);
  }

  #commitAlways(by: string, description: string, rootId: string): void {
    const fields = {
      libraryId: this.id,
      rootId,
      creatorName: by,
      description,
      ctime: this.now(),
      parentId: this.record.head === "" ? null : this.record.head,
      secondParentId: null,
      libraryName: this.record.name,
      libraryDescription: this.record.description,
    };
    const commit = { id: commitId(fields), ...fields };
    this.#context.objects.put("commits", commit.id, encodeCommit(commit));
    this.record.head = commit.id;
    this.#head = commit;
    this.#context.changed();
  }

  setReadOnly(readOnly: boolean): void {
    this.record.readOnly = readOnly;
    this.#context.changed();
  }

  share(userId: string, permission: Permission): void {
    this.record.shares[userId] = permission;
    this.#context.changed();
  }

  unshare(userId: string): void {
    delete this.record.shares[userId];
    this.#context.changed();
  }

  shareToGroup(share: GroupShare): void {
    this.record.groupShares.push(share);
    this.#context.changed();
  }

  unshareFromGroup(groupId: number): void {
    const { groupShares } = this.record;
    groupShares.splice(0, groupShares.length, ...groupShares.filter((share) => share.groupId !== groupId));
    this.#context.changed();
  }

  /**
   * Adds files to an existing directory in one commit and returns the names they got, in order. Without `replace` a taken
   * name is suffixed by rule B; with it whatever has the name is replaced, a directory too (as the file server does).
   */
  addFiles(by: string, directory: string, files: readonly NewFile[], replace: boolean): string[] {
    const path = nfc(directory);
    const taken = this.names(path);
    if (taken === undefined) throw new RpcError("Parent dir doesn't exist.");
    const now = this.now();
    const added = new Map<string, Dirent>();
    const names = files.map((file) => {
      const wanted = nfc(file.name);
      const name = replace ? wanted : freeNameB(wanted, taken);
      if (name === undefined) throw new RpcError("Too many files with same name.");
      taken.add(name);
      added.set(name, { name, id: file.id, mode: MODE_FILE, mtime: file.mtime ?? now, size: file.size, modifier: by });
      return name;
    });
    const more = names.length > 1 ? ` and ${names.length - 1} more files` : "";
    this.commit(by, `Added "${names[0]}"${more}.`, tree.put(this.fs, this.root, path, [...added.values()], now));
    return names;
  }

  /** Gives an existing name new content. The same content makes no commit and keeps the time. */
  updateFile(by: string, path: string, file: NewFile): void {
    const [directory, name] = [dirname(path), basename(path)];
    const old = this.find(path);
    if (old !== undefined && old.id === file.id && !isDirectory(old)) return;
    const now = this.now();
    const mode = old === undefined || isDirectory(old) ? MODE_FILE : old.mode;
    const entry = { name, id: file.id, mode, mtime: file.mtime ?? now, size: file.size, modifier: by };
    this.commit(by, `Modified "${name}".`, tree.put(this.fs, this.root, directory, [entry], now));
  }

  /** post_dir: throws RpcError "file already exists" when the name, in NFC, is taken. */
  makeDirectory(by: string, parent: string, name: string): void {
    this.#addNew(parent, name, (stored, now) => [tree.newDirectory(stored, now), `Added directory "${stored}".`], by);
  }

  /** post_empty_file: as makeDirectory. */
  createFile(by: string, parent: string, name: string, content = { id: ZERO_ID, size: 0 }): void {
    const make = (stored: string, now: number): [Dirent, string] => [
      { name: stored, ...content, mode: MODE_FILE, mtime: now, modifier: by },
      `Added "${stored}".`,
    ];
    this.#addNew(parent, name, make, by);
  }

  #addNew(parent: string, name: string, make: (name: string, now: number) => [Dirent, string], by: string): void {
    const [path, stored, now] = [nfc(parent), nfc(name), this.now()];
    const taken = this.names(path);
    if (taken === undefined) throw new RpcError("Parent dir doesn't exist.");
    if (taken.has(stored)) throw new RpcError("file already exists");
    const [entry, description] = make(stored, now);
    this.commit(by, description, tree.put(this.fs, this.root, path, [entry], now));
  }

  /** mkdir_with_parents: existing directories are kept; throws RpcError at a file. */
  makeDirectories(by: string, path: string): void {
    try {
      const root = tree.makeDirectories(this.fs, this.root, nfc(path), this.now());
      this.commit(by, `Added directory "${basename(canonicalDirectory(nfc(path)))}".`, root);
    } catch (error) {
      if (error instanceof tree.PathError) throw new RpcError(error.message, { cause: error });
      throw error;
    }
  }

  /** Removes names, files or directories, from one directory; missing ones (and a missing directory) change nothing. */
  remove(by: string, parent: string, names: readonly string[]): void {
    const path = nfc(parent);
    const present = this.entries(path)?.filter((entry) => names.map(nfc).includes(entry.name)) ?? [];
    const first = present[0];
    if (first === undefined) return;
    const more = present.length > 1 ? ` and ${present.length - 1} more files` : "";
    const root = tree.remove(this.fs, this.root, path, new Set(present.map((entry) => entry.name)), this.now());
    this.commit(by, `Deleted ${isDirectory(first) ? "directory " : ""}"${first.name}"${more}.`, root);
  }

  /** rename_file, for files and directories. Throws RpcError when the source is missing or the target is taken. */
  renameEntry(by: string, parent: string, from: string, to: string): void {
    const [path, source, target] = [nfc(parent), nfc(from), nfc(to)];
    const entry = this.entries(path)?.find((candidate) => candidate.name === source);
    if (entry === undefined) throw new RpcError("file does not exist");
    if (this.names(path)!.has(target)) throw new RpcError("file already exists");
    const root = tree.rename(this.fs, this.root, path, source, target);
    this.commit(by, `Renamed ${isDirectory(entry) ? "directory " : ""}"${source}" to "${target}".`, root);
  }
}
