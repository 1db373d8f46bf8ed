/**
 * Django REST framework's sliding-window throttle: one window per user, whatever token is used, or per address where there
 * is no login. Called by the router.
 */

export class RateLimit {
  readonly #requests: number;
  readonly #perMs: number;
  readonly #now: () => number;
  readonly #history = new Map<string, number[]>();

  /** At most `requests` within any `perMs` milliseconds, per key. */
  constructor(requests: number, perMs: number, now: () => number) {
    this.#requests = requests;
    this.#perMs = perMs;
    this.#now = now;
  }

  /** Counts a request; gives the seconds to wait (at least 1) when it is one too many. A refused request is not counted. */
  check(key: string): number | undefined {
    const now = this.#now();
    const recent = (this.#history.get(key) ?? []).filter((time) => time > now - this.#perMs);
    this.#history.set(key, recent);
    if (recent.length >= this.#requests) {
      return Math.max(1, Math.ceil((recent[0]! + this.#perMs - now) / 1000));
    }
    recent.push(now);
    return undefined;
  }
}
