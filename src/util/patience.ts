/**
 * How long something waits that several may ask for, each with a time of his own, or with none.
 * Invariant: the shortest time that anybody named counts, and the default only if nobody did. Used by mount.ts for the mount's end.
 */

export class Patience {
  readonly #default: number;
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];

  /** `defaultMs`: milliseconds, as all times here. */
  constructor(defaultMs: number) {
    this.#default = defaultMs;
  }

  /** The clock runs from now. The signal aborts when the time is over. */
  start(ms = this.#timers.length > 0 ? undefined : this.#default): AbortSignal {
    if (ms !== undefined) {
      const give = () => this.#controller.abort(new DOMException("the server took too long", "AbortError"));
      if (ms === 0) give();
      this.#timers.push(setTimeout(give, ms));
    }
    return this.#controller.signal;
  }

  /** Nobody waits any more: no timer is left. */
  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
