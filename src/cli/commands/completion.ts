/** `seamount completion`: prints what makes a shell complete commands and flags. */
import type { Command } from "../command.ts";
import { SHELLS, type Shell } from "../completion.ts";
import { say } from "../output.ts";

interface Args {
  readonly shell: Shell;
}

/** `commands`: all of the program, this one included. */
export const completionCommand = (commands: () => readonly Command[]): Command<Args> => ({
  command: "completion <shell>",
  describe: "Print a script that completes commands and options",
  builder: (yargs) =>
    yargs
      .positional("shell", { choices: SHELLS, demandOption: true, describe: "Your shell" })
      .example("source <($0 completion bash)", "in ~/.bashrc; likewise zsh in ~/.zshrc, behind compinit"),
  handler: async ({ shell }) => {
    const { outlineOf } = await import("../command-outline.ts");
    const { completionScript } = await import("../completion.ts");
    say(
      completionScript(
        commands().map((command) => outlineOf(command)),
        shell,
      ),
    );
  },
});
