/**
 * The file descriptor of /dev/fuse: one read(2) is one request, one write(2) is one reply or notification.
 * Invariants: reads and notifications run in libuv's pool, replies are written at once on the calling thread; nothing is
 * read from or written to the descriptor number after close(), when it may belong to another file.
 * KernelSession sees the interface only, so that a test literal can stand in.
 */
import { close, read, write, writeSync, writevSync } from "node:fs";

export interface Channel {
  /** The length of the next request, which is then in `buffer`; undefined when the kernel has ended the session. */
  read(buffer: Buffer): Promise<number | undefined>;
  /** Sends one message. "gone": nobody waits for it any more. Throws when the kernel refuses the bytes. */
  write(message: readonly Uint8Array[]): "sent" | "gone";
  /** Sends one message without blocking the calling thread: the kernel may wait for locks of the inode concerned. */
  notify(message: Uint8Array): Promise<"sent" | "gone">;
  close(): void;
}

/** read(2) of /dev/fuse: ENOENT is a request that was interrupted while being read, EINTR and EAGAIN are a signal's. */
const RETRY = new Set(["EINTR", "EAGAIN", "ENOENT"]);
/** ENODEV is the unmount, ECONNABORTED an abort of the connection. */
const ENDED = new Set(["ENODEV", "ECONNABORTED"]);

const codeOf = (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : "");
const isGone = (error: unknown) => codeOf(error) === "ENOENT" || ENDED.has(codeOf(error));

export class DeviceChannel implements Channel {
  readonly #fd: number;
  #closed = false;

  /** Takes over `fd`, an open /dev/fuse that is mounted already. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  read(buffer: Buffer): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const attempt = () => {
        if (this.#closed) return resolve(undefined);
        read(this.#fd, buffer, 0, buffer.length, null, (error, length) => {
          if (error === null) resolve(length);
          else if (RETRY.has(codeOf(error))) attempt();
          else if (ENDED.has(codeOf(error))) resolve(undefined);
          else reject(error);
        });
      };
      attempt();
    });
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
    close(this.#fd);
  }
}
