/**
 * The file descriptor of /dev/fuse: one read(2) is one request, one write(2) is one reply or notification.
 * Invariants: replies are written at once on the calling thread, notifications in libuv's pool; nothing is read from or written
 * to the descriptor number after close(), when it may belong to another file.
 * KernelSession sees the interface only, so that a test literal can stand in.
 */
import { write, writeSync, writevSync } from "node:fs";
import { eventReader, poolReader, type Reader, type Receiver } from "./reader.ts";

export interface Channel {
  /** Begins to read; called once. */
  start(receiver: Receiver): void;
  /** Sends one message. "gone": nobody waits for it any more. Throws when the kernel refuses the bytes. */
  write(message: readonly Uint8Array[]): "sent" | "gone";
  /** Sends one message without blocking the calling thread: the kernel may wait for locks of the inode concerned. */
  notify(message: Uint8Array): Promise<"sent" | "gone">;
  close(): void;
}

/** ENOENT: the request was interrupted or aborted; ENODEV, ECONNABORTED: the session has ended. */
const GONE = new Set(["ENOENT", "ENODEV", "ECONNABORTED"]);

const isGone = (error: unknown) => error instanceof Error && "code" in error && GONE.has(String(error.code));

export class DeviceChannel implements Channel {
  readonly #fd: number;
  readonly #reader: Reader;
  /** Whether a thread of the pool waits for requests: this Node does not give us its event loop. */
  readonly needsThread: boolean;
  #closed = false;

  /** Takes over `fd`, an open /dev/fuse that is mounted already. */
  constructor(fd: number) {
    this.#fd = fd;
    const reader = eventReader(fd);
    this.needsThread = reader === undefined;
    this.#reader = reader ?? poolReader(fd);
  }

  start(receiver: Receiver): void {
    this.#reader.start(receiver);
  }

  write(message: readonly Uint8Array[]): "sent" | "gone" {
    if (this.#closed) return "gone";
    try {
      if (message.length === 1) writeSync(this.#fd, message[0]!);
      else writevSync(this.#fd, message);
      return "sent";
    } catch (error) {
      if (isGone(error)) return "gone";
      throw error;
    }
  }

  notify(message: Uint8Array): Promise<"sent" | "gone"> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return resolve("gone");
      write(this.#fd, message, 0, message.length, null, (error) => {
        if (error === null) resolve("sent");
        else if (isGone(error)) resolve("gone");
        else reject(error);
      });
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.close();
  }
}
