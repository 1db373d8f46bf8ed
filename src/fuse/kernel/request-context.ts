/**
 * One running request as the filesystem sees it (OpContext), and as the session tracks it until it is answered.
 * Invariant: `signal` costs nothing until somebody asks for it, because most operations never wait.
 * Made by kernel-session.ts for each request that gets a reply.
 */
import type { OpContext } from "../transport.ts";
import type { RequestHeader } from "./request.ts";

export class RequestContext implements OpContext {
  readonly header: RequestHeader;
  /** Set once the reply is on its way: whatever comes later is dropped. */
  answered = false;
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor(header: RequestHeader) {
    this.header = header;
  }

  get pid(): number {
    return this.header.pid;
  }

  get uid(): number {
    return this.header.uid;
  }

  get gid(): number {
    return this.header.gid;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Why the request was aborted, if it was. */
  get abortReason(): Error | undefined {
    return this.#reason;
  }

  /** Aborts `signal` with `reason`; the first reason stays. */
  abort(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
