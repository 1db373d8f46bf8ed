/** Where passwords of encrypted libraries come from, and for which library they are. */
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { forgetLogins, rememberedPasswords, rememberPassword, storeLogin } from "../../src/cli/credentials.ts";
import { libraryPasswords, parsePasswordFile, readPasswordFile } from "../../src/cli/library-passwords.ts";
import { givePasswords } from "../../src/mount-passwords.ts";
import { silentLogger } from "../../src/observe/log.ts";
import type { Library } from "../../src/seafile/library.ts";
import type { LibraryInfo } from "../../src/seafile/types.ts";

const SERVER = "https://seafile.example.com";
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "seamount-passwords-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("--password-file", () => {
  it.each([
    ["Secret=/etc/pw", "Secret", "/etc/pw"],
    ["Secret=pw", "Secret", "pw"],
    ["My = library=pw", "My ", " library=pw"],
    ["/etc/pw", "", "/etc/pw"],
    ["./a=b", "", "./a=b"],
    ["pw", "", "pw"],
  ])("%s is for %j and in %s", (value, name, file) => {
    expect(parsePasswordFile(value)).toEqual({ name, file });
  });

  it.each(["Secret=", "=pw"])("%s says what it should be", (value) => {
    expect(() => parsePasswordFile(value)).toThrow("is not of the form NAME=FILE.");
  });

  it("means the first line of the file, spaces and all", async () => {
    const file = join(folder, "pw");
    await writeFile(file, " with spaces \r\nsecond line\n");
    expect(readPasswordFile(file)).toBe(" with spaces ");
    await writeFile(file, "\nsecond line\n");
    expect(() => readPasswordFile(file)).toThrow("is empty");
    expect(() => readPasswordFile(join(folder, "none"))).toThrow("cannot be read (ENOENT)");
  });

  it("wins over the environment", async () => {
    const file = join(folder, "pw");
    await writeFile(file, "of the file\n");
    const options = { server: SERVER, token: "x", mountpoint: "/mnt" };
    const env = { SEAMOUNT_LIBRARY_PASSWORD: "of the environment" };
    expect(await libraryPasswords(options, [], env)).toMatchObject({ "": "of the environment" });
    expect(await libraryPasswords(options, [file, `Secret=${file}`], env)).toMatchObject({
      "": "of the file",
      Secret: "of the file",
    });
  });
});

describe("remembered passwords", () => {
  it("are in the file with the login, which only its owner reads, until they or the login are forgotten", async () => {
    const file = join(folder, "credentials.json");
    storeLogin({ server: SERVER, username: "me", token: "t" }, file);
    rememberPassword({ server: SERVER, library: "id-1", password: "one" }, file);
    rememberPassword({ server: SERVER, library: "id-2", password: "two" }, file);
    storeLogin({ server: SERVER, username: "me", token: "t2" }, file);
    expect(rememberedPasswords(SERVER, file)).toEqual({ "id-1": "one", "id-2": "two" });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    rememberPassword({ server: SERVER, library: "id-1", password: undefined }, file);
    expect(rememberedPasswords(SERVER, file)).toEqual({ "id-2": "two" });
    forgetLogins({ server: SERVER }, file);
    expect(await readFile(file, "utf8")).not.toContain("two");
  });

  it("need no login in the file", () => {
    const file = join(folder, "credentials.json");
    rememberPassword({ server: SERVER, library: "id-1", password: "one" }, file);
    expect(rememberedPasswords(SERVER, file)).toEqual({ "id-1": "one" });
    expect(rememberedPasswords("https://other.example.com", file)).toEqual({});
  });
});

describe("givePasswords", () => {
  const ID = "11111111-2222-4333-8444-555555555555";
  const info = (id: string, name: string, encrypted = true) => ({ id, name, encrypted }) as LibraryInfo;
  const secret = info(ID, "Secret");
  const give = (infos: LibraryInfo[], passwords: Record<string, string>, library?: LibraryInfo) => {
    const given: Record<string, string> = {};
    const account = {
      givePassword: (id: string, password: string) => {
        given[id] = password;
      },
    };
    const target = { library: library && ({ info: library } as Library), infos };
    givePasswords(account, target, passwords, silentLogger());
    return given;
  };

  it("takes names and ids, and the name for more than the id", () => {
    expect(give([secret, info("b", "Other")], { [ID]: "remembered", Secret: "named", Other: "o" })).toEqual({
      [ID]: "named",
      b: "o",
    });
  });

  it('takes "" for the library that is mounted, or for the only encrypted one', () => {
    expect(give([secret, info("b", "Other")], { "": "x" }, info("b", "Other"))).toEqual({ b: "x" });
    expect(give([secret, info("b", "Plain", false)], { "": "x" })).toEqual({ [ID]: "x" });
    expect(() => give([secret, info("b", "Other")], { "": "x" })).toThrow("Several libraries are encrypted");
    expect(() => give([info("b", "Plain", false)], { "": "x" })).toThrow("No library of this account is encrypted");
  });

  it("passes over an id that is gone and a library that is not encrypted, and refuses a name that is not there", () => {
    expect(give([info("b", "Plain", false)], { [ID]: "remembered", Plain: "x" })).toEqual({});
    expect(() => give([secret], { Secrets: "x" })).toThrow('There is no library "Secrets"');
  });
});
