/** `seamount unmount` and the process that serves the mount: what it is asked, what is waited for, and what is told. */

import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { compiled } from "../support/programs.ts";
import { runCliOnTerminal, runHere, spawnProgram } from "./run-cli.ts";

const FAKE = compiled(import.meta.dirname, "fake-mount");
let home: string;
let dir: string;
const started: ReturnType<typeof spawnProgram>[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "seamount-"));
  vi.stubEnv("XDG_RUNTIME_DIR", home);
  dir = join(home, "mnt");
  mkdirSync(dir);
});
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

/** A recorded process that ends in this manner. */
async function serve(manner: string) {
  const child = spawnProgram(home, FAKE, [dir, manner]);
  started.push(child);
  child.stderr.pipe(process.stderr);
  await once(child.stdout, "data");
  return child;
}

describe("unmount", () => {
  it("returns when the process has stored everything and ended", async () => {
    const child = await serve("stores");
    expect(await runHere(["unmount", dir])).toEqual({ code: 0, stdout: `${dir} unmounted\n`, stderr: "" });
    expect(child.exitCode ?? (await once(child, "exit"))[0]).toBe(0);
    expect(readdirSync(join(home, "seamount"))).toEqual([]);
  });

  it("--now leaves what is pending and says so with exit code 6", async () => {
    await serve("stores");
    expect(await runHere(["unmount", "--now", dir])).toEqual({
      code: 6,
      stdout: "",
      stderr: `${dir} is unmounted, but 2 changes are not on the server yet; the next mount stores what was left.\n`,
    });
    expect(readdirSync(join(home, "seamount"))).toEqual([]);
  });

  it("names the files that the server did not take", async () => {
    await serve("keeps");
    const { code, stderr } = await runHere(["unmount", dir]);
    expect([code, stderr]).toEqual([6, expect.stringContaining("What was written is kept here:\n  /kept/a.txt\n")]);
  });

  it("is refused with exit code 5 while programs have files open, and the mount goes on", async () => {
    const child = await serve("busy");
    const { code, stdout, stderr } = await runHere(["unmount", dir]);
    expect([code, stdout]).toEqual([5, ""]);
    expect(stderr).toContain(`${dir} is busy: a program has files open there`);
    expect(child.exitCode).toBe(null);
    expect((await runHere(["status", dir])).code).toBe(0);
  });

  it("of a process that cannot be asked waits for its end", async () => {
    const child = await serve("mute");
    expect(await runHere(["unmount", dir])).toEqual({ code: 0, stdout: `${dir} unmounted\n`, stderr: "" });
    expect(child.exitCode ?? (await once(child, "exit"))[0]).toBe(0);
  });

  it("of a process that dies meanwhile does not say that everything is stored", async () => {
    await serve("dies");
    const { code, stdout, stderr } = await runHere(["unmount", dir]);
    expect([code, stdout]).toEqual([6, ""]);
    expect(stderr).toContain("its process died before it said what is stored");
    expect(readdirSync(join(home, "seamount"))).toEqual([]);
  });

  it("shows on a terminal what it waits for", async () => {
    await serve("slow");
    const { code, stdout } = await runCliOnTerminal(home, ["unmount", dir, "--timeout", "30"]);
    expect(code).toBe(0);
    expect(stdout).toContain("2 changes, 2.0 KB to store; big.iso 52 %; 0 B/s");
    expect(stdout.endsWith(`\r\u001b[K${dir} unmounted\n`)).toBe(true);
  });

  it.each([
    [["--now", "--timeout", "1"], "Arguments now and timeout are mutually exclusive."],
    [["--lazy", "--timeout", "1"], "Arguments timeout and lazy are mutually exclusive."],
    [["--timeout", "soon"], '--timeout "soon" is not a number of seconds.'],
  ])("%j is wrong usage", async (flags, sentence) => {
    const { code, stderr } = await runHere(["unmount", dir, ...flags]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)]);
  });
});
