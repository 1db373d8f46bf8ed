/**
 * Access tokens of the file server: what a link may do, until when, and whether once only.
 * Invariants: they live in memory only (a restart forgets them); a one-time token is gone after the first look at it,
 * whatever comes of the request; use never prolongs a token. Called by the link endpoints and the file server.
 */
import { randomUUID } from "node:crypto";

export interface AccessToken {
  readonly libraryId: string;
  readonly userId: string;
  /** An address `/<op>-api/` or `/<op>-aj/` accepts tokens whose op it begins with. */
  readonly op: "download" | "view" | "upload" | "update";
  /** download, view: the file id it is pinned to; upload: the directory it is bound to; update: "". */
  readonly target: string;
  readonly oneTime: boolean;
}

export class AccessTokens {
  readonly #tokens = new Map<string, AccessToken & { readonly expires: number }>();
  readonly #now: () => number;
  readonly #lifetime: number;

  /** `now` and `lifetime` in milliseconds. */
  constructor(now: () => number, lifetime: number) {
    this.#now = now;
    this.#lifetime = lifetime;
  }

  issue(token: AccessToken): string {
    this.#sweep();
    const id = randomUUID();
    this.#tokens.set(id, { ...token, expires: this.#now() + this.#lifetime });
    return id;
  }

  /** Looks a token up, and uses a one-time token up by that. */
  take(id: string): AccessToken | undefined {
    const token = this.#tokens.get(id);
    if (token === undefined) return undefined;
    const expired = this.#now() >= token.expires;
    if (expired || token.oneTime) this.#tokens.delete(id);
    return expired ? undefined : token;
  }

  expireAll(): void {
    this.#tokens.clear();
  }

  /** Tokens are in order of expiry as long as the clock does not go back. */
  #sweep(): void {
    for (const [id, token] of this.#tokens) {
      if (token.expires > this.#now()) return;
      this.#tokens.delete(id);
    }
  }
}
