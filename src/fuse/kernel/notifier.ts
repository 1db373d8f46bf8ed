/**
 * The queue of invalidations on their way to the kernel (KernelCache of the seam).
 * Invariant: at most one is being written at a time, in libuv's pool: the kernel takes the inode's lock for it, which may be
 * held by a process that waits for our answer; so a second blocked thread, or a blocked main thread, could be a deadlock.
 * Made by kernel-session.ts.
 */
import type { Logger } from "../../observe/log.ts";
import type { KernelCache } from "../transport.ts";
import type { Channel } from "./channel.ts";
import { invalEntry, invalInode } from "./notify.ts";

export class Notifier implements KernelCache {
  readonly #channel: Channel;
  readonly #log: Logger;
  readonly #queue: Buffer[] = [];
  #worker: Promise<void> | undefined;
  #stopped = false;

  constructor(channel: Channel, log: Logger) {
    this.#channel = channel;
    this.#log = log;
  }

  invalidateEntry(parent: number, name: string): void {
    this.#send(invalEntry(parent, name));
  }

  invalidateInode(ino: number, offset: number, length: number): void {
    this.#send(invalInode(ino, offset, length));
  }

  /** Drops what is queued; resolves when nothing is being written any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.length = 0;
    await this.#worker;
  }

  #send(message: Buffer): void {
    if (this.#stopped) return;
    this.#queue.push(message);
    this.#worker ??= this.#drain().finally(() => {
      this.#worker = undefined;
    });
  }

  async #drain(): Promise<void> {
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
      try {
        await this.#channel.notify(message);
      } catch (error) {
        // ENOTDIR, ENOTEMPTY, EINVAL: what the kernel has is not what the message is about, so it has nothing stale either.
        this.#log.debug({ err: error }, "the kernel refused an invalidation");
      }
    }
  }
}
