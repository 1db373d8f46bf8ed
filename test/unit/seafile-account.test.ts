/** Logging in, checking a token, listing libraries and folders, quota: answers as an 11.0.13 server gives them. */
import { afterEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/observe/log.ts";
import { login } from "../../src/seafile/account.ts";
import type { LibraryInfo } from "../../src/seafile/types.ts";
import {
  accountAt,
  type Handler,
  INFO,
  idOf,
  json,
  LIBRARY,
  startServer,
  type TestServer,
  TOKEN,
} from "./seafile-server.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function serverOf(handler: Handler): Promise<TestServer> {
  const server = await startServer(handler);
  closers.push(() => server.close());
  return server;
}

async function setUp(routes: Record<string, unknown>, info: LibraryInfo = INFO) {
  const server = await serverOf((hit, response) => {
    const answer = routes[hit.path];
    if (typeof answer === "function") answer(hit, response);
    else if (answer === undefined) json(response, { error_msg: "not found." }, {}, 404);
    else json(response, answer, { oid: idOf("9"), dir_perm: "rw" });
  });
  const account = accountAt(server.url);
  closers.unshift(() => account.close());
  return { server, account, library: account.library(info) };
}

const credentials = { username: "test@example.com", password: "test pass&123", log: silentLogger() };

describe("login", () => {
  it("sends the password as a form and returns the token", async () => {
    const server = await serverOf((_hit, response) => json(response, { token: TOKEN }));
    expect(await login({ server: `${server.url}/`, ...credentials })).toEqual({ token: TOKEN });
    expect(server.lines()).toEqual(["POST /api2/auth-token/"]);
    const { headers, body } = server.hits[0]!;
    expect(Object.fromEntries(new URLSearchParams(body.toString()))).toEqual({
      username: "test@example.com",
      password: "test pass&123",
    });
    expect(headers.authorization).toBeUndefined();
  });

  it("says bad-credentials for a wrong password, without naming it", async () => {
    const server = await serverOf((_hit, response) =>
      json(response, { non_field_errors: ["Unable to login with provided credentials."] }, {}, 400),
    );
    const failed = login({ server: server.url, ...credentials });
    await expect(failed).rejects.toMatchObject({ kind: "bad-credentials" });
    await expect(failed).rejects.not.toThrow(/test pass/);
    expect(server.hits).toHaveLength(1);
  });

  it("says otp-required without a code, sends a given one, and bad-credentials for a wrong one", async () => {
    const server = await serverOf((hit, response) => {
      if (hit.headers["x-seafile-otp"] === "123456") json(response, { token: TOKEN });
      else
        json(
          response,
          { non_field_errors: ["Two factor auth token is missing."] },
          { "X-Seafile-OTP": "required" },
          400,
        );
    });
    const options = { server: server.url, ...credentials };
    await expect(login(options)).rejects.toMatchObject({ kind: "otp-required" });
    await expect(login({ ...options, otp: "000000" })).rejects.toMatchObject({ kind: "bad-credentials" });
    expect(await login({ ...options, otp: "123456" })).toEqual({ token: TOKEN });
  });

  it("names the address that a redirect leads to", async () => {
    const server = await serverOf((hit, response) =>
      response.writeHead(301, { location: `https://cloud.example.com${hit.path}` }).end(),
    );
    await expect(login({ server: server.url, ...credentials })).rejects.toMatchObject({
      kind: "protocol",
      message: expect.stringContaining("https://cloud.example.com;"),
    });
  });

  it("says protocol when no Seafile server is there, and throttled when there were too many logins", async () => {
    const wrong = await serverOf((_hit, response) => response.writeHead(404).end("<html><title>Not Found</title>"));
    await expect(login({ server: wrong.url, ...credentials })).rejects.toMatchObject({ kind: "protocol" });
    const busy = await serverOf((_hit, response) => response.writeHead(429, { "retry-after": "28" }).end("{}"));
    await expect(login({ server: busy.url, ...credentials })).rejects.toMatchObject({ kind: "throttled" });
  });

  it("refuses an address that is none", async () => {
    await expect(login({ server: "example.com", ...credentials })).rejects.toMatchObject({ kind: "invalid" });
  });
});

