/**
 * Who is logged in where: tokens in one file of the configuration folder, 0600, and the environment above it; also the
 * passwords of encrypted libraries that the user wants remembered.
 * SEAMOUNT_SERVER with SEAMOUNT_TOKEN needs no file at all (scripts); SEAMOUNT_FILE_SERVER overrides the file server's address.
 * Invariant: a token or password goes to the file and to the caller, never into an error or the log. The last login is the default.
 */
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { normalizeServerUrl } from "../util/server-url.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import { credentialsFile, ensurePrivateDir, writePrivateFile } from "./paths.ts";

/** A person waits at the terminal: no patience for a server that is not there (a mount has more). */
export const IMPATIENT = { deadlineMs: 4_000, maxServerErrors: 2, maxRetryAfterMs: 4_000 } as const;

export interface Credentials {
  readonly server: string;
  readonly token: string;
  /** As typed at the login; absent when the token comes from the environment. */
  readonly username?: string;
  readonly fileServer?: string;
}

interface Login {
  readonly username: string;
  readonly token: string;
}

interface Stored {
  readonly default: string | undefined;
  readonly logins: ReadonlyMap<string, Login>;
  /** Server -> library id -> password. */
  readonly passwords: Passwords;
}

type Passwords = Readonly<Record<string, Readonly<Record<string, string>>>>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Accepts what people type: a missing scheme is https. Throws a usage error. */
export function parseServer(text: string, source = "The server address"): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  try {
    return normalizeServerUrl(url);
  } catch (error) {
    // Not the text itself: it may hold a password.
    throw usageError(`${source} ${(error as Error).message}.`);
  }
}

/** The credentials to use, for `server` or the default one. Throws CliError (usage, notLoggedIn). */
export function findCredentials(
  server?: string,
  env: Environment = process.env,
  file = credentialsFile(),
): Credentials {
  const wanted = server === undefined ? undefined : parseServer(server);
  const envServer = env["SEAMOUNT_SERVER"] ? parseServer(env["SEAMOUNT_SERVER"], "SEAMOUNT_SERVER") : undefined;
  const envToken = env["SEAMOUNT_TOKEN"] || undefined;
  if (envToken && !envServer)
    throw usageError(
      "SEAMOUNT_TOKEN is set but SEAMOUNT_SERVER is not: set SEAMOUNT_SERVER to the server's address too.",
    );
  const override = env["SEAMOUNT_FILE_SERVER"];
  const fileServer = override ? { fileServer: parseServer(override, "SEAMOUNT_FILE_SERVER") } : {};
  if (envToken && envServer && (wanted ?? envServer) === envServer)
    return { server: envServer, token: envToken, ...fileServer };

  const stored = readStored(file);
  const chosen = wanted ?? envServer ?? stored.default;
  if (chosen === undefined)
    throw new CliError(EXIT.notLoggedIn, "You are not logged in: run `seamount login SERVER` first.");
  const login = stored.logins.get(chosen);
  if (!login)
    throw new CliError(EXIT.notLoggedIn, `You are not logged in at ${chosen}: run \`seamount login ${chosen}\` first.`);
  return { server: chosen, token: login.token, username: login.username, ...fileServer };
}

/** Remembers a login and makes it the default. */
export function storeLogin(login: { server: string; username: string; token: string }, file = credentialsFile()): void {
  const stored = readStored(file);
  const logins = new Map(stored.logins);
  logins.delete(login.server);
  logins.set(login.server, { username: login.username, token: login.token });
  write(file, { ...stored, default: login.server, logins });
}

/** Passwords of encrypted libraries at the server, by library id. */
export function rememberedPasswords(server: string, file = credentialsFile()): Readonly<Record<string, string>> {
  return readStored(file).passwords[server] ?? {};
}

/** Remembers the password of a library, or forgets it (undefined). */
export function rememberPassword(
  { server, library, password }: { server: string; library: string; password: string | undefined },
  file = credentialsFile(),
): void {
  const stored = readStored(file);
  const { [library]: _, ...others } = stored.passwords[server] ?? {};
  const passwords = password === undefined ? others : { ...others, [library]: password };
  write(file, { ...stored, passwords: { ...stored.passwords, [server]: passwords } });
}

/** Forgets the login at `server`, the default one, or all, with the passwords of libraries there. Returns the servers that were forgotten. */
export function forgetLogins(which: { server?: string; all?: boolean }, file = credentialsFile()): string[] {
  const stored = readStored(file);
  const logins = new Map(stored.logins);
  const target = which.server === undefined ? stored.default : parseServer(which.server);
  const forgotten = [...logins.keys()].filter((server) => which.all || server === target);
  if (forgotten.length === 0) return [];
  for (const server of forgotten) logins.delete(server);
  const passwords = Object.fromEntries(
    Object.entries(stored.passwords).filter(([server]) => !forgotten.includes(server)),
  );
  const remaining = [...logins.keys()];
  const isKept = stored.default !== undefined && logins.has(stored.default);
  write(file, { default: isKept ? stored.default : remaining.at(-1), logins, passwords });
  return forgotten;
}

function write(file: string, stored: Stored): void {
  const { passwords } = stored;
  const logins = Object.fromEntries(stored.logins);
  const kept = Object.values(passwords).some((ofServer) => Object.keys(ofServer).length > 0) ? { passwords } : {};
  const content = { version: 1, default: stored.default, logins, ...kept };
  try {
    ensurePrivateDir(dirname(file));
    // The folder may have been made by something less careful.
    chmodSync(dirname(file), 0o700);
    writePrivateFile(file, `${JSON.stringify(content, null, 2)}\n`);
  } catch (error) {
    throw new CliError(EXIT.unexpected, `Cannot write ${file}: ${(error as Error).message}.`, { cause: error });
  }
}

function readStored(file: string): Stored {
  if (!existsSync(file)) return { default: undefined, logins: new Map(), passwords: {} };
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError(EXIT.unexpected, `Cannot read ${file}: ${(error as Error).message}.`, { cause: error });
  }
  const stored = decode(text);
  if (!stored)
    throw new CliError(EXIT.unexpected, `${file} is damaged: delete it and run \`seamount login SERVER\` again.`);
  return stored;
}

/** No cause and no excerpt in the failure: JSON.parse quotes the text, and the text holds tokens. */
function decode(text: string): Stored | undefined {
  try {
    const content = JSON.parse(text) as {
      version?: unknown;
      default?: unknown;
      logins?: Record<string, Partial<Login>>;
      passwords?: Passwords;
    };
    if (content.version !== 1 || typeof content.logins !== "object" || content.logins === null) return undefined;
    const logins = new Map<string, Login>();
    for (const [server, { username, token }] of Object.entries(content.logins)) {
      if (typeof token !== "string" || typeof username !== "string") return undefined;
      logins.set(server, { username, token });
    }
    const passwords = content.passwords ?? {};
    const texts = Object.values(passwords).flatMap((ofServer) => Object.values(ofServer));
    if (texts.some((text) => typeof text !== "string")) return undefined;
    return { default: typeof content.default === "string" ? content.default : undefined, logins, passwords };
  } catch {
    return undefined;
  }
}
