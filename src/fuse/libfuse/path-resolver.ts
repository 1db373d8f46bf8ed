/**
 * "/a/b" to an inode, by one lookup per name from the root. Invariants: it remembers nothing (the filesystem below answers from its
 * own listings); every lookup it counted is given back, by release() or when the way ends early.
 * Called by path-operations.ts.
 */
import { ErrnoError } from "../../util/errno.ts";
import type { OpContext, Operations } from "../transport.ts";

/** The kernel's number of the root (FUSE_ROOT_ID). */
export const ROOT_INO = 1;

/** An inode that lives until release() is called. */
export interface Resolved {
  readonly ino: number;
  release(): void;
}

export class PathResolver {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  /** Throws ENOENT, ENOTDIR or what else a lookup throws. */
  async resolve(ctx: OpContext, path: string): Promise<Resolved> {
    const counted: number[] = [];
    const release = () => {
      for (const ino of counted.splice(0)) this.#operations.forget(ino, 1);
    };
    let ino = ROOT_INO;
    try {
      for (const name of namesOf(path)) {
        ino = (await this.#operations.lookup(ctx, ino, name)).attr.ino;
        counted.push(ino);
      }
      return { ino, release };
    } catch (error) {
      release();
      throw error;
    }
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
