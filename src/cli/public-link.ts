/**
 * A public link on the command line: whether it works, and its password. Invariant: the password comes from a file, from the
 * environment (SEAMOUNT_LINK_PASSWORD) or from the terminal, never from the arguments. Called by the mount command.
 */
import type { MountOptions } from "../options.ts";
import { CliError, EXIT, usageError } from "./exit-codes.ts";
import { parsePasswordFile, readPasswordFile } from "./library-passwords.ts";
import { ask, canAsk } from "./prompt.ts";

/** Is it an address, rather than a path on this machine? */
export function isAddress(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/**
 * Tries the link, with a password if it has one. `files`: the values of --password-file. Rejects with what is wrong with it, before
 * anything is mounted.
 */
export async function linkOptions(
  link: string,
  options: MountOptions,
  files: readonly string[],
): Promise<Pick<MountOptions, "linkPassword">> {
  const [file, ...more] = files.map(parsePasswordFile);
  if (file !== undefined && (file.name !== "" || more.length > 0))
    throw usageError("A link has one password: --password-file FILE, without a name.");
  const { silentLogger } = await import("../observe/log.ts");
  const { LinkAccount } = await import("../seafile/link-account.ts");
  const { parseLink } = await import("../seafile/link-address.ts");
  const { SeafileError } = await import("../seafile/errors.ts");
  const address = parseLink(link);
  const fileServer = options.fileServer === undefined ? {} : { fileServer: options.fileServer };
  const attempt = async (password: string | undefined) => {
    const account = new LinkAccount({ address, password, log: silentLogger(), ...fileServer });
    try {
      await account.check();
      return password === undefined ? {} : { linkPassword: password };
    } finally {
      await account.close();
    }
  };
  const given = file === undefined ? process.env["SEAMOUNT_LINK_PASSWORD"] : readPasswordFile(file.file);
  try {
    return await attempt(given);
  } catch (error) {
    if (!(error instanceof SeafileError)) throw error;
    if (error.kind === "forbidden") throw new CliError(EXIT.notFound, error.message, { cause: error });
    if (given !== undefined || error.kind !== "bad-credentials") throw error;
    if (!canAsk()) {
      throw new CliError(
        EXIT.notLoggedIn,
        "The link needs a password: run this on a terminal, or give --password-file FILE or SEAMOUNT_LINK_PASSWORD.",
      );
    }
  }
  return attempt(await ask("Password of the link", { secret: true }));
}
