/**
 * A command's conversation with a server: the login it uses, an account for as long as the command runs, and words for what the
 * server may say. Invariant: connections are closed whatever happens. Called by the commands that ask a server.
 */
import type { Account } from "../seafile/account.ts";
import type { Credentials } from "./credentials.ts";
import { findCredentials, IMPATIENT } from "./credentials.ts";

/** The flag that every such command has. */
export const SERVER_FLAG = { type: "string", describe: "Which login to use (default: the last one)" } as const;
export const JSON_FLAG = { type: "boolean", describe: "Print JSON" } as const;

/** Runs `use` with the account that is logged in at `server` (default: the last login). Throws CliError (notLoggedIn, usage). */
export async function withAccount<Result>(
  server: string | undefined,
  use: (account: Account, credentials: Credentials) => Promise<Result>,
): Promise<Result> {
  const credentials = findCredentials(server);
  const account = await openAccount(credentials);
  try {
    return await use(account, credentials);
  } finally {
    await account.close();
  }
}

export async function openAccount({ server, token, fileServer }: Omit<Credentials, "username">): Promise<Account> {
  const { createLogger } = await import("../observe/log.ts");
  const { Account } = await import("../seafile/account.ts");
  const log = createLogger({ level: "error" });
  return new Account({ server, token, log, retry: IMPATIENT, ...(fileServer === undefined ? {} : { fileServer }) });
}
