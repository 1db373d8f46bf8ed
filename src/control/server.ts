/**
 * The socket on which a running mount can be asked and told what to do. Started by the process that serves the mount.
 * Invariants: only the user who mounted can open it; a client can neither stop the mount nor fill its memory by what it sends;
 * the end of a connection aborts what was asked on it; after close() every request that ran has been answered or given up.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../observe/log.ts";
import { LineSplitter } from "./line-splitter.ts";
import { type ControlError, MAX_REQUEST_BYTES, type MountControl } from "./protocol.ts";
import { answerTo } from "./requests.ts";

const MAX_CONNECTIONS = 64;
/** Requests of one connection that run at a time; the next ones are read when one has ended. */
const MAX_RUNNING = 16;
/** How long close() waits for answers that are under way, in milliseconds. */
const GRACE_MS = 2000;

export class ControlServer {
  /** Path of the socket. */
  readonly path: string;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();

  private constructor(path: string, control: MountControl, log: Logger) {
    this.path = path;
    this.#server = createServer((socket) => {
      const connection = new Connection(socket, control, log);
      this.#connections.add(connection);
      socket.once("close", () => this.#connections.delete(connection));
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on("error", (error) => log.warn({ err: error }, "the control socket has failed"));
  }

  /**
   * Listens on `path`, at most 107 bytes (unix(7): sun_path), in a folder that only this user may enter. What is left there of a
   * process that is gone is replaced. Rejects with the system's error.
   */
  static async listen(path: string, control: MountControl, log: Logger): Promise<ControlServer> {
    const server = new ControlServer(path, control, log);
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.#server.once("error", reject);
      server.#server.listen(path, () => {
        server.#server.off("error", reject);
        resolve();
      });
    });
    chmodSync(path, 0o600);
    return server;
  }

  /** Takes the socket away, gives up waiting requests, and resolves when their answers are out. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.finish();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, GRACE_MS);
    await closed;
    clearTimeout(timer);
  }
}

/** One client. */
class Connection {
  readonly #socket: Socket;
  readonly #control: MountControl;
  readonly #log: Logger;
  readonly #gone = new AbortController();
  readonly #lines = new LineSplitter(MAX_REQUEST_BYTES);
  readonly #waiting: string[] = [];
  #running = 0;
  #isFinishing = false;

  constructor(socket: Socket, control: MountControl, log: Logger) {
    this.#socket = socket;
    this.#control = control;
    this.#log = log;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => log.debug({ err: error }, "a control connection broke"));
    socket.once("close", () => {
      this.#waiting.length = 0;
      this.#gone.abort();
    });
  }

  /** No further requests; ends when those under way are answered. */
  finish(): void {
    this.#isFinishing = true;
    this.#waiting.length = 0;
    this.#gone.abort();
    this.#next();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#isFinishing) return;
    try {
      this.#waiting.push(...this.#lines.push(chunk));
      this.#next();
    } catch (error) {
      const { code, message } = error as ControlError;
      this.#isFinishing = true;
      this.#socket.end(`${JSON.stringify({ id: null, error: { code, message } })}\n`);
    }
  }

  #next(): void {
    while (this.#running < MAX_RUNNING) {
      const line = this.#waiting.shift();
      if (line === undefined) break;
      this.#run(line);
    }
    if (this.#waiting.length > 0) this.#socket.pause();
    else this.#socket.resume();
    if (this.#isFinishing && this.#running === 0 && !this.#socket.writableEnded) this.#socket.end();
  }

  #run(line: string): void {
    this.#running++;
    answerTo(line, this.#control, this.#gone.signal, this.#log)
      .then((answer) => this.#write(answer))
      .catch((error: unknown) => {
        this.#log.error({ err: error }, "a control request has no answer");
        this.destroy();
      })
      .finally(() => {
        this.#running--;
        this.#next();
      });
  }

  /** Resolves when the client has taken it or is gone: who does not read gets no further requests done. */
  #write(answer: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.writable) this.#socket.write(answer, () => resolve());
      else resolve();
    });
  }
}
