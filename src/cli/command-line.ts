/**
 * The command line of `seamount`: picks the command, and turns whatever it throws into one sentence on stderr and an exit code.
 * What a command needs beyond its flags (client, filesystem) is loaded by its handler, so that help and unmount are quick.
 * Invariant: no other place prints an error. Called by main.ts.
 */
import { readFileSync } from "node:fs";
import yargs from "yargs";
import { devServerCommand } from "./commands/dev-server.ts";
import { librariesCommand } from "./commands/libraries.ts";
import { loginCommand } from "./commands/login.ts";
import { logoutCommand } from "./commands/logout.ts";
import { mountCommand } from "./commands/mount.ts";
import { queueCommand } from "./commands/queue.ts";
import { statusCommand } from "./commands/status.ts";
import { syncCommand } from "./commands/sync.ts";
import { unlockCommand } from "./commands/unlock.ts";
import { unmountCommand } from "./commands/unmount.ts";
import { exitCodeOf, sentenceOf, usageError } from "./exit-codes.ts";
import { remark } from "./output.ts";

const EPILOGUE = `Exit codes: 0 done, 1 unexpected failure, 2 wrong usage, 3 not logged in, 4 server unreachable,
5 mounting or unmounting failed, 6 something is not stored, 7 not found.

SEAMOUNT_SERVER and SEAMOUNT_TOKEN in the environment replace a login.`;

/** The options that may be given more than once. */
const REPEATABLE = new Set(["_", "o", "what"]);

const COMMANDS = [
  "login",
  "mount",
  "unmount",
  "status",
  "queue",
  "sync",
  "libraries",
  "unlock",
  "logout",
  "dev-server",
];

function packageVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

function createParser(args: readonly string[]) {
  return yargs([...args])
    .scriptName("seamount")
    .usage("Mounts Seafile libraries as a folder.\n\nUsage: $0 <command>")
    .command(loginCommand)
    .command(mountCommand)
    .command(unmountCommand)
    .command(statusCommand)
    .command(queueCommand)
    .command(syncCommand)
    .command(librariesCommand)
    .command(unlockCommand)
    .command(logoutCommand)
    .command(devServerCommand)
    .example("$0 login https://seafile.example.com", "once")
    .example("$0 mount ~/Seafile", "all your libraries as folders in ~/Seafile")
    .example("$0 unmount ~/Seafile", "")
    .demandCommand(1, 1, `Say what to do: ${COMMANDS.join(", ")}`, "Give one command only")
    .recommendCommands()
    .strict()
    .parserConfiguration({ "greedy-arrays": false, "parse-numbers": false, "parse-positional-numbers": false })
    .middleware((argv) => {
      for (const [name, value] of Object.entries(argv))
        if (Array.isArray(value) && !isRepeatable(name, argv._[0]))
          throw usageError(`--${name} was given more than once.`);
    })
    .locale("en")
    .version(packageVersion())
    .help()
    .epilogue(EPILOGUE)
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? usageError(usageSentence(message, args));
    });
}

/** yargs's complaint as a sentence, and where help is. */
function usageSentence(message: string, args: readonly string[]): string {
  const complaint = message.startsWith("Not enough non-option arguments") ? "An argument is missing" : message.trim();
  const command = COMMANDS.find((name) => args.includes(name));
  const help = command === undefined ? "seamount --help" : `seamount ${command} --help`;
  return `${complaint.replace(/[.?]?$/, (end) => end || ".")} See \`${help}\`.`;
}

function isRepeatable(name: string, command: string | number | undefined): boolean {
  if (name === "library") return command === "dev-server";
  if (/^password-?file$/i.test(name)) return command === "mount";
  return REPEATABLE.has(name);
}

/** Runs one command to its end; resolves with the exit code and never rejects. `args`: what is behind the program's name. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    await createParser(args).parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    remark(`seamount: ${sentenceOf(error)}`);
    const code = exitCodeOf(error);
    if (code === 1 && args.includes("--verbose") && error instanceof Error) remark(error.stack ?? "");
    return code;
  }
}
