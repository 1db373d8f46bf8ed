/**
 * Everything the server holds: users, libraries, shares, quota, content; and the direct access that tests and the importer
 * use. Invariants: every change of a tree is a real commit; what is kept in a folder survives a restart, tokens included.
 * Called by index.ts, the web API, the file server and tests.
 */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import { FileContents } from "./file-content.ts";
import { FsObjects } from "./fs-objects.ts";
import { readFolder } from "./import-folder.ts";
import { Library, type LibraryContext, type Permission } from "./library.ts";
import { folderObjectStore, memoryObjectStore, type ObjectStore } from "./object-store.ts";
import { type Commit, isDirectory, ZERO_ID } from "./objects.ts";
import { basename, dirname } from "./paths.ts";
import { PublicLinks } from "./public-links.ts";
import { Stars } from "./stars.ts";
import { folderState, memoryState, type StateFile, type UserRecord } from "./state-file.ts";
import { transfer } from "./transfer.ts";
import * as tree from "./tree.ts";
import { WebSessions } from "./web-sessions.ts";

export interface UserOptions {
  readonly email: string;
  readonly password: string;
  readonly name?: string;
  /** Bytes; null or absent: unlimited. */
  readonly quota?: number | null;
  /** With it a login needs this code in X-Seafile-OTP. */
  readonly otp?: string;
}

export interface StoredEntry {
  readonly name: string;
  readonly kind: "file" | "dir";
  readonly id: string;
  /** Bytes; 0 for directories. */
  readonly size: number;
  /** Unix seconds. */
  readonly mtime: number;
  readonly mode: number;
}

export interface StoreOptions {
  /** Folder to keep everything in; memory when absent. */
  readonly data?: string | undefined;
  /** Milliseconds. */
  readonly now: () => number;
  readonly users: readonly UserOptions[];
}

interface Credentials {
  readonly password: string;
  readonly otp: string | undefined;
}

const hex40 = () => randomBytes(20).toString("hex");
const digest = (password: string) => createHash("sha256").update(password).digest("hex");

export class Store {
  readonly contents: FileContents;
  readonly fs: FsObjects;
  readonly publicLinks: PublicLinks;
  readonly stars: Stars;
  readonly sessions: WebSessions;
  readonly #objects: ObjectStore;
  readonly #file: StateFile;
  readonly #libraries = new Map<string, Library>();
  readonly #credentials = new Map<string, Credentials>();
  readonly #context: LibraryContext;

