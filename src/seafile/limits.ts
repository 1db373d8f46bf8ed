/**
 * How much goes into one request: the only place with such numbers. Made by Account from DEFAULT_LIMITS and its options,
 * read by what groups removes and puts and cuts big files into chunks.
 */

export interface Limits {
  /** Bytes. Files up to this size may share a POST. */
  readonly groupedFileMax: number;
  /** Bytes of content, and files, in one POST of several files: a lost answer costs no more than that again. */
  readonly groupBytes: number;
  readonly groupFiles: number;
  /** Names in one batch-delete-item; far below what Django reads of a body (2.5 MB). */
  readonly namesPerDelete: number;
  /** Bytes. Larger files are sent in chunks, which a broken connection does not take back. */
  readonly chunkedAbove: number;
  /** Bytes. */
  readonly chunkBytes: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: Limits = {
  groupedFileMax: MIB,
  groupBytes: 8 * MIB,
  groupFiles: 100,
  namesPerDelete: 500,
  chunkedAbove: 64 * MIB,
  chunkBytes: 16 * MIB,
};
