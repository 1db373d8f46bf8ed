/**
 * A filesystem in memory that answers as POSIX and Linux say, errno included: what a mount is compared with.
 * Plain on purpose: a tree of nodes, handles that point to nodes, no caching. Its own truth is shown by
 * model-on-disk.test.ts, which runs the same random commands against the local disk.
 */

export type ModelNode = ModelFile | ModelDir;

export interface ModelFile {
  readonly kind: "file";
  data: Buffer;
}

export interface ModelDir {
  readonly kind: "dir";
  readonly entries: Map<string, ModelNode>;
}

export interface ModelHandle {
  readonly node: ModelFile;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Also a handle that may not write has news of the file when its open made or emptied it: they are stored at its close. */
  readonly hasNews: boolean;
  readonly append: boolean;
}

/** A call that fails; `code` is the errno's name. */
export class ModelError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** Path below the root, one name an element; never empty. */
export type Path = readonly string[];

/** For expressions; a statement throws by itself. */
const fail = (code: string): never => {
  throw new ModelError(code);
};

export class ModelFs {
  readonly root: ModelDir = { kind: "dir", entries: new Map() };

  open(path: Path, flags: readonly string[]): ModelHandle {
    const { parent, name } = this.#parentOf(path);
    let node = parent.entries.get(name);
    const writable = flags.includes("O_WRONLY") || flags.includes("O_RDWR");
    const hasNews = writable || node === undefined || flags.includes("O_TRUNC");
    if (node === undefined) {
      if (!flags.includes("O_CREAT")) throw new ModelError("ENOENT");
      node = { kind: "file", data: Buffer.alloc(0) };
      parent.entries.set(name, node);
    } else {
      if (flags.includes("O_EXCL")) throw new ModelError("EEXIST");
      if (node.kind === "dir") throw new ModelError("EISDIR");
      if (flags.includes("O_TRUNC")) node.data = Buffer.alloc(0);
    }
    return {
      node: node as ModelFile,
      readable: !flags.includes("O_WRONLY"),
      writable,
      hasNews,
      append: flags.includes("O_APPEND"),
    };
  }

  pread(handle: ModelHandle, size: number, offset: number): Buffer {
    if (!handle.readable) fail("EBADF");
    return handle.node.data.subarray(offset, offset + size);
  }

  /** Linux appends for O_APPEND whatever the offset says (pwrite(2), BUGS). */
  pwrite(handle: ModelHandle, data: Buffer, offset: number): void {
    if (!handle.writable) fail("EBADF");
    writeAt(handle.node, data, handle.append ? handle.node.data.length : offset);
  }

  ftruncate(handle: ModelHandle, size: number): void {
    if (!handle.writable) fail("EINVAL");
    resize(handle.node, size);
  }

  /** fallocate(2) with mode 0: the file is at least so long afterwards. */
  fallocate(handle: ModelHandle, offset: number, length: number): void {
    if (!handle.writable) fail("EBADF");
    if (offset + length > handle.node.data.length) resize(handle.node, offset + length);
  }

  truncate(path: Path, size: number): void {
    const node = this.#existing(path);
    if (node.kind === "dir") throw new ModelError("EISDIR");
    resize(node, size);
  }

  /** Changes bytes within a file, as a shared mapping does. */
  overwrite(path: Path, data: Buffer, offset: number): void {
    const node = this.#existing(path);
    if (node.kind === "dir") throw new ModelError("EISDIR");
    writeAt(node, data, offset);
  }

  readFile(path: Path): Buffer {
    const node = this.#existing(path);
    return node.kind === "dir" ? fail("EISDIR") : node.data;
  }

  stat(path: Path): { kind: "file" | "dir"; size: number } {
    const node = this.#existing(path);
    return { kind: node.kind, size: node.kind === "file" ? node.data.length : 0 };
  }

  listdir(path: Path): string[] {
    const node = path.length === 0 ? this.root : this.#existing(path);
    return node.kind === "file" ? fail("ENOTDIR") : [...node.entries.keys()].sort();
  }

  mkdir(path: Path): void {
    const { parent, name } = this.#parentOf(path);
    if (parent.entries.has(name)) fail("EEXIST");
    parent.entries.set(name, { kind: "dir", entries: new Map() });
  }

  rmdir(path: Path): void {
    const node = this.#existing(path);
    if (node.kind === "file") throw new ModelError("ENOTDIR");
    if (node.entries.size > 0) throw new ModelError("ENOTEMPTY");
    this.#remove(path);
  }

