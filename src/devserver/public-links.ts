/**
 * Public links: share links of files and folders, and upload links of folders. A link names a path, not an entry: what is
 * renamed or deleted under it leaves the link behind. Invariant: one share link and one upload link per user and path; a
 * library takes its links with it. Kept in the state file; called by the store and the link views.
 */
import { randomBytes } from "node:crypto";

/** As the API writes them. */
export interface LinkPermissions {
  readonly can_edit: boolean;
  readonly can_download: boolean;
  readonly can_upload: boolean;
}

interface LinkRecord {
  /** 20 hex digits. */
  readonly token: string;
  readonly ownerId: string;
  readonly libraryId: string;
  /** "/a/b" of a file, "/a/b/" of a folder, "/" of a library. */
  readonly path: string;
  views: number;
  /** Unix seconds. */
  readonly created: number;
  /** Unix seconds; null: never. */
  expires: number | null;
  /** "" without one. Seahub too keeps it readable, and shows it to the owner. */
  readonly password: string;
}

export interface ShareLink extends LinkRecord {
  readonly kind: "file" | "folder";
  permissions: LinkPermissions;
}

export interface UploadLink extends LinkRecord {
  readonly kind: "upload";
}

export type PublicLink = ShareLink | UploadLink;

export interface NewLink {
  readonly ownerId: string;
  readonly libraryId: string;
  readonly path: string;
  readonly created: number;
  readonly expires: number | null;
  readonly password: string;
}

export const VIEW_AND_DOWNLOAD: LinkPermissions = { can_edit: false, can_download: true, can_upload: false };

export class PublicLinks {
  readonly #links: PublicLink[];
  readonly #save: () => void;

  /** `links` is changed in place, and `save` called after each change. */
  constructor(links: PublicLink[], save: () => void) {
    this.#links = links;
    this.#save = save;
  }

  byToken(token: string): PublicLink | undefined {
    return this.#links.find((link) => link.token === token);
  }

  shareByToken(token: string): ShareLink | undefined {
    const link = this.byToken(token);
    return link?.kind === "upload" ? undefined : link;
  }

  uploadByToken(token: string): UploadLink | undefined {
    const link = this.byToken(token);
    return link?.kind === "upload" ? link : undefined;
  }

  /** Oldest first. */
  sharesOf(ownerId: string): ShareLink[] {
    return this.#links.filter((link): link is ShareLink => link.kind !== "upload" && link.ownerId === ownerId);
  }

  /** Oldest first. */
  uploadsOf(ownerId: string): UploadLink[] {
    return this.#links.filter((link): link is UploadLink => link.kind === "upload" && link.ownerId === ownerId);
  }

  shareAt(ownerId: string, libraryId: string, path: string): ShareLink | undefined {
    return this.sharesOf(ownerId).find((link) => link.libraryId === libraryId && link.path === path);
  }

  uploadAt(ownerId: string, libraryId: string, path: string): UploadLink | undefined {
    return this.uploadsOf(ownerId).find((link) => link.libraryId === libraryId && link.path === path);
  }

  addShare(link: NewLink, kind: "file" | "folder", permissions: LinkPermissions): ShareLink {
    return this.#add({ ...link, token: newToken(), views: 0, kind, permissions });
  }

  addUpload(link: NewLink): UploadLink {
    return this.#add({ ...link, token: newToken(), views: 0, kind: "upload" });
  }

  #add<T extends PublicLink>(link: T): T {
    this.#links.push(link);
    this.#save();
    return link;
  }

  setExpiry(link: PublicLink, expires: number): void {
    link.expires = expires;
    this.#save();
  }

  setPermissions(link: ShareLink, permissions: LinkPermissions): void {
    link.permissions = permissions;
    this.#save();
  }

  countView(link: PublicLink): void {
    link.views += 1;
    this.#save();
  }

  remove(unwanted: (link: PublicLink) => boolean): void {
    this.#links.splice(0, this.#links.length, ...this.#links.filter((link) => !unwanted(link)));
    this.#save();
  }
}

function newToken(): string {
  return randomBytes(10).toString("hex");
}

export function isExpired(link: PublicLink, nowMs: number): boolean {
  return link.expires !== null && nowMs > link.expires * 1000;
}
