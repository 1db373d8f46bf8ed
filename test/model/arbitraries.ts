/** What the random operations are about: files and folders that exist, names that are free, offsets, lengths and bytes. */
import fc from "fast-check";
import { pattern } from "../support/trees.ts";
import type { ModelFs, Path } from "./model-fs.ts";

const NAMES = ["a", "b", "c", "d e", "é"];

/** Picks a path in a state of the model. */
export type Target = (fs: ModelFs) => Path;

type TargetKind = "file" | "dir" | "free" | "any";

/** The nth of the files or folders there are, a free name in the nth folder, or any path, existing or not. */
function targetOf(kind: TargetKind, nth: number, any: Path): Target {
  return (fs) => {
    if (kind === "any") return any;
    const found = kind === "file" ? fs.files() : fs.folders();
    if (kind !== "free") return found[nth % found.length] ?? any;
    const folder = [[], ...found][nth % (found.length + 1)]!;
    const name = NAMES.find((candidate) => fs.find([...folder, candidate]) === undefined);
    return name === undefined || folder.length > 3 ? any : [...folder, name];
  };
}

/** Weights of the kinds of target. */
export function aTarget(weights: Partial<Record<TargetKind, number>>): fc.Arbitrary<Target> {
  const kinds = Object.entries(weights) as [TargetKind, number][];
  const kind = fc.oneof(...kinds.map(([name, weight]) => ({ weight, arbitrary: fc.constant(name) })));
  const anyPath = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 });
  return fc.tuple(kind, fc.nat(1000), anyPath).map((args) => targetOf(...args));
}

/** Mostly small; some across the pages of the kernel (4 KiB) and the blocks of the cache (256 KiB). */
export const anOffset = fc.oneof(
  { weight: 4, arbitrary: fc.nat(9000) },
  { weight: 2, arbitrary: fc.constantFrom(0, 4095, 4096, 65_536, 131_071, 262_143, 262_144) },
  { weight: 1, arbitrary: fc.nat(600_000) },
);

export const aLength = fc.oneof(
  { weight: 5, arbitrary: fc.nat(9000) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 200_000 }) },
);

/** Bytes that print as their length and seed, so that a failing list of commands stays readable. */
export class Data {
  readonly length: number;
  readonly seed: number;

  constructor(length: number, seed: number) {
    this.length = length;
    this.seed = seed;
  }

  get bytes(): Buffer {
    return pattern(this.length, this.seed);
  }

  toString(): string {
    return `${this.length} bytes of ${this.seed}`;
  }
}

export const someData = fc
  .tuple(aLength, fc.integer({ min: 1, max: 1_000_000 }))
  .map(([length, seed]) => new Data(length, seed));
