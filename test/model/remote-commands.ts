/**
 * What others do on the server, among the random operations: each changes the store directly and waits until the mount shows
 * it, as SEMANTICS promises for the refresh time. Left out by their preconditions are changes of files that are open for
 * writing, where a conflict copy is right: those have tests of their own (test/mount/remote-changes.test.ts).
 */
import fc from "fast-check";
import { CallError } from "../support/fs-worker.ts";
import { eventually } from "../support/process.ts";
import {
  aPath,
  at,
  type Command,
  command,
  type Data,
  type Model,
  type Real,
  someData,
  type Weighted,
} from "./command.ts";
import type { Path } from "./model-fs.ts";

const remotePath = (path: Path) => `/${path.join("/")}`;

/** Nobody here has a file at or below the path open for writing. */
function isQuiet(model: Readonly<Model>, path: Path): boolean {
  const files = new Set(model.fs.filesAt(model.fs.find(path)));
  return ![...model.handles.values()].some((handle) => handle.writable && files.has(handle.node));
}

const isDir = (model: Readonly<Model>, path: Path) => model.fs.find(path)?.kind === "dir";

/** Whether what the mount shows at a path is what the model holds there, down to the last file. */
async function isShown(model: Model, real: Real, path: Path): Promise<boolean> {
  const node = model.fs.find(path);
  try {
    if (node?.kind === "file") return (await real.worker.readFile(at(real, path))).equals(node.data);
    if (node?.kind === "dir") {
      const names = await real.worker.listdir(at(real, path));
      if (names.join("\n") !== [...node.entries.keys()].sort().join("\n")) return false;
      for (const name of names) if (!(await isShown(model, real, [...path, name]))) return false;
      return true;
    }
    await real.worker.stat(at(real, path));
    return false;
  } catch (error) {
    if (error instanceof CallError) return node === undefined && ["ENOENT", "ENOTDIR"].includes(error.code);
    throw error;
  }
}

/** The names of the parents are part of what must be shown. */
async function shown(what: string, model: Model, real: Real, paths: readonly Path[]): Promise<void> {
  await eventually(`${what} is shown by the mount`, async () => {
    for (const path of paths) {
      const names = await real.worker.listdir(at(real, path.slice(0, -1)));
      if (names.includes(path.at(-1)!) !== (model.fs.find(path) !== undefined)) return false;
      if (!(await isShown(model, real, path))) return false;
    }
    return true;
  });
}

function remoteWrite(path: Path, data: Data): Command {
  const text = `remote write ${path.join("/")} ${data}`;
  return command(
    text,
    async (m, r) => {
      m.fs.replace(path, data.bytes);
      await r.remote!.write(remotePath(path), data.bytes);
      await shown(text, m, r, [path]);
    },
    (m) => isDir(m, path.slice(0, -1)) && !isDir(m, path) && isQuiet(m, path),
  );
}

function remoteMkdir(path: Path): Command {
  const text = `remote mkdir ${path.join("/")}`;
  return command(
    text,
    async (m, r) => {
      m.fs.mkdir(path);
      await r.remote!.mkdir(remotePath(path));
      await shown(text, m, r, [path]);
    },
    (m) => isDir(m, path.slice(0, -1)) && m.fs.find(path) === undefined,
  );
}

function remoteRemove(path: Path): Command {
  const text = `remote remove ${path.join("/")}`;
  return command(
    text,
    async (m, r) => {
      m.fs.removeAll(path);
      await r.remote!.remove(remotePath(path));
      await shown(text, m, r, [path]);
    },
    (m) => m.fs.find(path) !== undefined && isQuiet(m, path),
  );
}

function remoteMove(from: Path, to: Path): Command {
  const text = `remote move ${from.join("/")} -> ${to.join("/")}`;
  const intoItself = from.every((name, i) => to[i] === name);
  return command(
    text,
    async (m, r) => {
      m.fs.rename(from, to);
      await r.remote!.move(remotePath(from), remotePath(to));
      await shown(text, m, r, [from, to]);
    },
    (m) =>
      !intoItself &&
      m.fs.find(from) !== undefined &&
      m.fs.find(to) === undefined &&
      isDir(m, to.slice(0, -1)) &&
      isQuiet(m, from),
  );
}

/** Rare, because each waits for the refresh. */
export const remoteCommands: readonly Weighted[] = [
  { weight: 2, arbitrary: fc.tuple(aPath, someData).map((args) => remoteWrite(...args)) },
  { weight: 1, arbitrary: aPath.map(remoteMkdir) },
  { weight: 1, arbitrary: aPath.map(remoteRemove) },
  { weight: 1, arbitrary: fc.tuple(aPath, aPath).map((args) => remoteMove(...args)) },
];
