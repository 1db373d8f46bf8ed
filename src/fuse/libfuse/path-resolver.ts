/**
 * "/a/b" to an inode, by one lookup per name from the root. Invariants: it remembers nothing (the filesystem below answers from its
 * own listings); of the lookups on the way only the last stays counted, until release().
 * Called by path-operations.ts.
 */
import { ErrnoError } from "../../util/errno.ts";
import type { OpContext, Operations } from "../transport.ts";

/** The kernel's number of the root (FUSE_ROOT_ID). */
export const ROOT_INO = 1;

/** An inode. If it is held, it lives until release() is called, which must be once; else for as long as somebody else holds it. */
export interface Resolved {
  readonly ino: number;
  readonly held: boolean;
  release(): void;
}

export const unheld = (ino: number): Resolved => ({ ino, held: false, release: () => {} });

export class PathResolver {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  /** Throws ENOENT, ENOTDIR or what else a lookup throws. */
  async resolve(ctx: OpContext, path: string): Promise<Resolved> {
    let at = unheld(ROOT_INO);
    for (const name of namesOf(path)) {
      const parent = at;
      try {
        const { ino } = (await this.#operations.lookup(ctx, parent.ino, name)).attr;
        at = { ino, held: true, release: () => this.#operations.forget(ino, 1) };
      } finally {
        parent.release();
      }
    }
    return at;
  }
}

/** The directory and the last name of a path. The root has none: EBUSY. */
export function splitPath(path: string): { readonly directory: string; readonly name: string } {
  if (path === "/") throw new ErrnoError("EBUSY", "The root of the mount cannot be made, removed or renamed");
  const slash = path.lastIndexOf("/");
  return { directory: path.slice(0, slash) || "/", name: path.slice(slash + 1) };
}

/** True when `path` lies below the directory `above`. */
export function isBelow(path: string, above: string): boolean {
  return above === "/" ? path !== "/" : path.startsWith(`${above}/`);
}

const namesOf = (path: string) => path.split("/").filter((name) => name !== "");
