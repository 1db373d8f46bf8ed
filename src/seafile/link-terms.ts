/**
 * What share links and upload links have in common: the terms under which they are made, and mailing them.
 * Invariant: a link that came out with fewer limits than were asked for does not stay. Called by share-links.ts and upload-links.ts.
 */
import type { Context } from "./context.ts";
import { deleteLink, type LinkForm, type LinkKind, postSendLink } from "./endpoints-links.ts";
import { SeafileError } from "./errors.ts";
import type { LibraryId } from "./types.ts";

/** A file or folder; paths are absolute in the library, "/" the library itself. */
export interface RemotePlace {
  readonly library: LibraryId;
  readonly path: string;
}

export interface LinkTerms {
  readonly password?: string | undefined;
  /** Days from now, or a time in Unix seconds; absent: it never expires. */
  readonly expires?: { readonly days: number } | { readonly at: number } | undefined;
}

/** A link of either kind. */
export interface Link {
  readonly token: string;
  readonly url: string;
  readonly library: LibraryId;
  readonly libraryName: string;
  /** Absolute in the library, without a slash at its end. */
  readonly path: string;
  readonly views: number;
  /** Unix seconds. */
  readonly created: number | undefined;
  /** Unix seconds; undefined: never. */
  readonly expires: number | undefined;
  readonly isExpired: boolean;
  /** undefined: the server does not say. */
  readonly hasPassword: boolean | undefined;
}

interface Line {
  readonly token: string;
  readonly link: string;
  readonly repo_id: LibraryId;
  readonly repo_name: string;
  readonly path: string;
  readonly view_cnt: number;
  readonly ctime?: number | undefined;
  readonly expire_date?: number | undefined;
  readonly is_expired: boolean;
  readonly password?: boolean | undefined;
}

export function linkOf(line: Line): Link {
  return {
    token: line.token,
    url: line.link,
    library: line.repo_id,
    libraryName: line.repo_name,
    path: withoutSlash(line.path),
    views: line.view_cnt,
    created: line.ctime,
    expires: line.expire_date,
    isExpired: line.is_expired,
    hasPassword: line.password,
  };
}

/** Folders come with a slash at the end. */
export const withoutSlash = (path: string) => path.replace(/\/+$/, "") || "/";

export const isAt =
  ({ library, path }: RemotePlace) =>
  (link: Link) =>
    link.library === library && link.path === path;

export function formOf({ password, expires }: LinkTerms): LinkForm {
  return {
    ...(password === undefined ? {} : { password }),
    ...(expires !== undefined && "days" in expires ? { expire_days: expires.days } : {}),
    ...(expires !== undefined && "at" in expires ? { expiration_time: isoOf(expires.at) } : {}),
  };
}

/** As the server writes it, and versions that read it demand it: "+00:00" and no fraction. */
const isoOf = (seconds: number) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "+00:00");

export function alreadyThere(kind: LinkKind, path: string): SeafileError {
  const message = `There is a link of yours to ${JSON.stringify(path)} already; remove it first (\`seamount ${kind}-links rm\`).`;
  return new SeafileError("exists", message);
}

/** Old versions pass over terms that they do not know, and a link without its limits is worse than none. */
export async function assertLimited<Made extends Link>(
  { http }: Context,
  kind: LinkKind,
  link: Made,
  terms: LinkTerms,
): Promise<Made> {
  const isOpen = terms.password !== undefined && link.hasPassword === false;
  const isEndless = terms.expires !== undefined && link.expires === undefined;
  if (!isOpen && !isEndless) return link;
  await deleteLink(http, kind, link.token);
  const what = isOpen ? "a password" : "an expiry";
  throw new SeafileError(
    "protocol",
    `This server makes links without ${what} when it is asked for one; the link was removed.`,
  );
}

/** What became of a mail to one address. */
export interface Mailed {
  readonly email: string;
  /** Why it was not sent, in the words of the server. */
  readonly error: string | undefined;
}

/** Sends the link to each address, once: a failure is not tried again, because mails may be on their way. */
export async function sendLink(
  { http }: Context,
  kind: LinkKind,
  link: Link,
  emails: readonly string[],
  message?: string,
): Promise<readonly Mailed[]> {
  const email = emails.join(",");
  const mail = { token: link.token, email, ...(message === undefined ? {} : { extra_msg: message }) };
  const { success, failed } = await postSendLink(http, kind, mail);
  const sent = success.map((email) => ({ email, error: undefined }));
  return [...sent, ...failed.map(({ email, error_msg }) => ({ email, error: error_msg || "not sent" }))];
}
