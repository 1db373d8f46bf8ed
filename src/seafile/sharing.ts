/**
 * Libraries that people share with each other: what the account shares, what is shared with it, and ending either. The server knows
 * people by internal names ("...@auth.local" since 11.0). Invariant: they are shown by their e-mail address and addressed by the
 * internal one. Owned by Account.
 */
import { type Context, repeat } from "./context.ts";
import { getLibraries } from "./endpoints.ts";
import { deleteBeshared, deleteShare, getSharedLibraries, getSharedNames } from "./endpoints-sharing.ts";
import { SeafileError } from "./errors.ts";
import type { SharedLine } from "./schema-sharing.ts";
import type { LibraryId } from "./types.ts";

export interface Share {
  /** "out": the account shares it; "in": it is shared with the account. */
  readonly direction: "out" | "in";
  readonly library: LibraryId;
  readonly libraryName: string;
  readonly type: "personal" | "group" | "public";
  /** Whom with or from whom: an e-mail address, a group's name, or "everybody". */
  readonly who: string;
  /** The server's name for them. */
  readonly id: string;
  readonly permission: string;
  readonly encrypted: boolean;
}

export class Sharing {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** What the account shares, one line per library and receiver. */
  async shared(signal?: AbortSignal): Promise<readonly Share[]> {
    const { http } = this.#context;
    const [lines, names] = await Promise.all([
      repeat(this.#context, signal, () => getSharedLibraries(http, "shared", signal)),
      this.#names(signal),
    ]);
    return lines.map((line) => shareOf(line, "out", names));
  }

  /** What is shared with the account, by persons or in groups. */
  async received(signal?: AbortSignal): Promise<readonly Share[]> {
    const { http } = this.#context;
    const [lines, libraries] = await Promise.all([
      repeat(this.#context, signal, () => getSharedLibraries(http, "beshared", signal)),
      repeat(this.#context, signal, () => getLibraries(http, signal)),
    ]);
    const owners = libraries.map(({ owner, owner_contact_email: email }) => [owner, email] as const);
    const givers = libraries.map(({ share_from: from, share_from_contact_email: email }) => [from, email] as const);
    const names = new Map([...owners, ...givers].filter(([, email]) => email !== ""));
    return lines.map((line) => shareOf(line, "in", names));
  }

  /** Takes a library of the account back from whom it is shared with. */
  end({ library, type, id }: Share): Promise<void> {
    const who = type === "personal" ? { user: id } : type === "group" ? { group_id: id } : {};
    return repeat(this.#context, undefined, () =>
      deleteShare(this.#context.http, library, { share_type: type, ...who }),
    );
  }

  /** Gives up a library that a person shares with the account. Rejects with "forbidden" for one that comes through a group. */
  async leave({ library, libraryName, type, id, who }: Share): Promise<void> {
    if (type !== "personal") {
      const message = `"${libraryName}" is shared with ${type === "group" ? `the group "${who}"` : "everybody"}, not with you alone, and cannot be left.`;
      throw new SeafileError("forbidden", message);
    }
    await repeat(this.#context, undefined, () => deleteBeshared(this.#context.http, library, id));
  }

  /** E-mail addresses by internal name. Servers before 6.x have no such list: there they are the same. */
  async #names(signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const { http } = this.#context;
    try {
      const lines = await repeat(this.#context, signal, () => getSharedNames(http, signal));
      return new Map(lines.map((line) => [line.user_email, line.contact_email || line.user_name]));
    } catch (error) {
      if (error instanceof SeafileError && error.kind === "protocol") return new Map();
      throw error;
    }
  }
}

function shareOf(line: SharedLine, direction: Share["direction"], names: ReadonlyMap<string, string>): Share {
  const type = line.share_type === "group" || line.share_type === "personal" ? line.share_type : "public";
  const id = type === "group" ? String(line.group_id ?? "") : line.user;
  const group = line.group_name || `group ${id}`;
  return {
    direction,
    library: line.repo_id,
    libraryName: line.repo_name,
    type,
    who: type === "group" ? group : type === "public" ? "everybody" : names.get(id) || id,
    id,
    permission: line.permission,
    encrypted: line.encrypted,
  };
}