describe("Account.check", () => {
  const routes = {
    "/api2/auth/ping/": "pong",
    "/api2/server-info/": { version: "11.0.13", features: ["seafile-basic"] },
    "/api2/account/info/": {
      email: "x@auth.local",
      name: "test",
      contact_email: "test@example.com",
      usage: 1,
      total: -2,
    },
  };

  it("tells who and what", async () => {
    const { account } = await setUp(routes);
    expect(await account.check()).toEqual({ email: "test@example.com", name: "test", serverVersion: "11.0.13" });
  });

  it("says unauthorized when the token has been revoked", async () => {
    const { account, server } = await setUp({
      "/api2/auth/ping/": (_hit: unknown, response: Parameters<typeof json>[0]) =>
        json(response, { detail: "Invalid token" }, {}, 401),
    });
    await expect(account.check()).rejects.toMatchObject({ kind: "unauthorized" });
    expect(server.hits).toHaveLength(1);
  });

  it("asks for the version once for check and all libraries", async () => {
    const { account, library, server } = await setUp(routes);
    await account.check();
    expect([await library.keepsMtimes(), await library.keepsMtimes()]).toEqual([false, false]);
    expect(server.lines().filter((line) => line === "GET /api2/server-info/")).toHaveLength(1);
  });

  it("does not remember a failure to get the version", async () => {
    let down = true;
    const { library } = await setUp({
      "/api2/server-info/": (_hit: unknown, response: Parameters<typeof json>[0]) =>
        down ? json(response, {}, {}, 400) : json(response, { version: "12.0.1" }),
    });
    await expect(library.keepsMtimes()).rejects.toMatchObject({ kind: "invalid" });
    down = false;
    expect(await library.keepsMtimes()).toBe(true);
  });
});

describe("Account.libraries", () => {
  const line = (extra: object) => ({
    type: "repo",
    id: LIBRARY,
    owner: "1@auth.local",
    owner_name: "test",
    owner_contact_email: "test@example.com",
    name: "Docs",
    mtime: 1795289577,
    size: 6,
    encrypted: false,
    permission: "rw",
    root: "",
    head_commit_id: "8".repeat(40),
    salt: "",
    ...extra,
  });
  const OTHER = "7fb912dc-efc7-416e-91e1-5b690bd5e87e";

  it("turns lines into libraries, tolerating unknown keys", async () => {
    const { account } = await setUp({ "/api2/repos/": [line({ future_key: { x: 1 } })] });
    expect(await account.libraries()).toEqual([INFO]);
  });

  it("shows a library once with its best permission", async () => {
    const { account } = await setUp({
      "/api2/repos/": [
        line({ id: OTHER, type: "srepo", permission: "r" }),
        line({ id: OTHER, type: "grepo", groupid: 3, group_name: "Team", permission: "rw" }),
        line({ id: OTHER, type: "grepo", owner: "Organization", permission: "r" }),
      ],
    });
    expect(await account.libraries()).toMatchObject([{ id: OTHER, kind: "group", ownerName: "Team", writable: true }]);
  });

  it("knows shared, public, read-only and encrypted ones", async () => {
    const { account } = await setUp({
      "/api2/repos/": [
        line({ type: "srepo", permission: "r", encrypted: 1, owner_name: "other" }),
        line({ id: OTHER, type: "grepo", owner: "Organization", permission: "r", mtime: null, share_from_name: "adm" }),
      ],
    });
    expect(await account.libraries()).toMatchObject([
      { kind: "shared", writable: false, encrypted: true, ownerName: "other" },
      { kind: "public", writable: false, mtime: 0 },
    ]);
  });

  it("gives the same object for the same library, with the newer line", async () => {
    const { account, library } = await setUp({});
    expect(account.library({ ...INFO, name: "Renamed" })).toBe(library);
    expect(library.info.name).toBe("Renamed");
  });

  it("says protocol for an id that is none", async () => {
    const { account } = await setUp({ "/api2/repos/": [line({ id: "../../etc" })] });
    await expect(account.libraries()).rejects.toMatchObject({ kind: "protocol" });
  });
});

