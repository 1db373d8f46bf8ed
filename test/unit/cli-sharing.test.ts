/**
 * star, share-links, upload-links, shared, account, libraries show and doctor as their users see them, against a development server
 * and a mount whose control socket is served by the test itself: what is printed for whom, which word means what, and the exit codes.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ControlSocket, startControl } from "../../src/cli/control-socket.ts";
import { fuseChecks } from "../../src/cli/doctor-checks.ts";
import { parseExpiry } from "../../src/cli/link-terms.ts";
import { type RecordFile, writeRecord } from "../../src/cli/mount-record.ts";
import { createDevServer, type DevServer } from "../../src/devserver/index.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { FakeControl } from "./fake-control.ts";
import { runHere } from "./run-cli.ts";
import { json as jsonReply, startServer } from "./seafile-server.ts";

const ME = "test@example.com";
const OTHER = "other@example.com";

let home: string;
let server: DevServer;
let library: string;
let sent: string[];
let mounted: { readonly record: RecordFile; readonly socket: ControlSocket } | undefined;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "seamount-"));
  sent = [];
  server = await createDevServer({
    users: [ME, OTHER].map((email) => ({ email, password: "testpass123" })),
    mailer: ({ to }) => void sent.push(to),
  });
  library = server.store.createLibrary(ME, "Work");
  await server.store.writeFile(library, "/d/f.txt", "content", { mkdirs: true });
  vi.stubEnv("XDG_RUNTIME_DIR", home);
  vi.stubEnv("TZ", "UTC");
  vi.stubEnv("SEAMOUNT_SERVER", server.url);
  vi.stubEnv("SEAMOUNT_TOKEN", server.token(ME));
});
afterEach(async () => {
  mounted?.record.finish({ unstored: [] });
  await mounted?.socket.close();
  mounted = undefined;
  vi.unstubAllEnvs();
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

const seamount = (...args: string[]) => runHere(args);
const printed = async (...args: string[]) => {
  const { code, stdout, stderr } = await seamount(...args);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
};
const json = async (...args: string[]) => JSON.parse(await printed(...args, "--json")) as Record<string, unknown>[];

/** A mount that shows /d/f.txt of Work as /Work/d/f.txt, and a new file that the server does not have. */
async function mount(): Promise<string> {
  const dir = join(home, "mnt");
  mkdirSync(dir);
  const control = new FakeControl(dir);
  control.overrides = { server: server.url };
  const place = { library, libraryName: "Work", kind: "file", isStored: true } as const;
  control.places = {
    "/Work": { ...place, path: "/", kind: "dir" },
    "/Work/d/f.txt": { ...place, path: "/d/f.txt" },
    "/Work/new": { ...place, path: "/new", isStored: false },
  };
  const socket = await startControl({ control, mountpoint: dir, log: silentLogger() });
  mounted = { record: writeRecord(dir, socket.path), socket };
  return dir;
}

describe("a place on the server", () => {
  it("is a file in a mount, LIBRARY:/PATH, or a library's id with a path", async () => {
    const dir = await mount();
    const words = [join(dir, "Work/d/f.txt"), "Work:/d/f.txt", "Work:/d//x/../f.txt", `${library}:/d/f.txt`];
    const links = await Promise.all([printed("share-links", "create", words[0]!)]);
    for (const word of words.slice(1)) links.push(await printed("share-links", "create", word));
    expect(new Set(links).size).toBe(1);
  });

  it.each([
    [
      "/nowhere/f",
      7,
      "/nowhere/f is not in a running mount of seamount; what is not mounted is written LIBRARY:/PATH.",
    ],
    ["Nowhere", 7, 'There is no library "Nowhere" in this account; "seamount libraries" lists them.'],
    ["Work:/none", 7, 'There is no /none in the library "Work".'],
  ])("%s is refused", async (word, code, sentence) => {
    const result = await seamount("star", "add", word);
    expect(result).toEqual({ code, stdout: "", stderr: `seamount: ${sentence}\n` });
  });

  it("in a mount is refused when the server does not have it yet, when nothing is there, and when it is all libraries", async () => {
    const dir = await mount();
    const refusal = async (path: string) => {
      const { code, stderr } = await seamount("star", "add", path);
      return [code, stderr.trim().replaceAll(dir, "DIR")];
    };
    const waits = "seamount: DIR/Work/new is not on the server yet: `seamount sync` waits for it.";
    expect(await refusal(join(dir, "Work/new"))).toEqual([6, waits]);
    expect(await refusal(join(dir, "Work/none"))).toEqual([7, "seamount: There is no /Work/none here."]);
    expect((await refusal(dir))[0]).toBe(2);
  });
});

