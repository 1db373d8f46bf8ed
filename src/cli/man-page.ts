/**
 * The man page seamount(1) in roff, from what --help says (command-outline.ts) and the exit codes. Pure. Called by scripts/man.mjs.
 * Invariant: text reaches roff escaped, so that a "." or a "'" at the beginning of a line is no request.
 */

import type { Command } from "./command.ts";
import { type Outline, outlineOf } from "./command-outline.ts";
import { dashed } from "./completion.ts";

export interface ManPageParts {
  readonly version: string;
  readonly description: string;
  readonly commands: readonly Command[];
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** Paragraphs; "Exit codes: ..." and what stands behind the commands in --help. */
  readonly epilogue: string;
}

export function manPage({ version, description, commands, examples, epilogue }: ManPageParts): string {
  const outlines = commands.map((command) => outlineOf(command));
  const lines = [
    `.TH SEAMOUNT 1 "" ${quoted(`seamount ${version}`)} "User Commands"`,
    ".SH NAME",
    `seamount \\- ${roff(lowerFirst(description).replace(/\.$/, ""))}`,
    ".SH SYNOPSIS",
    ...outlines.flatMap((outline) => [`.B seamount ${roff(outline.name)}`, roff(restOf(outline)), ".br"]),
    ".SH COMMANDS",
    ...outlines.flatMap(commandLines),
    ".SH EXAMPLES",
    ...examples.flatMap(exampleLines),
    ".SH EXIT STATUS AND ENVIRONMENT",
    ...epilogue.split(/\n\n+/).flatMap((paragraph) => [".PP", roff(paragraph.replaceAll("\n", " "))]),
    ".SH FILES",
    ...FILES.flatMap(([file, what]) => [".TP", `.I ${roff(file)}`, roff(what)]),
  ];
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}

const FILES = [
  ["~/.config/seamount/credentials.json", "The tokens of your logins, for your eyes only."],
  ["~/.local/share/seamount/accounts", "What is not stored on the server yet: journal and content."],
  ["~/.local/state/seamount", "Logs of background mounts."],
] as const;

function commandLines(outline: Outline): string[] {
  const { usage, aliases, describe, positionals, flags, examples, subcommands } = outline;
  const also = aliases.length === 0 ? "" : ` (also: ${aliases.join(", ")})`;
  return [
    `.SS ${quoted(`seamount ${usage}`)}`,
    roff(`${describe}${also}.`),
    ...positionals.flatMap(({ name, choices, describe }) => [
      ".TP",
      `.I ${roff(name)}`,
      roff(withChoices(describe, choices)),
    ]),
    ...flags.flatMap(({ name, alias, isSwitch, choices, describe }) => [
      ".TP",
      [name, ...(alias === undefined ? [] : [alias])].map((word) => `\\fB${roff(dashed(word))}\\fR`).join(", ") +
        (isSwitch ? "" : ` \\fI${placeholderOf(name)}\\fR`),
      roff(withChoices(describe, choices)),
    ]),
    ...examples.flatMap(exampleLines),
    ...subcommands.flatMap(commandLines),
  ];
}

const withChoices = (text: string, choices: readonly string[]) =>
  choices.length === 0 ? text : `${text} (${choices.join(", ")})`;

const placeholderOf = (name: string) => (name.length === 1 ? "OPTIONS" : roff(name.replace(/^.*-/, "").toUpperCase()));

/** What stands behind the name in the usage. */
const restOf = ({ usage, subcommands }: Outline) =>
  subcommands.length > 0
    ? `{${subcommands.map(({ name }) => name).join("|")}} ...`
    : usage.split(" ").slice(1).join(" ");

function exampleLines([command, what]: readonly [string, string]): string[] {
  return [".PP", `\\fB${roff(command.replaceAll("$0", "seamount"))}\\fR`, ...(what === "" ? [] : [".br", roff(what)])];
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);
const quoted = (text: string) => `"${roff(text).replaceAll('"', "\\(dq")}"`;

/** roff's own characters as themselves; "-" as the one that can be copied into a shell. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("~", "\\(ti")
    .replaceAll("^", "\\(ha")
    .replaceAll("`", "\\(ga")
    .replace(/^[.']/, "\\&$&");
}
