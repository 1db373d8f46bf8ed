/** The program as the shell sees it, as far as it needs no server and no mount: help, usage errors, exit codes, secrets. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/all-commands.ts";
import { nameOf } from "../../src/cli/command.ts";
import { MAIN } from "../support/programs.ts";

const NAMES = COMMANDS.map(nameOf);

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "seamount-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function seamount(args: readonly string[], env: Record<string, string> = {}, input = ""): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env["PATH"], HOME: home, XDG_CONFIG_HOME: join(home, "config"), ...env },
  });
  child.stdin.on("error", () => {}).end(input);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: code as number, stdout, stderr };
}

describe("help", () => {
  it("goes to stdout, names every command and the exit codes, and is no failure", async () => {
    const { code, stdout, stderr } = await seamount(["--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    for (const word of [...NAMES, "Exit codes"]) expect(stdout).toContain(word);
  });

  it("of mount has examples and every flag", async () => {
    const { code, stdout } = await seamount(["mount", "--help"]);
    expect(code).toBe(0);
    for (const word of ["Examples", "--library", "--read-only", "--umask", "--foreground", "--log-file", " -o "])
      expect(stdout).toContain(word);
  });

  it("the version is the package's", async () => {
    expect((await seamount(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("wrong usage is exit code 2 and one sentence on stderr", () => {
  it.each([
    [[], `Say what to do: ${NAMES.join(", ")}. See \`seamount --help\`.`],
    [["moun"], "Did you mean mount? See `seamount --help`."],
    [["mount"], "An argument is missing. See `seamount mount --help`."],
    [["mount", "/tmp", "extra"], '"/tmp" is not the address of a link, and only one folder can be mounted on.'],
    [
      ["mount", "https://example.com/d/0123456789/"],
      "Say which folder the link is to be mounted on, behind its address.",
    ],
    [
      ["mount", "https://example.com/d/0123456789/", "/tmp", "extra"],
      "Unknown argument: extra. See `seamount mount --help`.",
    ],
    [["mount", "/tmp", "-o", "ro,suid"], 'Unknown mount option "suid".'],
    [["mount", "/tmp", "--library", "a", "--library", "b"], "--library was given more than once."],
    [["login", "https://me:hunter2@x.org"], "The server address must not contain a user name or a password."],
    [["login", "x.org", "--password-stdin"], "--password-stdin needs --username NAME."],
    [["queue"], "Say what to do: ls, show, retry, hold, release, discard, export. See `seamount queue --help`."],
    [["queue", "discard"], "An argument is missing. See `seamount queue --help`."],
    [["sync", "--timeout", "soon"], '--timeout "soon" is not a number of seconds.'],
    [["dev-server", "--user", "somebody"], '--user "somebody" is not an e-mail address.'],
  ])("%j", async (args, sentence) => {
    expect(await seamount(args)).toEqual({ code: 2, stdout: "", stderr: `seamount: ${sentence}\n` });
  });
});

describe("before anything is mounted", () => {
  it("no login is exit code 3", async () => {
    const { code, stderr } = await seamount(["mount", "/tmp"]);
    expect([code, stderr]).toEqual([3, "seamount: You are not logged in: run `seamount login SERVER` first.\n"]);
  });

  it("a server that is none is exit code 4, in the foreground and in the background, without the token", async () => {
    const server = createServer((_, response) => response.writeHead(404).end("<html><title>Nothing here</title>"));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    mkdirSync(join(home, "mnt"), { recursive: true });
    const env = { SEAMOUNT_SERVER: url, SEAMOUNT_TOKEN: "f".repeat(40), XDG_STATE_HOME: join(home, "state") };
    try {
      for (const flags of [["--foreground"], []]) {
        const { code, stdout, stderr } = await seamount(["mount", join(home, "mnt"), ...flags], env);
        expect([code, stdout]).toEqual([4, ""]);
        expect(stderr).toMatch(/^seamount: .*is it a Seafile server\?.*\n$/);
        expect(stderr).not.toContain("ffff");
      }
    } finally {
      server.close();
    }
    const logs = readdirSync(join(home, "state/seamount"));
    expect(logs).toHaveLength(1);
    const log = join(home, "state/seamount", logs[0]!);
    expect((statSync(log).mode & 0o777).toString(8)).toBe("600");
    expect(readFileSync(log, "utf8")).toContain("mounting failed");
    expect(readFileSync(log, "utf8")).not.toContain("ffff");
  });

  it("unmounting what is not mounted is exit code 7", async () => {
    const { code, stderr } = await seamount(["unmount", home]);
    expect([code, stderr]).toEqual([7, `seamount: Nothing is mounted on ${home}.\n`]);
  });

  it("importing a folder that does not exist is exit code 7", async () => {
    expect((await seamount(["dev-server", "--library", `X=${home}/none`])).code).toBe(7);
  });

  it("a damaged credentials file is named, its content is not", async () => {
    const config = join(home, "damaged");
    mkdirSync(join(config, "seamount"), { recursive: true });
    writeFileSync(join(config, "seamount/credentials.json"), '{"token":"secret');
    const { code, stderr } = await seamount(["libraries"], { XDG_CONFIG_HOME: config });
    expect(code).toBe(1);
    expect(stderr).toContain("credentials.json is damaged");
    expect(stderr).not.toContain("secret");
  });
});
