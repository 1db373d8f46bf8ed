/**
 * The composition root: the one place that says `new` across rooms. Starts the parts from the server up to the kernel and stops
 * them in reverse. Invariant: after `closed` everything that was written is on the server or in a named file on the local disk,
 * and no timer, connection or spool folder of this mount is left. Called by the CLI and by programs through index.ts.
 */
import { BlockCache } from "./cache/block-cache.ts";
import { ListingCache } from "./cache/listing-cache.ts";
import {
  KERNEL_NEGATIVE_TTL_MS,
  KERNEL_TTL_MS,
  MAX_LISTED_ENTRIES,
  PARALLEL_COMMITS,
  RETRY_FIRST_MS,
  RETRY_MAX_MS,
} from "./cache/policy.ts";
import { chooseTransport, type TransportChoice } from "./choose-transport.ts";
import { Adapter } from "./fuse/adapter.ts";
import type { Session } from "./fuse/transport.ts";
import { type Logger, silentLogger } from "./observe/log.ts";
import { type MountOptions, parseMountOptions, type ResolvedMountOptions } from "./options.ts";
import { Account } from "./seafile/account.ts";
import { SeafileError } from "./seafile/errors.ts";
import type { Library } from "./seafile/library.ts";
import type { LibraryInfo } from "./seafile/types.ts";
import { deferred } from "./util/abort.ts";
import { ErrnoError } from "./util/errno.ts";
import { joinPath, normalizePath, splitPath } from "./util/paths.ts";
import { BlockReader } from "./vfs/block-reader.ts";
import { Directories } from "./vfs/directory.ts";
import { FileCommits } from "./vfs/file-commits.ts";
import { FileStore } from "./vfs/file-store.ts";
import { FileSystem } from "./vfs/filesystem.ts";
import { LibraryRoot, uniqueNames } from "./vfs/library-root.ts";
import { Locks } from "./vfs/locks.ts";
import { Namespace } from "./vfs/namespace.ts";
import { Superblock } from "./vfs/superblock.ts";
import { Committer } from "./writeback/committer.ts";
import { Spool } from "./writeback/spool.ts";

/** How long the end of a mount tries to store what is pending before it keeps it locally, in milliseconds. */
const DRAIN_MS = 60_000;

export interface Mount {
  /** Absolute path of the directory that shows the filesystem. */
  readonly mountpoint: string;
  /** What carries the mount, and why: "kernel: this user can mount with it". */
  readonly transport: string;
  /** Resolves when unmounted by anyone, after pending work. `unstored`: local files with what the server did not take. */
  readonly closed: Promise<{ readonly unstored: readonly string[] }>;
  /** Stores what is pending and unmounts; a busy mount point is detached, and programs that still use it get ENOTCONN. */
  unmount(): Promise<void>;
}

/** What is shown at the mount point: a folder of one library, or all libraries of the account. */
interface Target {
  readonly library: Library | undefined;
  readonly path: string | undefined;
  readonly readOnly: boolean;
  readonly label: string;
}

/**
 * Mounts and returns once the kernel serves the directory. Rejects with SeafileError (server, token, "not-found" for the library)
 * or ErrnoError (mounting itself); a rejected mount leaves nothing behind.
 */
export async function mount(options: MountOptions): Promise<Mount> {
  const resolved = parseMountOptions(options);
  const log = resolved.log ?? silentLogger();
  const account = new Account({
    server: resolved.server,
    token: resolved.token,
    log: log.child({ part: "seafile" }),
    retry: { deadlineMs: resolved.timeoutMs },
    timeouts: { headers: resolved.timeoutMs, body: resolved.timeoutMs },
    ...(resolved.fileServer === undefined ? {} : { fileServer: resolved.fileServer }),
  });
  try {
    const { email } = await account.check();
    const target = await findTarget(account, resolved);
    const spool = await Spool.open(resolved.stateDir, log);
    try {
      return await serve({ resolved, log, account, target, spool, user: email });
    } catch (error) {
      await spool.close();
      throw error;
    }
  } catch (error) {
    await account.close();
    throw error;
  }
}

interface Parts {
  readonly resolved: ResolvedMountOptions;
  readonly log: Logger;
  readonly account: Account;
  readonly target: Target;
  readonly spool: Spool;
  readonly user: string;
}

/** What the filesystem itself is made of; also how tests build one without a kernel. */
export interface FileSystemOptions {
  readonly account: Account;
  /** undefined: all libraries of the account. */
  readonly library: Library | undefined;
  /** The folder of the library that is the root. */
  readonly path: string | undefined;
  readonly spool: Spool;
  readonly cacheSize: number;
  readonly refreshMs: number;
  /** Named in conflict copies. */
  readonly user: string;
  readonly log: Logger;
}

export function buildFileSystem(options: FileSystemOptions): FileSystem {
  const { account, library, log, spool } = options;
  const superblock = new Superblock(library, options.path, library?.info.writable ?? false);
  const listings = new ListingCache({ lifetimeMs: options.refreshMs, maxEntries: MAX_LISTED_ENTRIES });
  const libraries = library === undefined ? new LibraryRoot(account) : undefined;
  const directories = new Directories(superblock, listings, libraries, log);
  const locks = new Locks();
  const committer = new Committer({
    log,
    user: options.user,
    parallel: PARALLEL_COMMITS,
    retryFirstMs: RETRY_FIRST_MS,
    retryMaxMs: RETRY_MAX_MS,
  });
  const reader = new BlockReader(new BlockCache(options.cacheSize));
  const files = new FileStore({ directories, reader, spool });
  const commits = new FileCommits({ superblock, directories, files, committer, locks, log });
  const namespace = new Namespace({ superblock, directories, files, commits, locks });
  return new FileSystem({ superblock, directories, namespace, files, commits, account });
}

