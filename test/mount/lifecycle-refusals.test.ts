/** Mounts that cannot be: each refusal has its documented exit code and one sentence, in the foreground and behind. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { isMountPoint } from "../support/mountinfo.ts";
import { EMAIL, makeHome, makeMountPoint, seamount } from "../support/mounts.ts";
import { fileScope, tempDir, testScope } from "../support/scope.ts";

const scope = fileScope();
let server: DevServer;
let home: string;

beforeAll(async () => {
  server = await startServer(scope);
  server.store.createLibrary(EMAIL, "Work");
  home = await makeHome(scope);
});

describe.concurrent.each([
  ["in the foreground", ["--foreground"]],
  ["in the background", []],
])("%s", (_, mode) => {
  const mount = (args: readonly string[], token?: string, env: Record<string, string> = {}) =>
    seamount(["mount", ...args, ...mode], { server, home, ...(token === undefined ? {} : { token }) }, { env });

  /** Exit code, one sentence on stderr, nothing mounted, no token shown. */
  async function expectRefusal(
    result: Promise<{ code: number | null; stdout: string; stderr: string }>,
    code: number,
    sentence: RegExp,
    dir: string,
  ) {
    const { code: actual, stderr, stdout } = await result;
    expect(stderr).toMatch(sentence);
    expect(actual).toBe(code);
    expect(stderr + stdout).not.toContain(server.token(EMAIL));
    expect(
      stderr
        .trim()
        .split("\n")
        .filter((line) => line.startsWith("seamount:")),
    ).toHaveLength(1);
    expect(await isMountPoint(dir)).toBe(false);
  }

  it("a wrong token is exit code 3", async ({ onTestFinished }) => {
    const dir = await makeMountPoint(testScope(onTestFinished));
    await expectRefusal(mount([dir, "--library", "Work"], "0".repeat(40)), 3, /token|log ?in/i, dir);
  });

  it("a server that is not there is exit code 4", async ({ onTestFinished }) => {
    const dir = await makeMountPoint(testScope(onTestFinished));
    const nobody = { SEAMOUNT_SERVER: "http://127.0.0.1:1" };
    await expectRefusal(
      mount([dir, "--library", "Work"], undefined, nobody),
      4,
      /not reachable|cannot be reached/,
      dir,
    );
  });

  it("a mount point that is missing is exit code 5", async ({ onTestFinished }) => {
    const dir = join(await tempDir(testScope(onTestFinished)), "missing");
    await expectRefusal(mount([dir, "--library", "Work"]), 5, /does not exist/, dir);
  });

  it("a mount point that is a file is exit code 5", async () => {
    await expectRefusal(mount(["/etc/hostname", "--library", "Work"]), 5, /not a (folder|directory)/i, "/etc/hostname");
  });

  it.each(["data", "run", "run/seamount"])(
    "a mount point above seamount's own files (%s) is exit code 5",
    async (name) => {
      const dir = join(home, name);
      await mkdir(dir, { recursive: true });
      await expectRefusal(mount([dir, "--library", "Work"]), 5, /files of seamount itself/, dir);
    },
  );

  it("an unknown library is exit code 7", async ({ onTestFinished }) => {
    const dir = await makeMountPoint(testScope(onTestFinished));
    await expectRefusal(mount([dir, "--library", "None"]), 7, /None/, dir);
  });

  it("an unknown folder of a library is exit code 7", async ({ onTestFinished }) => {
    const dir = await makeMountPoint(testScope(onTestFinished));
    await expectRefusal(mount([dir, "--library", "Work:/none"]), 7, /none/, dir);
  });

  it("a wrong option is exit code 2", async ({ onTestFinished }) => {
    const dir = await makeMountPoint(testScope(onTestFinished));
    await expectRefusal(mount([dir, "--umask", "999"]), 2, /umask/, dir);
    await expectRefusal(mount([dir, "-o", "nonsense"]), 2, /nonsense/, dir);
  });
});

it("unmounting what is not mounted is exit code 7", async () => {
  const dir = await makeMountPoint(testScope());
  expect(await seamount(["unmount", dir], { server, home })).toMatchObject({ code: 7 });
});
