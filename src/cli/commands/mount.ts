/**
 * `seamount mount`: collects flags, `-o` words and credentials into mount options, and runs the mount in the background
 * (default) or here. Flags win over `-o` words.
 */
import { resolve } from "node:path";
import type { MountOptions } from "../../options.ts";
import { mountStateOf } from "../../unmount.ts";
import type { Command } from "../command.ts";
import { type Credentials, findCredentials } from "../credentials.ts";
import { startInBackground } from "../daemonize.ts";
import { CliError, EXIT, usageError } from "../exit-codes.ts";
import { libraryPasswords } from "../library-passwords.ts";
import { type MountFlags, parseMountWords, VALUE_OPTIONS } from "../mount-flags.ts";
import { findRecord } from "../mount-record.ts";
import { canonicalMountpoint } from "../mountpoint.ts";
import { remark, remarkOnTerminal, say } from "../output.ts";
import { logFileOf, ownFolders } from "../paths.ts";
import { isAddress, linkOptions } from "../public-link.ts";

interface Args {
  readonly place: string;
  readonly mountpoint?: string | undefined;
  readonly o?: readonly string[] | undefined;
  readonly readOnly?: boolean | undefined;
  readonly allowOther?: boolean | undefined;
  readonly foreground?: boolean | undefined;
  readonly verbose?: boolean | undefined;
  readonly logFile?: string | undefined;
  readonly [flag: string]: unknown;
}

/** After this many milliseconds without a mount, a person at a terminal is told what it waits for. */
const SLOW_MS = 3000;

export const mountCommand: Command<Args> = {
  command: "mount <place> [mountpoint]",
  describe: "Mount your libraries, one of them, or a public link on an empty folder",
  builder: (yargs) =>
    yargs
      .positional("place", {
        type: "string",
        demandOption: true,
        describe: "An existing folder, best an empty one; or the address of a link, and then the folder",
      })
      .positional("mountpoint", { type: "string", describe: "The folder, behind the address of a link" })
      .options({
        library: { type: "string", describe: "Only this library, or a folder in it: NAME or NAME:/path" },
        "password-file": {
          type: "string",
          array: true,
          nargs: 1,
          describe: "Password of an encrypted library: NAME=FILE, or FILE for the one mounted; its first line counts",
        },
        server: { type: "string", describe: "Which login to use (default: the last one)" },
        "read-only": { type: "boolean", describe: "Refuse every change" },
        "allow-other": { type: "boolean", describe: "Let other users of this machine in" },
        uid: { type: "string", describe: "User id that owns the files (default: yours)" },
        gid: { type: "string", describe: "Group id of the files (default: yours)" },
        umask: { type: "string", describe: "Permissions to take away, octal (default: 022)" },
        "cache-size": { type: "string", describe: "Memory for file content (default: 256M)" },
        refresh: { type: "string", describe: "Seconds that a listing may be old (default: 5)" },
        timeout: { type: "string", describe: "Seconds to keep trying when the server does not answer (default: 20)" },
        "file-server": { type: "string", describe: "Reach the file server at this URL instead of the one it names" },
        "write-back-delay": { type: "string", describe: "Seconds from the last close to the upload (default: 1)" },
        commit: {
          type: "string",
          describe: "What close waits for: background (this disk, default), or close (the server)",
        },
        fsync: { type: "string", describe: "What fsync waits for: local (this disk, default), or server" },
        "on-conflict": {
          type: "string",
          describe: "When others changed the file, too: copy (default), fail, or overwrite",
        },
        transport: {
          type: "string",
          describe: "How to reach the kernel: kernel, fuse-native (libfuse 2), or auto (default)",
        },
        foreground: { alias: "f", type: "boolean", describe: "Stay here until Ctrl-C" },
        verbose: { type: "boolean", describe: "Log more, for bug reports" },
        "log-file": { type: "string", describe: "Where to log (default: ~/.local/state/seamount; with -f, here)" },
        o: {
          type: "array",
          string: true,
          nargs: 1,
          describe: "Options in the form of mount(8): ro,uid=1000,library=NAME",
        },
      })
      .example("$0 mount ~/Seafile", "all libraries, in the background")
      .example('$0 mount ~/Docs --library "My Library:/Docs"', "one folder of one library")
      .example("$0 mount ~/Seafile -o ro,noatime -f", "read-only, until Ctrl-C")
      .example("$0 mount https://cloud.example.com/d/0123456789/ ~/Shared", "a public link, without a login"),
  handler: async (args) => {
    const mountpoint = await checkMountpoint(folderOf(args));
    const { server, passwordFiles = [], ...flags } = collectFlags(args);
    const link = args.mountpoint === undefined ? undefined : args.place;
    if (link !== undefined && server !== undefined)
      throw usageError("--server does not go with the address of a link.");
    const login = link === undefined ? fromCredentials(findCredentials(server)) : undefined;
    await refuseOwnFolders(mountpoint);
    const options = await withSecrets(login, link, { ...flags, mountpoint }, passwordFiles);
    const address = new URL(options.link ?? options.server!);
    const name = options.library ?? (link === undefined ? address.host : `The link to ${address.host}`);
    const ready = (transport: string) => {
      say(`${name} mounted on ${mountpoint}`);
      if (args.verbose) remark(`transport ${transport}`);
    };
    const slow = setTimeout(() => remarkOnTerminal(`Waiting for ${address.origin} ...`), SLOW_MS).unref();
    if (args.foreground) {
      process.exitCode = await runHere(options, args, (transport) => {
        clearTimeout(slow);
        ready(transport);
      });
      return;
    }
    const logFile = args.logFile === undefined ? logFileOf(mountpoint) : resolve(args.logFile);
    ready(await startInBackground({ options, verbose: args.verbose === true, logFile }));
  },
};

