/**
 * Copying and moving entries between directories, of one library or two. Within a library a move is one commit, between
 * two it is one in each. Called by the web API (file, fileops and batch endpoints) and by Store.move.
 */
import { type Library, RpcError } from "./library.ts";
import { type Dirent, isDirectory } from "./objects.ts";
import { canonicalDirectory, freeNameB, joinPath } from "./paths.ts";
import * as tree from "./tree.ts";

export interface Transfer {
  readonly by: string;
  readonly move: boolean;
  readonly source: Library;
  readonly sourceDirectory: string;
  readonly names: readonly string[];
  readonly target: Library;
  readonly targetDirectory: string;
  /** Wanted names, in the order of `names`; taken ones are suffixed by rule B. */
  readonly newNames: readonly string[];
}

/**
 * Does it, keeping times. Gives the final names, or undefined when a source is missing inside one library: the real RPC
 * fails without saying so there, and seahub reports success. Throws RpcError for everything else that cannot be done.
 */
export function transfer(request: Transfer): string[] | undefined {
  const { source, target, move } = request;
  const verb = move ? "move" : "copy";
  const sourceDirectory = request.sourceDirectory.normalize("NFC");
  const targetDirectory = request.targetDirectory.normalize("NFC");
  const entries = findAll(source, sourceDirectory, request.names);
  if (entries === undefined) {
    if (source === target) return undefined;
    throw new RpcError(`Failed to ${verb}`);
  }
  // Blocks of one library mean nothing under the key of another; the server refuses as often as it re-encrypts.
  if (source !== target && (source.isEncrypted || target.isEncrypted)) throw new RpcError(`Failed to ${verb}`);
  const taken = target.names(targetDirectory);
  if (taken === undefined || isInside(request, entries)) throw new RpcError(`Failed to ${verb}`);
  const added = entries.map((entry, index): Dirent => {
    const name = freeNameB(request.newNames[index]!.normalize("NFC"), taken);
    if (name === undefined) throw new RpcError("Too many files with same name.");
    taken.add(name);
    return { ...entry, name, modifier: isDirectory(entry) ? "" : request.by };
  });
  store(request, sourceDirectory, targetDirectory, entries, added);
  return added.map((entry) => entry.name);
}

function findAll(library: Library, directory: string, names: readonly string[]): Dirent[] | undefined {
  const present = new Map(library.entries(directory)?.map((entry) => [entry.name, entry]));
  const found = names.map((name) => present.get(name.normalize("NFC")));
  return found.every((entry) => entry !== undefined) ? found : undefined;
}

/** Whether a directory would land in itself or below. */
function isInside(request: Transfer, entries: readonly Dirent[]): boolean {
  if (request.source !== request.target) return false;
  const target = `${canonicalDirectory(request.targetDirectory)}/`;
  return entries.some((entry) => {
    const path = joinPath(canonicalDirectory(request.sourceDirectory), entry.name);
    return isDirectory(entry) && target.startsWith(`${path}/`);
  });
}

function store(
  request: Transfer,
  sourceDirectory: string,
  targetDirectory: string,
  entries: readonly Dirent[],
  added: readonly Dirent[],
): void {
  const { by, source, target, move } = request;
  const names = new Set(entries.map((entry) => entry.name));
  const now = target.now();
  const describe = (verb: string) => {
    const first = entries[0]!;
    const more = entries.length > 1 ? ` and ${entries.length - 1} more files` : "";
    return `${verb} ${isDirectory(first) ? "directory " : ""}"${first.name}"${more}.`;
  };
  if (move && source === target) {
    const without = tree.remove(source.fs, source.root, sourceDirectory, names, now);
    source.commit(by, describe("Moved"), tree.put(source.fs, without, targetDirectory, added, now));
    return;
  }
  target.commit(by, describe("Added"), tree.put(target.fs, target.root, targetDirectory, added, now));
  if (move) source.commit(by, describe("Deleted"), tree.remove(source.fs, source.root, sourceDirectory, names, now));
}
