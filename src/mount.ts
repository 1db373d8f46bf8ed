/**
 * The composition root of a mount: starts the parts from the server up to the kernel and stops them in reverse (assemble.ts puts
 * the filesystem itself together). Invariant: after `closed` everything that was written is on the server or in the journal for
 * the next mount, and no timer, connection or lock of this mount is left. Called by the CLI and by programs through index.ts.
 */
import { relative } from "node:path";
import { type Assembled, assemble } from "./assemble.ts";
import { KERNEL_NEGATIVE_TTL_MS, KERNEL_TTL_MS } from "./cache/policy.ts";
import { chooseTransport, type TransportChoice } from "./choose-transport.ts";
import type { MountControl } from "./control/protocol.ts";
import { Adapter } from "./fuse/adapter.ts";
import type { Session } from "./fuse/transport.ts";
import { controlOf } from "./mount-control.ts";
import { givePasswords } from "./mount-passwords.ts";
import { findTarget, linkTarget, type Target } from "./mount-target.ts";
import { type Logger, silentLogger } from "./observe/log.ts";
import { type MountOptions, parseMountOptions, type ResolvedMountOptions } from "./options.ts";
import { Account } from "./seafile/account.ts";
import { LinkAccount } from "./seafile/link-account.ts";
import { parseLink } from "./seafile/link-address.ts";
import type { Source } from "./seafile/source.ts";
import type { LibraryId } from "./seafile/types.ts";
import { deferred } from "./util/abort.ts";
import { ErrnoError } from "./util/errno.ts";
import { Patience } from "./util/patience.ts";
import { adoptSiblings, openWriteState, type WriteState } from "./write-state.ts";
import { StateDir, targetName } from "./writeback/state-dir.ts";

/** How long the end of a mount tries to store what is pending before it leaves it to the next mount, in milliseconds. */
const DRAIN_MS = 60_000;

/** Stands for the user of a link, who has no account. */
const NOBODY = "link";

/** What a mount left when it ended. */
export interface MountEnd {
  /** Local files with content that belongs to no library any more. */
  readonly unstored: readonly string[];
  /** How many changes are in the journal for the next mount. */
  readonly pending: number;
}

export interface Mount {
  /** Absolute path of the directory that shows the filesystem. */
  readonly mountpoint: string;
  /** What carries the mount, and why: "kernel: this user can mount with it". */
  readonly transport: string;
  /** Resolves when unmounted by anyone, after pending work. */
  readonly closed: Promise<MountEnd>;
  /** What a running mount can be asked. */
  readonly control: MountControl;
  /**
   * Stores what is pending, for at most `drainMs` (default 60 s), and unmounts; a busy mount point is detached, and programs that
   * still use it get ENOTCONN. What could not be stored waits in the journal for the next mount.
   */
  unmount(drainMs?: number): Promise<void>;
}

/**
 * Mounts and returns once the kernel serves the directory. Rejects with SeafileError (server, token, "not-found" for the library)
 * or ErrnoError (mounting itself; EBUSY when another mount of the same works, EINVAL above its own state); a rejected mount leaves
 * nothing behind.
 */
export async function mount(options: MountOptions): Promise<Mount> {
  const resolved = parseMountOptions(options);
  const log = resolved.log ?? silentLogger();
  refuseAboveState(resolved);
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const { account, server, open } = sourceOf(resolved, log);
    undo.push(() => account.close());
    const { user, target } = await open();
    const stateDir = await StateDir.open({
      stateDir: resolved.stateDir,
      server,
      user,
      target: targetName(target.library?.id, target.path ?? "/"),
      mountpoint: resolved.mountpoint,
      log,
    });
    undo.push(() => stateDir.release());
    const state = await openWriteState(stateDir, log);
    undo.push(() => state.close());
    return await serve({ resolved, log, account, server, target, stateDir, state, user });
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {});
    throw error;
  }
}

interface Opened {
  readonly account: Source;
  readonly server: string;
  /** Asks the server who comes and what there is. */
  readonly open: () => Promise<{ readonly user: string; readonly target: Target }>;
}

/** An account, or a public link without one. */
function sourceOf(resolved: ResolvedMountOptions, log: Logger): Opened {
  const { fileServer, timeoutMs, server, token, link, linkPassword: password } = resolved;
  const client = {
    log: log.child({ part: "seafile" }),
    retry: { deadlineMs: timeoutMs },
    timeouts: { headers: timeoutMs, body: timeoutMs },
    ...(fileServer === undefined ? {} : { fileServer }),
  };
  if (link !== undefined) {
    const address = parseLink(link);
    const account = new LinkAccount({ ...client, address, password });
    const open = async () => {
      await account.check();
      return { user: NOBODY, target: linkTarget(account, address) };
    };
    return { account, server: address.server, open };
  }
  // The options' schema sees to it that there are both.
  const account = new Account({ ...client, server: server!, token: token! });
  const open = async () => {
    const { email: user } = await account.check();
    const target = await findTarget(account, resolved);
    givePasswords(account, target, resolved.passwords, log);
    return { user, target };
  };
  return { account, server: server!, open };
}

