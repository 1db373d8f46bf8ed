/**
 * What users have starred: paths of files, folders and whole libraries. A star stays at its path when the entry is renamed or
 * deleted. Invariant: one star per user and path, with or without its final slash. Kept in the state file; called by the
 * starred views and the listings.
 */
import { normalizeDirectory } from "./paths.ts";

export interface Star {
  readonly userId: string;
  readonly libraryId: string;
  /** "/a/b" of a file, "/a/b/" of a folder, "/" of a library. */
  readonly path: string;
  readonly isFolder: boolean;
}

export class Stars {
  readonly #stars: Star[];
  readonly #save: () => void;

  /** `stars` is changed in place, and `save` called after each change. */
  constructor(stars: Star[], save: () => void) {
    this.#stars = stars;
    this.#save = save;
  }

  /** Oldest first. */
  of(userId: string): Star[] {
    return this.#stars.filter((star) => star.userId === userId);
  }

  /** A path with or without its final slash. */
  has(userId: string, libraryId: string, path: string): boolean {
    return this.#stars.some((star) => isAt(star, userId, libraryId, path));
  }

  add(star: Star): void {
    if (this.has(star.userId, star.libraryId, star.path)) return;
    this.#stars.push(star);
    this.#save();
  }

  remove(userId: string, libraryId: string, path: string): void {
    const kept = this.#stars.filter((star) => !isAt(star, userId, libraryId, path));
    this.#stars.splice(0, this.#stars.length, ...kept);
    this.#save();
  }
}

function isAt(star: Star, userId: string, libraryId: string, path: string): boolean {
  if (star.userId !== userId || star.libraryId !== libraryId) return false;
  return normalizeDirectory(star.path) === normalizeDirectory(path);
}
