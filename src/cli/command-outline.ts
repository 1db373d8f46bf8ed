/**
 * What a command takes, as data: its builder is run against a recorder in place of yargs. Invariant: nothing is said here that --help
 * does not say, so that the man page and the completion never differ from it. Pure. Called by completion.ts and man-page.ts.
 */
import type { Argv, Options, PositionalOptions } from "yargs";
import { type Command, nameOf } from "./command.ts";

export interface Flag {
  /** Without dashes. */
  readonly name: string;
  readonly alias: string | undefined;
  /** A switch takes no value. */
  readonly isSwitch: boolean;
  readonly choices: readonly string[];
  readonly describe: string;
}

export interface Outline {
  /** "queue". */
  readonly name: string;
  /** "queue ls [mountpoint]", with the commands above it. */
  readonly usage: string;
  readonly aliases: readonly string[];
  readonly describe: string;
  readonly positionals: readonly {
    readonly name: string;
    readonly choices: readonly string[];
    readonly describe: string;
  }[];
  readonly flags: readonly Flag[];
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly subcommands: readonly Outline[];
}

/** `above`: the names of the commands that it belongs to. */
export function outlineOf(command: Command, above: readonly string[] = []): Outline {
  const recorder = new Recorder();
  command.builder?.(recorder.asYargs());
  const name = nameOf(command);
  return {
    name,
    usage: [...above, command.command].join(" "),
    aliases: command.aliases ?? [],
    describe: command.describe,
    positionals: recorder.positionals,
    flags: recorder.flags,
    examples: recorder.examples,
    subcommands: (command.subcommands ?? []).map((under) => outlineOf(under, [...above, name])),
  };
}

/** Takes the calls of a builder; what says nothing to people (coerce, conflicts) is passed over. */
class Recorder {
  readonly positionals: Outline["positionals"][number][] = [];
  readonly flags: Flag[] = [];
  readonly examples: (readonly [string, string])[] = [];
  readonly #calls: Record<string, (...args: never[]) => void> = {
    positional: (name: string, { describe = "", choices = [] }: PositionalOptions) => {
      this.positionals.push({ name, choices: choices.map(String), describe });
    },
    option: (name: string, options: Options) => this.#flag(name, options),
    options: (flags: Record<string, Options>) => {
      for (const [name, options] of Object.entries(flags)) this.#flag(name, options);
    },
    example: (command: string, what: string) => {
      this.examples.push([command.replaceAll("$0", "seamount"), what]);
    },
  };

  asYargs(): Argv {
    const yargs: Argv = new Proxy({} as Argv, {
      get: (_, method) => {
        return (...args: never[]) => {
          this.#calls[String(method)]?.(...args);
          return yargs;
        };
      },
    });
    return yargs;
  }

  #flag(name: string, { alias, type, choices = [], describe = "", hidden }: Options): void {
    if (hidden) return;
    const other = typeof alias === "string" ? alias : undefined;
    this.flags.push({ name, alias: other, isSwitch: type === "boolean", choices: choices.map(String), describe });
  }
}
