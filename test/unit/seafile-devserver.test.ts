/**
 * The whole client against the development server, which knows nothing of it: both file servers, with and without kept
 * times, and the faults that a mount meets.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDevServer, type DevServer } from "../../src/devserver/index.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { Account, login } from "../../src/seafile/account.ts";
import type { ChangeResult, Library } from "../../src/seafile/library.ts";
import { fileIdOf } from "../../src/seafile/object-id.ts";
import { type Change, type FileVersion, type ObjectId, type RemoteEntry, ZERO_ID } from "../../src/seafile/types.ts";
import { bytesOf, contentOf, FAST } from "./seafile-server.ts";

const ME = "test@example.com";
const log = silentLogger();

let server: DevServer;
let account: Account;
let library: Library;
let id: string;

async function start(options: Parameters<typeof createDevServer>[0]): Promise<void> {
  server = await createDevServer({
    ...options,
    users: [
      { email: ME, password: "testpass123", name: "test" },
      { email: "other@example.com", password: "x", name: "other" },
      { email: "safe@example.com", password: "y", otp: "123456" },
    ],
  });
  id = server.store.createLibrary(ME, "Docs");
  account = new Account({ server: server.url, token: server.token(ME), log, retry: FAST });
  library = account.library((await account.libraries()).find((info) => info.id === id)!);
  await account.check();
  server.requests.reset();
}

afterEach(async () => {
  await account.close();
  await server.close();
});

const put = (path: string, text: string | Buffer, base: ObjectId | null = null): Change => ({
  op: "put",
  path,
  content: contentOf(text),
  mtime: 1_000_000_000,
  base,
});
const one = async (change: Change): Promise<ChangeResult> => (await library.apply([change]))[0]!;
const done = async (change: Change): Promise<RemoteEntry> => {
  const result = await one(change);
  if (!result.ok) throw result.error;
  return result.entry!;
};
const kindOf = async (change: Change) => {
  const result = await one(change);
  return result.ok ? "ok" : result.error.kind;
};
const names = (path = "/") => server.store.list(id, path).map(({ name }) => name);
const text = async (path: string) => (await server.store.readFile(id, path)).toString();
const versionOf = (path: string, { id: object, size }: RemoteEntry): FileVersion => ({ path, id: object, size });

describe.each([
  { flavour: "c", compat: 11 },
  { flavour: "go", compat: 11 },
  { flavour: "c", compat: 12 },
  { flavour: "go", compat: 12 },
] as const)("file server $flavour, version $compat", ({ flavour, compat }) => {
  beforeEach(() => start({ flavour, compat }));

  it("stores, lists and reads back, in few requests", async () => {
    const bytes = Buffer.alloc(300_000, "0123456789abc");
    const entry = await done(put("/x.bin", bytes));
    expect(server.requests.count()).toBe(2);
    const small = await done(put("/d/e/y.txt", "why"));
    expect(server.requests.count()).toBe(3);
    expect((await server.store.readFile(id, "/x.bin")).equals(bytes)).toBe(true);
    expect(await text("/d/e/y.txt")).toBe("why");

    const listing = await library.list("/");
    if (listing === "unchanged") throw new Error("nothing was known");
    // The C server tells no time, so that an mtime before 12 may be a second off.
    const timeless = ({ mtime: _, ...rest }: RemoteEntry) => rest;
    expect(listing.entries.map(timeless)).toContainEqual(timeless(entry));
    expect(await library.list("/", listing.id)).toBe("unchanged");
    expect(timeless((await library.stat("/d/e/y.txt"))!)).toEqual(timeless(small));

    server.requests.reset();
    expect(await bytesOf(library.read(versionOf("/x.bin", entry), 5, 299_999))).toBe(
      bytes.subarray(5, 299_999).toString("latin1"),
    );
    expect(await bytesOf(library.read(versionOf("/d/e/y.txt", small), 0, 3))).toBe("why");
    expect(server.requests.count()).toBe(4);
  });

  it("gives uploads the ids it expects, and keeps the time from 12 on", async () => {
    expect(await library.keepsMtimes()).toBe(compat === 12);
    const entry = await done(put("/a.txt", "hello world"));
    expect(entry.id).toBe(await fileIdOf(contentOf("hello world")));
    expect(entry.mtime === 1_000_000_000).toBe(compat === 12);
    if (compat === 12) expect(server.store.list(id, "/")[0]!.mtime).toBe(entry.mtime);
    expect(await done(put("/empty", ""))).toMatchObject({ id: ZERO_ID, size: 0 });
  });

  it("replaces only the version it was made from", async () => {
    const first = await done(put("/a.txt", "1"));
    const second = await done(put("/a.txt", "22", first.id));
    expect(second).toMatchObject({ name: "a.txt", size: 2 });
    expect(await kindOf(put("/a.txt", "333", first.id))).toBe("conflict");
    expect(await done(put("/a.txt", "4444"))).toMatchObject({ name: "a (1).txt" });
    await done({ op: "mkdir", path: "/dir" });
    expect(await kindOf(put("/dir", "5", first.id))).toBe("conflict");
    expect(await done(put("/gone.txt", "6", first.id))).toMatchObject({ name: "gone.txt" });
    expect(await text("/a.txt")).toBe("22");
  });

  it.each([
    'q"uote.txt',
    "tab\tx.txt",
    "semi;colon=%22.txt",
    "n".repeat(250),
    "é".repeat(127),
    "line\nbreak",
    "e\u0301",
  ])("stores, replaces, reads, renames and removes %j", async (name) => {
    const stored = name.normalize("NFC");
    const first = await done(put(`/${name}`, "one"));
    expect(first.name).toBe(stored);
    const second = await done(put(`/${stored}`, "two!", first.id));
    expect(second.name).toBe(stored);
    expect(names()).toEqual([stored]);
    expect(await bytesOf(library.read(versionOf(`/${stored}`, second), 0, 4))).toBe("two!");
    expect(await done({ op: "move", kind: "file", from: `/${stored}`, to: "/plain" })).toMatchObject({ id: second.id });
    expect(await done({ op: "move", kind: "file", from: "/plain", to: `/${name}` })).toMatchObject({ name: stored });
    expect(await one({ op: "remove", kind: "file", path: `/${stored}` })).toEqual({ ok: true });
    expect(names()).toEqual([]);
  });

  it("stores into folders of any name", async () => {
    for (const folder of ['/q"', "/a:b", "/tab\t", "/line\nbreak", "/100%", "/é"]) {
      await done({ op: "mkdir", path: folder });
      expect(await done(put(`${folder}/f`, "x"))).toMatchObject({ name: "f" });
      expect(names(folder)).toEqual(["f"]);
    }
    expect(names()).toHaveLength(6);
  });

  it("moves exactly, or not at all", async () => {
    await done(put("/a/x.txt", "x"));
    await done(put("/b/y.txt", "y"));
    await done(put("/a/sub/z", "z"));
    const move = (kind: "file" | "dir", from: string, to: string): Change => ({ op: "move", kind, from, to });
    expect(await done(move("file", "/a/x.txt", "/b/y2.txt"))).toMatchObject({ name: "y2.txt" });
    expect(await kindOf(move("file", "/b/y2.txt", "/b/y.txt"))).toBe("exists");
    expect(await kindOf(move("file", "/none", "/b/none"))).toBe("not-found");
    expect(await kindOf(move("dir", "/none", "/b/none"))).toBe("not-found");
    expect(await kindOf(move("dir", "/none", "/none2"))).toBe("not-found");
    expect(await done(move("dir", "/a/sub", "/b/sub:2"))).toMatchObject({ name: "sub:2", kind: "dir" });
    await done({ op: "mkdir", path: "/a/sub:2" });
    expect(await kindOf(move("dir", "/a/sub:2", "/b/sub:2"))).toBe("exists");
    await done({ op: "mkdir", path: "/a/y.txt" });
    expect(await done(move("file", "/b/y.txt", "/a/other"))).toMatchObject({ name: "other" });
    expect([...server.store.tree(id).keys()].sort()).toEqual(
      ["/a", "/a/other", "/a/sub:2", "/a/y.txt", "/b", "/b/sub:2", "/b/sub:2/z", "/b/y2.txt"].sort(),
    );
  });

  it("says exists for a taken folder name and leaves nothing behind", async () => {
    await done({ op: "mkdir", path: "/d" });
    await done(put("/f", "x"));
    expect(await kindOf({ op: "mkdir", path: "/d" })).toBe("exists");
    expect(await kindOf({ op: "mkdir", path: "/f" })).toBe("exists");
    expect(await kindOf({ op: "mkdir", path: "/none/d" })).toBe("not-found");
    expect(names()).toEqual(["d", "f"]);
  });

  it("removes files and folders, and what is gone already", async () => {
    await done(put("/d/f", "x"));
    for (const change of [
      { op: "remove", kind: "file", path: "/d/f" },
      { op: "remove", kind: "file", path: "/d/f" },
      { op: "remove", kind: "dir", path: "/d" },
      { op: "remove", kind: "dir", path: "/d" },
    ] as const) {
      expect(await one(change)).toEqual({ ok: true });
    }
    expect(names()).toEqual([]);
  });

  it("reads on over expired links, cut bodies and a server that forgets", async () => {
    const bytes = Buffer.alloc(200_000, "abcdefghij");
    const entry = await done(put("/x", bytes));
    const version = versionOf("/x", entry);
    server.faults.cut("download", 50_000, { times: 2 });
    expect(await bytesOf(library.read(version, 0, 200_000))).toBe(bytes.toString("latin1"));
    server.faults.expireLinks();
    expect(await bytesOf(library.read(version, 10, 20))).toBe("abcdefghij");
    expect(await done(put("/y", "after"))).toMatchObject({ name: "y" });
    server.advanceClock(3_700_000);
    expect(await bytesOf(library.read(version, 10, 20))).toBe("abcdefghij");
  });

  it("keeps reading a version that has been replaced while its link lives, and says gone afterwards", async () => {
    const version = versionOf("/x", await done(put("/x", "old content")));
    expect(await library.pin(version)).toBe(version.id);
    const replaced = await done(put("/x", "new", version.id));
    expect(await bytesOf(library.read(version, 0, 99))).toBe("old content");
    server.faults.expireLinks();
    await expect(bytesOf(library.read(version, 0, 99))).rejects.toMatchObject({ kind: "gone" });
    expect(await library.pin(version)).toBe(replaced.id);
  });

  it("survives 500, 409 and an upload that is cut, and stores each file once", async () => {
    server.faults.fail("upload", 409, { body: '{"error": "GC Conflict.\n"}' });
    expect(await done(put("/a", "1"))).toMatchObject({ name: "a" });
    server.faults.cut("upload", 1_000);
    expect(await done(put("/b", Buffer.alloc(500_000, "b")))).toMatchObject({ name: "b" });
    server.faults.fail("upload", 500, { times: 2 });
    expect(await done(put("/c", "3"))).toMatchObject({ name: "c" });
    server.faults.fail("dir", 502, { times: 2 });
    expect(await library.list("/")).toMatchObject({ entries: [{ name: "a" }, { name: "b" }, { name: "c" }] });
  });

  it("tells quota, throttling and a revoked token apart", async () => {
    server.store.setQuota(ME, 1_000_000);
    expect(await library.quota()).toEqual({ used: 0, total: 1_000_000 });
    expect(await kindOf(put("/big", Buffer.alloc(1_100_000)))).toBe("quota");
    const stranger = new Account({ server: server.url, token: "0".repeat(40), log, retry: FAST });
    await expect(stranger.check()).rejects.toMatchObject({ kind: "unauthorized" });
    await stranger.close();
  });
});

describe("accounts", () => {
  beforeEach(() => start({}));

  it("log in, with a second factor where there is one", async () => {
    const options = { server: server.url, log };
    expect(await login({ ...options, username: ME, password: "testpass123" })).toEqual({ token: server.token(ME) });
    await expect(login({ ...options, username: ME, password: "no" })).rejects.toMatchObject({
      kind: "bad-credentials",
    });
    const safe = { ...options, username: "safe@example.com", password: "y" };
    await expect(login(safe)).rejects.toMatchObject({ kind: "otp-required" });
    expect(await login({ ...safe, otp: "123456" })).toEqual({ token: server.token("safe@example.com") });
  });

  it("see own and shared libraries, and cannot change a read-only one", async () => {
    const theirs = server.store.createLibrary("other@example.com", "Theirs");
    await server.store.writeFile(theirs, "/f", Buffer.from("x"));
    server.store.share(theirs, ME, "r");
    const infos = await account.libraries();
    const info = infos.find((each) => each.id === theirs)!;
    expect(info).toMatchObject({ name: "Theirs", kind: "shared", writable: false, encrypted: false });
    const shared = account.library(info);
    expect(await shared.list("/")).toMatchObject({ writable: false, entries: [{ name: "f", writable: false }] });
    const [refused] = await shared.apply([put("/g", "x")]);
    expect(refused).toMatchObject({ ok: false, error: { kind: "read-only" } });
    // The server's own word, should the permission have been taken away meanwhile.
    const [forbidden] = await account.library({ ...info, writable: true }).apply([put("/g", "x")]);
    expect(forbidden).toMatchObject({ ok: false, error: { kind: "forbidden" } });
    expect(await shared.quota()).toMatchObject({ used: 1 });
  });

  it("wait for a server that comes back", async () => {
    server.faults.down();
    const listed = library.list("/");
    setTimeout(() => server.faults.up(), 100);
    expect(await listed).toMatchObject({ entries: [] });
  });
});
