/** The completion script as bash runs it, and the man page: both from the data that --help is made of. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS, DESCRIPTION, EPILOGUE, EXAMPLES } from "../../src/cli/all-commands.ts";
import { asCommand, type Command, nameOf } from "../../src/cli/command.ts";
import { outlineOf } from "../../src/cli/command-outline.ts";
import { manPage } from "../../src/cli/man-page.ts";
import { runHere, spawnCli } from "./run-cli.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seamount-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("completion", () => {
  let script: string;
  beforeAll(async () => {
    const { code, stdout } = await runHere(["completion", "bash"]);
    expect(code).toBe(0);
    script = join(folder, "completion");
    writeFileSync(script, stdout);
  });

  /** What bash offers behind these words, the last of which is being typed. */
  const offered = (...words: string[]) =>
    execFileSync(
      "bash",
      [
        "-c",
        `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _seamount; echo "\${COMPREPLY[@]}"`,
        script,
        "seamount",
        ...words,
      ],
      { encoding: "utf8" },
    ).trim();

  it.each([
    [["sha"], "shared share-links"],
    [["queue", ""], "ls show retry hold release discard export"],
    [["star", "ls", "--"], "--json --server --help"],
    [["umount", "--l"], "--lazy"],
    [["share-links", "create", "--permission", ""], "view download edit upload"],
    [["mount", ""], ""],
  ])("%j", (words, expected) => {
    expect(
      offered(...words)
        .split(" ")
        .sort(),
    ).toEqual(expected.split(" ").sort());
  });

  it("of zsh goes through bash's", async () => {
    expect((await runHere(["completion", "zsh"])).stdout).toMatch(
      /^autoload -U \+X bashcompinit && bashcompinit\n_seamount\(\)/,
    );
  });
});

describe("the man page", () => {
  const page = (commands: readonly Command[] = COMMANDS) =>
    manPage({ version: "1.2.3", description: DESCRIPTION, commands, examples: EXAMPLES, epilogue: EPILOGUE });

  it("is roff without complaints, and names every command and flag", () => {
    const shown = execFileSync("groff", ["-man", "-Tascii", "-P-cbou", "-rLL=300n", "-ww"], {
      input: page(),
      encoding: "utf8",
      stdio: ["pipe", "pipe", "pipe"],
    });
    const outlines = COMMANDS.map((command) => outlineOf(command));
    for (const { name, flags, subcommands } of [...outlines, ...outlines.flatMap((outline) => outline.subcommands)]) {
      expect(shown).toContain(name);
      for (const flag of flags) expect(shown).toContain(`-${flag.name}`);
      for (const { usage } of subcommands) expect(shown).toContain(`seamount ${usage}`);
    }
    expect(shown).toContain("Exit codes: 0 done");
  });

  it("takes text for text, not for requests", () => {
    const command = asCommand({ command: "x", describe: ".so /etc/passwd \\fB" });
    expect(page([command])).toContain("\\&.so /etc/passwd \\efB.");
  });
});

describe("--help", () => {
  it.each(["share-links", "doctor"])("of %s says what the outline says", async (name) => {
    const stdout = await text(spawnCli(folder, [name, "--help"]).stdout);
    const outline = outlineOf(COMMANDS.find((command) => nameOf(command) === name)!);
    for (const flag of outline.flags) expect(stdout).toContain(flag.name);
    for (const { name: under } of outline.subcommands) expect(stdout).toContain(`seamount ${name} ${under}`);
  });
});