async function serve(parts: Parts): Promise<Mount> {
  const { resolved, log, account, target, spool, user } = parts;
  const { cacheSize, refreshMs } = resolved;
  const { library, path } = target;
  const fileSystem = buildFileSystem({ account, library, path, spool, cacheSize, refreshMs, user, log });
  const { uid, gid, umask, allowOther, mountpoint } = resolved;
  const { readOnly } = target;
  const lifetimes = { ttlMs: KERNEL_TTL_MS, negativeTtlMs: KERNEL_NEGATIVE_TTL_MS };
  const adapter = new Adapter({ fileSystem, uid, gid, umask, readOnly: resolved.readOnly, lifetimes, log });
  const choice = await chooseTransport(resolved.transport);
  log.info({ transport: choice.name, reason: choice.reason }, `transport ${choice.name}: ${choice.reason}`);
  const transport = await choice.load();
  const session = await transport(adapter, {
    mountpoint,
    fsname: `${new URL(resolved.server).host}:${target.label}`,
    // A library that is shared read-only is mounted read-write and answers EROFS itself: its permission may change.
    readOnly: resolved.readOnly,
    allowOther,
    defaultPermissions: allowOther,
    extraOptions: resolved.fuseOptions,
    log: log.child({ part: "fuse" }),
  });
  log.info({ mountpoint, readOnly: readOnly || resolved.readOnly }, `${target.label} is mounted on ${mountpoint}`);
  return handle(parts, session, fileSystem, choice);
}

function handle(parts: Parts, session: Session, fileSystem: FileSystem, choice: TransportChoice): Mount {
  const { log, account, spool, resolved } = parts;
  const drain = () => fileSystem.drain(AbortSignal.timeout(DRAIN_MS));
  // After an abort the kernel may hold the connection until the last file on it is closed; nothing is served any more.
  const aborted = deferred<void>();
  const closed = Promise.race([session.closed, aborted.promise]).then(async () => {
    const unstored = await drain();
    await spool.close();
    await account.close();
    log.info({ unstored }, `${resolved.mountpoint} is unmounted`);
    return { unstored };
  });
  return {
    mountpoint: resolved.mountpoint,
    transport: `${choice.name}: ${choice.reason}`,
    closed,
    unmount: async () => {
      await fileSystem.sync(AbortSignal.timeout(DRAIN_MS));
      try {
        await session.unmount();
      } catch (error) {
        if (!(error instanceof ErrnoError) || error.code !== "EBUSY") throw error;
        log.warn({ mountpoint: resolved.mountpoint }, "files are still open below the mount point; it is detached");
        await session.unmount({ lazy: true });
        session.abort();
        aborted.resolve();
      }
      await closed;
    },
  };
}

/** "NAME", "NAME:/path" or a library id. A name with a colon is tried as a whole first. */
async function findTarget(account: Account, options: ResolvedMountOptions): Promise<Target> {
  const { library: wanted, readOnly } = options;
  const infos = await account.libraries();
  if (wanted === undefined) return { library: undefined, path: undefined, readOnly, label: "all libraries" };
  const colon = wanted.indexOf(":/");
  const whole = pick(infos, wanted);
  const info = whole ?? (colon > 0 ? pick(infos, wanted.slice(0, colon)) : undefined);
  if (info === undefined) {
    throw new SeafileError(
      "not-found",
      `There is no library "${wanted}" in this account; "seamount libraries" lists them.`,
    );
  }
  const library = account.library(info);
  const path = whole === undefined ? normalizePath(wanted.slice(colon + 1)) : "/";
  if (path !== "/") await assertFolder(library, path);
  return {
    library,
    path,
    readOnly: readOnly || !info.writable,
    label: path === "/" ? info.name : `${info.name}:${path}`,
  };
}

function pick(infos: readonly LibraryInfo[], wanted: string): LibraryInfo | undefined {
  const byId = infos.find((info) => info.id === wanted);
  if (byId !== undefined) return byId;
  const same = infos.filter((info) => info.name === wanted);
  if (same.length <= 1) return same[0] ?? [...uniqueNames(infos)].find(([, shown]) => shown === wanted)?.[0];
  const shown = same.map((info) => `"${uniqueNames(infos).get(info)}"`).join(", ");
  throw new SeafileError("not-found", `Several libraries are called "${wanted}"; say which one: ${shown}.`);
}

async function assertFolder(library: Library, path: string): Promise<void> {
  const { parent, name } = splitPath(path);
  const listing = await library.list(parent);
  const entry = listing === "unchanged" ? undefined : listing.entries.find((candidate) => candidate.name === name);
  if (entry?.kind !== "dir") {
    throw new SeafileError(
      "not-found",
      `There is no folder ${joinPath(parent, name)} in the library "${library.info.name}".`,
    );
  }
}
