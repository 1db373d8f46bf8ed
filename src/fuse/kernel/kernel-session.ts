/**
 * One mounted filesystem's conversation with the kernel: reads requests, runs the operations, sends the replies.
 * Invariants: exactly one reply per request, whatever an operation does and however broken the bytes are (none for FORGET,
 * BATCH_FORGET, INTERRUPT and NOTIFY_REPLY); nothing thrown leaves this file; a WRITE's buffer is not
 * reused before its operation has settled. Made by kernel-transport.ts; tests drive it over a Channel literal.
 */
import type { Logger } from "../../observe/log.ts";
import { type Deferred, deferred } from "../../util/abort.ts";
import { ErrnoError, errnoOf, errnoOfFailure } from "../../util/errno.ts";
import type { KernelCache, Operations } from "../transport.ts";
import { OPCODE, opcodeName } from "./abi.ts";
import { BufferPool } from "./buffer-pool.ts";
import type { Channel } from "./channel.ts";
import { ProtocolError } from "./cursor.ts";
import { DirReader } from "./dir-reader.ts";
import { type Answered, dispatch } from "./dispatch.ts";
import { type InitIn, type InitOut, negotiate } from "./init.ts";
import { Notifier } from "./notifier.ts";
import { encodeReply, type Reply } from "./reply.ts";
import { decodeHeader, decodeRequest, type Request, type RequestHeader } from "./request.ts";
import { RequestContext } from "./request-context.ts";

/** Data up to this size, in bytes, is copied out of its request's 1 MiB buffer, which is then free for the next request. */
const COPY_UP_TO = 64 * 1024;

const NO_REPLY: ReadonlySet<number> = new Set([
  OPCODE.FORGET,
  OPCODE.BATCH_FORGET,
  OPCODE.INTERRUPT,
  OPCODE.NOTIFY_REPLY,
]);

export interface KernelSessionOptions {
  readonly operations: Operations;
  readonly channel: Channel;
  readonly log: Logger;
}

export class KernelSession {
  /** Resolves when INIT is answered; rejects when the kernel cannot be served or went away before. */
  readonly ready: Promise<InitOut>;
  /** Resolves, never rejects, when reading has ended, all operations have settled and destroy() was called. */
  readonly closed: Promise<void>;
  readonly #operations: Operations;
  readonly #dirs: DirReader;
  readonly #channel: Channel;
  readonly #log: Logger;
  readonly #notifier: Notifier;
  readonly #pool = new BufferPool();
  readonly #running = new Map<RequestContext, Promise<void>>();
  readonly #byUnique = new Map<number, RequestContext>();
  readonly #init: Deferred<InitOut> = deferred();
  #stopping = false;
  #ended = false;
  #destroyed = false;

  constructor(options: KernelSessionOptions) {
    this.#operations = options.operations;
    this.#dirs = new DirReader(options.operations);
    this.#channel = options.channel;
    this.#log = options.log;
    this.#notifier = new Notifier(options.channel, options.log);
    this.ready = this.#init.promise;
    this.ready.catch(() => {});
    this.closed = this.#serve();
  }

  /** True once the kernel has ended the session: its device number may belong to another mount by now. */
  get ended(): boolean {
    return this.#ended;
  }

  get kernelCache(): KernelCache {
    return this.#notifier;
  }

  /** Answers what runs, and every later request, with ENOTCONN, and aborts their signals. Reading goes on until the kernel ends it. */
  stop(): void {
    this.#stopping = true;
    for (const context of this.#running.keys()) {
      if (!context.answered) {
        context.answered = true;
        this.#send(context.header, { kind: "error", errno: errnoOf("ENOTCONN") });
      }
      context.abort(new ErrnoError("ENOTCONN", "The filesystem was unmounted"));
    }
  }

  async #serve(): Promise<void> {
    const error = await this.#readAll();
    if (error !== undefined)
      this.#log.error({ err: error }, "reading /dev/fuse failed; the mount answers nothing any more");
    this.#ended = true;
    this.stop();
    await this.#notifier.stop();
    this.#channel.close();
    await Promise.all(this.#running.values());
    this.#destroy();
    this.#init.reject(new Error("The kernel ended the mount before it was ready"));
  }

