/**
 * Runs `seamount`: from its sources in the test process, which is quick, or compiled as the shell would, without a terminal or on one
 * of its own. Used by the cli tests.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { vi } from "vitest";
import { runCommandLine } from "../../src/cli/command-line.ts";
import { MAIN } from "../support/programs.ts";

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `home` holds the configuration and the run folder (`home`/seamount). */
const environment = (home: string) => ({
  PATH: process.env["PATH"],
  HOME: home,
  XDG_CONFIG_HOME: home,
  XDG_RUNTIME_DIR: home,
  XDG_STATE_HOME: home,
  TZ: "UTC",
});

/** A process that runs a compiled program. */
export function spawnProgram(home: string, file: string, args: readonly string[]) {
  return spawn(process.execPath, [file, ...args], {
    env: environment(home),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

export const spawnCli = (home: string, args: readonly string[]) => spawnProgram(home, MAIN, args);

/** In this process and with its environment; one at a time. */
export async function runHere(args: readonly string[]): Promise<CliResult> {
  const said = { stdout: "", stderr: "" };
  const collect = (stream: "stdout" | "stderr") =>
    vi.spyOn(process[stream], "write").mockImplementation((chunk) => {
      said[stream] += String(chunk);
      return true;
    });
  const spies = [collect("stdout"), collect("stderr")];
  try {
    const code = await runCommandLine(args);
    return { code, ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}

/** Runs argv on a terminal of 24 lines, 100 columns; types `answer` when `prompt` was shown; prints what was shown, then the exit code. */
const TERMINAL = `
import fcntl, os, pty, struct, sys, termios
prompt, answer = sys.argv[1].encode(), sys.argv[2].encode()
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
shown = b""
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    if prompt and prompt in shown:
        os.write(fd, answer)
        prompt = b""
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
`;

/** The same on a terminal; `stdout` is everything it showed. */
export async function runCliOnTerminal(
  home: string,
  args: readonly string[],
  typed: { readonly prompt: string; readonly answer: string } = { prompt: "", answer: "" },
): Promise<CliResult> {
  const argv = [typed.prompt, typed.answer, process.execPath, MAIN, ...args];
  const child = spawn("/usr/bin/python3", ["-c", TERMINAL, ...argv], { env: { ...environment(home), TERM: "xterm" } });
  child.stdin.end();
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: code as number, stdout: stdout.replaceAll("\r\n", "\n"), stderr };
}
