/**
 * The account's public links to files and folders: list, make, remove, mail. Invariant: there is at most one per file or folder and
 * account (the server's rule), and making one never changes the terms of one that is there. Owned by Account.
 */
import { type Context, repeat } from "./context.ts";
import {
  deleteLink,
  getShareLink,
  getShareLinks,
  type LinkPlace,
  postShareLink,
  putSharedLink,
} from "./endpoints-links.ts";
import { SeafileError } from "./errors.ts";
import {
  alreadyThere,
  assertLimited,
  formOf,
  isAt,
  type Link,
  type LinkTerms,
  linkOf,
  type Mailed,
  type RemotePlace,
  sendLink,
} from "./link-terms.ts";
import { retry } from "./retry.ts";
import type { ShareLinkLine } from "./schema-sharing.ts";

export interface LinkPermissions {
  readonly download: boolean;
  readonly edit: boolean;
  /** Into a folder. */
  readonly upload: boolean;
}

export interface ShareLink extends Link {
  readonly kind: "file" | "dir";
  readonly permissions: LinkPermissions;
}

export interface ShareTerms extends LinkTerms {
  /** Default: download only. */
  readonly permissions?: LinkPermissions | undefined;
}

export class ShareLinks {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** All of the account, those in a library, or that to one path (rejects with "not-found" when nothing is there). */
  async list(place?: LinkPlace, signal?: AbortSignal): Promise<readonly ShareLink[]> {
    const lines = await repeat(this.#context, signal, () => getShareLinks(this.#context.http, place, signal));
    const links = lines.map(shareLinkOf);
    return place?.path === undefined ? links : links.filter(isAt({ library: place.library, path: place.path }));
  }

  /** The link to the path, or undefined. Rejects with "not-found" when nothing is at the path. */
  async find(place: RemotePlace, signal?: AbortSignal): Promise<ShareLink | undefined> {
    return (await this.list(place, signal))[0];
  }

  /** The link of that token. Rejects with "not-found". */
  async get(token: string, signal?: AbortSignal): Promise<ShareLink> {
    return shareLinkOf(await repeat(this.#context, signal, () => getShareLink(this.#context.http, token, signal)));
  }

  /**
   * The link to the path that anybody may download with, which is made when there is none. Rejects with "exists" when there is one
   * that has expired, "not-found" when nothing is at the path, "forbidden" in encrypted libraries.
   */
  async obtain(place: RemotePlace, signal?: AbortSignal): Promise<ShareLink> {
    const { http } = this.#context;
    const url = await repeat(this.#context, signal, () => putSharedLink(http, place, signal)).catch(
      (error: unknown) => {
        const isNowhere = error instanceof SeafileError && error.status === 400 && /invalid path/i.test(error.message);
        throw isNowhere ? nothingAt(place.path, error) : error;
      },
    );
    const token = /\/([\w-]+)\/?$/.exec(url ?? "")?.[1];
    if (token === undefined) throw new SeafileError("protocol", "The server made a link and did not say which.");
    const link = await this.get(token, signal);
    if (link.isExpired) throw alreadyThere("share", place.path);
    return link;
  }

  /** Makes a link with these terms. Rejects as obtain, and with "exists" whenever there is one. */
  async create(place: RemotePlace, terms: ShareTerms, signal?: AbortSignal): Promise<ShareLink> {
    const { http, policy, log } = this.#context;
    const { permissions } = terms;
    const form = {
      ...formOf(terms),
      ...(permissions === undefined
        ? {}
        : {
            permissions: {
              can_edit: permissions.edit,
              can_download: permissions.download,
              can_upload: permissions.upload,
            },
          }),
    };
    // Before 8.0 the server hands out the one that is there, without a word.
    if ((await this.find(place, signal)) !== undefined) throw alreadyThere("share", place.path);
    const settle = () => this.find(place, signal);
    const make = async () => shareLinkOf(await postShareLink(http, place, form));
    const link = await retry({ policy, log, signal, settle }, make).catch((error: unknown) => {
      throw error instanceof SeafileError && /already exists/.test(error.message)
        ? alreadyThere("share", place.path)
        : error;
    });
    return assertLimited(this.#context, "share", link, terms);
  }

  /** Nobody can use it any more. One that is gone counts as removed. */
  remove({ token }: Pick<ShareLink, "token">, signal?: AbortSignal): Promise<void> {
    return repeat(this.#context, signal, () => deleteLink(this.#context.http, "share", token, signal));
  }

  /** One result per address. Rejects with "forbidden" when the server sends no mail at all. */
  send(link: ShareLink, emails: readonly string[], message?: string): Promise<readonly Mailed[]> {
    return sendLink(this.#context, "share", link, emails, message);
  }
}

function nothingAt(path: string, cause: unknown): SeafileError {
  return new SeafileError("not-found", `There is nothing at ${JSON.stringify(path)} in the library.`, { cause });
}

function shareLinkOf(line: ShareLinkLine): ShareLink {
  const { can_download: download, can_edit: edit, can_upload: upload } = line.permissions;
  return { ...linkOf(line), kind: line.is_dir ? "dir" : "file", permissions: { download, edit, upload } };
}