describe("star", () => {
  it("adds, lists and removes files, folders and libraries", async () => {
    await printed("star", "add", "Work:/d/f.txt", "Work:/d", "Work:");
    const plain = (await printed("star", "ls")).replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "TIME");
    expect(plain).toBe("Work\t/\tTIME\nWork\t/d/\tTIME\nWork\t/d/f.txt\tTIME\n");
    await printed("star", "rm", "Work:/d", "Work:/");
    expect(await json("star", "ls")).toMatchObject([
      { library: "Work", libraryId: library, path: "/d/f.txt", kind: "file", gone: false },
    ]);
  });
});

describe("share-links", () => {
  it("create prints the link alone; ls shows all, a library's, a path's", async () => {
    const link = (await printed("share-links", "create", "Work:/d/f.txt")).trim();
    await printed("share-links", "create", "Work:/d", "--permission", "upload", "--expires", "7");
    expect(link).toMatch(/^http:.*\/f\/[0-9a-f]{20}\/$/);
    expect(await printed("share-links", "ls", "Work:/d/f.txt")).toBe(`Work\t/d/f.txt\tdownload\tno\t\t0\t${link}\n`);
    for (const place of [[], ["Work"], ["Work:/"]]) expect(await json("share-links", "ls", ...place)).toHaveLength(2);
    expect((await json("share-links", "ls", "Work:/d"))[0]).toMatchObject({
      kind: "dir",
      permission: "upload",
      expires: expect.stringMatching(/^\d{4}-.*Z$/),
      password: false,
    });
  });

  it("create takes a password from a file, shows it nowhere, and refuses a second link to the same", async () => {
    const file = join(home, "password");
    writeFileSync(file, "long password\nrest");
    const made = await seamount("share-links", "create", "Work:/d", "--password-file", file, "--json");
    expect(JSON.parse(made.stdout)).toMatchObject({ password: true, path: "/d" });
    expect(`${made.stdout}${made.stderr}`).not.toContain("long password");
    const again = await seamount("share-links", "create", "Work:/d", "--expires", "3");
    expect([again.code, again.stderr]).toEqual([
      1,
      'seamount: There is a link of yours to "/d" already; remove it first (`seamount share-links rm`).\n',
    ]);
  });

  it.each([
    [["--expires", "0"], '--expires "0" is neither a number of days nor a date like 2030-12-31.'],
    [["--expires", "2001-01-01"], "--expires 2001-01-01 is in the past."],
    [["--password"], "There is no terminal to ask for the password: use --password-stdin or --password-file."],
    [["--permission", "all"], "Invalid values:"],
  ])("create %j is wrong usage", async (flags, sentence) => {
    const { code, stderr } = await seamount("share-links", "create", "Work:/d", ...flags);
    expect(code).toBe(2);
    expect(stderr).toContain(sentence);
  });

  it("rm takes what it leads to, the link itself or its token, also when the file is gone", async () => {
    const create = async () => (await printed("share-links", "create", "Work:/d/f.txt")).trim();
    const forms = [async () => "Work:/d/f.txt", create, async () => (await create()).split("/").at(-2)!];
    for (const form of forms) {
      await create();
      await printed("share-links", "rm", await form());
      expect(await json("share-links", "ls")).toEqual([]);
    }
    await create();
    server.store.remove(library, "/d/f.txt");
    await printed("share-links", "rm", "Work:/d/f.txt");
    expect(await seamount("share-links", "rm", "Work:/d")).toMatchObject({ code: 7 });
  });

  it("send tells what became of each address, and is exit code 1 when one failed", async () => {
    await printed("share-links", "create", "Work:/d");
    expect(await printed("share-links", "send", "Work:/d", "a@b.org")).toBe("a@b.org\tsent\n");
    const { code, stdout } = await seamount("share-links", "send", "Work:/d", "c@d.org", "nonsense");
    expect([code, stdout]).toEqual([1, "c@d.org\tsent\nnonsense\tnot sent: email invalid.\n"]);
    expect(sent).toEqual(["a@b.org", "c@d.org"]);
  });
});

describe("upload-links", () => {
  it("create, ls, address, send and rm", async () => {
    const link = (await printed("upload-links", "create", "Work:/d")).trim();
    expect(await printed("upload-links", "ls")).toBe(`Work\t/d\tno\t\t0\t${link}\n`);
    expect(await printed("upload-links", "address", link)).toContain(`${server.fileServerUrl}/upload-api/`);
    expect(await printed("upload-links", "send", "Work:/d", "a@b.org")).toBe("a@b.org\tsent\n");
    await printed("upload-links", "rm", "Work:/d");
    expect(await json("upload-links", "ls")).toEqual([]);
  });

  it("to a file is exit code 7", async () => {
    expect(await seamount("upload-links", "create", "Work:/d/f.txt")).toMatchObject({ code: 7 });
  });
});

