/**
 * One request and its answer on the wire, with everything that may disturb it: latency, bandwidth, faults. Both origins
 * handle requests through this class, so that a fault means the same everywhere.
 * Invariant: a body is streamed with backpressure and never held as a whole; after a cut nothing more is written.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { sleep } from "../util/abort.ts";
import type { FaultPlan, Faults } from "./faults.ts";
import type { OpenRequest, RequestLog } from "./request-log.ts";

export type Header = readonly [name: string, value: string];

export interface WireReply {
  readonly status: number;
  /** Reason phrase; absent: the standard one. */
  readonly reason?: string | undefined;
  readonly headers: readonly Header[];
  readonly body: Buffer | { readonly length: number; readonly chunks: AsyncIterable<Buffer> };
  /** Ends the connection after the answer, and says so. */
  readonly close?: boolean;
  /** Sends the body of a HEAD too, as the C file server does with a range: the connection is out of step afterwards. */
  readonly bodyOnHead?: boolean;
}

export interface Conditions {
  readonly log: RequestLog;
  readonly faults: Faults;
  readonly latencyMs: number;
  /** Bytes per second of each body; undefined: unlimited. */
  readonly bandwidth: number | undefined;
}

/** The connection is gone, or was cut on purpose: there is nobody to answer. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

const UPLOADS = new Set(["upload", "update"]);
const NO_FAULTS: FaultPlan = { failure: undefined, hang: false, delayMs: 0, cut: undefined };

export class Exchange {
  readonly request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #conditions: Conditions;
  readonly #logged: OpenRequest;
  #kind = "unknown";
  #plan = NO_FAULTS;
  #incoming: AsyncIterableIterator<unknown> | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, conditions: Conditions) {
    this.request = request;
    this.#response = response;
    this.#conditions = conditions;
    this.#logged = conditions.log.arrived(this.#kind, request.method ?? "", request.url ?? "");
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return typeof value === "string" ? value : value?.join(", ");
  }

  /**
   * Names the request for log and faults, and lets the faults that come before a handler happen. Gives the failure to answer
   * with, if one was planned. Rejects with ConnectionLost after a hang.
   */
  async begin(kind: string): Promise<FaultPlan["failure"]> {
    this.#kind = kind;
    this.#logged.setKind(kind);
    this.#plan = this.#conditions.faults.take(kind);
    const wait = this.#plan.delayMs + this.#conditions.latencyMs;
    if (wait > 0) await sleep(wait);
    if (this.#plan.hang) {
      this.request.resume();
      await new Promise((resolve) => this.#response.once("close", resolve));
      throw new ConnectionLost();
    }
    return this.#plan.failure;
  }

  /** The request's body as it arrives. */
  async *body(): AsyncGenerator<Buffer> {
    const cutAfter = this.#cutAfter("request");
    const { bandwidth } = this.#conditions;
    let received = 0;
    // Stopping early must not destroy the connection: the answer is still to be sent on it.
    this.#incoming = this.request.iterator({ destroyOnReturn: false });
    for await (const chunk of this.#incoming as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (cutAfter !== undefined && received >= cutAfter) this.#cut();
      if (bandwidth !== undefined) await sleep((chunk.length * 1000) / bandwidth);
      yield chunk;
    }
  }

  async send(reply: WireReply): Promise<void> {
    const response = this.#response;
    if (response.destroyed) throw new ConnectionLost();
    if (this.#plan.cut?.answer && this.#plan.cut.afterBytes === 0) this.#cut();
    this.#logged.setStatus(reply.status);
    response.statusCode = reply.status;
    if (reply.reason !== undefined) response.statusMessage = reply.reason;
    for (const [name, value] of reply.headers) response.appendHeader(name, value);
    if (reply.close) response.setHeader("Connection", "close");
    const whole = Buffer.isBuffer(reply.body);
    const length = reply.body.length;
    if (!response.hasHeader("Content-Length") && !response.hasHeader("Transfer-Encoding")) {
      response.setHeader("Content-Length", length);
    }
    if (!this.request.complete || this.#plan.cut !== undefined) response.flushHeaders();
    const chunks = whole ? [reply.body as Buffer] : (reply.body as { chunks: AsyncIterable<Buffer> }).chunks;
    if (this.request.method !== "HEAD") await this.#write(chunks);
    // A client that is still sending would see a reset, not the answer, if the connection closed under it.
    if (!this.request.complete) await this.#drainRequest();
    response.end();
    if (reply.bodyOnHead && this.request.method === "HEAD") {
      for await (const chunk of chunks) this.request.socket.write(chunk);
    }
  }

  async #write(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    const cutAfter = this.#cutAfter("response");
    const { bandwidth } = this.#conditions;
    let sent = 0;
    for await (const chunk of chunks) {
      for (const piece of pieces(chunk, bandwidth)) {
        if (cutAfter !== undefined && sent + piece.length >= cutAfter) {
          await this.#writePiece(piece.subarray(0, cutAfter - sent));
          this.#cut();
        }
        await this.#writePiece(piece);
        sent += piece.length;
        if (bandwidth !== undefined) await sleep((piece.length * 1000) / bandwidth);
      }
    }
  }

  async #writePiece(piece: Buffer): Promise<void> {
    const response = this.#response;
    if (response.destroyed) throw new ConnectionLost();
    if (response.write(piece)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        response.off("drain", done).off("close", done);
        resolve();
      };
      response.on("drain", done).on("close", done);
    });
  }

  /** Reads on where the handler stopped; an unfinished iterator would keep the request from flowing. */
  async #drainRequest(): Promise<void> {
    const { request } = this;
    while (this.#incoming !== undefined && !(await this.#incoming.next()).done);
    if (request.complete || request.destroyed) return;
    request.resume();
    await new Promise<void>((resolve) => {
      const done = () => resolve();
      request.once("end", done).once("close", done).once("error", done);
    });
  }

  #cutAfter(body: "request" | "response"): number | undefined {
    const { cut } = this.#plan;
    if (cut === undefined) return undefined;
    const cutsRequest = UPLOADS.has(this.#kind) && !cut.answer;
    return cutsRequest === (body === "request") ? cut.afterBytes : undefined;
  }

  /** Ends the connection without an answer; the caller ends with ConnectionLost. */
  cut(): void {
    // destroySoon lets the bytes that were written reach the client first.
    this.#response.socket?.destroySoon();
  }

  #cut(): never {
    this.cut();
    throw new ConnectionLost();
  }
}

/** Slices of at most a tenth of a second, so that a slow body arrives evenly. */
function* pieces(chunk: Buffer, bandwidth: number | undefined): Generator<Buffer> {
  const step = bandwidth === undefined ? chunk.length : Math.max(1, Math.min(64 * 1024, Math.ceil(bandwidth / 10)));
  for (let at = 0; at < chunk.length; at += step) yield chunk.subarray(at, at + step);
}
