/**
 * A filesystem over the real client and the development server, without a kernel, and short names for what tests do with it.
 * Call useFileSystem() at the top of a test file: every test then has a server, a library "Docs" and a state folder of its own.
 */
import { type FileHandle, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect } from "vitest";
import { type Assembled, assemble } from "../../src/assemble.ts";
import { createDevServer, type DevServer } from "../../src/devserver/index.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { Account } from "../../src/seafile/account.ts";
import type { Library } from "../../src/seafile/library.ts";
import type { WritePolicy } from "../../src/vfs/file-commits.ts";
import type { FileSystem } from "../../src/vfs/filesystem.ts";
import type { Inode } from "../../src/vfs/inode.ts";
import { openWriteState, type WriteState } from "../../src/write-state.ts";
import { DirtyFile } from "../../src/writeback/dirty-file.ts";
import type { SpoolFile } from "../../src/writeback/spool.ts";

export const OWNER = "test@example.com";
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_TRUNC = 0o1000;
export const DENIED = { body: '{"error_msg":"Permission denied."}' };
export const signal = new AbortController().signal;

export let server: DevServer;
export let account: Account;
export let state: WriteState;
export let stateDir: string;
export let id: string;
export let library: Library;
export let fs: FileSystem;
export let assembled: Assembled;
let policy: WritePolicy;

/** Without a policy close and fsync wait for the server. */
export function useFileSystem(own: Partial<WritePolicy> = {}): void {
  beforeEach(async () => {
    server = await createDevServer({ compat: 12 });
    id = server.store.createLibrary(OWNER, "Docs");
    stateDir = await mkdtemp(join(tmpdir(), "seamount-unit-"));
    account = new Account({ server: server.url, token: server.token(OWNER), log: silentLogger() });
    library = account.library((await account.libraries()).find((candidate) => candidate.id === id)!);
    policy = { commit: "close", fsync: "server", delayMs: 50, onConflict: "copy", ...own };
    await begin(50);
  });

  afterEach(async () => {
    server.faults.clear();
    await end();
    await account.close();
    await server.close();
    await rm(stateDir, { recursive: true, force: true });
  });
}

/** Ends the mount and begins another on the same state: listings last as long as told, what was left is taken up. */
export async function restart(refreshMs: number): Promise<void> {
  await end();
  await begin(refreshMs);
}

/** As a crash would have it: nothing is drained, the journal stays as it is, and nothing that was known of the server is. */
export async function crash(): Promise<void> {
  assembled.committer.stop();
  await state.close();
  const { info } = library;
  await account.close();
  account = new Account({ server: server.url, token: server.token(OWNER), log: silentLogger() });
  library = account.library(info);
  await begin(50);
}

/** What is left when the mount ends. */
export const drain = (ms = 3000) => assembled.outbox.drain(AbortSignal.timeout(ms));

async function begin(refreshMs: number): Promise<void> {
  const log = silentLogger();
  const folders = { folder: stateDir, spool: join(stateDir, "spool"), recovered: join(stateDir, "recovered") };
  state = await openWriteState(folders, log);
  assembled = assemble({ account, library, path: "/", state, policy, cacheSize: 2 ** 24, user: OWNER, refreshMs, log });
  fs = assembled.fileSystem;
  await assembled.revive(state.pending, (wanted) => (wanted === library.id ? library : undefined));
}

async function end(): Promise<void> {
  await drain().catch(() => {});
  await state.close();
}

/** Until listings of 50 ms are asked for again. */
export const stale = () => sleep(60);
export const names = (path = "/") =>
  server.store
    .list(id, path)
    .map((entry) => entry.name)
    .sort();
export const stored = async (path: string) => String(await server.store.readFile(id, path));
export const storedAll = () => Promise.all(names().map((name) => stored(`/${name}`)));
export const write = (fh: number, offset: number, text: string) => fs.write(fh, offset, Buffer.from(text), signal);
export const rename = (from: string, to: string) =>
  fs.rename({ parent: 1, name: from }, { parent: 1, name: to }, false, signal);
export const within = <T>(ms: number, work: Promise<T>) =>
  Promise.race([work, sleep(ms).then(() => "not yet" as const)]);

export async function lookup(path: string): Promise<Inode> {
  let inode = fs.inode(1);
  for (const name of path.split("/")) if (name !== "") inode = await fs.lookup(inode.ino, name, signal);
  return inode;
}

export async function create(name: string, content: string): Promise<{ inode: Inode; fh: number }> {
  const { inode, open } = await fs.create(1, name, 0o644, O_RDWR, signal);
  if (content !== "") await write(open.fh, 0, content);
  return { inode, fh: open.fh };
}

export async function open(path: string, flags: number): Promise<number> {
  return (await fs.open((await lookup(path)).ino, flags, signal)).fh;
}

export async function close(fh: number): Promise<void> {
  try {
    await fs.flush(fh, signal);
  } finally {
    await fs.release(fh);
  }
}

export async function save(name: string, content: string): Promise<void> {
  await close((await create(name, content)).fh);
}

export async function read(fh: number): Promise<string> {
  return Buffer.concat(await fs.read(fh, 0, 1 << 20, signal)).toString();
}

export async function cat(path: string): Promise<string> {
  const fh = await open(path, O_RDONLY);
  return read(fh).finally(() => fs.release(fh));
}

/** A store whose upload reaches the server and whose answer does not reach us, because the program was interrupted. */
export async function interruptedStore(fh: number, name: string, content?: string): Promise<void> {
  server.faults.hang("upload");
  const interrupt = new AbortController();
  const before = server.requests.count("upload");
  const storing = fs.store(fh, interrupt.signal);
  storing.catch(() => {});
  await until(() => server.requests.count("upload") > before);
  interrupt.abort();
  await expect(storing).rejects.toThrow();
  if (content !== undefined) await server.store.writeFile(id, `/${name}`, content);
}

export const spoolFiles = () => readdir(join(stateDir, "spool"));

/** A dirty file over a spool whose disk writes as `write` does. */
export async function dirtyOver(
  writes: (real: FileHandle, data: Uint8Array, from: number, length: number, at: number) => Promise<unknown>,
  base?: string,
): Promise<DirtyFile> {
  const real = await state.spool.create();
  const proxied = (handle: FileHandle) =>
    new Proxy(handle, {
      get: (target, key) => {
        if (key === "write")
          return (data: Uint8Array, from: number, length: number, at: number) => writes(target, data, from, length, at);
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  const file = new Proxy(real, {
    get: (target, key) => {
      if (key === "use")
        return (work: (handle: FileHandle) => unknown) => target.use(async (handle) => work(proxied(handle)));
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }) as SpoolFile;
  const content = Buffer.from(base ?? "");
  return new DirtyFile({
    id: 1,
    file,
    base: { size: content.length, read: async (start, end) => [content.subarray(start, end)] },
  });
}

export const until = async (condition: () => Promise<boolean> | boolean) => {
  for (let i = 0; i < 400 && !(await condition()); i++) await sleep(25);
  expect(await condition()).toBe(true);
};
