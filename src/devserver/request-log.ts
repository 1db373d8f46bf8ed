/**
 * Every request that arrived, at both origins, in order of arrival: what tests count round trips with.
 * Invariant: a request is in the list from its arrival on; its status is 0 until it was answered (and stays 0 when it never was).
 */

export interface LoggedRequest {
  /** Stable name of the endpoint's family: "dir", "file-link", "download", … ("unknown" for the rest). */
  readonly kind: string;
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly status: number;
}

export interface OpenRequest {
  setKind(kind: string): void;
  setStatus(status: number): void;
}

export class RequestLog {
  #entries: { kind: string; method: string; url: string; status: number }[] = [];

  arrived(kind: string, method: string, url: string): OpenRequest {
    const entry = { kind, method, url, status: 0 };
    this.#entries.push(entry);
    return {
      setKind: (name) => {
        entry.kind = name;
      },
      setStatus: (status) => {
        entry.status = status;
      },
    };
  }

  count(kind?: string): number {
    return kind === undefined ? this.#entries.length : this.#entries.filter((entry) => entry.kind === kind).length;
  }

  list(): LoggedRequest[] {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  reset(): void {
    this.#entries = [];
  }
}
