/**
 * Stars, share links, upload links and shared libraries through the client: against the development server, and against bare answers for
 * what other versions do.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDevServer, type DevServer } from "../../src/devserver/index.ts";
import type { Account } from "../../src/seafile/account.ts";
import type { LibraryId } from "../../src/seafile/types.ts";
import { accountAt, json, LIBRARY, startServer } from "./seafile-server.ts";

const ME = "test@example.com";
const OTHER = "other@example.com";
const DAY = 86_400;

let server: DevServer;
let account: Account;
let library: LibraryId;
const sent: string[] = [];
const at = (path: string) => ({ library, path });

beforeEach(async () => {
  sent.length = 0;
  server = await createDevServer({
    users: [ME, OTHER].map((email) => ({ email, password: "testpass123" })),
    mailer: ({ to, message }) => {
      if (to.startsWith("full@")) throw new Error("mailbox full");
      sent.push(`${to}: ${message}`);
    },
  });
  library = server.store.createLibrary(ME, "Work") as LibraryId;
  await server.store.writeFile(library, "/d/f.txt", "content", { mkdirs: true });
  account = accountAt(server.url, { token: server.token(ME) });
});
afterEach(async () => {
  await account.close();
  await server.close();
});

const kind = (name: string) => expect.objectContaining({ kind: name });

describe("stars", () => {
  it("files, folders and libraries are starred, listed and freed again", async () => {
    await account.stars.add(at("/d/f.txt"), "file");
    await account.stars.add(at("/d"), "dir");
    await account.stars.add(at("/"), "dir");
    const places = async () => (await account.stars.list()).map(({ path, kind }) => `${kind} ${path}`).sort();
    expect(await places()).toEqual(["dir /", "dir /d", "file /d/f.txt"]);
    await account.stars.remove(at("/d/f.txt"), "file");
    await account.stars.remove(at("/d"), "dir");
    expect(await places()).toEqual(["dir /"]);
  });

  it("what is not there is not-found", async () => {
    await expect(account.stars.add(at("/none"), "file")).rejects.toEqual(kind("not-found"));
    await expect(account.stars.add(at("/none"), "dir")).rejects.toEqual(kind("not-found"));
  });

  it("a server without folders' stars lists those of files", async () => {
    const line = { repo: LIBRARY, repo_name: "Docs", path: "/a", dir: false, mtime: 5, size: 1, org: -1 };
    const old = await startServer((hit, response) => {
      if (hit.path === "/api2/starredfiles/") json(response, [line]);
      else response.writeHead(404, { "content-type": "text/html" }).end("<html><title>404</title>");
    });
    const there = accountAt(old.url);
    expect(await there.stars.list()).toMatchObject([{ library: LIBRARY, path: "/a", kind: "file", mtime: 5 }]);
    await there.close();
    await old.close();
  });
});

describe("share links", () => {
  it("obtain makes one link and finds it again", async () => {
    const made = await account.shareLinks.obtain(at("/d/f.txt"));
    expect(made).toMatchObject({ path: "/d/f.txt", kind: "file", hasPassword: false, isExpired: false, views: 0 });
    expect(made.url).toBe(`${server.url}/f/${made.token}/`);
    expect((await account.shareLinks.obtain(at("/d/f.txt"))).token).toBe(made.token);
    expect((await account.shareLinks.obtain(at("/d"))).url).toContain("/d/");
    expect(await account.shareLinks.list({ library })).toHaveLength(2);
  });

  it("create sets password, expiry and permissions, and the password is told to nobody", async () => {
    const permissions = { download: false, edit: false, upload: false };
    const terms = { password: "long password", expires: { days: 3 }, permissions };
    const link = await account.shareLinks.create(at("/d/f.txt"), terms);
    expect(link).toMatchObject({ hasPassword: true, permissions });
    expect(link.expires! - link.created!).toBe(3 * DAY);
    expect(JSON.stringify(await account.shareLinks.list())).not.toContain("long password");
    const second = account.shareLinks.create(at("/d/f.txt"), { expires: { days: 9 } });
    await expect(second).rejects.toEqual(kind("exists"));
  });

  it("an end may be a time", async () => {
    const link = await account.shareLinks.create(at("/d"), { expires: { at: 1_893_553_445 } });
    expect(link.expires).toBe(1_893_553_445);
  });

  it("an expired one is not handed out as if it worked", async () => {
    await account.shareLinks.create(at("/d"), { expires: { days: 1 } });
    server.advanceClock(2 * DAY * 1000);
    await expect(account.shareLinks.obtain(at("/d"))).rejects.toEqual(kind("exists"));
    expect(await account.shareLinks.find(at("/d"))).toMatchObject({ isExpired: true });
  });

  it("refusals have their kinds: nothing there, short password, another's link", async () => {
    await expect(account.shareLinks.obtain(at("/none"))).rejects.toEqual(kind("not-found"));
    await expect(account.shareLinks.create(at("/none"), { expires: { days: 1 } })).rejects.toEqual(kind("not-found"));
    await expect(account.shareLinks.create(at("/d"), { password: "short" })).rejects.toThrow(/too short/);
    const link = await account.shareLinks.obtain(at("/d"));
    const other = accountAt(server.url, { token: server.token(OTHER) });
    await expect(other.shareLinks.remove(link)).rejects.toEqual(kind("forbidden"));
    await other.close();
  });

  it("a removed one is gone, and removing it again is no failure", async () => {
    const link = await account.shareLinks.obtain(at("/d"));
    await account.shareLinks.remove(link);
    await account.shareLinks.remove(link);
    expect(await account.shareLinks.find(at("/d"))).toBeUndefined();
    await expect(account.shareLinks.get(link.token)).rejects.toEqual(kind("not-found"));
    await expect(account.shareLinks.get(link.token)).rejects.not.toThrow(link.token);
  });

  it("mail goes to each address by itself, and each failure is told", async () => {
    const link = await account.shareLinks.obtain(at("/d"));
    expect(await account.shareLinks.send(link, ["a@b.org", "nonsense", "full@b.org"], "hello")).toEqual([
      { email: "a@b.org", error: undefined },
      { email: "nonsense", error: "email invalid." },
      { email: "full@b.org", error: "Internal Server Error" },
    ]);
    expect(sent).toEqual(["a@b.org: hello"]);
  });

  it("a server that passes over the expiry gets its endless link back", async () => {
    const line = { token: "abcdefghij", link: "http://x/d/abcdefghij/", repo_id: LIBRARY, path: "/d/", is_dir: true };
    const old = await startServer((hit, response) => {
      if (hit.method === "GET") json(response, []);
      else if (hit.method === "DELETE") json(response, { success: true });
      else json(response, { ...line, expire_date: "" });
    });
    const there = accountAt(old.url);
    const made = there.shareLinks.create({ library: LIBRARY, path: "/d" }, { expires: { at: 1_893_553_445 } });
    await expect(made).rejects.toThrow(/without an expiry/);
    expect(old.lines().at(-1)).toBe("DELETE /api/v2.1/share-links/abcdefghij/");
    await there.close();
    await old.close();
  });
});

describe("upload links", () => {
  it("are made once per folder; other terms than those of the one that is there are refused", async () => {
    const made = await account.uploadLinks.create(at("/d"), {});
    expect(made).toMatchObject({ path: "/d", hasPassword: false, expires: undefined });
    expect((await account.uploadLinks.create(at("/d"), {})).token).toBe(made.token);
    const other = account.uploadLinks.create(at("/d"), { password: "long password" });
    await expect(other).rejects.toEqual(kind("exists"));
    await account.uploadLinks.remove(made);
    const link = await account.uploadLinks.create(at("/d"), { password: "long password", expires: { days: 2 } });
    expect(link.hasPassword).toBe(true);
    expect(link.expires! - link.created!).toBe(2 * DAY);
    expect(await account.uploadLinks.list()).toHaveLength(1);
  });

  it("to a file or to nothing are not-found", async () => {
    await expect(account.uploadLinks.create(at("/d/f.txt"), {})).rejects.toEqual(kind("not-found"));
    await expect(account.uploadLinks.create(at("/none"), { expires: { days: 1 } })).rejects.toEqual(kind("not-found"));
  });

  it("have an address on the file server, unless there is a password", async () => {
    const link = await account.uploadLinks.create(at("/d"), {});
    expect(await account.uploadLinks.address(link)).toContain(`${server.fileServerUrl}/upload-api/`);
    const closed = await account.uploadLinks.create(at("/"), { password: "long password" });
    await expect(account.uploadLinks.address(closed)).rejects.toThrow(/has a password/);
  });
});

describe("shared libraries", () => {
  it("are listed by both sides with the e-mail address of the other, and the receiver leaves", async () => {
    server.store.share(library, OTHER, "r");
    const other = accountAt(server.url, { token: server.token(OTHER) });
    expect(await account.sharing.shared()).toMatchObject([
      { direction: "out", libraryName: "Work", who: OTHER, type: "personal", permission: "r" },
    ]);
    const received = await other.sharing.received();
    expect(received).toMatchObject([{ direction: "in", libraryName: "Work", who: ME }]);
    await other.sharing.leave(received[0]!);
    expect([await other.sharing.received(), await account.sharing.shared()]).toEqual([[], []]);
    await other.close();
  });

  it("are taken back by the owner", async () => {
    server.store.share(library, OTHER, "rw");
    await account.sharing.end((await account.sharing.shared())[0]!);
    const other = accountAt(server.url, { token: server.token(OTHER) });
    expect([await account.sharing.shared(), await other.libraries()]).toEqual([[], []]);
    await other.close();
  });

  it("that come through a group cannot be left alone", async () => {
    const share = { direction: "in", library, libraryName: "Team", type: "group", who: "Staff", id: "3" } as const;
    const left = account.sharing.leave({ ...share, permission: "rw", encrypted: false });
    await expect(left).rejects.toThrow('"Team" is shared with the group "Staff", not with you alone');
  });
});

describe("the server and one library", () => {
  it("tells version, features, whose token it is, and how much room there is", async () => {
    expect(await account.serverInfo()).toMatchObject({ version: "11.0.13", features: ["seafile-basic"] });
    expect(await account.profile()).toMatchObject({ email: ME, name: "test", quota: { total: null } });
    expect(await account.ping()).toBeGreaterThan(0);
    expect(await account.pingFileServer(library)).toBe(server.fileServerUrl);
  });

  it("tells what only one library's pages show, and keeps the token of download-info to itself", async () => {
    expect(await account.libraryDetails(library)).toMatchObject({ name: "Work", file_count: 1, encrypted: false });
    const info = await account.downloadInfo(library);
    expect(info).toMatchObject({ repo_version: 1, permission: "rw" });
    expect(Object.keys(info)).not.toContain("token");
  });
});
