/**
 * The command line of `seamount`: picks the command, and turns whatever it throws into one sentence on stderr and an exit code.
 * What a command needs beyond its flags (client, filesystem) is loaded by its handler, so that help and unmount are quick.
 * Invariant: no other place prints an error. Called by main.ts.
 */
import { readFileSync } from "node:fs";
import yargs from "yargs";
import { COMMANDS, DESCRIPTION, EPILOGUE, EXAMPLES } from "./all-commands.ts";
import { type Action, type Command, nameOf, toModule } from "./command.ts";
import { exitCodeOf, sentenceOf, usageError } from "./exit-codes.ts";
import { remark } from "./output.ts";

/** What may be given more than once. */
const REPEATABLE = new Set(["_", "o", "library", ...COMMANDS.flatMap(variadicOf)]);

const NAMES = COMMANDS.map(nameOf);

function packageVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

function createParser(args: readonly string[], keep: (action: Action) => void) {
  const parser = yargs([...args])
    .scriptName("seamount")
    .usage(`${DESCRIPTION}

Usage: $0 <command>`);
  for (const command of COMMANDS) parser.command(toModule(command, keep));
  for (const [example, what] of EXAMPLES) parser.example(example, what);
  return parser
    .demandCommand(1, 1, `Say what to do: ${NAMES.join(", ")}`, "Give one command only")
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
  const command = NAMES.find((name) => args.includes(name));
  const help = command === undefined ? "seamount --help" : `seamount ${command} --help`;
  return `${complaint.replace(/[.?]?$/, (end) => end || ".")} See \`${help}\`.`;
}

/** The positionals that take many words: "what" of "show <what..>". */
function variadicOf({ command, subcommands = [] }: Command): string[] {
  return [...[...command.matchAll(/([\w-]+)\.\./g)].map((match) => match[1]!), ...subcommands.flatMap(variadicOf)];
}

function isRepeatable(name: string, command: string | number | undefined): boolean {
  if (name === "library") return command === "dev-server";
  if (/^password-?file$/i.test(name)) return command === "mount";
  return REPEATABLE.has(name);
}

/** Runs one command to its end; resolves with the exit code and never rejects. `args`: what is behind the program's name. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    let action: Action | undefined;
    await createParser(args, (chosen) => {
      action = chosen;
    }).parseAsync();
    await action?.();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    remark(`seamount: ${sentenceOf(error)}`);
    const code = exitCodeOf(error);
    if (code === 1 && args.includes("--verbose") && error instanceof Error) remark(error.stack ?? "");
    return code;
  }
}
