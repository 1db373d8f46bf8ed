/**
 * The completion of bash and zsh as a script that knows every command and flag, so that no key press starts a process.
 * What is no command and no flag is completed as a file. Pure. Called by commands/completion.ts.
 */
import type { Outline } from "./command-outline.ts";

export const SHELLS = ["bash", "zsh"] as const;
export type Shell = (typeof SHELLS)[number];

/** What can follow a command, by the words of the command: "queue ls". */
interface Place {
  readonly words: string;
  readonly next: readonly string[];
  /** Values by the flag before them. */
  readonly values: readonly (readonly [flag: string, choices: readonly string[]])[];
}

export function completionScript(outlines: readonly Outline[], shell: Shell): string {
  const top: Place = { words: "", next: [...outlines.map(({ name }) => name), "--help", "--version"], values: [] };
  const places = [top, ...outlines.flatMap((outline) => placesOf(outline, ""))];
  const known = places.slice(1).map(({ words }) => `"${words}"`);
  const cases = places.flatMap(({ words, next, values }) => [
    ...values.map(([flag, choices]) => `    "${words}:${flag}") words="${choices.join(" ")}" ;;`),
    `    "${words}:"*) words="${next.join(" ")}" ;;`,
  ]);
  return `${shell === "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : ""}_seamount() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${command:+$command }\${COMP_WORDS[i]}" in
    ${known.join(" | ")})
      command="\${command:+$command }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$command:$before" in
${cases.join("\n")}
  esac
  # Flags stand last, and where they are not asked for, files are wanted rather.
  if [[ $current != -* ]]; then words=" $words"; words="\${words%% -*}"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F _seamount seamount`;
}

function placesOf(outline: Outline, above: string): readonly Place[] {
  const { positionals, flags, subcommands } = outline;
  return [outline.name, ...outline.aliases].flatMap((name) => {
    const words = above === "" ? name : `${above} ${name}`;
    const next = [
      ...subcommands.map((under) => under.name),
      ...positionals.flatMap(({ choices }) => choices),
      ...flags.map(({ name }) => dashed(name)),
      "--help",
    ];
    const values = flags
      .filter(({ choices }) => choices.length > 0)
      .map(({ name, choices }) => [dashed(name), choices] as const);
    return [{ words, next, values }, ...subcommands.flatMap((under) => placesOf(under, words))];
  });
}

export const dashed = (name: string) => (name.length === 1 ? `-${name}` : `--${name}`);
