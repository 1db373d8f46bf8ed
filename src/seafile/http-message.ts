/**
 * Requests and answers as the endpoint functions see them: types only. A request says who is asked, what for (in words, for
 * errors) and what is sent; http.ts makes it one HTTP request.
 */
import type { SeafileError, Side } from "./errors.ts";

/** The body of a request, and whether it was handed out to its end. */
export interface RequestBody {
  readonly contentType: string;
  readonly length: number;
  readonly stream: AsyncIterable<Uint8Array>;
  readonly isComplete: () => boolean;
  /** Why the content could not be read, if that is what broke the request. */
  readonly failure: () => SeafileError | undefined;
}

export interface HttpRequest {
  readonly side: Side;
  /** What is attempted, as the beginning of a sentence for errors: `Listing "/a"`. */
  readonly what: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Seahub: path below the base address, with its slashes. File server: the whole link. */
  readonly target: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly form?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly body?: RequestBody;
  readonly headers?: Readonly<Record<string, string>>;
  readonly headersTimeoutMs?: number;
  /** A redirect is what is asked for: it is answered, never followed. */
  readonly redirects?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  header(name: string): string | undefined;
  /** All values of a header that may come several times. */
  headers(name: string): readonly string[];
}

export interface HttpStream {
  readonly status: number;
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  /** The bytes as they arrive, once; ending the iteration frees the connection. Rejects with a SeafileError when cut. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Gives the answer up; needed only when `chunks` is not iterated. */
  discard(): void;
}
