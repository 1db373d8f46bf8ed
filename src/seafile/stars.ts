/**
 * What the account has starred. Files go through api2, which every version has; folders and libraries only v2.1 knows (7.0 and later).
 * Invariant: one list, whichever answered. Owned by Account.
 */
import { type Context, repeat } from "./context.ts";
import {
  deleteStarredFile,
  deleteStarredItem,
  getStarredFiles,
  getStarredItems,
  postStarredFile,
  postStarredItem,
  type StarLine,
} from "./endpoints-sharing.ts";
import { isMissing, SeafileError } from "./errors.ts";
import { type RemotePlace, withoutSlash } from "./link-terms.ts";

export interface Star extends RemotePlace {
  readonly libraryName: string;
  readonly kind: "file" | "dir";
  /** Unix seconds of the last change; undefined when it is gone. */
  readonly mtime: number | undefined;
  /** It was starred and is not there any more. */
  readonly isGone: boolean;
}

export class Stars {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  async list(signal?: AbortSignal): Promise<readonly Star[]> {
    const { http } = this.#context;
    const lines = await repeat(this.#context, signal, () => getStarredItems(http, signal)).catch((error: unknown) => {
      if (!isUnknownAddress(error)) throw error;
      return repeat(this.#context, signal, () => getStarredFiles(http, signal));
    });
    return lines.map(starOf);
  }

  /** What is starred already stays so. Rejects with "not-found". */
  add({ library, path }: RemotePlace, kind: "file" | "dir", signal?: AbortSignal): Promise<void> {
    const { http } = this.#context;
    const post = kind === "file" ? postStarredFile : postStarredItem;
    return repeat(this.#context, signal, () => post(http, library, path, signal));
  }

  /** What is not starred stays so. A file that is gone can be freed of its star, too. */
  async remove({ library, path }: RemotePlace, kind: "file" | "dir", signal?: AbortSignal): Promise<void> {
    const { http } = this.#context;
    const ask = (request: typeof deleteStarredFile) =>
      repeat(this.#context, signal, () => request(http, library, path, signal));
    if (kind === "dir") return ask(deleteStarredItem);
    try {
      await ask(deleteStarredFile);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await ask(deleteStarredItem);
    }
  }
}

const isUnknownAddress = (error: unknown) =>
  error instanceof SeafileError && error.kind === "protocol" && error.status === 404;

function starOf(line: StarLine): Star {
  return {
    library: line.repo_id,
    libraryName: line.repo_name,
    path: withoutSlash(line.path),
    kind: line.is_dir ? "dir" : "file",
    mtime: line.deleted ? undefined : line.mtime,
    isGone: line.deleted,
  };
}
