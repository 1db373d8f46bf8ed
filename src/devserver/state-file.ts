/**
 * What is kept beside the objects: users, libraries with their heads, tokens, public links, stars, web sessions. One JSON
 * file, mode 0600, replaced as a whole after every change; or nothing when the server lives in memory. Passwords of users
 * are never written; those of links are, because their owners are shown them. Called by store.ts.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LibraryRecord } from "./library.ts";
import type { PublicLink } from "./public-links.ts";
import type { Star } from "./stars.ts";
import type { WebSession } from "./web-sessions.ts";

export interface UserRecord {
  /** Internal id, "<32 hex>@auth.local", as the API shows it. */
  readonly id: string;
  readonly email: string;
  name: string;
  /** API token, the same for every login without device fields. */
  readonly token: string;
  /** Bytes; null: unlimited. */
  quota: number | null;
}

export interface State {
  readonly users: UserRecord[];
  readonly libraries: LibraryRecord[];
  /** "<user id> <device id>" -> token. */
  readonly deviceTokens: Record<string, string>;
  /** "<user id> <library id>" -> sync token. */
  readonly syncTokens: Record<string, string>;
  readonly links: PublicLink[];
  readonly stars: Star[];
  /** By the value of their cookie. */
  readonly sessions: Record<string, WebSession>;
}

export interface StateFile {
  readonly state: State;
  save(): void;
}

const empty = (): State => ({
  users: [],
  libraries: [],
  deviceTokens: {},
  syncTokens: {},
  links: [],
  stars: [],
  sessions: {},
});

export function memoryState(): StateFile {
  return { state: empty(), save: () => {} };
}

/** Reads `folder`/state.json, if it is there. Throws when it cannot be read or is not JSON. */
export function folderState(folder: string): StateFile {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "state.json");
  let state = empty();
  try {
    // A file of an older version lacks what was not kept then.
    state = { ...state, ...(JSON.parse(readFileSync(path, "utf8")) as Partial<State>) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const save = () => {
    writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  return { state, save };
}
