/** Random operations on open files. Handles live in three numbered slots; opening into a used slot closes what was there. */
import fc from "fast-check";
import { aLength, anOffset, aTarget, type Data, someData, type Target } from "./arbitraries.ts";
import {
  at,
  type Command,
  callStep,
  command,
  type Model,
  type Real,
  type Step,
  statOf,
  type Weighted,
} from "./command.ts";
import type { ModelHandle } from "./model-fs.ts";

const SLOTS = [0, 1, 2];
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

function open(slot: number, target: Target, flags: string): Command {
  return command((model) => {
    const path = target(model.fs);
    // A folder may be opened for reading, but has no bytes to compare.
    if (flags === "O_RDONLY" && model.fs.find(path)?.kind === "dir") return undefined;
    const shown = `[${slot}] open ${path.join("/")} ${flags}`;
    const { run } = callStep<void>(
      shown,
      () => void model.handles.set(slot, model.fs.open(path, flags.split("|"))),
      async (real) => void real.fds.set(slot, await real.worker.open(at(real, path), flags)),
    );
    return {
      shown,
      run: async (real) => {
        await closeSlot(slot, model, real);
        await run(real);
      },
    };
  });
}

/** A command on the nth of the slots in use. */
function onSlot(nth: number, plan: (handle: ModelHandle, slot: number, model: Model) => Step): Command {
  return command((model) => {
    const slots = [...model.handles.keys()];
    const slot = slots[nth % slots.length];
    if (slot === undefined) return undefined;
    const step = plan(model.handles.get(slot)!, slot, model);
    return { ...step, shown: `[${slot}] ${step.shown}` };
  });
}

const pwrite = (nth: number, data: Data, offset: number) =>
  onSlot(nth, (handle, slot, { fs }) =>
    callStep<void>(
      `pwrite ${data} at ${offset}`,
      () => fs.pwrite(handle, data.bytes, offset),
      async ({ worker, fds }) => void (await worker.pwrite(fds.get(slot)!, data.bytes, offset)),
    ),
  );

const pread = (nth: number, offset: number, length: number) =>
  onSlot(nth, (handle, slot, { fs }) =>
    callStep(
      `pread ${length} at ${offset}`,
      () => fs.pread(handle, length, offset),
      ({ worker, fds }) => worker.pread(fds.get(slot)!, length, offset),
    ),
  );

const ftruncate = (nth: number, size: number) =>
  onSlot(nth, (handle, slot, { fs }) =>
    callStep<void>(
      `ftruncate ${size}`,
      () => fs.ftruncate(handle, size),
      async ({ worker, fds }) => void (await worker.call("ftruncate", fds.get(slot), size)),
    ),
  );

const fallocate = (nth: number, offset: number, length: number) =>
  onSlot(nth, (handle, slot, { fs }) =>
    callStep<void>(
      `fallocate ${length} at ${offset}`,
      () => fs.fallocate(handle, offset, length),
      async ({ worker, fds }) => void (await worker.call("fallocate", fds.get(slot), 0, offset, length)),
    ),
  );

const fstat = (nth: number) =>
  onSlot(nth, (handle, slot) =>
    callStep(
      "fstat",
      () => ({ kind: "file" as const, size: handle.node.data.length }),
      ({ worker, fds }) => statOf(worker.fstat(fds.get(slot)!)),
    ),
  );

const fsync = (nth: number) =>
  onSlot(nth, (_, slot) => ({
    shown: "fsync",
    run: ({ worker, fds }) => worker.call("fsync", fds.get(slot)),
  }));

const close = (nth: number) =>
  onSlot(nth, (_, slot, model) => ({ shown: "close", run: (real) => closeSlot(slot, model, real) }));

const aSlot = fc.constantFrom(...SLOTS);
const nth = fc.nat(1000);
const toOpen = aTarget({ file: 8, free: 6, any: 1 });

export const handleCommands: readonly Weighted[] = [
  { weight: 10, arbitrary: fc.tuple(aSlot, toOpen, fc.constantFrom(...FLAGS)).map((args) => open(...args)) },
  { weight: 9, arbitrary: fc.tuple(nth, someData, anOffset).map((args) => pwrite(...args)) },
  { weight: 6, arbitrary: fc.tuple(nth, anOffset, aLength).map((args) => pread(...args)) },
  { weight: 6, arbitrary: fc.tuple(nth, anOffset).map((args) => ftruncate(...args)) },
  {
    requires: "fallocate",
    weight: 1,
    arbitrary: fc.tuple(nth, anOffset, fc.integer({ min: 1, max: 9000 })).map((args) => fallocate(...args)),
  },
  { weight: 2, arbitrary: nth.map(fsync) },
  { weight: 2, arbitrary: nth.map(fstat) },
  { weight: 5, arbitrary: nth.map(close) },
];
