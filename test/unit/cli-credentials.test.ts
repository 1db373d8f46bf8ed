/** The credentials file and the environment: who wins, who may read, and that no secret gets into a message. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findCredentials, forgetLogins, parseServer, storeLogin } from "../../src/cli/credentials.ts";
import { exitCodeOf } from "../../src/cli/exit-codes.ts";

const A = { server: "https://a.example", username: "ann@a.example", token: "a".repeat(40) };
const B = { server: "https://b.example", username: "bob@b.example", token: "b".repeat(40) };

let root: string;
let file: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "seamount-"));
  file = join(root, "config", "credentials.json");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const find = (server?: string, env: Record<string, string> = {}) => findCredentials(server, env, file);

function failureOf(run: () => unknown): { message: string; code: number } {
  try {
    run();
  } catch (error) {
    return { message: (error as Error).message, code: exitCodeOf(error) };
  }
  throw new Error("It did not fail.");
}

describe("the credentials file", () => {
  it("gives back what was stored; the last login is the default", () => {
    storeLogin(A, file);
    storeLogin(B, file);
    expect(find()).toEqual(B);
    expect(find("A.example/")).toEqual(A);
    storeLogin(A, file);
    expect(find()).toEqual(A);
  });

  it("is 0600 in a folder of 0700, also when both were there before", () => {
    storeLogin(A, file);
    chmodSync(dirname(file), 0o755);
    chmodSync(file, 0o644);
    storeLogin(B, file);
    expect((statSync(dirname(file)).mode & 0o777).toString(8)).toBe("700");
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
  });

  it("is replaced, not rewritten, and no temporary file stays", () => {
    storeLogin(A, file);
    const before = statSync(file).ino;
    storeLogin(B, file);
    expect(statSync(file).ino).not.toBe(before);
    expect(readdirSync(dirname(file))).toEqual(["credentials.json"]);
  });

  it("a new login at the same server replaces the old one", () => {
    storeLogin(A, file);
    storeLogin({ ...A, token: "c".repeat(40) }, file);
    expect(find().token).toBe("c".repeat(40));
    expect(readFileSync(file, "utf8")).not.toContain(A.token);
  });

  it("logging out forgets the default, and the login before it becomes the default", () => {
    storeLogin(A, file);
    storeLogin(B, file);
    expect(forgetLogins({}, file)).toEqual([B.server]);
    expect(find()).toEqual(A);
    expect(readFileSync(file, "utf8")).not.toContain(B.token);
  });

  it("logging out forgets one server by name, or all", () => {
    storeLogin(A, file);
    storeLogin(B, file);
    expect(forgetLogins({ server: "a.example" }, file)).toEqual([A.server]);
    expect(find()).toEqual(B);
    storeLogin(A, file);
    expect(forgetLogins({ all: true }, file)).toEqual([B.server, A.server]);
    expect(failureOf(() => find()).code).toBe(3);
  });

  it("logging out without a login writes no file", () => {
    expect(forgetLogins({}, file)).toEqual([]);
    expect(existsSync(file)).toBe(false);
  });

  it.each([
    ["{", "cut off"],
    ["[]", "something else"],
    ['{"version":2,"logins":{}}', "of a later version"],
    ['{"version":1,"logins":{"https://a.example":{"username":"a"}}}', "without a token"],
  ])("%s (%s) is called damaged", (content) => {
    storeLogin(A, file);
    writeFileSync(file, content);
    expect(failureOf(() => find())).toEqual({
      message: `${file} is damaged: delete it and run \`seamount login SERVER\` again.`,
      code: 1,
    });
  });

  it("a damaged file's tokens do not get into the message or its cause", () => {
    storeLogin(A, file);
    writeFileSync(file, readFileSync(file, "utf8").slice(0, -5));
    try {
      find();
      expect.unreachable();
    } catch (error) {
      const told = JSON.stringify({ text: String((error as Error).stack), cause: String((error as Error).cause) });
      expect(told).not.toContain("aaaa");
    }
  });
});

describe("without a login", () => {
  it("says how to log in", () => {
    expect(failureOf(() => find())).toEqual({
      message: "You are not logged in: run `seamount login SERVER` first.",
      code: 3,
    });
    storeLogin(A, file);
    expect(failureOf(() => find("https://c.example"))).toEqual({
      message: "You are not logged in at https://c.example: run `seamount login https://c.example` first.",
      code: 3,
    });
  });
});

describe("the environment", () => {
  const ENV = { SEAMOUNT_SERVER: "https://E.example/", SEAMOUNT_TOKEN: "e".repeat(40) };

  it("server and token win over the file and need none", () => {
    const expected = { server: "https://e.example", token: ENV.SEAMOUNT_TOKEN };
    expect(find(undefined, ENV)).toEqual(expected);
    storeLogin(A, file);
    expect(find(undefined, ENV)).toEqual(expected);
  });

  it("asking for another server by name uses its login", () => {
    storeLogin(A, file);
    expect(find("a.example", ENV)).toEqual(A);
  });

  it("the server alone chooses among the logins", () => {
    storeLogin(A, file);
    storeLogin(B, file);
    expect(find(undefined, { SEAMOUNT_SERVER: "a.example" })).toEqual(A);
  });

  it("the token alone is a usage error that does not repeat it", () => {
    const failure = failureOf(() => find(undefined, { SEAMOUNT_TOKEN: ENV.SEAMOUNT_TOKEN }));
    expect(failure.code).toBe(2);
    expect(failure.message).toContain("SEAMOUNT_SERVER is not");
    expect(failure.message).not.toContain("eeee");
  });

  it("SEAMOUNT_FILE_SERVER goes with any login", () => {
    storeLogin(A, file);
    expect(find(undefined, { SEAMOUNT_FILE_SERVER: "http://files:8082/" })).toEqual({
      ...A,
      fileServer: "http://files:8082",
    });
  });
});

describe("a server address as people type it", () => {
  it.each([
    ["seafile.example.com", "https://seafile.example.com"],
    ["seafile.example.com:8443/sea/", "https://seafile.example.com:8443/sea"],
    ["http://localhost:8000", "http://localhost:8000"],
  ])("%s is %s", (typed, url) => {
    expect(parseServer(typed)).toBe(url);
  });

  it("one with a password in it is refused without repeating the password", () => {
    const { message, code } = failureOf(() => parseServer("https://me:hunter2@example.com"));
    expect([message, code]).toEqual(["The server address must not contain a user name or a password.", 2]);
  });
});