/** The folder to mount on, behind the address of a link if there is one. */
function folderOf({ place, mountpoint }: Args): string {
  if (mountpoint === undefined) {
    if (isAddress(place)) throw usageError("Say which folder the link is to be mounted on, behind its address.");
    return place;
  }
  if (!isAddress(place))
    throw usageError(`"${place}" is not the address of a link, and only one folder can be mounted on.`);
  return mountpoint;
}

/** The checked options with the passwords that they need. There is a login or a link. */
async function withSecrets(
  login: ReturnType<typeof fromCredentials> | undefined,
  link: string | undefined,
  flags: Omit<MountOptions, "server" | "token" | "link">,
  passwordFiles: readonly string[],
): Promise<MountOptions> {
  if (login === undefined) {
    const options = { link: link!, ...flags };
    await check(options);
    return { ...options, ...(await linkOptions(link!, options, passwordFiles)) };
  }
  const options = { ...login, ...flags };
  await check(options);
  return { ...options, passwords: await libraryPasswords(options, passwordFiles) };
}

async function check(options: MountOptions): Promise<void> {
  const { OptionsError, parseMountOptions } = await import("../../options.ts");
  try {
    parseMountOptions(options);
  } catch (error) {
    throw error instanceof OptionsError ? usageError(error.message) : error;
  }
}

async function runHere(options: MountOptions, args: Args, ready: (transport: string) => void) {
  const { createLogger } = await import("../../observe/log.ts");
  const { serveMount } = await import("../serve-mount.ts");
  const quiet = args.logFile === undefined ? "warn" : "info";
  const file = args.logFile === undefined ? {} : { file: resolve(args.logFile) };
  const log = createLogger({ level: args.verbose ? "debug" : quiet, ...file });
  return await serveMount({ ...options, log }, ["SIGINT", "SIGTERM", "SIGHUP"], { ready, tell: remark });
}

function fromCredentials({ server, token, fileServer }: Credentials) {
  return { server, token, ...(fileServer === undefined ? {} : { fileServer }) };
}

/** `-o` words first, then the flags of the same names on top. */
function collectFlags(args: Args): MountFlags & Pick<MountOptions, "fuseOptions"> {
  const { flags, fuseOptions } = parseMountWords(args.o ?? []);
  for (const [name, apply] of Object.entries(VALUE_OPTIONS)) {
    const flag = name.replaceAll("_", "-");
    const value = args[flag];
    if (value === undefined) continue;
    for (const one of [value].flat()) {
      if (typeof one !== "string" || one === "") throw usageError(`--${flag} needs a value.`);
      apply(flags, one, `--${flag}`);
    }
  }
  if (args.readOnly !== undefined) flags.readOnly = args.readOnly;
  if (args.allowOther !== undefined) flags.allowOther = args.allowOther;
  return { ...flags, fuseOptions };
}

/** What can be told better here, where the records are; everything else about the folder is checked when mounting. */
async function checkMountpoint(path: string): Promise<string> {
  const mountpoint = await canonicalMountpoint(path);
  const record = (await mountStateOf(mountpoint)) === "seamount" ? findRecord(mountpoint) : undefined;
  if (record) {
    const hint = `unmount it first with \`seamount unmount ${path}\``;
    throw new CliError(EXIT.mount, `${mountpoint} is mounted already, by process ${record.pid}: ${hint}.`);
  }
  return mountpoint;
}

/** Above what it must reach itself, the mount would wait for itself. */
async function refuseOwnFolders(mountpoint: string): Promise<void> {
  const own = await Promise.all(ownFolders().map(canonicalMountpoint));
  const inside = own.find((folder) => folder === mountpoint || folder.startsWith(`${mountpoint.replace(/\/$/, "")}/`));
  if (inside !== undefined) {
    throw new CliError(
      EXIT.mount,
      `${mountpoint} holds files of seamount itself (${inside}): choose another folder to mount on.`,
    );
  }
}
