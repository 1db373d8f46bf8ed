/**
 * Hands the passwords of encrypted libraries to the account, each to its library, and says which stay locked. Nothing is sent:
 * that happens at first need. Called by mount.ts.
 */
import { pickLibrary, type Target } from "./mount-target.ts";
import type { Logger } from "./observe/log.ts";
import type { Account } from "./seafile/account.ts";
import { SeafileError } from "./seafile/errors.ts";
import type { LibraryInfo } from "./seafile/types.ts";

type Shown = Pick<Target, "library" | "infos">;

/** `passwords`: see the option of that name. Throws "not-found" for a name that no library has, "invalid" where "" could mean several. */
export function givePasswords(
  account: Pick<Account, "givePassword">,
  target: Shown,
  passwords: Readonly<Record<string, string>>,
  log: Logger,
): void {
  const given = new Set<LibraryInfo>();
  // What names its library comes last, and wins.
  for (const wanted of Object.keys(passwords).sort((a, b) => rank(a) - rank(b))) {
    const info = wanted === "" ? theOneLibrary(target) : named(target, wanted);
    if (info === undefined) continue;
    given.add(info);
    if (info.encrypted) account.givePassword(info.id, passwords[wanted]!);
    else log.warn({ library: info.id }, `the library "${info.name}" is not encrypted: its password is not used`);
  }
  const shown = target.library === undefined ? target.infos : [target.library.info];
  for (const info of shown.filter((candidate) => candidate.encrypted && !given.has(candidate))) {
    const { id: library, name } = info;
    log.warn({ library }, `the library "${name}" is encrypted and locked: \`seamount unlock\` takes its password`);
  }
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function rank(wanted: string): number {
  return ID.test(wanted) ? 0 : wanted === "" ? 1 : 2;
}

function named({ infos }: Shown, wanted: string): LibraryInfo | undefined {
  const info = pickLibrary(infos, wanted);
  // A password may be remembered of a library that is gone.
  if (info !== undefined || ID.test(wanted)) return info;
  throw new SeafileError(
    "not-found",
    `There is no library "${wanted}" in this account; "seamount libraries" lists them.`,
  );
}

/** The library that "" stands for. */
export function theOneLibrary({ library, infos }: Shown): LibraryInfo {
  if (library !== undefined) return library.info;
  const encrypted = infos.filter((info) => info.encrypted);
  const [one] = encrypted;
  if (one !== undefined && encrypted.length === 1) return one;
  const why = one === undefined ? "No library of this account is encrypted" : "Several libraries are encrypted";
  throw new SeafileError("invalid", `${why}: say which one the password is for, with --password-file NAME=FILE.`);
}
