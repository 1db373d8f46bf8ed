/**
 * A set of byte positions as sorted, disjoint, non-adjacent ranges [start, end). Used for the written parts of a dirty file.
 * Invariant after every call: 0 <= start < end, and end of one < start of the next.
 */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

export class ExtentSet {
  #extents: Extent[] = [];

  get extents(): readonly Extent[] {
    return this.#extents;
  }

  /** Adds [start, end), merging with what it touches. */
  add(start: number, end: number): void {
    if (start >= end) return;
    const first = this.#firstEndingAtOrAfter(start);
    let last = first;
    let [from, to] = [start, end];
    for (
      let extent = this.#extents[last];
      extent !== undefined && extent.start <= end;
      extent = this.#extents[++last]
    ) {
      from = Math.min(from, extent.start);
      to = Math.max(to, extent.end);
    }
    this.#extents.splice(first, last - first, { start: from, end: to });
  }

  /** Removes everything at and after `size`. */
  truncate(size: number): void {
    this.#extents = this.#extents
      .filter((extent) => extent.start < size)
      .map((extent) => (extent.end > size ? { start: extent.start, end: size } : extent));
  }

  /** The parts of [start, end) that are not in the set, ascending. */
  gaps(start: number, end: number): Extent[] {
    const gaps: Extent[] = [];
    let position = start;
    for (let i = this.#firstEndingAtOrAfter(start); i < this.#extents.length && position < end; i++) {
      const extent = this.#extents[i]!;
      if (extent.start > position) gaps.push({ start: position, end: Math.min(extent.start, end) });
      position = Math.max(position, extent.end);
    }
    if (position < end) gaps.push({ start: position, end });
    return gaps;
  }

  #firstEndingAtOrAfter(position: number): number {
    let [low, high] = [0, this.#extents.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#extents[middle]!.end < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