  /** Resolves when nothing more will come, with the reason if it is not the end of the session. */
  #readAll(): Promise<Error | undefined> {
    return new Promise((resolve) => {
      this.#channel.start({
        takeBuffer: () => this.#pool.take(),
        request: (buffer, length) => {
          if (!this.#accept(buffer, length)) this.#pool.give(buffer);
        },
        end: resolve,
      });
    });
  }

  /** Handles one request; true if its buffer is still in use and will be given back later. */
  #accept(buffer: Buffer, length: number): boolean {
    let header: RequestHeader;
    try {
      header = decodeHeader(buffer, length);
    } catch (error) {
      this.#log.warn({ err: error, length }, "dropped bytes of /dev/fuse that are no request");
      return false;
    }
    if (header.unique === 0) {
      this.#log.warn({ opcode: opcodeName(header.opcode) }, "dropped a request without an id");
      return false;
    }
    try {
      return this.#handle(header, decodeRequest(header, buffer, length), buffer);
    } catch (error) {
      if (!NO_REPLY.has(header.opcode)) this.#send(header, this.#failure(error, header));
      else this.#log.warn({ err: error, opcode: opcodeName(header.opcode) }, "dropped a malformed request");
      return false;
    }
  }

  #handle(header: RequestHeader, request: Request, buffer: Buffer): boolean {
    switch (request.op) {
      case "init":
        this.#answerInit(header, request);
        return false;
      case "forget":
        this.#forget(header.nodeid, request.nlookup);
        return false;
      case "batch_forget":
        for (const { ino, nlookup } of request.forgets) this.#forget(ino, nlookup);
        return false;
      case "interrupt":
        this.#interrupt(request.unique);
        return false;
      case "notify_reply":
        return false;
      case "destroy":
        this.#destroy();
        this.#send(header, { kind: "ok" });
        return false;
      default:
        return this.#start(header, request, buffer);
    }
  }

  #start(header: RequestHeader, request: Answered, buffer: Buffer): boolean {
    if (this.#stopping) {
      this.#send(header, { kind: "error", errno: errnoOf("ENOTCONN") });
      return false;
    }
    const keeps = request.op === "write" && request.data.length > COPY_UP_TO;
    const context = new RequestContext(header);
    this.#byUnique.set(header.unique, context);
    const work = this.#run(context, keeps ? request : withOwnBytes(request)).then(() => {
      this.#running.delete(context);
      if (this.#byUnique.get(header.unique) === context) this.#byUnique.delete(header.unique);
      if (keeps) this.#pool.give(buffer);
    });
    this.#running.set(context, work);
    return keeps;
  }

  async #run(context: RequestContext, request: Answered): Promise<void> {
    let reply: Reply;
    try {
      reply = await dispatch(this.#operations, this.#dirs, context, context.header.nodeid, request);
    } catch (error) {
      reply = this.#failure(error, context.header, context.abortReason);
    }
    if (context.answered) return;
    context.answered = true;
    this.#send(context.header, reply);
  }

  #send(header: RequestHeader, reply: Reply): void {
    try {
      this.#channel.write(encodeReply(header.unique, reply));
    } catch (error) {
      this.#log.warn({ err: error, opcode: opcodeName(header.opcode) }, "a reply was refused; answered EIO instead");
      this.#sendError(header, errnoOf("EIO"));
    }
  }

  /** For a reply that could not be encoded, or that the kernel refused: it may have ended the request itself by then. */
  #sendError(header: RequestHeader, errno: number): void {
    try {
      this.#channel.write(encodeReply(header.unique, { kind: "error", errno }));
    } catch (error) {
      this.#log.error({ err: error, opcode: opcodeName(header.opcode) }, "a request could not be answered");
    }
  }

  #failure(error: unknown, header: RequestHeader, abortReason?: Error): Reply {
    const errno = errnoOfFailure(error, abortReason);
    if (errno !== undefined) return { kind: "error", errno };
    const what = error instanceof ProtocolError ? "a malformed request" : "an operation failed unexpectedly";
    this.#log.warn({ err: error, opcode: opcodeName(header.opcode) }, `${what}; answered EIO`);
    return { kind: "error", errno: errnoOf("EIO") };
  }

  #answerInit(header: RequestHeader, kernel: InitIn): void {
    const answer = negotiate(kernel);
    if (answer === undefined) {
      this.#send(header, { kind: "error", errno: errnoOf("EPROTO") });
      this.#init.reject(new Error(`The kernel speaks FUSE ${kernel.major}.${kernel.minor}; 7.28 or newer is needed`));
      return;
    }
    this.#send(header, { kind: "init", init: answer.init });
    if (!answer.again) this.#init.resolve(answer.init);
  }

  /** Aborts the request. One that does not run is answered already: requests arrive in order, and before their INTERRUPT. */
  #interrupt(unique: number): void {
    this.#byUnique.get(unique)?.abort(new ErrnoError("EINTR", "The caller was interrupted"));
  }

  #forget(ino: number, nlookup: number): void {
    try {
      this.#operations.forget(ino, nlookup);
    } catch (error) {
      this.#log.warn({ err: error, ino }, "forget failed");
    }
  }

  #destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    try {
      this.#operations.destroy();
    } catch (error) {
      this.#log.warn({ err: error }, "destroy failed");
    }
  }
}

/** The request with its data copied out of the buffer it arrived in. */
function withOwnBytes(request: Answered): Answered {
  if (request.op === "write") return { ...request, data: Buffer.from(request.data) };
  if (request.op === "setxattr") return { ...request, value: Buffer.from(request.value) };
  return request;
}
