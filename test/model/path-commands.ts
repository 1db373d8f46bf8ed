/** Random operations on paths, existing or not: the tree, whole files, and what stat and listdir say of them. */
import fc from "fast-check";
import { anOffset, aTarget, type Data, someData, type Target } from "./arbitraries.ts";
import { at, type Command, callStep, command, foldersCanGo, statOf, type Weighted } from "./command.ts";
import type { ModelFs, Path } from "./model-fs.ts";

/** One system call without a result on a path. */
function call(op: string, target: Target, model: (fs: ModelFs, path: Path) => void, ...args: unknown[]): Command {
  return command(({ fs }) => {
    const path = target(fs);
    return callStep<void>(
      [op, path.join("/"), ...args].join(" "),
      () => model(fs, path),
      async (real) => void (await real.worker.call(op, at(real, path), ...args)),
    );
  });
}

function rmdir(target: Target): Command {
  return command((model) => {
    if (!foldersCanGo(model)) return undefined;
    const path = target(model.fs);
    return callStep<void>(
      `rmdir ${path.join("/")}`,
      () => model.fs.rmdir(path),
      async (real) => void (await real.worker.call("rmdir", at(real, path))),
    );
  });
}

function mmapWrite(target: Target, data: Data, nth: number): Command {
  return command(({ fs }) => {
    const path = target(fs);
    const node = fs.find(path);
    if (node?.kind !== "file" || node.data.length === 0) return undefined;
    const offset = nth % node.data.length;
    const bytes = data.bytes.subarray(0, node.data.length - offset);
    return callStep<void>(
      `mmap ${path.join("/")} ${bytes.length} bytes of ${data.seed} at ${offset}`,
      () => fs.overwrite(path, bytes, offset),
      async (real) => void (await real.worker.call("mmapWrite", at(real, path), offset, bytes.toString("base64"))),
    );
  });
}

function rename(source: Target, target: Target, noReplace: boolean): Command {
  return command((model) => {
    const { fs } = model;
    const [from, to] = [source(fs), target(fs)];
    if (fs.find(to)?.kind === "dir" && !foldersCanGo(model)) return undefined;
    return callStep<void>(
      `rename${noReplace ? " (no replace)" : ""} ${from.join("/")} -> ${to.join("/")}`,
      () => fs.rename(from, to, noReplace),
      async (real) => void (await real.worker.call("renameat2", at(real, from), at(real, to), noReplace ? 1 : 0)),
    );
  });
}

function read(target: Target): Command {
  return command(({ fs }) => {
    const path = target(fs);
    if (fs.find(path)?.kind === "dir") return undefined;
    return callStep(
      `read ${path.join("/")}`,
      () => fs.readFile(path),
      (real) => real.worker.readFile(at(real, path)),
    );
  });
}

function stat(target: Target): Command {
  return command(({ fs }) => {
    const path = target(fs);
    return callStep(
      `stat ${path.join("/")}`,
      () => fs.stat(path),
      (real) => statOf(real.worker.stat(at(real, path))),
    );
  });
}

/** Of the parent of a target, so that the root is among them. */
function listdir(target: Target): Command {
  return command(({ fs }) => {
    const path = target(fs).slice(0, -1);
    return callStep(
      `listdir ${path.join("/")}`,
      () => fs.listdir(path),
      (real) => real.worker.listdir(at(real, path)),
    );
  });
}

const aFile = aTarget({ file: 9, any: 1 });
const aFolder = aTarget({ dir: 6, any: 2 });
const something = aTarget({ file: 5, dir: 4, any: 1 });
const aPlace = aTarget({ free: 5, file: 3, dir: 2, any: 1 });

export const pathCommands: readonly Weighted[] = [
  {
    weight: 3,
    arbitrary: fc.tuple(aFile, anOffset).map(([t, size]) => call("truncate", t, (fs, p) => fs.truncate(p, size), size)),
  },
  { weight: 2, arbitrary: fc.tuple(aFile, someData, fc.nat(600_000)).map((args) => mmapWrite(...args)) },
  { weight: 4, arbitrary: aTarget({ free: 8, any: 2, file: 1 }).map((t) => call("mkdir", t, (fs, p) => fs.mkdir(p))) },
  { weight: 1, arbitrary: aFolder.map(rmdir) },
  { weight: 2, arbitrary: aFile.map((t) => call("unlink", t, (fs, p) => fs.unlink(p))) },
  { weight: 6, arbitrary: fc.tuple(something, aPlace, fc.constant(false)).map((args) => rename(...args)) },
  {
    requires: "renameNoReplace",
    weight: 1,
    arbitrary: fc.tuple(something, aPlace, fc.constant(true)).map((args) => rename(...args)),
  },
  { weight: 5, arbitrary: aFile.map(read) },
  { weight: 3, arbitrary: something.map(stat) },
  { weight: 3, arbitrary: something.map(listdir) },
];
