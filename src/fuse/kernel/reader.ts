/**
 * How requests get from /dev/fuse into this process, in two ways: `eventReader` lets the event loop's epoll wait and reads on the
 * main thread; `poolReader` lets a thread of libuv's pool wait in read(2), which is slower and takes that thread.
 * Invariants: one read(2) at a time, so requests arrive in the order in which the kernel sent them, and INTERRUPT after its request;
 * nobody reads after close(). Made by channel.ts.
 */
import { close, read } from "node:fs";
import { Socket, type SocketConstructorOpts } from "node:net";

/** Who handles what is read. None of these may throw. */
export interface Receiver {
  /** Where the next request goes; it belongs to the reader until it is in a call of request(). */
  takeBuffer(): Buffer;
  /** A request: the first `length` bytes of `buffer`. */
  request(buffer: Buffer, length: number): void;
  /** Called once: nothing more will come, because the kernel has ended the session, or because of `error`. */
  end(error?: Error): void;
}

/** Owns the descriptor that it reads. */
export interface Reader {
  start(receiver: Receiver): void;
  close(): void;
}

/** read(2) of /dev/fuse: ENODEV is the unmount, ECONNABORTED an abort of the connection. */
const ENDED = new Set(["ENODEV", "ECONNABORTED"]);
/** ENOENT is a request that was interrupted while being read, EINTR and EAGAIN are a signal's. */
const RETRY = new Set(["EINTR", "EAGAIN", "ENOENT"]);

const codeOf = (error: Error) => ("code" in error ? String(error.code) : "");

/** What went wrong, or undefined if the session has simply ended. */
const reasonOf = (error: Error) => (ENDED.has(codeOf(error)) ? undefined : error);

/**
 * Waits for `fd` as for a socket. Node has no documented way to poll a character device, but the handle under its Unix sockets
 * takes any descriptor that epoll takes (uv_pipe_open). undefined where Node has no such handle. `fd` becomes O_NONBLOCK.
 */
export function eventReader(fd: number): Reader | undefined {
  const handle = adopt(fd);
  return handle && new EventReader(handle);
}

class EventReader implements Reader {
  readonly #handle: object;
  #socket: DeviceSocket | undefined;

  constructor(handle: object) {
    this.#handle = handle;
  }

  start(receiver: Receiver): void {
    this.#socket = new DeviceSocket(this.#handle, receiver);
  }

  close(): void {
    this.#socket?.finish();
  }
}

class DeviceSocket extends Socket {
  readonly #receiver: Receiver;
  #finish: (() => void) | undefined;

  constructor(handle: object, receiver: Receiver) {
    super({
      handle,
      onread: {
        buffer: () => receiver.takeBuffer(),
        callback: (length: number, buffer: Buffer) => {
          receiver.request(buffer, length);
          return true;
        },
      },
    } as SocketConstructorOpts);
    this.#receiver = receiver;
    // What failed has been passed on by _destroy.
    this.on("error", () => {});
  }

  /** Reading has failed. The descriptor stays open until finish(), because somebody may be writing to it. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#finish = () => super._destroy(error, callback);
    this.#receiver.end(error === null ? undefined : reasonOf(error));
  }

  finish(): void {
    this.destroy();
    this.#finish?.();
  }
}

interface PipeHandle {
  open(fd: number): void;
}

function adopt(fd: number): PipeHandle | undefined {
  const probe = new Socket().on("error", () => {});
  try {
    // Only connecting makes a handle; nobody listens at this name.
    probe.connect({ path: "\0seamount" });
    const { _handle } = probe as unknown as { _handle: { constructor: new (type: number) => PipeHandle } };
    const handle = new _handle.constructor(0);
    handle.open(fd);
    return handle;
  } catch {
    return undefined;
  } finally {
    probe.destroy();
  }
}

/** Waits in libuv's pool. A thread that waits in read(2) keeps the file open and ends only when the kernel ends the session. */
export function poolReader(fd: number): Reader {
  let closed = false;
  return {
    start(receiver) {
      const next = (buffer: Buffer) => {
        read(fd, buffer, 0, buffer.length, null, (error, length) => {
          if (closed) return;
          if (error === null) {
            receiver.request(buffer, length);
            next(receiver.takeBuffer());
          } else if (RETRY.has(codeOf(error))) next(buffer);
          else receiver.end(reasonOf(error));
        });
      };
      next(receiver.takeBuffer());
    },
    close() {
      closed = true;
      close(fd);
    },
  };
}
