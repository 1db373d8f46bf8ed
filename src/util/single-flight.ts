/**
 * Work shared by everybody who asks for it under a key while it runs. Invariants: one piece of work per key at a time; a waiter
 * that gives up disturbs nobody; when the last one has given up the work is aborted, and who asks after that starts anew
 * instead of joining it. Called by the listing cache and the link cache.
 */
import { raceAbort } from "./abort.ts";

interface Flight<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

export class SingleFlight<K, T> {
  readonly #flights = new Map<K, Flight<T>>();

  /** Joins the work of the key or starts it. Rejects as the work does, or with the signal's reason. */
  async run(key: K, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiters++;
    try {
      return await raceAbort(flight.promise, signal);
    } finally {
      flight.waiters--;
      if (flight.waiters === 0 && this.#flights.get(key) === flight) {
        this.#flights.delete(key);
        flight.controller.abort();
      }
    }
  }

  #start(key: K, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const promise = work(controller.signal).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    // All who waited may have left by the time it fails.
    promise.catch(noop);
    const flight: Flight<T> = { promise, controller, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }
}

function noop(): void {}