  constructor(options: StoreOptions) {
    this.#objects = options.data === undefined ? memoryObjectStore() : folderObjectStore(join(options.data, "objects"));
    this.#file = options.data === undefined ? memoryState() : folderState(options.data);
    this.fs = new FsObjects(this.#objects, { decodedOnly: options.data === undefined });
    this.contents = new FileContents(this.#objects, this.fs);
    const clock = () => Math.floor(options.now() / 1000);
    const changed = () => this.#file.save();
    this.#context = { objects: this.#objects, fs: this.fs, clock, changed };
    this.publicLinks = new PublicLinks(this.#file.state.links, changed);
    this.stars = new Stars(this.#file.state.stars, changed);
    this.sessions = new WebSessions(this.#file.state.sessions, changed, clock);
    for (const record of this.#file.state.libraries) this.#libraries.set(record.id, new Library(record, this.#context));
    for (const user of options.users) this.#addUser(user);
    this.#file.save();
  }

  /** Unix seconds. */
  now(): number {
    return this.#context.clock();
  }

  // Users

  #addUser(options: UserOptions): void {
    const { users } = this.#file.state;
    let user = users.find((known) => known.email === options.email);
    if (user === undefined) {
      const id = `${randomBytes(16).toString("hex")}@auth.local`;
      user = { id, email: options.email, name: options.email.split("@")[0]!, token: hex40(), quota: null };
      users.push(user);
    }
    if (options.name !== undefined) user.name = options.name;
    if (options.quota !== undefined) user.quota = options.quota;
    this.#credentials.set(user.id, { password: digest(options.password), otp: options.otp });
  }

  /** By e-mail (any case) or internal id. */
  user(emailOrId: string): UserRecord | undefined {
    const wanted = emailOrId.toLowerCase();
    return this.#file.state.users.find((user) => user.email.toLowerCase() === wanted || user.id === wanted);
  }

  #existingUser(emailOrId: string): UserRecord {
    const user = this.user(emailOrId);
    if (user === undefined) throw new Error(`The development server has no user ${emailOrId}.`);
    return user;
  }

  credentials(user: UserRecord): { matches(password: string): boolean; otp: string | undefined } | undefined {
    const known = this.#credentials.get(user.id);
    return known && { matches: (password) => known.password === digest(password), otp: known.otp };
  }

  userByToken(token: string): UserRecord | undefined {
    const { users, deviceTokens } = this.#file.state;
    const owner = Object.entries(deviceTokens)
      .find(([, known]) => known === token)?.[0]
      .split(" ")[0];
    return users.find((user) => user.token === token || user.id === owner);
  }

  deviceToken(user: UserRecord, deviceId: string): string {
    return this.#tokenIn(this.#file.state.deviceTokens, `${user.id} ${deviceId}`);
  }

  syncToken(user: UserRecord, library: Library): string {
    return this.#tokenIn(this.#file.state.syncTokens, `${user.id} ${library.id}`);
  }

  #tokenIn(tokens: Record<string, string>, key: string): string {
    const known = tokens[key];
    if (known !== undefined) return known;
    const token = hex40();
    tokens[key] = token;
    this.#file.save();
    return token;
  }

  /** `bytes` null: unlimited. */
  setQuota(email: string, bytes: number | null): void {
    this.#existingUser(email).quota = bytes;
    this.#file.save();
  }

  /** Bytes in all libraries that a user owns. */
  usage(userId: string): number {
    return this.libraries()
      .filter((library) => library.record.ownerId === userId)
      .reduce((sum, library) => sum + this.fs.totals(library.root).bytes, 0);
  }

  /** Whether the owner's quota has no room for `delta` more bytes: full iff usage + delta >= quota. */
  isFull(library: Library, delta: number): boolean {
    const quota = this.user(library.record.ownerId)?.quota ?? null;
    return quota !== null && this.usage(library.record.ownerId) + delta >= quota;
  }

  // Libraries

  libraries(): Library[] {
    return [...this.#libraries.values()];
  }

  library(id: string): Library | undefined {
    return this.#libraries.get(id);
  }

  #existingLibrary(id: string): Library {
    const library = this.#libraries.get(id);
    if (library === undefined) throw new Error(`The development server has no library ${id}.`);
    return library;
  }

  createLibrary(owner: string, name: string, options: { description?: string; readOnly?: boolean } = {}): string {
    const user = this.#existingUser(owner);
    const record = {
      id: randomUUID(),
      name,
      description: options.description ?? "",
      ownerId: user.id,
      shares: {},
      groupShares: [],
      readOnly: options.readOnly ?? false,
      head: "",
    };
    const library = new Library(record, this.#context);
    this.#libraries.set(record.id, library);
    this.#file.state.libraries.push(record);
    library.commit(user.id, "Created library", ZERO_ID);
    return record.id;
  }

  deleteLibrary(id: string): void {
    this.#libraries.delete(id);
    const { libraries } = this.#file.state;
    libraries.splice(0, libraries.length, ...libraries.filter((record) => record.id !== id));
    this.publicLinks.remove((link) => link.libraryId === id);
  }

  share(libraryId: string, toEmail: string, permission: Permission): void {
    this.#existingLibrary(libraryId).share(this.#existingUser(toEmail).id, permission);
  }

  /** Shares to the members of a group; a group of the same name is the same group. */
  shareToGroup(libraryId: string, name: string, memberEmails: readonly string[], permission: Permission): void {
    const known = this.libraries().flatMap((library) => library.record.groupShares);
    const groupId =
      known.find((share) => share.name === name)?.groupId ?? new Set(known.map((share) => share.name)).size + 1;
    const members = memberEmails.map((email) => this.#existingUser(email).id);
    this.#existingLibrary(libraryId).shareToGroup({ groupId, name, members, permission });
  }

  /** Owner, else the share to the user, else the best of the shares to groups; "r" at most in a read-only library. */
  permission(userId: string, library: Library): Permission | undefined {
    const { ownerId, shares, groupShares, readOnly } = library.record;
    const ofGroups = groupShares.filter((share) => share.members.includes(userId)).map((share) => share.permission);
    const best = ofGroups.includes("rw") ? "rw" : ofGroups[0];
    const granted = ownerId === userId ? "rw" : (shares[userId] ?? best);
    return granted === "rw" && readOnly ? "r" : granted;
  }

  // Direct access for tests and the importer; paths are absolute ("/a/b"), what is missing throws

  list(libraryId: string, path: string): StoredEntry[] {
    const entries = this.#existingLibrary(libraryId).entries(path);
    if (entries === undefined) throw new tree.PathError(path);
    return entries.map((entry) => ({ name: entry.name, ...described(entry) })).toReversed();
  }

  async readFile(libraryId: string, path: string): Promise<Buffer> {
    const entry = this.#existingLibrary(libraryId).find(path);
    if (entry === undefined || isDirectory(entry)) throw new Error(`There is no file ${path} in this library.`);
    const chunks: Buffer[] = [];
    for await (const chunk of this.contents.read(entry.id, 0, entry.size)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** Creates or replaces a file. `mtime` in Unix seconds; `mkdirs` makes missing parents. */
  async writeFile(
    libraryId: string,
    path: string,
    data: Uint8Array | string,
    options: { mtime?: number; mkdirs?: boolean } = {},
  ): Promise<void> {
    const library = this.#existingLibrary(libraryId);
    const stored = await this.contents.store([Buffer.from(data)]);
    const by = library.record.ownerId;
    if (options.mkdirs) library.makeDirectories(by, dirname(path));
    library.addFiles(by, dirname(path), [{ name: basename(path), mtime: options.mtime, ...stored }], true);
  }

  /** Makes a directory and missing parents. */
  mkdir(libraryId: string, path: string): void {
    const library = this.#existingLibrary(libraryId);
    library.makeDirectories(library.record.ownerId, path);
  }

  remove(libraryId: string, path: string): void {
    const library = this.#existingLibrary(libraryId);
    if (library.find(path) === undefined) throw new tree.PathError(path);
    library.remove(library.record.ownerId, dirname(path), [basename(path)]);
  }

  /** Moves or renames; `to` must not exist and its parent must. */
  move(libraryId: string, from: string, to: string): void {
    const library = this.#existingLibrary(libraryId);
    const by = library.record.ownerId;
    if (library.find(to) !== undefined) throw new Error(`${to} exists in this library.`);
    if (dirname(from) === dirname(to)) {
      library.renameEntry(by, dirname(from), basename(from), basename(to));
      return;
    }
    const request = { by, move: true, source: library, target: library };
    const done = transfer({
      ...request,
      sourceDirectory: dirname(from),
      names: [basename(from)],
      targetDirectory: dirname(to),
      newNames: [basename(to)],
    });
    if (done === undefined) throw new tree.PathError(from);
  }

  /** Puts the content of a local folder into the root of a library, as one commit, with its times and exec bits. */
  async importFolder(libraryId: string, folder: string): Promise<void> {
    const library = this.#existingLibrary(libraryId);
    const by = library.record.ownerId;
    const entries = await readFolder(folder, by, this.contents, this.fs);
    const root = tree.put(this.fs, library.root, "/", entries, library.now());
    library.commit(by, `Added "${basename(folder)}".`, root);
  }

  /** Every path of a library, parents before children. */
  tree(libraryId: string): Map<string, Omit<StoredEntry, "name" | "mode">> {
    const library = this.#existingLibrary(libraryId);
    const paths = [...tree.walk(this.fs, library.root)].map(([path, entry]) => {
      const { mode: _mode, ...rest } = described(entry);
      return [path, rest] as const;
    });
    return new Map(paths);
  }

  /** Id of the head commit. */
  head(libraryId: string): string {
    return this.#existingLibrary(libraryId).record.head;
  }

  /** Newest first. */
  commits(libraryId: string): Commit[] {
    return [...this.#existingLibrary(libraryId).history()];
  }
}

function described(entry: { id: string; size: number; mtime: number; mode: number; name: string; modifier: string }) {
  const kind = isDirectory(entry) ? ("dir" as const) : ("file" as const);
  return { kind, id: entry.id, size: entry.size, mtime: entry.mtime, mode: entry.mode };
}
