/**
 * A process that keeps a new file of a mount open, and writes to it when told: what makes a mount busy.
 * Invariant: gone when its scope ends. Used by the lifecycle tests.
 */
import { spawn } from "node:child_process";
import { eventually, PYTHON } from "../support/process.ts";
import type { Scope } from "../support/scope.ts";

export interface FileHolder {
  /** Writes to the file: the number of bytes written, or the error in words. */
  write(text: string): Promise<string>;
  /** Closes the file and ends. */
  release(): Promise<void>;
}

/** Resolves when DIR/open is open. */
export async function holdFile(scope: Scope, dir: string, uid: number | undefined): Promise<FileHolder> {
  const program = `
import os, sys
f = os.open(sys.argv[1] + '/open', os.O_RDWR | os.O_CREAT)
print('open', flush=True)
for line in sys.stdin:
    try: print(os.write(f, line.rstrip().encode()), flush=True)
    except OSError as error: print(error.strerror, flush=True)`;
  const child = spawn(PYTHON, ["-c", program, dir], {
    stdio: ["pipe", "pipe", "inherit"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const exited = new Promise((resolve) => child.on("close", resolve));
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const line = async () => {
    await eventually("the holder answers", () => output.includes("\n"));
    const [first = "", ...rest] = output.split("\n");
    output = rest.join("\n");
    return first;
  };
  scope.defer(async () => child.kill("SIGKILL"));
  if ((await line()) !== "open") throw new Error("the file could not be opened");
  return {
    write: (text: string) => {
      child.stdin.write(`${text}\n`);
      return line();
    },
    release: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
