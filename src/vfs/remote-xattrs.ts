/**
 * Extended attributes that are the server's: whether something is starred, and its share link. Reading them asks the server, writing
 * them changes it at once; like all `user.seafile.*` they are not listed, so that no copy of a file stars it or publishes it.
 * Invariant: what the server does not have yet is stored before it is starred or linked. Called by filesystem.ts.
 */
import type { RemotePlace } from "../seafile/link-terms.ts";
import type { ShareLinks } from "../seafile/share-links.ts";
import type { Source } from "../seafile/source.ts";
import type { Star, Stars } from "../seafile/stars.ts";
import { FsError } from "./errno.ts";
import { type Inode, isOnServer, movingAbove, pathOf } from "./inode.ts";
import type { Outbox } from "./outbox.ts";

export const REMOTE_XATTR_NAMES = ["user.seafile.starred", "user.seafile.share_link"] as const;
export type RemoteXattr = (typeof REMOTE_XATTR_NAMES)[number];

/** Flags of setxattr(2). */
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

export interface RemoteXattrsParts {
  readonly account: Pick<Source, "stars" | "shareLinks">;
  readonly outbox: Pick<Outbox, "sync">;
  /** How old the list of stars may be when it answers for a file, in milliseconds. */
  readonly lifetimeMs: number;
}

export class RemoteXattrs {
  readonly #parts: RemoteXattrsParts;
  #stars: { readonly at: number; readonly list: Promise<readonly Star[]> } | undefined;

  constructor(parts: RemoteXattrsParts) {
    this.#parts = parts;
  }

  /** "1" or "0" for starred, the address of the share link; undefined when there is none. */
  async get(inode: Inode, name: RemoteXattr, signal: AbortSignal): Promise<string | undefined> {
    if (inode.unlinked || inode.library === undefined || this.#parts.account.stars === undefined) return undefined;
    const isThere = inode.kind === "dir" || isOnServer(inode);
    if (name === "user.seafile.starred") return isThere && (await this.#isStarred(inode)) ? "1" : "0";
    return isThere ? (await this.#shareLinks.find(placeOf(inode), signal))?.url : undefined;
  }

  /** starred: "1" or "0". share_link: makes one when there is none, whatever the value. Rejects with FsError or SeafileError. */
  async set(inode: Inode, name: RemoteXattr, value: Uint8Array, flags: number, signal: AbortSignal): Promise<void> {
    const text = Buffer.from(value).toString();
    if (name === "user.seafile.starred") {
      if (text !== "0" && text !== "1") throw new FsError("EINVAL", `${name} is 1 or 0`);
      await this.#star(await this.#stored(inode, signal), inode.kind, text === "1", signal);
      return;
    }
    const shareLinks = this.#shareLinks;
    const place = await this.#stored(inode, signal);
    if ((flags & (XATTR_CREATE | XATTR_REPLACE)) !== 0) {
      const isThere = (await shareLinks.find(place, signal)) !== undefined;
      if (isThere && (flags & XATTR_CREATE) !== 0) throw new FsError("EEXIST", "there is a share link");
      if (!isThere && (flags & XATTR_REPLACE) !== 0) throw new FsError("ENODATA", "there is no share link");
    }
    await shareLinks.obtain(place, signal);
  }

  /** Removes the star or the share link. Rejects with ENODATA when there is none. */
  async remove(inode: Inode, name: RemoteXattr, signal: AbortSignal): Promise<void> {
    const place = await this.#stored(inode, signal);
    if (name === "user.seafile.starred") {
      if (!(await this.#isStarred(inode))) throw new FsError("ENODATA", "it is not starred");
      await this.#star(place, inode.kind, false, signal);
      return;
    }
    const shareLinks = this.#shareLinks;
    const link = await shareLinks.find(place, signal);
    if (link === undefined) throw new FsError("ENODATA", "there is no share link");
    await shareLinks.remove(link, signal);
  }

  async #star(place: RemotePlace, kind: Inode["kind"], isWanted: boolean, signal: AbortSignal): Promise<void> {
    const stars = this.#starred;
    this.#stars = undefined;
    try {
      await (isWanted ? stars.add(place, kind, signal) : stars.remove(place, kind, signal));
    } finally {
      // A list that was asked for meanwhile may be from before.
      this.#stars = undefined;
    }
  }

  /** One list answers for all files that are asked about one after the other. */
  async #isStarred(inode: Inode): Promise<boolean> {
    const { lifetimeMs } = this.#parts;
    const now = performance.now();
    if (this.#stars === undefined || now - this.#stars.at > lifetimeMs) {
      const list = this.#starred.list();
      const kept = { at: now, list };
      this.#stars = kept;
      list.catch(() => {
        if (this.#stars === kept) this.#stars = undefined;
      });
    }
    const { library, path } = placeOf(inode);
    return (await this.#stars.list).some((star) => star.library === library && star.path === path);
  }

  get #starred(): Stars {
    return this.#parts.account.stars ?? refuseVisitors();
  }

  get #shareLinks(): ShareLinks {
    return this.#parts.account.shareLinks ?? refuseVisitors();
  }

  /** Where the server has it, once it has. */
  async #stored(inode: Inode, signal: AbortSignal): Promise<RemotePlace> {
    if (inode.library === undefined) throw new FsError("EPERM", "the list of libraries has no such attribute");
    if (inode.kind === "file" && !isOnServer(inode)) await this.#parts.outbox.sync(inode, signal);
    const dir = inode.kind === "dir" ? inode : inode.parent;
    if (dir !== null) await movingAbove(dir);
    if (inode.unlinked) throw new FsError("ENOENT", "it was removed");
    if (inode.kind === "file" && !isOnServer(inode)) throw new FsError("EBUSY", `${inode.name} cannot be stored yet`);
    return placeOf(inode);
  }
}

function refuseVisitors(): never {
  throw new FsError("EPERM", "a public link is used without an account, which alone has stars and share links");
}

export function isRemoteXattr(name: string): name is RemoteXattr {
  return (REMOTE_XATTR_NAMES as readonly string[]).includes(name);
}

/** Only for what is in a library. */
const placeOf = (inode: Inode): RemotePlace => ({ library: inode.library!.id, path: pathOf(inode) });
