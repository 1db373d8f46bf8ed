/** Times as the kernel has them (struct timespec): seconds may be negative, 0 <= nsec < 1e9. Pure helpers, no clock of their own but now(). */

export interface Timespec {
  readonly sec: number;
  readonly nsec: number;
}

export function fromSeconds(sec: number): Timespec {
  return { sec, nsec: 0 };
}

export function fromMillis(ms: number): Timespec {
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: Math.round((ms - sec * 1000) * 1e6) % 1e9 };
}

export function now(): Timespec {
  return fromMillis(Date.now());
}
