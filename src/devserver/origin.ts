/**
 * One listening HTTP server (an origin): its sockets, its going down and coming up. Down means that every connection is
 * destroyed, old ones at once and new ones when they come; the port stays ours. Called by index.ts, once per origin.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** Requests that are served even when down; with it, what is destroyed then are requests rather than connections. */
export type Exempt = (url: string) => boolean;
export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export class Origin {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #isExempt: Exempt | undefined;
  #down = false;

  private constructor(server: Server, isExempt: Exempt | undefined) {
    this.#server = server;
    this.#isExempt = isExempt;
    server.on("connection", (socket) => this.#connected(socket));
    // The real servers keep idle connections for minutes; a short timeout would race with clients that reuse them.
    server.keepAliveTimeout = 120_000;
    server.headersTimeout = 0;
    server.requestTimeout = 0;
  }

  /** Rejects when it cannot listen there. `port` 0: any. */
  static async listen(host: string, port: number, handler: Handler, isExempt?: Exempt): Promise<Origin> {
    const server = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
      if (origin.#refuses(request)) return;
      // Whatever the handler could not answer ends as a broken connection, never as a request that hangs.
      handler(request, response).catch((error: unknown) => {
        if (!response.destroyed) process.emitWarning(error as Error);
        response.destroy();
      });
    });
    const origin = new Origin(server, isExempt);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(port, host, resolve);
    });
    return origin;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  setDown(down: boolean): void {
    this.#down = down;
    if (down) this.#destroySockets();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#destroySockets();
    await closed;
  }

  #refuses(request: IncomingMessage): boolean {
    if (!this.#down || this.#isExempt?.(request.url ?? "")) return false;
    request.socket.destroy();
    return true;
  }

  #connected(socket: Socket): void {
    if (this.#down && this.#isExempt === undefined) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #destroySockets(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
