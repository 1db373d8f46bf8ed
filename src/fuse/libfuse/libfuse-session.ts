/**
 * One mounted filesystem behind libfuse 2: answers its callbacks until libfuse has closed /dev/fuse.
 * Invariants: every callback is answered exactly once, and only after its operation has settled, so that nobody touches a buffer of
 * libfuse's afterwards; nothing thrown leaves this file. Made by libfuse-transport.ts.
 */
import { setMaxListeners } from "node:events";
import type { Logger } from "../../observe/log.ts";
import { type Deferred, deferred } from "../../util/abort.ts";
import { ErrnoError, errnoOf, errnoOfFailure } from "../../util/errno.ts";
import type { OpContext, Operations } from "../transport.ts";
import { type Answer, CALLBACK_TABLE, type Callback, type CallbackName } from "./callbacks.ts";
import { type Device, deviceClosed, mountAndFindDevice } from "./device.ts";
import {
  type NativeBinding,
  type NativeHandler,
  OP_COUNT,
  opNumber,
  signalOf,
  type ThreadLocals,
} from "./native-binding.ts";
import { PathOperations } from "./path-operations.ts";

export interface LibfuseSessionOptions {
  readonly operations: Operations;
  readonly binding: NativeBinding;
  readonly log: Logger;
  /** device.ts, unless a test stands in for it. */
  readonly devices?: Devices;
}

export interface Devices {
  readonly mountAndFindDevice: (mount: () => void) => Device;
  readonly deviceClosed: (device: Device) => Promise<void>;
}

/**
 * The addon's memory of every session, for ever: it holds an event handle that the addon never closes, and libfuse's thread reads it after
 * it has closed /dev/fuse, while the addon references the handlers and their context, but not this.
 */
const memories: Buffer[] = [];

export class LibfuseSession {
  /** Resolves when the kernel has accepted the mount. */
  readonly ready: Promise<void>;
  /** Resolves, never rejects, when libfuse has ended, all operations have settled and destroy() was called. */
  readonly closed: Promise<void>;
  readonly #operations: Operations;
  readonly #binding: NativeBinding;
  readonly #log: Logger;
  readonly #devices: Devices;
  readonly #paths: PathOperations;
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #init: Deferred<void> = deferred();
  readonly #closed: Deferred<void> = deferred();
  #ended = false;

  constructor(options: LibfuseSessionOptions) {
    this.#operations = options.operations;
    this.#binding = options.binding;
    this.#log = options.log;
    this.#devices = options.devices ?? { mountAndFindDevice, deviceClosed };
    setMaxListeners(0, this.#abort.signal);
    this.#paths = new PathOperations(options.operations, this.#context(), options.log);
    this.ready = this.#init.promise;
    this.ready.catch(() => {});
    this.closed = this.#closed.promise;
  }

  /** True once libfuse has ended the session: its device number may belong to another mount by now. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Mounts; requests may arrive from then on. Throws what the addon throws when libfuse refuses. */
  mount(mountpoint: string, options: string): void {
    const binding = this.#binding;
    const memory = Buffer.alloc(binding.sizeof_fuse_thread_t);
    memories.push(memory);
    const implemented = new Uint32Array(OP_COUNT);
    const handlers: NativeHandler[] = Array.from({ length: OP_COUNT }, () => () => {});
    for (const name of Object.keys(CALLBACK_TABLE) as CallbackName[]) {
      implemented[opNumber(binding, name)] = 1;
      handlers[opNumber(binding, name)] = this.#handler(name);
    }
    implemented[opNumber(binding, "init")] = 1;
    handlers[opNumber(binding, "init")] = (thread) => {
      signalOf(binding, "init")(thread, 0);
      this.#init.resolve();
    };
    const device = this.#devices.mountAndFindDevice(() =>
      // The memory of a thread is zeroed and not shared: Buffer.alloc, which never takes it from the pool.
      binding.fuse_native_mount(mountpoint, options, memory, this, (size) => Buffer.alloc(size), handlers, implemented),
    );
    void this.#serve(this.#devices.deviceClosed(device), mountpoint, memory);
  }

  /** Answers every later call with ENOTCONN, and aborts the signal of those that run. */
  stop(): void {
    this.#abort.abort(new ErrnoError("ENOTCONN", "The filesystem was unmounted"));
  }

  async #serve(end: Promise<void>, mountpoint: string, memory: Buffer): Promise<void> {
    await end;
    this.#ended = true;
    // Before the signal aborts: what unlink(2) has promised is still to be done.
    await this.#paths.finish();
    this.stop();
    await Promise.all(this.#running);
    // The thread's own handle keeps the event loop alive until this.
    this.#binding.fuse_native_unmount(mountpoint, memory);
    try {
      this.#operations.destroy();
    } catch (error) {
      this.#log.warn({ err: error }, "destroy failed");
    }
    this.#init.reject(new Error("libfuse ended the mount before it was ready; its reason is on the standard error"));
    this.#closed.resolve();
  }

  #handler(name: CallbackName): NativeHandler {
    const callback: Callback = CALLBACK_TABLE[name];
    const signal = signalOf(this.#binding, name);
    return (thread, _op, ...args) => {
      const work = this.#answer(name, callback, thread, args).then(({ result, payload }) => {
        this.#running.delete(work);
        try {
          signal(thread, result, ...payload);
        } catch (refusal) {
          this.#log.error({ err: refusal, call: name }, "an answer was refused; answered EIO instead");
          try {
            signal(thread, -errnoOf("EIO"), ...callback.failed(...args));
          } catch (error) {
            this.#log.error({ err: error, call: name }, "a call could not be answered");
          }
        }
      });
      this.#running.add(work);
    };
  }

  /** Never rejects. */
  async #answer(name: CallbackName, callback: Callback, thread: ThreadLocals, args: readonly never[]): Promise<Answer> {
    try {
      if (this.#abort.signal.aborted) throw this.#abort.signal.reason;
      const [path, target] = args as readonly unknown[] as readonly [string, unknown];
      await this.#paths.arrive(thread, name, path, typeof target === "string" ? target : undefined);
      return await callback.run(this.#paths, thread, ...args);
    } catch (error) {
      return { result: -this.#errnoOf(error, name), payload: callback.failed(...args) };
    }
  }

  #errnoOf(error: unknown, call: CallbackName): number {
    const errno = errnoOfFailure(error, this.#abort.signal.reason);
    if (errno !== undefined) return errno;
    this.#log.warn({ err: error, call }, "an operation failed unexpectedly; answered EIO");
    return errnoOf("EIO");
  }

  /** The addon does not say who asks: everybody is this process's user. */
  #context(): OpContext {
    return { pid: 0, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, signal: this.#abort.signal };
  }
}
