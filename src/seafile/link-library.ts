/**
 * What folder, file and upload links have in common as libraries: nothing is known of the owner's account, nor of the library's own
 * id. Extended by share-link.ts and upload-link.ts.
 */
import type { ChangeResult } from "./change-result.ts";
import type { Context } from "./context.ts";
import { SeafileError } from "./errors.ts";
import type { Library } from "./library.ts";
import { idOf, type LinkAddress } from "./link-address.ts";
import type { LinkSession } from "./link-session.ts";
import type {
  Change,
  CommitId,
  Content,
  FileVersion,
  LibraryId,
  LibraryInfo,
  ObjectId,
  Quota,
  RemoteEntry,
  RemoteListing,
} from "./types.ts";

export interface LinkParts {
  readonly context: Pick<Context, "http" | "log" | "policy" | "limits">;
  readonly address: LinkAddress;
  readonly session: LinkSession;
  readonly password: string | undefined;
  /** As Account's. */
  readonly fileServer: string | undefined;
  readonly clock: () => number;
}

export abstract class LinkLibrary implements Library {
  readonly id: LibraryId;
  readonly info: LibraryInfo;

  constructor(address: LinkAddress, kind: Pick<LibraryInfo, "name" | "writable" | "addOnly">) {
    this.id = idOf(address);
    const unknown = { ownerName: "", ownerEmail: "", size: 0, mtime: 0, head: "" as CommitId };
    this.info = { id: this.id, kind: "shared", encrypted: false, ...unknown, ...kind };
  }

  async keepsMtimes(): Promise<boolean> {
    return false;
  }

  /** Links to encrypted libraries cannot be made. */
  get isLocked(): boolean {
    return false;
  }

  prepareWriting(): undefined {}

  async quota(): Promise<Quota> {
    return { used: 0, total: null };
  }

  abstract idOf(content: Content, signal?: AbortSignal): Promise<ObjectId | undefined>;
  abstract list(path: string, known?: ObjectId, signal?: AbortSignal): Promise<RemoteListing | "unchanged">;
  abstract stat(path: string, signal?: AbortSignal): Promise<RemoteEntry | undefined>;
  abstract pin(version: FileVersion, signal?: AbortSignal): Promise<ObjectId>;
  abstract read(version: FileVersion, start: number, end: number, signal?: AbortSignal): AsyncIterable<Buffer>;
  abstract apply(changes: readonly Change[], signal?: AbortSignal): Promise<ChangeResult[]>;
}

export function gone(cause?: SeafileError): SeafileError {
  return new SeafileError("forbidden", "The link has expired or was removed.", { status: cause?.status, cause });
}
