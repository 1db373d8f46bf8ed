/**
 * Stands in for /dev/fuse: a test pushes requests as bytes and sees every message that the session sends.
 * Invariant: like the device, it hands over one request at a time, in order, and never from within push(). Used by the session tests.
 */
import type { Channel } from "../../src/fuse/kernel/channel.ts";
import type { Receiver } from "../../src/fuse/kernel/reader.ts";

export class FakeChannel implements Channel {
  /** Everything written, one Buffer per message. */
  readonly sent: Buffer[] = [];
  readonly notified: Buffer[] = [];
  closed = false;
  /** What write() does instead of accepting the message; undefined accepts. */
  refuse: ((message: Buffer) => void) | undefined;
  /** What notify() waits for. */
  notifyGate: Promise<void> = Promise.resolve();
  #receiver!: Receiver;

  start(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  push(request: Buffer): void {
    queueMicrotask(() => {
      const buffer = this.#receiver.takeBuffer();
      this.#receiver.request(buffer, request.copy(buffer));
    });
  }

  /** The kernel ends the session, or reading fails. */
  end(error?: Error): void {
    queueMicrotask(() => this.#receiver.end(error));
  }

  write(message: readonly Uint8Array[]): "sent" | "gone" {
    const bytes = Buffer.concat(message);
    this.refuse?.(bytes);
    this.sent.push(bytes);
    return "sent";
  }

  async notify(message: Uint8Array): Promise<"sent" | "gone"> {
    await this.notifyGate;
    this.notified.push(Buffer.from(message));
    return "sent";
  }

  close(): void {
    this.closed = true;
  }

  /** The errors of all replies to `unique`: 0 or a negative errno each. */
  errorsOf(unique: number): number[] {
    return this.sent.filter((b) => b.readUInt32LE(8) === unique).map((b) => b.readInt32LE(4));
  }
}

/** Lets everything that is ready run: pushed requests have been read and quick operations have answered. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
