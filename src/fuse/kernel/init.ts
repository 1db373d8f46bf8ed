/**
 * What seamount answers to FUSE_INIT: protocol version, features and sizes.
 * Invariant: only features that the kernel offered are asked for. Called by kernel-session.ts.
 * Left out on purpose: WRITEBACK_CACHE (the kernel would own sizes and times), POSIX_LOCKS and FLOCK_LOCKS (locks stay local).
 */
import { FUSE_KERNEL_VERSION, INIT_FLAG } from "./abi.ts";

/** Largest WRITE and READ, in bytes: 256 pages of 4 KiB, the most that kernels take without a sysctl. */
export const MAX_WRITE = 1 << 20;
/** What a buffer of one read(2) of /dev/fuse must hold: the headers and MAX_WRITE bytes of data. */
export const REQUEST_BUFFER_SIZE = MAX_WRITE + 4096;

const MAX_PAGES = 256;
/** Background requests (read-ahead, direct I/O, releases) that the kernel keeps running at once, and when it calls the mount busy. */
const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;
/** 7.31 has every feature used here; a later minor would only change struct sizes and send more kinds of requests. */
const MINOR = 31;
/** Older kernels (before Linux 4.20) lack MAX_PAGES and the struct sizes that this code writes. */
const OLDEST_MINOR = 28;

const WANTED =
  INIT_FLAG.ASYNC_READ |
  INIT_FLAG.ATOMIC_O_TRUNC |
  INIT_FLAG.BIG_WRITES |
  INIT_FLAG.DO_READDIRPLUS |
  INIT_FLAG.READDIRPLUS_AUTO |
  INIT_FLAG.ASYNC_DIO |
  INIT_FLAG.PARALLEL_DIROPS |
  INIT_FLAG.MAX_PAGES |
  INIT_FLAG.HANDLE_KILLPRIV_V2;

/** struct fuse_init_out. */
export interface InitOut {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  readonly maxBackground: number;
  readonly congestionThreshold: number;
  readonly maxWrite: number;
  /** Granularity of times in nanoseconds. */
  readonly timeGran: number;
  readonly maxPages: number;
}

/** struct fuse_init_in, without what came after 7.31. */
export interface InitIn {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
}

/**
 * The answer; "again" when the kernel speaks a newer major version and will send INIT once more after our answer;
 * undefined when it is too old to be served.
 */
export function negotiate(kernel: InitIn): { readonly init: InitOut; readonly again: boolean } | undefined {
  if (kernel.major < FUSE_KERNEL_VERSION) return undefined;
  const again = kernel.major > FUSE_KERNEL_VERSION;
  if (!again && kernel.minor < OLDEST_MINOR) return undefined;
  return {
    again,
    init: {
      major: FUSE_KERNEL_VERSION,
      minor: again ? MINOR : Math.min(MINOR, kernel.minor),
      maxReadahead: kernel.maxReadahead,
      flags: (kernel.flags & WANTED) >>> 0,
      maxBackground: MAX_BACKGROUND,
      congestionThreshold: CONGESTION_THRESHOLD,
      maxWrite: MAX_WRITE,
      timeGran: 1,
      maxPages: MAX_PAGES,
    },
  };
}
