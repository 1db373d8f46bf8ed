/**
 * A command of the program as data: what yargs parses, what --help and the man page say, and what is done. Invariant: yargs only
 * reads; the action runs after the parsing, because yargs would otherwise write the whole help text at each start, for errors
 * that the action may still report. Made by commands/*, read by command-line.ts and scripts/man.mjs.
 */
import type { Argv, CommandModule } from "yargs";

export interface Command<Args = object> {
  /** With its positionals as yargs writes them: "show <name>". */
  readonly command: string;
  readonly aliases?: readonly string[];
  readonly describe: string;
  readonly builder?: (yargs: Argv) => Argv<Args>;
  /** Absent: one of the subcommands must be named. */
  readonly handler?: (args: Args) => void | Promise<void>;
  readonly subcommands?: readonly Command[];
}

export type Action = () => void | Promise<void>;

/** One command of several kinds in a list: its arguments are what its own builder makes. */
export function asCommand<Args>(command: Command<Args>): Command {
  return command as unknown as Command;
}

/** A subcommand: what follows the command's name, and what it does. */
export function subcommand<Args>(
  command: string,
  describe: string,
  builder: (yargs: Argv) => Argv<Args>,
  handler: (args: Args) => void | Promise<void>,
): Command {
  return asCommand({ command, describe, builder, handler });
}

/** "queue" of "queue ls [mountpoint]". */
export const nameOf = ({ command }: Pick<Command, "command">) => command.split(" ")[0]!;

/** For yargs: the command with those below it. `keep` gets what is to be done. */
export function toModule(command: Command, keep: (action: Action) => void): CommandModule {
  const { handler, subcommands = [] } = command;
  const names = subcommands.map(nameOf).join(", ");
  return {
    command: command.command,
    describe: command.describe,
    aliases: command.aliases ?? [],
    builder: (yargs) => {
      const built = command.builder?.(yargs) ?? yargs;
      for (const under of subcommands) built.command(toModule(under, keep));
      return handler === undefined
        ? built.demandCommand(1, 1, `Say what to do: ${names}`, "Give one command only")
        : built;
    },
    handler: (args) => {
      if (handler !== undefined) keep(() => handler(args));
    },
  };
}
