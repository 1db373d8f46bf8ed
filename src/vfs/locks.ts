/**
 * The locks of the filesystem and the order in which they are taken: library tree, then directories by ascending inode, then
 * files by ascending inode, also those of a batch (`lockOrder` of its tasks). The tree is shared by everything that uses paths below and exclusive for moving a directory,
 * because a request under way names its path. Called by name-changes and put-task.
 */
import type { LibraryId } from "../seafile/types.ts";
import { KeyedMutex, type LockMode, type Release } from "../util/keyed-mutex.ts";
import type { DirInode, FileInode } from "./inode.ts";

export class Locks {
  readonly #trees = new KeyedMutex<LibraryId>();
  readonly #directories = new KeyedMutex<number>();
  readonly #files = new KeyedMutex<number>();

  tree(library: LibraryId, mode: LockMode, signal?: AbortSignal): Promise<Release> {
    return this.#trees.lock(library, mode, signal);
  }

  directories(inodes: readonly DirInode[], signal?: AbortSignal): Promise<Release> {
    return lockAll(this.#directories, inodes, signal);
  }

  files(inodes: readonly FileInode[], signal?: AbortSignal): Promise<Release> {
    return lockAll(this.#files, inodes, signal);
  }
}

async function lockAll(
  mutex: KeyedMutex<number>,
  inodes: readonly { readonly ino: number }[],
  signal: AbortSignal | undefined,
): Promise<Release> {
  const numbers = [...new Set(inodes.map((inode) => inode.ino))].sort((a, b) => a - b);
  const releases: Release[] = [];
  const releaseAll = () => {
    for (const release of releases.splice(0).reverse()) release();
  };
  try {
    for (const number of numbers) releases.push(await mutex.lock(number, "exclusive", signal));
  } catch (error) {
    releaseAll();
    throw error;
  }
  return releaseAll;
}
