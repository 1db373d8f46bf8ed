/** Random operations on open files. Handles live in four numbered slots; opening into a used slot closes what was there. */
import fc from "fast-check";
import {
  aLength,
  anOffset,
  aPath,
  at,
  type Command,
  command,
  type Data,
  type Model,
  type Real,
  same,
  someData,
  statOf,
  type Weighted,
} from "./command.ts";
import type { ModelHandle, Path } from "./model-fs.ts";

const SLOTS = [0, 1, 2, 3];
const FLAGS = [
  "O_RDONLY",
  "O_WRONLY|O_CREAT",
  "O_WRONLY|O_CREAT|O_TRUNC",
  "O_WRONLY|O_CREAT|O_EXCL",
  "O_WRONLY|O_CREAT|O_APPEND",
  "O_RDWR",
  "O_RDWR|O_CREAT",
  "O_RDWR|O_TRUNC",
  "O_RDWR|O_APPEND",
  "O_RDONLY|O_TRUNC",
];

/** An open file from both sides. */
interface Open {
  readonly handle: ModelHandle;
  readonly fd: number;
  readonly model: Model;
  readonly real: Real;
}

function onSlot(shown: string, slot: number, run: (open: Open) => Promise<void>): Command {
  return command(
    `[${slot}] ${shown}`,
    (model, real) => run({ handle: model.handles.get(slot)!, fd: real.fds.get(slot)!, model, real }),
    (model) => model.handles.has(slot),
  );
}

async function closeSlot(slot: number, model: Model, real: Real): Promise<void> {
  const fd = real.fds.get(slot);
  if (fd === undefined) return;
  real.fds.delete(slot);
  model.handles.delete(slot);
  await real.worker.close(fd);
}

export async function closeAll(model: Model, real: Real): Promise<void> {
  for (const slot of SLOTS) await closeSlot(slot, model, real);
}

function open(slot: number, path: Path, flags: string): Command {
  const shown = `[${slot}] open ${path.join("/")} ${flags}`;
  return command(
    shown,
    async (model, real) => {
      await closeSlot(slot, model, real);
      await same<void>(
        shown,
        () => void model.handles.set(slot, model.fs.open(path, flags.split("|"))),
        async () => void real.fds.set(slot, await real.worker.open(at(real, path), flags)),
      );
    },
    // A folder may be opened for reading, but has no bytes to compare.
    (model) => flags !== "O_RDONLY" || model.fs.find(path)?.kind !== "dir",
  );
}

function pwrite(slot: number, data: Data, offset: number): Command {
  const shown = `pwrite ${data} at ${offset}`;
  return onSlot(shown, slot, ({ handle, fd, model, real }) =>
    same<void>(
      shown,
      () => model.fs.pwrite(handle, data.bytes, offset),
      async () => void (await real.worker.pwrite(fd, data.bytes, offset)),
    ),
  );
}

function pread(slot: number, offset: number, length: number): Command {
  const shown = `pread ${length} at ${offset}`;
  return onSlot(shown, slot, ({ handle, fd, model, real }) =>
    same(
      shown,
      () => model.fs.pread(handle, length, offset),
      () => real.worker.pread(fd, length, offset),
    ),
  );
}

function ftruncate(slot: number, size: number): Command {
  const shown = `ftruncate ${size}`;
  return onSlot(shown, slot, ({ handle, fd, model, real }) =>
    same<void>(
      shown,
      () => model.fs.ftruncate(handle, size),
      async () => void (await real.worker.call("ftruncate", fd, size)),
    ),
  );
}

function fallocate(slot: number, offset: number, length: number): Command {
  const shown = `fallocate ${length} at ${offset}`;
  return onSlot(shown, slot, ({ handle, fd, model, real }) =>
    same<void>(
      shown,
      () => model.fs.fallocate(handle, offset, length),
      async () => void (await real.worker.call("fallocate", fd, 0, offset, length)),
    ),
  );
}

function fstat(slot: number): Command {
  return onSlot("fstat", slot, ({ handle, fd, real }) =>
    same(
      "fstat",
      () => ({ kind: "file" as const, size: handle.node.data.length }),
      () => statOf(real.worker.fstat(fd)),
    ),
  );
}

const fsync = (slot: number) =>
  onSlot("fsync", slot, async ({ fd, real }) => void (await real.worker.call("fsync", fd)));
const close = (slot: number) => onSlot("close", slot, ({ model, real }) => closeSlot(slot, model, real));

const aSlot = fc.constantFrom(...SLOTS);

export const handleCommands: readonly Weighted[] = [
  { weight: 8, arbitrary: fc.tuple(aSlot, aPath, fc.constantFrom(...FLAGS)).map((args) => open(...args)) },
  { weight: 8, arbitrary: fc.tuple(aSlot, someData, anOffset).map((args) => pwrite(...args)) },
  { weight: 5, arbitrary: fc.tuple(aSlot, anOffset, aLength).map((args) => pread(...args)) },
  { weight: 3, arbitrary: fc.tuple(aSlot, anOffset).map((args) => ftruncate(...args)) },
  {
    weight: 1,
    arbitrary: fc.tuple(aSlot, anOffset, fc.integer({ min: 1, max: 20_000 })).map((args) => fallocate(...args)),
  },
  { weight: 2, arbitrary: aSlot.map(fsync) },
  { weight: 2, arbitrary: aSlot.map(fstat) },
  { weight: 6, arbitrary: aSlot.map(close) },
];