describe("Library.list and stat", () => {
  const file = { type: "file", id: idOf("a"), name: "a.txt", mtime: 5, size: 3, permission: "rw", starred: false };
  const dir = { type: "dir", id: idOf("b"), name: "d", mtime: 6, permission: "r" };
  const DIR = `/api2/repos/${LIBRARY}/dir/`;

  it("lists names, ids, sizes, times and write permission as they are", async () => {
    const nfd = { ...file, name: "e\u0301" };
    const { library } = await setUp({ [DIR]: [dir, file, nfd, { ...file, permission: undefined }] });
    expect(await library.list("/")).toEqual({
      id: idOf("9"),
      writable: true,
      entries: [
        { name: "d", kind: "dir", id: idOf("b"), size: 0, mtime: 6, writable: false },
        { name: "a.txt", kind: "file", id: idOf("a"), size: 3, mtime: 5, writable: true },
        { name: "e\u0301", kind: "file", id: idOf("a"), size: 3, mtime: 5, writable: true },
        { name: "a.txt", kind: "file", id: idOf("a"), size: 3, mtime: 5, writable: true },
      ],
    });
  });

  it("sends the known id and understands uptodate", async () => {
    const { server, library } = await setUp({ [DIR]: "uptodate" });
    expect(await library.list("/d", idOf("9"))).toBe("unchanged");
    expect(server.hits[0]!.query.get("oid")).toBe(idOf("9"));
  });

  it("shows nothing as writable in a read-only library", async () => {
    const { library } = await setUp({ [DIR]: [file] }, { ...INFO, writable: false });
    expect(await library.list("/")).toMatchObject({ writable: false, entries: [{ writable: false }] });
  });

  it("lists encrypted libraries", async () => {
    const { library } = await setUp({ [DIR]: [file] }, { ...INFO, encrypted: true });
    expect(await library.list("/")).toMatchObject({ entries: [{ name: "a.txt" }] });
  });

  it("says not-found for a missing folder, and undefined for a missing file", async () => {
    const { library } = await setUp({});
    await expect(library.list("/none")).rejects.toMatchObject({ kind: "not-found" });
    expect(await library.stat("/none")).toBeUndefined();
  });

  it("tells a file's entry", async () => {
    const { library } = await setUp({ [`/api2/repos/${LIBRARY}/file/detail/`]: { ...file, can_edit: true } });
    expect(await library.stat("/d/a.txt")).toEqual({
      name: "a.txt",
      kind: "file",
      id: idOf("a"),
      size: 3,
      mtime: 5,
      writable: true,
    });
  });
});

describe("quota", () => {
  const account = (total: number) => ({ email: "x", usage: 700, total });

  it("of an own library is the account's; nothing or less means unlimited", async () => {
    const limited = await setUp({ "/api2/account/info/": account(1_000_000) });
    expect(await limited.library.quota()).toEqual({ used: 700, total: 1_000_000 });
    const unlimited = await setUp({ "/api2/account/info/": account(-2) });
    expect(await unlimited.library.quota()).toEqual({ used: 700, total: null });
  });

  it("of another's library is full when the server says so, else unknown", async () => {
    const info: LibraryInfo = { ...INFO, kind: "shared" };
    const full = await setUp({ [`/api/v2.1/repos/${LIBRARY}/`]: { size: 42, no_quota: true } }, info);
    expect(await full.library.quota()).toEqual({ used: 42, total: 42 });
    const free = await setUp({ [`/api/v2.1/repos/${LIBRARY}/`]: { size: 42, no_quota: false } }, info);
    expect(await free.library.quota()).toEqual({ used: 42, total: null });
  });
});
