/**
 * Sessions of the web pages: which public links a browser has given the password of. They live a day from the last password,
 * like Django's, and survive a restart with the rest of the state. Called by the pages of links and the views that ask for
 * the same password.
 */
import { randomInt } from "node:crypto";

export interface WebSession {
  /** Tokens of the links whose password was given. */
  readonly opened: string[];
  /** Unix seconds. */
  expires: number;
}

/** Seconds. */
export const SESSION_LIFETIME = 86_400;

const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";

export class WebSessions {
  readonly #sessions: Record<string, WebSession>;
  readonly #save: () => void;
  readonly #now: () => number;

  /** `sessions` is changed in place, and `save` called after each change; `now` in Unix seconds. */
  constructor(sessions: Record<string, WebSession>, save: () => void, now: () => number) {
    this.#sessions = sessions;
    this.#save = save;
    this.#now = now;
  }

  /** `id`: value of the session cookie, "" without one. */
  hasOpened(id: string, token: string): boolean {
    return this.#alive(id)?.opened.includes(token) ?? false;
  }

  /** Remembers that the password of a link was given, in the session `id` or else in a new one; gives the session's id. */
  open(id: string, token: string): string {
    for (const [known, { expires }] of Object.entries(this.#sessions)) {
      if (expires <= this.#now()) delete this.#sessions[known];
    }
    const known = this.#alive(id);
    const key = known === undefined ? newId() : id;
    const opened = new Set([...(known?.opened ?? []), token]);
    this.#sessions[key] = { opened: [...opened], expires: this.#now() + SESSION_LIFETIME };
    this.#save();
    return key;
  }

  #alive(id: string): WebSession | undefined {
    const session = Object.hasOwn(this.#sessions, id) ? this.#sessions[id] : undefined;
    return session !== undefined && session.expires > this.#now() ? session : undefined;
  }
}

function newId(): string {
  return Array.from({ length: 32 }, () => LETTERS[randomInt(LETTERS.length)]).join("");
}
