/**
 * Loads fuse-native's addon and describes what seamount uses of it. fuse-native's own index.js is left out on purpose: its time-outs,
 * its options string, its shell and its mixed-up arguments are most of its defects (native-notes/fuse-native.md).
 * Invariant: loaded here and nowhere else, on demand; a missing piece is named with its package.
 * Called by libfuse-transport.ts, and by choose-transport.ts to see whether it loads. Source of every signature: fuse-native 2.2.6, fuse-native.c.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { MountError } from "../system/mount-error.ts";

/** The memory of one of libfuse's threads (fuse_thread_locals_t). A thread has one call at a time. */
export type ThreadLocals = Buffer;

/** What libfuse calls, on the main thread. The thread waits until the signal of the same name is called. */
export type NativeHandler = (thread: ThreadLocals, op: number, ...args: never[]) => void;

/** Lets the thread go on with `result`: a count or 0, or a negative errno. Throws when the payload is not what the callback needs. */
export type NativeSignal = (thread: ThreadLocals, result: number, ...payload: readonly unknown[]) => void;

export interface NativeBinding {
  /** Bytes of fuse_thread_t, which fuse_native_mount fills. */
  readonly sizeof_fuse_thread_t: number;
  /**
   * Mounts and starts libfuse's loop in a thread. `options` is one argument "-oA,B". `context` is `this` of the handlers; `malloc`
   * gives memory that is never freed. `handlers` and `implemented` go by op number. Throws when libfuse refuses to mount.
   */
  fuse_native_mount(
    mountpoint: string,
    options: string,
    session: Buffer,
    context: object,
    malloc: (size: number) => Buffer,
    handlers: readonly NativeHandler[],
    implemented: Uint32Array,
  ): void;
  /** Lets the event loop end; unmounts nothing. */
  fuse_native_unmount(mountpoint: string, session: Buffer): void;
  readonly [member: `op_${string}` | `fuse_native_signal_${string}`]: unknown;
}

/** Longest mount point and longest options string, in bytes: what is longer, the addon cuts. */
export const MOST_STRING_BYTES = 1023;
/** Number of op codes: the size of `implemented`. */
export const OP_COUNT = 35;

/** `name` is of struct fuse_operations (libfuse 2.9, fuse.h). */
export function opNumber(binding: NativeBinding, name: string): number {
  return binding[`op_${name}`] as number;
}

export function signalOf(binding: NativeBinding, name: string): NativeSignal {
  return binding[`fuse_native_signal_${name}`] as NativeSignal;
}

/** Throws MountError "libfuse-missing" that names the package to install. */
export function loadBinding(requireHere: NodeJS.Require = createRequire(import.meta.url)): NativeBinding {
  try {
    const folder = dirname(requireHere.resolve("fuse-native/package.json"));
    const requireThere = createRequire(join(folder, "index.js"));
    return requireThere("node-gyp-build")(folder) as NativeBinding;
  } catch (cause) {
    throw new MountError("libfuse-missing", whatIsMissing(cause), { cause });
  }
}

function whatIsMissing(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "MODULE_NOT_FOUND")
    return "The package fuse-native is not installed. Install it: npm install fuse-native";
  if (message.includes("libfuse"))
    return "libfuse.so.2 cannot be loaded. Install libfuse 2: the package libfuse2 (Debian, Ubuntu) or fuse-libs (Fedora).";
  return `The package fuse-native cannot be loaded: ${message.split("\n", 1)[0]}`;
}
