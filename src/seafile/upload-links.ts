/**
 * The account's public links to upload to folders: list, make, remove, mail, and the address to upload to. Invariant: there is at most
 * one per folder and account, and one with other terms than asked for is never taken for the one that was asked for. Owned by Account.
 */
import { type Context, repeat } from "./context.ts";
import {
  deleteLink,
  getUploadAddress,
  getUploadLinkInfo,
  getUploadLinks,
  type LinkPlace,
  postUploadLink,
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

export type UploadLink = Link;

export class UploadLinks {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** All of the account, those in a library, or that to one folder. */
  async list(place?: LinkPlace, signal?: AbortSignal): Promise<readonly UploadLink[]> {
    const lines = await repeat(this.#context, signal, () => getUploadLinks(this.#context.http, place, signal));
    const links = lines.map(linkOf);
    // Not every version narrows its answer.
    if (place?.path !== undefined) return links.filter(isAt({ library: place.library, path: place.path }));
    return links.filter((link) => place === undefined || link.library === place.library);
  }

  async find(place: RemotePlace, signal?: AbortSignal): Promise<UploadLink | undefined> {
    return (await this.list(place, signal))[0];
  }

  /** The link of that token. Rejects with "not-found". */
  async get(token: string, signal?: AbortSignal): Promise<UploadLink> {
    return linkOf(await repeat(this.#context, signal, () => getUploadLinkInfo(this.#context.http, token, signal)));
  }

  /**
   * Makes a link to the folder, or without terms finds the one that is there. Rejects with "exists" when there is one and terms were
   * given, or it has expired; "not-found" when no folder is there (a file neither); "forbidden" in encrypted and read-only libraries.
   */
  async create(place: RemotePlace, terms: LinkTerms, signal?: AbortSignal): Promise<UploadLink> {
    const { http } = this.#context;
    const hasTerms = terms.password !== undefined || terms.expires !== undefined;
    if (hasTerms && (await this.#findAnywhere(place, signal)) !== undefined) throw alreadyThere("upload", place.path);
    // Asked again it answers with the link that it made.
    const make = async () => linkOf(await postUploadLink(http, place, formOf(terms)));
    const link = await repeat(this.#context, signal, make);
    if (link.isExpired) throw alreadyThere("upload", place.path);
    return assertLimited(this.#context, "upload", link, terms);
  }

  /** Nobody can get an upload address from it any more. One that is gone counts as removed. */
  remove({ token }: Pick<UploadLink, "token">, signal?: AbortSignal): Promise<void> {
    return repeat(this.#context, signal, () => deleteLink(this.#context.http, "upload", token, signal));
  }

  /** One result per address. Rejects with "forbidden" when the server sends no mail at all. */
  send(link: UploadLink, emails: readonly string[], message?: string): Promise<readonly Mailed[]> {
    return sendLink(this.#context, "upload", link, emails, message);
  }

  /** Where anybody can POST files to for an hour. Rejects with "forbidden" when the link has a password, which only its web page takes. */
  async address({ token, hasPassword }: UploadLink, signal?: AbortSignal): Promise<string> {
    if (hasPassword) {
      throw new SeafileError(
        "forbidden",
        "The link has a password, so that only its web page gives the upload address.",
      );
    }
    return repeat(this.#context, signal, () => getUploadAddress(this.#context.http, token, signal));
  }

  /** A folder that is not there has no link; that it is not there says the server when one is made. */
  #findAnywhere(place: RemotePlace, signal?: AbortSignal): Promise<UploadLink | undefined> {
    return this.find(place, signal).catch((error: unknown) => {
      if (error instanceof SeafileError && error.kind === "not-found") return undefined;
      throw error;
    });
  }
}
