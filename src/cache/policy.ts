/**
 * Every lifetime and size of the caches: the only place. Bytes and milliseconds. mount.ts passes these on; the user's
 * options (--cache-size, --refresh) replace the two that people really need to set.
 */

/** Slices of an immutable file version. A request of the kernel is at most 1 MiB, its own read-ahead 128 KiB. */
export const BLOCK_SIZE = 256 * 1024;
export const DEFAULT_CACHE_SIZE = 256 * 1024 * 1024;

/** How old a listing may get before the server is asked whether it still holds. */
export const DEFAULT_REFRESH_MS = 5_000;
/** Directory entries kept in all listings together (some 200 bytes each). */
export const MAX_LISTED_ENTRIES = 1_000_000;

/**
 * What the kernel may remember of names and attributes. Short, because without a change feed nobody tells it of a change;
 * missing names not at all: a fresh listing answers them without a request.
 */
export const KERNEL_TTL_MS = 1_000;
export const KERNEL_NEGATIVE_TTL_MS = 0;

/** Read-ahead of a sequential reader: first window, doubled up to the largest. */
export const READ_AHEAD_FIRST = 512 * 1024;
export const READ_AHEAD_MAX = 8 * 1024 * 1024;

/**
 * Files of encrypted libraries come as a whole: up to the first size they are kept in the memory for file content (and take a
 * quarter of it at most), larger ones on the local disk, where those that nobody has open stay within the bounds.
 */
export const WHOLE_IN_MEMORY_MAX = 16 * 1024 * 1024;
export const WHOLE_ON_DISK_MAX = 2 * 1024 * 1024 * 1024;
export const WHOLE_ON_DISK_FILES = 64;
/** How long such a download goes on after its file was closed. */
export const WHOLE_LINGER_MS = 5_000;

/** Quota answers lag behind on the server by seconds to minutes anyway. */
export const QUOTA_LIFETIME_MS = 30_000;

/** A touch alone uploads the file again on servers that keep mtimes; above this size it stays a local matter. */
export const TOUCH_UPLOAD_MAX = 16 * 1024 * 1024;
/** What was just written is kept for reading back, up to this size per file. */
export const SEED_MAX = 16 * 1024 * 1024;

/** Background retries of files that could not be stored: first and longest pause. */
export const RETRY_FIRST_MS = 2_000;
export const RETRY_MAX_MS = 60_000;
/** Longest pause before what the server refused for a reason (quota, permission ...) is tried again. */
export const HELD_RETRY_MS = 60_000;
/** How many batches are sent at the same time, how many changes are in one, and how many bytes. */
export const PARALLEL_COMMITS = 4;
export const BATCH_MAX = 100;
export const BATCH_BYTES = 8 * 1024 * 1024;
/** How long after the last close a file is sent to the server. */
export const DEFAULT_WRITE_BACK_DELAY_MS = 1_000;
