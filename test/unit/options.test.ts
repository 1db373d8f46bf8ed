/** The mount options of the public API: defaults, and one sentence per problem. */
import { describe, expect, it } from "vitest";
import { type MountOptions, OptionsError, parseMountOptions } from "../../src/options.ts";
import { normalizeServerUrl } from "../../src/util/server-url.ts";

const GOOD: MountOptions = { server: "https://seafile.example.com", token: "0123456789abcdef", mountpoint: "/mnt/x" };

function problemsOf(options: unknown): readonly string[] {
  try {
    parseMountOptions(options as MountOptions);
  } catch (error) {
    if (error instanceof OptionsError) return error.problems;
    throw error;
  }
  return [];
}

describe("mount options", () => {
  it("server, token and mount point are enough; the rest has the documented defaults", () => {
    const { stateDir, ...options } = parseMountOptions(GOOD);
    expect(options).toEqual({
      ...GOOD,
      passwords: {},
      readOnly: false,
      allowOther: false,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
      umask: 0o022,
      cacheSize: 256 * 1024 * 1024,
      refreshMs: 5000,
      timeoutMs: 20_000,
      writeBackDelayMs: 1000,
      commit: "background",
      fsync: "local",
      onConflict: "copy",
      transport: "auto",
      fuseOptions: [],
    });
    expect(stateDir).toMatch(/\/seamount$/);
  });

  it("says what is missing, one sentence each", () => {
    expect(problemsOf({ server: GOOD.server })).toEqual([
      'The option "token" is missing.',
      'The option "mountpoint" is missing.',
    ]);
    expect(problemsOf({ mountpoint: "/mnt" })).toEqual([
      'The option "server" is missing.',
      'The option "token" is missing.',
    ]);
  });

  it("takes a link instead of an account, which shows one folder", () => {
    const link = "https://example.com/d/0123456789/";
    expect(parseMountOptions({ link, mountpoint: "/mnt" })).toMatchObject({ link, mountpoint: "/mnt" });
    expect(problemsOf({ link, library: "Work", mountpoint: "/mnt" })).toEqual([
      'The option "library" does not go with a link, which shows one folder.',
    ]);
  });

  it.each([
    [{ transport: "libfuse" as "auto" }, 'The option "transport" must be one of auto, kernel, fuse-native.'],
    [{ mountpoint: "relative" }, 'The option "mountpoint" must be an absolute path.'],
    [{ mountpoint: "/a\0b" }, 'The option "mountpoint" must be an absolute path.'],
    [{ server: "ftp://example.com" }, 'The option "server" must begin with https:// or http://.'],
    [{ server: "nonsense" }, 'The option "server" is not a URL like https://seafile.example.com.'],
    [{ server: "https://me:pw@example.com" }, 'The option "server" must not contain a user name or a password.'],
    [{ fileServer: "https://example.com/?a" }, "The option \"fileServer\" must not contain '?' or '#'."],
    [{ library: "" }, 'The option "library" must not be empty.'],
    [{ umask: 0o1000 }, 'The option "umask" must be an octal number from 0 to 511.'],
    [{ uid: -1 }, 'The option "uid" must be a user id from 0 to 4294967294.'],
    [{ gid: 1.5 }, 'The option "gid" must be a group id from 0 to 4294967294.'],
    [{ cacheSize: 10 }, 'The option "cacheSize" must be at least 1M.'],
    [{ refreshMs: -1 }, 'The option "refreshMs" must be milliseconds from 0 to 86400000.'],
    [{ readOnly: "yes" }, 'The option "readOnly" must be true or false.'],
    [{ fuseOptions: ["suid"] }, 'The option "fuseOptions" must be one of noatime, nodev, nosuid, noexec.'],
    [{ log: {} }, 'The option "log" must be a pino logger.'],
    [{ colour: "red", size: 1 }, 'There is no option "colour", "size".'],
  ])("refuses %j with a sentence that names the option", (wrong, sentence) => {
    expect(problemsOf({ ...GOOD, ...wrong })).toEqual([sentence]);
  });

  it("a bad token is refused without being repeated", () => {
    const [problem] = problemsOf({ ...GOOD, token: "se cret" });
    expect(problem).toContain('"token"');
    expect(problem).not.toContain("cret");
  });

  it("several problems make one message with all sentences", () => {
    expect(() => parseMountOptions({ ...GOOD, mountpoint: "x", umask: -1 })).toThrow(
      /"mountpoint" must be an absolute path\. The option "umask"/,
    );
  });
});

describe("server addresses", () => {
  it.each([
    ["https://Seafile.Example.COM/", "https://seafile.example.com"],
    ["HTTP://host:8000", "http://host:8000"],
    ["https://host:443/cloud/seafile//", "https://host/cloud/seafile"],
  ])("%s is spelled %s", (text, spelled) => {
    expect(normalizeServerUrl(text)).toBe(spelled);
  });
});