  unlink(path: Path): void {
    if (this.#existing(path).kind === "dir") fail("EISDIR");
    this.#remove(path);
  }

  /** Order of the checks: fs/namei.c, do_renameat2 and vfs_rename. */
  rename(from: Path, to: Path, noReplace = false): void {
    const source = this.#parentOf(from);
    const target = this.#parentOf(to);
    const node = source.parent.entries.get(source.name) ?? fail("ENOENT");
    const replaced = target.parent.entries.get(target.name);
    if (noReplace && replaced !== undefined) fail("EEXIST");
    if (isBelow(to, from)) fail("EINVAL");
    if (isBelow(from, to)) fail("ENOTEMPTY");
    if (replaced === node) return;
    if (replaced !== undefined) {
      if (node.kind === "dir" && replaced.kind === "file") fail("ENOTDIR");
      if (node.kind === "file" && replaced.kind === "dir") fail("EISDIR");
      if (replaced.kind === "dir" && replaced.entries.size > 0) fail("ENOTEMPTY");
    }
    source.parent.entries.delete(source.name);
    target.parent.entries.set(target.name, node);
  }

  /** Somebody else stores a new version: handles keep the old one. */
  replace(path: Path, data: Buffer): void {
    const { parent, name } = this.#parentOf(path);
    parent.entries.set(name, { kind: "file", data });
  }

  /** Somebody else removes a file or a whole folder. */
  removeAll(path: Path): void {
    this.#existing(path);
    this.#remove(path);
  }

  /** The node at a path, or undefined when there is none. */
  find(path: Path): ModelNode | undefined {
    let node: ModelNode | undefined = this.root;
    for (const name of path) node = node?.kind === "dir" ? node.entries.get(name) : undefined;
    return node;
  }

  files(): Path[] {
    return this.#paths("file");
  }

  /** Without the root. */
  folders(): Path[] {
    return this.#paths("dir");
  }

  #paths(kind: "file" | "dir"): Path[] {
    const walk = (dir: ModelDir, path: Path): Path[] =>
      [...dir.entries].flatMap(([name, node]) => {
        const below = node.kind === "dir" ? walk(node, [...path, name]) : [];
        return node.kind === kind ? [[...path, name], ...below] : below;
      });
    return walk(this.root, []);
  }

  /** Every file at and below a node. */
  filesAt(node: ModelNode | undefined): ModelFile[] {
    if (node === undefined) return [];
    return node.kind === "file" ? [node] : [...node.entries.values()].flatMap((entry) => this.filesAt(entry));
  }

  /** Relative path -> content for files, null for folders (their path ends in "/"). */
  tree(): Record<string, Buffer | null> {
    const tree: Record<string, Buffer | null> = {};
    const walk = (dir: ModelDir, prefix: string) => {
      for (const [name, node] of dir.entries) {
        if (node.kind === "file") tree[prefix + name] = node.data;
        else {
          tree[`${prefix}${name}/`] = null;
          walk(node, `${prefix}${name}/`);
        }
      }
    };
    walk(this.root, "");
    return tree;
  }

  #parentOf(path: Path): { parent: ModelDir; name: string } {
    let parent: ModelNode = this.root;
    for (const name of path.slice(0, -1)) {
      if (parent.kind === "file") throw new ModelError("ENOTDIR");
      parent = parent.entries.get(name) ?? fail("ENOENT");
    }
    return parent.kind === "file" ? fail("ENOTDIR") : { parent, name: path.at(-1)! };
  }

  #existing(path: Path): ModelNode {
    const { parent, name } = this.#parentOf(path);
    return parent.entries.get(name) ?? fail("ENOENT");
  }

  #remove(path: Path): void {
    const { parent, name } = this.#parentOf(path);
    parent.entries.delete(name);
  }
}

/** Whether `path` is strictly below `ancestor`. */
function isBelow(path: Path, ancestor: Path): boolean {
  return path.length > ancestor.length && ancestor.every((name, i) => path[i] === name);
}

function resize(node: ModelFile, size: number): void {
  const data = Buffer.alloc(size);
  node.data.copy(data, 0, 0, size);
  node.data = data;
}

function writeAt(node: ModelFile, data: Buffer, offset: number): void {
  if (data.length === 0) return;
  const size = Math.max(node.data.length, offset + data.length);
  const copy = Buffer.alloc(size);
  node.data.copy(copy);
  data.copy(copy, offset);
  node.data = copy;
}
