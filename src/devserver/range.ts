/**
 * The Range header as the file server reads it: one range, the unit's name does not matter, and what reaches beyond the
 * end is cut, except for a suffix that is longer than the file. Pure; called by download.ts.
 */

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Undefined: 416. `size` must be above 0. */
export function parseRange(header: string, size: number): ByteRange | undefined {
  const match = /^[^=]*=\s*(\d*)-(\d*)\s*$/.exec(header);
  if (match === null) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  if (first === "") {
    const length = last === "" ? 0 : Number(last);
    return length === 0 || length > size ? undefined : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(size, Number(last) + 1);
  return start >= size || (last !== "" && start > Number(last)) ? undefined : { start, end };
}
