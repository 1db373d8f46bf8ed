/**
 * What a running mount answers to the control socket: its parts, in the words of control/protocol.ts. Called by mount.ts.
 */
import type { Assembled } from "./assemble.ts";
import type { MountControl, MountStatus, QueueItem } from "./control/protocol.ts";
import type { Target } from "./mount-target.ts";
import type { Library } from "./seafile/library.ts";
import type { Source } from "./seafile/source.ts";
import type { LibraryId } from "./seafile/types.ts";
import { type Inode, isOnServer, pathOf } from "./vfs/inode.ts";
import { uniqueNames } from "./vfs/library-root.ts";
import type { OutboxItem } from "./vfs/outbox.ts";

export interface ControlParts {
  readonly mountpoint: string;
  readonly server: string;
  readonly user: string;
  readonly transport: string;
  readonly target: Target;
  readonly account: Source;
  readonly assembled: Assembled;
  readonly unmount: (drainMs: number | undefined) => Promise<{ readonly pending: number }>;
}

export function controlOf(parts: ControlParts): MountControl {
  const { assembled, account, unmount } = parts;
  const { outbox, fileSystem } = assembled;
  const since = Date.now();
  const rates = new Rates(parts);
  const locate = locatorOf(parts.target);
  const queue = () => outbox.items().map((item) => itemOf(item, locate));
  return {
    status: () => statusOf(parts, queue(), since, rates),
    queue,
    locate: async (path, signal) => {
      const inode = await inodeAt(fileSystem, path, signal);
      const { server } = parts;
      if (inode.library === undefined) return { server };
      const { id, name } = inode.library.info;
      const isStored = inode.kind === "dir" || isOnServer(inode);
      return { server, place: { library: id, libraryName: name, path: pathOf(inode), kind: inode.kind, isStored } };
    },
    retry: (ids) => outbox.retry(ids),
    hold: (ids) => outbox.hold(ids),
    release: (ids) => outbox.release(ids),
    discard: (ids) => outbox.discard(ids),
    export: (id, path) => outbox.export(id, path),
    sync: async (path, signal) => {
      const under = path === undefined || path === "/" ? undefined : await inodeAt(fileSystem, path, signal);
      await outbox.sync(under, signal).catch(() => {});
      const left = outbox.items().filter((item) => under === undefined || outbox.isBelow(item, under));
      return { pending: left.length, held: left.filter((item) => item.state.state === "held").length };
    },
    unlock: async (id, password, signal) => {
      await account.unlock(id as LibraryId, password, signal);
      const held = outbox.items().filter(({ library, state }) => {
        return library.id === id && state.state === "held" && state.reason === "encrypted";
      });
      if (held.length > 0) outbox.retry(held.map((item) => item.id));
      return held.length;
    },
    unmount,
  };
}

async function inodeAt(fileSystem: Assembled["fileSystem"], path: string, signal: AbortSignal): Promise<Inode> {
  let inode = fileSystem.inode(1);
  for (const name of path.split("/")) if (name !== "") inode = await fileSystem.lookup(inode.ino, name, signal);
  return inode;
}

/** Where the mount shows a path of a library, if it does. */
type Locate = (library: Library, path: string) => string | undefined;

function itemOf({ state, library, ...item }: OutboxItem, locate: Locate): QueueItem {
  const location = locate(library, item.path);
  return {
    ...item,
    library: library.info.name,
    ...(location === undefined ? {} : { location }),
    state: state.state,
    ...(state.state === "uploading" ? { sent: state.sent } : {}),
    ...("at" in state && Number.isFinite(state.at) ? { at: state.at } : {}),
    ...("reason" in state ? { reason: state.reason } : {}),
    ...("because" in state ? { because: state.because } : {}),
  };
}

/** Asked for every item of a queue, which may be long. */
function locatorOf({ library: only, path: folder, infos }: Target): Locate {
  if (only === undefined) {
    const names = new Map([...uniqueNames(infos)].map(([{ id }, name]) => [id, name]));
    return (library, path) => `/${names.get(library.id) ?? library.info.name}${path}`;
  }
  const top = folder === undefined || folder === "/" ? "" : folder;
  return (library, path) => (library.id === only.id && path.startsWith(`${top}/`) ? path.slice(top.length) : undefined);
}

function statusOf(parts: ControlParts, items: readonly QueueItem[], since: number, rates: Rates): MountStatus {
  const { assembled, target } = parts;
  const { committer, cache, listings, outbox } = assembled;
  const shown = target.library === undefined ? target.infos : [target.library.info];
  return {
    mountpoint: parts.mountpoint,
    server: parts.server,
    user: parts.user,
    pid: process.pid,
    since,
    transport: parts.transport,
    online: parts.account.isOnline,
    libraries: shown.map(({ name, id, writable, encrypted }) => ({
      name,
      id,
      permission: writable ? "rw" : "r",
      encrypted,
      locked: parts.account.isLocked(id),
    })),
    queue: {
      files: items.length,
      bytes: items.reduce((sum, { size }) => sum + size, 0),
      held: items.filter(({ state }) => state === "held").length,
      retrying: items.filter(({ state }) => state === "retrying").length,
      uploading: items.filter(({ state }) => state === "uploading"),
    },
    rates: rates.now(),
    errors: committer.errors,
    cache: { bytes: cache.size, maxBytes: cache.limit, listedEntries: listings.size },
    timesNotKept: outbox.timesNotKept,
  };
}

/** Bytes per second since the last question, or over the last second at least. */
class Rates {
  readonly #parts: ControlParts;
  #at = performance.now();
  #up = 0;
  #down = 0;
  #last = { uploadBytesPerSecond: 0, downloadBytesPerSecond: 0 };

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  now() {
    const seconds = (performance.now() - this.#at) / 1000;
    if (seconds < 0.2) return this.#last;
    const { uploaded } = this.#parts.assembled.committer;
    const { downloaded } = this.#parts.account;
    this.#last = {
      uploadBytesPerSecond: Math.round((uploaded - this.#up) / seconds),
      downloadBytesPerSecond: Math.round((downloaded - this.#down) / seconds),
    };
    [this.#at, this.#up, this.#down] = [performance.now(), uploaded, downloaded];
    return this.#last;
  }
}
