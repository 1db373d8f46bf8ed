/** Random operations on paths, existing or not: the tree, whole files, and what stat and listdir say of them. */
import fc from "fast-check";
import {
  anOffset,
  aPath,
  at,
  type Command,
  command,
  type Data,
  NAMES,
  same,
  someData,
  statOf,
  type Weighted,
} from "./command.ts";
import type { ModelFs, Path } from "./model-fs.ts";

/** One system call without a result on a path. */
function call(op: string, path: Path, model: (fs: ModelFs) => void, ...args: unknown[]): Command {
  const shown = [op, path.join("/"), ...args].join(" ");
  return command(shown, (m, real) =>
    same<void>(
      shown,
      () => model(m.fs),
      async () => void (await real.worker.call(op, at(real, path), ...args)),
    ),
  );
}

function mmapWrite(path: Path, data: Data, offset: number): Command {
  const shown = `mmap ${path.join("/")} ${data} at ${offset}`;
  return command(
    shown,
    (model, real) =>
      same<void>(
        shown,
        () => model.fs.overwrite(path, data.bytes, offset),
        async () => void (await real.worker.call("mmapWrite", at(real, path), offset, data.bytes.toString("base64"))),
      ),
    (model) => {
      const node = model.fs.find(path);
      return node?.kind === "file" && data.length > 0 && node.data.length >= offset + data.length;
    },
  );
}

function rename(from: Path, to: Path, noReplace: boolean): Command {
  const shown = `rename${noReplace ? " (no replace)" : ""} ${from.join("/")} -> ${to.join("/")}`;
  return command(shown, (model, real) =>
    same<void>(
      shown,
      () => model.fs.rename(from, to, noReplace),
      async () => void (await real.worker.call("renameat2", at(real, from), at(real, to), noReplace ? 1 : 0)),
    ),
  );
}

function read(path: Path): Command {
  const shown = `read ${path.join("/")}`;
  return command(
    shown,
    (model, real) =>
      same(
        shown,
        () => model.fs.readFile(path),
        () => real.worker.readFile(at(real, path)),
      ),
    (model) => model.fs.find(path)?.kind !== "dir",
  );
}

function stat(path: Path): Command {
  const shown = `stat ${path.join("/")}`;
  return command(shown, (model, real) =>
    same(
      shown,
      () => model.fs.stat(path),
      () => statOf(real.worker.stat(at(real, path))),
    ),
  );
}

function listdir(path: Path): Command {
  const shown = `listdir ${path.join("/")}`;
  return command(shown, (model, real) =>
    same(
      shown,
      () => model.fs.listdir(path),
      () => real.worker.listdir(at(real, path)),
    ),
  );
}

const aFolder = fc.array(fc.constantFrom(...NAMES), { maxLength: 2 });
const oneInFive = fc.integer({ min: 0, max: 4 }).map((dice) => dice === 0);

export const pathCommands: readonly Weighted[] = [
  {
    weight: 2,
    arbitrary: fc.tuple(aPath, anOffset).map(([p, size]) => call("truncate", p, (fs) => fs.truncate(p, size), size)),
  },
  { weight: 2, arbitrary: fc.tuple(aPath, someData, fc.nat(5000)).map((args) => mmapWrite(...args)) },
  { weight: 6, arbitrary: aPath.map((p) => call("mkdir", p, (fs) => fs.mkdir(p))) },
  { weight: 2, arbitrary: aPath.map((p) => call("rmdir", p, (fs) => fs.rmdir(p))) },
  { weight: 3, arbitrary: aPath.map((p) => call("unlink", p, (fs) => fs.unlink(p))) },
  { weight: 6, arbitrary: fc.tuple(aPath, aPath, oneInFive).map((args) => rename(...args)) },
  { weight: 4, arbitrary: aPath.map(read) },
  { weight: 3, arbitrary: aPath.map(stat) },
  { weight: 3, arbitrary: aFolder.map(listdir) },
];