describe("shared", () => {
  it("lists both directions; one side takes back, the other leaves", async () => {
    const theirs = server.store.createLibrary(OTHER, "Theirs");
    server.store.share(theirs, ME, "r");
    server.store.share(library, OTHER, "rw");
    expect(await printed("shared", "ls")).toBe(
      `Theirs\tin\t${OTHER}\tpersonal\tr\t${theirs}\nWork\tout\t${OTHER}\tpersonal\trw\t${library}\n`,
    );
    expect(await seamount("shared", "leave", "Work")).toMatchObject({ code: 7 });
    await printed("shared", "leave", "Theirs");
    expect(await seamount("shared", "unshare", "Work")).toMatchObject({ code: 2 });
    expect(await seamount("shared", "unshare", "Work", "--with", "x@y.org")).toMatchObject({ code: 7 });
    await printed("shared", "unshare", "Work", "--with", OTHER);
    expect(await json("shared", "ls")).toEqual([]);
  });
});

describe("account and libraries show", () => {
  it("tell who and what", async () => {
    expect(await printed("account")).toContain(`e-mail  ${ME}\n`);
    expect(await json("account")).toMatchObject({ server: server.url, email: ME, total: null });
    expect(await json("libraries", "show", "Work", "--sync")).toMatchObject({
      name: "Work",
      files: 1,
      permission: "rw",
      sync: { allowed: true },
    });
    expect(await seamount("libraries", "show", "None")).toMatchObject({ code: 7 });
    expect(await printed("libraries")).toContain("Work\t");
  });
});

describe("doctor", () => {
  const states = async (): Promise<[number, Record<string, string>]> => {
    const { code, stdout } = await seamount("doctor", "--json");
    const { checks } = JSON.parse(stdout) as { checks: { check: string; state: string }[] };
    return [code, Object.fromEntries(checks.map(({ check, state }) => [check, state]))];
  };

  it("checks the server, its version, the clock, the login and the file server", async () => {
    const [, checks] = await states();
    expect(checks).toMatchObject({ server: "ok", version: "ok", clock: "ok", login: "ok", "file server": "ok" });
  });

  it("a refused token is exit code 3, and the file server is not asked", async () => {
    vi.stubEnv("SEAMOUNT_TOKEN", "0".repeat(40));
    const [code, checks] = await states();
    expect([code, checks["server"], checks["login"], checks["file server"]]).toEqual([3, "ok", "failed", undefined]);
  });

  it("a clock that is wrong is a warning", async () => {
    const date = new Date(Date.now() - 5 * 3_600_000).toUTCString();
    const late = await startServer(({ path }, response) =>
      path === "/api2/server-info/"
        ? jsonReply(response, { version: "9.0.1" }, { date })
        : jsonReply(response, "pong", { date }),
    );
    vi.stubEnv("SEAMOUNT_SERVER", late.url);
    const { stdout } = await seamount("doctor");
    await late.close();
    expect(stdout).toMatch(/^clock\twarning\t5 hours ahead of the server's$/m);
  });

  it("a server that does not answer is exit code 4", async () => {
    vi.stubEnv("SEAMOUNT_SERVER", "http://127.0.0.1:1");
    const [code, checks] = await states();
    expect([code, checks["server"], checks["login"]]).toEqual([4, "failed", undefined]);
  });

  const HELPER = { path: "/usr/bin/fusermount3", version: "3.14.0", isSetuidRoot: true };
  const HEALTH = {
    device: "usable",
    isHelperNeeded: true,
    helper: HELPER,
    transport: "kernel",
    lack: undefined,
  } as const;

  it.each([
    [HEALTH, []],
    [{ ...HEALTH, device: "missing", transport: undefined, lack: "x" } as const, ["/dev/fuse", "transport"]],
    [{ ...HEALTH, device: "denied", transport: undefined, lack: "x" } as const, ["/dev/fuse", "transport"]],
    [{ ...HEALTH, helper: undefined, transport: "fuse-native", lack: "x" } as const, ["fusermount3"]],
    [{ ...HEALTH, helper: { ...HELPER, isSetuidRoot: false } }, ["fusermount3"]],
    [{ ...HEALTH, helper: undefined, isHelperNeeded: false }, []],
  ])("what FUSE lacks fails with exit code 5 (%#)", (health, names) => {
    const failed = fuseChecks(health).filter(({ state }) => state === "failed");
    expect(failed.map(({ name }) => name)).toEqual(names);
    expect(failed.every(({ exitCode }) => exitCode === 5)).toBe(true);
  });
});

describe("--expires", () => {
  it("is days, the end of a day here, or a time", () => {
    vi.stubEnv("TZ", "UTC");
    expect(parseExpiry("14", 0)).toEqual({ days: 14 });
    expect(parseExpiry("2030-01-02", 0)).toEqual({ at: Date.parse("2030-01-02T23:59:59Z") / 1000 });
    expect(parseExpiry("2030-01-02T03:04+02:00", 0)).toEqual({ at: Date.parse("2030-01-02T01:04:00Z") / 1000 });
  });
});
