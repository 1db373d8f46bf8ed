/**
 * Locks by key, shared or exclusive, first come first served (a waiting writer is not overtaken by later readers).
 * Invariant: a key without holder or waiter takes no memory. Who locks several keys does so in an order that all others
 * keep: library tree, then directories (parent before child, else ascending inode), then file.
 */
import { abortReason } from "./abort.ts";

export type Release = () => void;
export type LockMode = "shared" | "exclusive";

interface Waiter {
  readonly mode: LockMode;
  readonly grant: () => void;
}

interface Lock {
  /** Number of shared holders, or -1 for one exclusive holder. */
  holders: number;
  readonly queue: Waiter[];
}

export class KeyedMutex<K> {
  readonly #locks = new Map<K, Lock>();

  /** Resolves with the release function once the lock is held. Rejects with the signal's reason while still waiting. */
  async lock(key: K, mode: LockMode = "exclusive", signal?: AbortSignal): Promise<Release> {
    if (signal?.aborted) throw abortReason(signal);
    let lock = this.#locks.get(key);
    if (lock === undefined) {
      lock = { holders: 0, queue: [] };
      this.#locks.set(key, lock);
    }
    if (lock.queue.length === 0 && grantable(lock, mode)) take(lock, mode);
    else await this.#wait(lock, key, mode, signal);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      lock.holders = lock.holders === -1 ? 0 : lock.holders - 1;
      this.#wake(key, lock);
    };
  }

  async run<T>(key: K, mode: LockMode, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const release = await this.lock(key, mode, signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #wait(lock: Lock, key: K, mode: LockMode, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        lock.queue.splice(lock.queue.indexOf(waiter), 1);
        this.#wake(key, lock);
        reject(abortReason(signal!));
      };
      const waiter: Waiter = {
        mode,
        grant: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      lock.queue.push(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #wake(key: K, lock: Lock): void {
    for (let next = lock.queue[0]; next !== undefined && grantable(lock, next.mode); next = lock.queue[0]) {
      lock.queue.shift();
      take(lock, next.mode);
      next.grant();
    }
    if (lock.holders === 0 && lock.queue.length === 0 && this.#locks.get(key) === lock) this.#locks.delete(key);
  }
}

function grantable(lock: Lock, mode: LockMode): boolean {
  return lock.holders === 0 || (mode === "shared" && lock.holders > 0);
}

function take(lock: Lock, mode: LockMode): void {
  lock.holders = mode === "exclusive" ? -1 : lock.holders + 1;
}