/** Above what it must reach itself, the mount would wait for itself. By the paths alone: who calls resolves symbolic links. */
function refuseAboveState({ mountpoint, stateDir }: ResolvedMountOptions): void {
  const below = relative(mountpoint, stateDir);
  if (below === ".." || below.startsWith("../")) return;
  throw new ErrnoError(
    "EINVAL",
    `${mountpoint} holds the mount's own local state (${stateDir}): choose another folder.`,
  );
}

interface Parts {
  readonly resolved: ResolvedMountOptions;
  readonly log: Logger;
  readonly account: Source;
  readonly server: string;
  readonly target: Target;
  readonly stateDir: StateDir;
  readonly state: WriteState;
  readonly user: string;
}

async function serve(parts: Parts): Promise<Mount> {
  const { resolved, log, account, target, state, stateDir, user } = parts;
  const { cacheSize, refreshMs, writeBackDelayMs: delayMs, commit, fsync, onConflict } = resolved;
  const { library, path } = target;
  const policy = { delayMs, commit, fsync, onConflict };
  const assembled = assemble({ account, library, path, state, policy, cacheSize, refreshMs, user, log });
  const infos = new Map(target.infos.map((info) => [info.id, info]));
  const libraryOf = (id: LibraryId) => {
    const info = infos.get(id);
    return info === undefined ? undefined : account.library(info);
  };
  const kept = await assembled.revive(state.pending, libraryOf);
  kept.push(...(await adoptSiblings({ stateDir, state, libraryOf, log, revive: assembled.revive })));
  const { uid, gid, umask, allowOther, mountpoint } = resolved;
  const { readOnly } = target;
  const lifetimes = { ttlMs: KERNEL_TTL_MS, negativeTtlMs: KERNEL_NEGATIVE_TTL_MS };
  const adapter = new Adapter({
    fileSystem: assembled.fileSystem,
    uid,
    gid,
    umask,
    readOnly: resolved.readOnly,
    lifetimes,
    log,
  });
  const choice = await chooseTransport(resolved.transport);
  log.info({ transport: choice.name, reason: choice.reason }, `transport ${choice.name}: ${choice.reason}`);
  const transport = await choice.load();
  const session = await transport(adapter, {
    mountpoint,
    fsname: `${new URL(parts.server).host}:${target.label}`,
    // A library that is shared read-only is mounted read-write and answers EROFS itself: its permission may change.
    readOnly: resolved.readOnly,
    allowOther,
    defaultPermissions: allowOther,
    extraOptions: resolved.fuseOptions,
    log: log.child({ part: "fuse" }),
  });
  log.info({ mountpoint, readOnly: readOnly || resolved.readOnly }, `${target.label} is mounted on ${mountpoint}`);
  return handle(parts, session, { assembled, choice, kept });
}

interface Served {
  readonly assembled: Assembled;
  readonly choice: TransportChoice;
  readonly kept: readonly string[];
}

function handle(parts: Parts, session: Session, { assembled, choice, kept }: Served): Mount {
  const { log, account, state, stateDir, resolved, target } = parts;
  const { outbox } = assembled;
  let patience = new Patience(DRAIN_MS);
  let isEnding = false;
  // After an abort the kernel may hold the connection until the last file on it is closed; nothing is served any more.
  const aborted = deferred<void>();
  const closed = Promise.race([session.closed, aborted.promise]).then(async (): Promise<MountEnd> => {
    isEnding = true;
    const left = await outbox.drain(patience.start());
    await assembled.close();
    await state.close();
    if (left.length === 0 && state.backlog.isEmpty) await stateDir.remove();
    else await stateDir.release();
    await account.close();
    patience.end();
    // What could not even be brought back is in the journal, too.
    const pending = left.length + state.backlog.untaken;
    log.info({ pending, kept }, `${resolved.mountpoint} is unmounted`);
    return { unstored: kept, pending };
  });
  const unmount = async (drainMs?: number, canDetach = true) => {
    await outbox.sync(undefined, patience.start(drainMs)).catch(() => {});
    try {
      await session.unmount();
    } catch (error) {
      if (!canDetach || !(error instanceof ErrnoError) || error.code !== "EBUSY") {
        // The mount goes on: how long its end may take is up to whoever ends it.
        if (!isEnding) {
          patience.end();
          patience = new Patience(DRAIN_MS);
        }
        throw error;
      }
      log.warn({ mountpoint: resolved.mountpoint }, "files are still open below the mount point; it is detached");
      await session.unmount({ lazy: true });
      session.abort();
      aborted.resolve();
    }
    await closed;
  };
  const control = controlOf({
    mountpoint: resolved.mountpoint,
    server: parts.server,
    user: parts.user,
    transport: choice.name,
    target,
    assembled,
    account,
    unmount: async (drainMs) => {
      await unmount(drainMs, false);
      return { pending: (await closed).pending };
    },
  });
  return {
    mountpoint: resolved.mountpoint,
    transport: `${choice.name}: ${choice.reason}`,
    closed,
    control,
    unmount: (drainMs) => unmount(drainMs),
  };
}
