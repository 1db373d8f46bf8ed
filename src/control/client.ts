/**
 * The command line's end of the control socket: the methods of a running mount as promises.
 * Invariant: every call settles, also when the mounting process dies or stops answering; the failure is a ControlError.
 */
import { createConnection, type Socket } from "node:net";
import { type Deferred, deferred } from "../util/abort.ts";
import { LineSplitter } from "./line-splitter.ts";
import {
  type Answer,
  ControlError,
  type Located,
  MAX_ANSWER_BYTES,
  type Method,
  type MountStatus,
  type QueueItem,
  type SyncResult,
} from "./protocol.ts";

/** How long a mount may take to answer what it can answer at once, in milliseconds. */
const ANSWER_MS = 10_000;

export class ControlClient {
  readonly #socket: Socket;
  readonly #lines = new LineSplitter(MAX_ANSWER_BYTES);
  readonly #waiting = new Map<number, Deferred<unknown>>();
  #lastId = 0;
  #failure: ControlError | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (cause) =>
      this.#end(new ControlError("closed", "The connection to the mount broke.", { cause })),
    );
    socket.on("close", () => this.#end(new ControlError("closed", "The mount ended before it answered.")));
  }

  /** Rejects with ControlError "unreachable" when nobody listens. */
  static connect(path: string): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path);
      const onError = (cause: Error) =>
        reject(new ControlError("unreachable", "Nobody listens on its control socket.", { cause }));
      socket.once("error", onError);
      socket.once("connect", () => {
        socket.off("error", onError);
        resolve(new ControlClient(socket));
      });
    });
  }

  status(): Promise<MountStatus> {
    return this.#call("status", {}, ANSWER_MS);
  }

  queue(): Promise<readonly QueueItem[]> {
    return this.#call("queue", {}, ANSWER_MS);
  }

  /** What on the server the place is. Rejects with "ENOENT". */
  locate(path: string): Promise<Located> {
    return this.#call("locate", { path }, ANSWER_MS);
  }

  /** How many items it concerned; likewise hold, release and discard. Without ids: all. */
  retry(ids?: readonly number[]): Promise<number> {
    return this.#call("retry", { ids }, ANSWER_MS);
  }

  hold(ids: readonly number[]): Promise<number> {
    return this.#call("hold", { ids }, ANSWER_MS);
  }

  release(ids: readonly number[]): Promise<number> {
    return this.#call("release", { ids }, ANSWER_MS);
  }

  discard(ids: readonly number[]): Promise<number> {
    return this.#call("discard", { ids });
  }

  /** Rejects with "EEXIST" when there is something at `path` (absolute, not below the mount point). */
  export(id: number, path: string): Promise<void> {
    return this.#call("export", { id, path });
  }

  /** Resolves when everything at and below `path` is stored, when what remains cannot be, or after `timeoutMs` (at most MAX_WAIT_MS). */
  sync(path: string | undefined, timeoutMs: number | undefined): Promise<SyncResult> {
    return this.#call("sync", { path, timeoutMs });
  }

  /** How many changes had waited for the password. Rejects when it is wrong. */
  unlock(library: string, password: string): Promise<number> {
    return this.#call("unlock", { library, password });
  }

  /** Rejects with "EBUSY" while files are open. Resolves when the mount is gone; its process ends a little later. */
  unmount(drainMs: number | undefined): Promise<{ readonly pending: number }> {
    return this.#call("unmount", { drainMs });
  }

  /** Gives up what still runs. */
  close(): void {
    this.#end(new ControlError("closed", "The connection was closed."));
  }

  async #call<Result>(method: Method, params: object, deadlineMs?: number): Promise<Result> {
    if (this.#failure !== undefined) throw this.#failure;
    const id = ++this.#lastId;
    const answer = deferred<unknown>();
    this.#waiting.set(id, answer);
    this.#socket.write(`${JSON.stringify({ id, method, params })}\n`);
    const late = () => answer.reject(new ControlError("timeout", "The mount does not answer."));
    const timer = deadlineMs === undefined ? undefined : setTimeout(late, deadlineMs);
    try {
      return (await answer.promise) as Result;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #receive(chunk: Buffer): void {
    try {
      for (const line of this.#lines.push(chunk)) this.#settle(JSON.parse(line) as Answer);
    } catch (cause) {
      this.#end(new ControlError("closed", "The mount answers nonsense.", { cause }));
    }
  }

  #settle(answer: Answer): void {
    // Without an id the server could not tell which request it refused, and will close the connection.
    if (answer.id === null && "error" in answer) {
      this.#end(new ControlError(answer.error.code, answer.error.message));
      return;
    }
    const waiting = this.#waiting.get(answer.id!);
    if ("error" in answer) waiting?.reject(new ControlError(answer.error.code, answer.error.message));
    else waiting?.resolve(answer.result);
  }

  #end(failure: ControlError): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    for (const waiting of this.#waiting.values()) waiting.reject(failure);
    this.#socket.destroy();
  }
}
