/**
 * What others do on the server, among the random operations: each changes the store directly and waits until the mount shows
 * it, as SEMANTICS promises for the refresh time. Left out by their preconditions are changes of files that are open for
 * writing, where a conflict copy is right: those have tests of their own (test/mount/remote-changes.test.ts).
 */
import fc from "fast-check";
import { CallError } from "../support/fs-worker.ts";
import { eventually } from "../support/process.ts";
import { has } from "../support/transport.ts";
import { aTarget, type Data, someData, type Target } from "./arbitraries.ts";
import { at, type Command, command, type Model, type Real, type Weighted } from "./command.ts";
import type { ModelHandle, Path } from "./model-fs.ts";

const remotePath = (path: Path) => `/${path.join("/")}`;

/**
 * Nobody here has a file at or below the path open with something to store at its close; or open at all, where the transport shows
 * no other version meanwhile.
 */
function isQuiet(model: Readonly<Model>, path: Path): boolean {
  const files = new Set(model.fs.filesAt(model.fs.find(path)));
  const matters = (handle: ModelHandle) => handle.hasNews || !has("versionPerOpen");
  return ![...model.handles.values()].some((handle) => matters(handle) && files.has(handle.node));
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

function remoteWrite(target: Target, data: Data): Command {
  return command((model) => {
    const path = target(model.fs);
    if (!isDir(model, path.slice(0, -1)) || isDir(model, path) || !isQuiet(model, path)) return undefined;
    const what = `remote write ${path.join("/")} ${data}`;
    return {
      shown: what,
      run: async (real) => {
        model.fs.replace(path, data.bytes);
        await real.remote!.write(remotePath(path), data.bytes);
        await shown(what, model, real, [path]);
      },
    };
  });
}

function remoteMkdir(target: Target): Command {
  return command((model) => {
    const path = target(model.fs);
    if (!isDir(model, path.slice(0, -1)) || model.fs.find(path) !== undefined) return undefined;
    const what = `remote mkdir ${path.join("/")}`;
    return {
      shown: what,
      run: async (real) => {
        model.fs.mkdir(path);
        await real.remote!.mkdir(remotePath(path));
        await shown(what, model, real, [path]);
      },
    };
  });
}

function remoteRemove(target: Target): Command {
  return command((model) => {
    const path = target(model.fs);
    if (model.fs.find(path) === undefined || !isQuiet(model, path)) return undefined;
    const what = `remote remove ${path.join("/")}`;
    return {
      shown: what,
      run: async (real) => {
        model.fs.removeAll(path);
        await real.remote!.remove(remotePath(path));
        await shown(what, model, real, [path]);
      },
    };
  });
}

function remoteMove(source: Target, target: Target): Command {
  return command((model) => {
    const [from, to] = [source(model.fs), target(model.fs)];
    const intoItself = from.every((name, i) => to[i] === name);
    if (intoItself || model.fs.find(from) === undefined || !isQuiet(model, from)) return undefined;
    if (!isDir(model, to.slice(0, -1)) || model.fs.find(to) !== undefined) return undefined;
    const what = `remote move ${from.join("/")} -> ${to.join("/")}`;
    return {
      shown: what,
      run: async (real) => {
        model.fs.rename(from, to);
        await real.remote!.move(remotePath(from), remotePath(to));
        await shown(what, model, real, [from, to]);
      },
    };
  });
}

const something = aTarget({ file: 3, dir: 2 });
const freeName = aTarget({ free: 1 });

export const remoteCommands: readonly Weighted[] = [
  { weight: 3, arbitrary: fc.tuple(aTarget({ file: 3, free: 2 }), someData).map((args) => remoteWrite(...args)) },
  { weight: 1, arbitrary: freeName.map(remoteMkdir) },
  { weight: 1, arbitrary: something.map(remoteRemove) },
  { weight: 2, arbitrary: fc.tuple(something, freeName).map((args) => remoteMove(...args)) },
];
