/**
 * Puts the filesystem together from its parts, bottom up: what mount.ts serves to the kernel and tests use without one.
 * Invariant: every lifetime and size comes from cache/policy.ts or from the caller. Called by mount.ts.
 */
import { BlockCache } from "./cache/block-cache.ts";
import { ListingCache } from "./cache/listing-cache.ts";
import {
  BATCH_BYTES,
  BATCH_MAX,
  HELD_RETRY_MS,
  MAX_LISTED_ENTRIES,
  PARALLEL_COMMITS,
  RETRY_FIRST_MS,
  RETRY_MAX_MS,
  WHOLE_IN_MEMORY_MAX,
  WHOLE_LINGER_MS,
  WHOLE_ON_DISK_FILES,
  WHOLE_ON_DISK_MAX,
} from "./cache/policy.ts";
import type { Logger } from "./observe/log.ts";
import type { Library } from "./seafile/library.ts";
import type { Source } from "./seafile/source.ts";
import type { LibraryId } from "./seafile/types.ts";
import { BlockReader } from "./vfs/block-reader.ts";
import { Directories } from "./vfs/directory.ts";
import { FileCommits, type WritePolicy } from "./vfs/file-commits.ts";
import { FileStore } from "./vfs/file-store.ts";
import { FileSystem } from "./vfs/filesystem.ts";
import { LibraryRoot } from "./vfs/library-root.ts";
import { Locks } from "./vfs/locks.ts";
import { Namespace } from "./vfs/namespace.ts";
import { Outbox } from "./vfs/outbox.ts";
import { Recovered } from "./vfs/recovered.ts";
import { RemoteXattrs } from "./vfs/remote-xattrs.ts";
import { Removals } from "./vfs/removals.ts";
import { Superblock } from "./vfs/superblock.ts";
import { WholeFileReader } from "./vfs/whole-file-reader.ts";
import { Xattrs } from "./vfs/xattrs.ts";
import type { WriteState } from "./write-state.ts";
import { Committer } from "./writeback/committer.ts";
import type { Pending } from "./writeback/records.ts";

export interface FileSystemOptions {
  readonly account: Source;
  /** undefined: all libraries of the account. */
  readonly library: Library | undefined;
  /** The folder of the library that is the root. */
  readonly path: string | undefined;
  readonly state: Pick<WriteState, "backlog" | "spool" | "keep">;
  readonly policy: WritePolicy;
  readonly cacheSize: number;
  readonly refreshMs: number;
  /** Named in conflict copies. */
  readonly user: string;
  readonly log: Logger;
}

export interface Assembled {
  readonly fileSystem: FileSystem;
  readonly outbox: Outbox;
  readonly committer: Committer;
  readonly cache: BlockCache;
  readonly listings: ListingCache;
  /** Gives the disk back that reading took. */
  close(): Promise<void>;
  /** Brings back what is pending. Call before anybody looks. Resolves with the places of what belongs nowhere any more. */
  revive(pending: Pending, libraryOf: (id: LibraryId) => Library | undefined): Promise<string[]>;
}

export function assemble(options: FileSystemOptions): Assembled {
  const { account, library, log, policy, user } = options;
  const { backlog, spool, keep } = options.state;
  const superblock = new Superblock(library, options.path, library?.info.writable ?? false);
  const listings = new ListingCache({ lifetimeMs: options.refreshMs, maxEntries: MAX_LISTED_ENTRIES });
  const libraries = library === undefined ? new LibraryRoot(account) : undefined;
  const recovered = new Recovered();
  const directories = new Directories(superblock, listings, libraries, recovered, log);
  const locks = new Locks();
  const committer = new Committer({
    log,
    parallel: PARALLEL_COMMITS,
    retryFirstMs: RETRY_FIRST_MS,
    retryMaxMs: RETRY_MAX_MS,
    heldMs: HELD_RETRY_MS,
    batchMax: BATCH_MAX,
    batchBytes: BATCH_BYTES,
    guard: ({ id }, signal) => locks.tree(id, "shared", signal),
  });
  const cache = new BlockCache(options.cacheSize);
  const whole = new WholeFileReader({
    cache,
    spool,
    memoryMax: WHOLE_IN_MEMORY_MAX,
    diskMax: WHOLE_ON_DISK_MAX,
    diskFiles: WHOLE_ON_DISK_FILES,
    lingerMs: WHOLE_LINGER_MS,
  });
  const files = new FileStore({ directories, reader: new BlockReader(cache), whole, backlog });
  const commits = new FileCommits({ superblock, directories, files, backlog, committer, locks, log, policy, user });
  const removals = new Removals({ directories, backlog, committer, policy, log });
  const namespace = new Namespace({
    superblock,
    directories,
    files,
    commits,
    removals,
    recovered,
    backlog,
    committer,
    locks,
  });
  const outbox = new Outbox({ superblock, directories, commits, removals, backlog, committer });
  const xattrs = new Xattrs({ committer, outbox, listings });
  const remoteXattrs = new RemoteXattrs({ account, outbox, lifetimeMs: options.refreshMs });
  const parts = { superblock, directories, namespace, files, commits, xattrs, remoteXattrs, account };
  const fileSystem = new FileSystem(parts);
  const revive = (pending: Pending, libraryOf: (id: LibraryId) => Library | undefined) =>
    recovered.revive(pending, libraryOf, {
      superblock,
      files,
      commits,
      removals,
      backlog,
      spool,
      committer,
      log,
      keep,
    });
  return { fileSystem, outbox, committer, cache, listings, close: () => whole.close(), revive };
}
