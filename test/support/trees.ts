/**
 * Compares what the server holds, asked directly and not through any mount, with folders as programs see them.
 * A tree is a record from relative path to content: folders end in "/", files carry size and SHA-256.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, opendir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DevServer } from "../../src/devserver/index.ts";

export type Tree = Readonly<Record<string, string>>;

const describeBytes = (size: number, digest: string) => `${size} bytes, sha256 ${digest}`;

export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** What a tree says of a file with this content. */
export function fileOf(data: string | Uint8Array): string {
  return describeBytes(Buffer.byteLength(data), sha256(data));
}

/** What the server holds at and below a folder of a library. */
export async function serverTree(server: DevServer, libraryId: string, under = "/"): Promise<Tree> {
  const prefix = under === "/" ? "/" : `${under}/`;
  const tree: Record<string, string> = {};
  for (const [path, entry] of server.store.tree(libraryId)) {
    if (!path.startsWith(prefix) || path === prefix) continue;
    const name = path.slice(prefix.length);
    if (entry.kind === "dir") tree[`${name}/`] = "";
    else tree[name] = fileOf(await server.store.readFile(libraryId, path));
  }
  return sorted(tree);
}

/** A local folder (or a mount) the same way. Asynchronous throughout; symbolic links and special files are an error. */
export async function localTree(dir: string): Promise<Tree> {
  const tree: Record<string, string> = {};
  const walk = async (relative: string): Promise<void> => {
    for await (const entry of await opendir(join(dir, relative))) {
      const name = relative === "" ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) {
        tree[`${name}/`] = "";
        await walk(name);
      } else if (entry.isFile()) {
        tree[name] = await hashFile(join(dir, name));
      } else {
        throw new Error(`neither file nor folder: ${name}`);
      }
    }
  };
  await walk("");
  return sorted(tree);
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return describeBytes(size, hash.digest("hex"));
}

/** The content of one file on the server as text. */
export async function serverText(server: DevServer, libraryId: string, path: string): Promise<string> {
  return (await server.store.readFile(libraryId, path)).toString("utf8");
}

/** Modification time of a file or folder on the server, in Unix seconds. */
export function serverMtime(server: DevServer, libraryId: string, path: string): number {
  const entry = server.store.tree(libraryId).get(path);
  if (entry === undefined) throw new Error(`not on the server: ${path}`);
  return entry.mtime;
}

/** Writes files into a local folder: relative path -> content. */
export async function writeTree(dir: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [name, data] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), data);
  }
}

/** Bytes that look random and are the same in every run (xorshift32). */
export function pattern(size: number, seed = 1): Buffer {
  const data = Buffer.alloc(size);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    data[i] = state & 0xff;
  }
  return data;
}

function sorted(tree: Record<string, string>): Tree {
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1)));
}
