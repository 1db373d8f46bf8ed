/** Stars, sharing of libraries and mails where the recordings of a real server are silent. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DevServerOptions } from "../../src/devserver/index.ts";
import type { Mail } from "../../src/devserver/mail.ts";
import { OTHER, startServer, type TestServer, USER } from "./devserver-client.ts";

const THIRD = "third@example.com";
const users = [USER, OTHER, THIRD].map((email) => ({ email, password: "longpassword" }));

let test: TestServer;
async function start(options: DevServerOptions = {}): Promise<void> {
  test = await startServer({ users, ...options });
}
beforeEach(() => start());
afterEach(() => test.server.close());

const idOf = (email: string) => test.server.store.user(email)!.id;
const json = async <T>(response: Promise<Response>) => (await (await response).json()) as T;
const problem = async (response: Promise<Response>) => {
  const { status } = await response;
  return [status, (await json<{ error_msg: string }>(response.then((r) => r.clone()))).error_msg];
};

describe("stars", () => {
  const star = (path: string) => test.form("/api/v2.1/starred-items/", { repo_id: test.library, path });

  it("show in the listings of both APIs, and in those of who set them only", async () => {
    const { store } = test.server;
    await store.writeFile(test.library, "/d/a.txt", "a", { mkdirs: true });
    await store.writeFile(test.library, "/d/b.txt", "b");
    store.share(test.library, OTHER, "r");
    for (const path of ["/", "/d", "/d/a.txt"]) expect((await star(path)).status).toBe(200);
    type Item = { name: string; starred?: boolean };
    const starred = (items: Item[]) => items.filter((item) => item.starred).map((item) => item.name);
    const api2 = (user: string) => json<Item[]>(test.api(`/api2/repos/${test.library}/dir/?p=/d`, { user }));
    expect([starred(await api2(USER)), starred(await api2(OTHER))]).toEqual([["a.txt"], []]);
    const root = await json<{ dirent_list: Item[] }>(test.api(`/api/v2.1/repos/${test.library}/dir/?p=/`));
    expect(starred(root.dirent_list)).toEqual(["d"]);
    const { repos } = await json<{ repos: { repo_id: string; starred: boolean }[] }>(test.api("/api/v2.1/repos/"));
    expect(repos).toMatchObject([{ repo_id: test.library, starred: true }]);
    const detail = test.api(`/api2/repos/${test.library}/file/detail/?p=/d/a.txt`);
    expect(await json(detail)).toMatchObject({ starred: true });
  });

  it("on what is gone are told as deleted and can be taken off in v2.1; api2 forgets them when it lists", async () => {
    const { store } = test.server;
    await store.writeFile(test.library, "/a.txt", "a");
    store.mkdir(test.library, "/d");
    for (const path of ["/a.txt", "/d"]) await star(path);
    for (const path of ["/a.txt", "/d"]) store.remove(test.library, path);
    const list = async () =>
      (await json<{ starred_item_list: { path: string; deleted: boolean }[] }>(test.api("/api/v2.1/starred-items/")))
        .starred_item_list;
    expect(await list()).toMatchObject([
      { path: "/d/", deleted: true, mtime: "" },
      { path: "/a.txt", deleted: true, mtime: "" },
    ]);
    const unstar = () => test.api(`/api/v2.1/starred-items/?repo_id=${test.library}&path=/d`, { method: "DELETE" });
    expect((await unstar()).status).toBe(200);
    expect(await problem(unstar())).toEqual([404, "Item /d not found."]);
    expect(await json(test.api("/api2/starredfiles/"))).toEqual([]);
    expect(await list()).toEqual([]);
  });

  it("need the library", async () => {
    const theirs = test.server.store.createLibrary(OTHER, "Theirs");
    const form = { repo_id: theirs, path: "/" };
    expect(await problem(test.form("/api/v2.1/starred-items/", form))).toEqual([403, "Permission denied."]);
    expect(await problem(test.form("/api2/starredfiles/", { repo_id: theirs, p: "/a" }))).toEqual([
      403,
      "Permission denied",
    ]);
  });
});

describe("sharing a library", () => {
  const share = (query: string, user = USER) =>
    test.api(`/api2/shared-repos/${test.library}/?${query}`, { method: "PUT", user });
  const permission = (email: string) =>
    test.server.store.permission(idOf(email), test.server.store.library(test.library)!);

  it("with several users is done with all of them or none", async () => {
    const both = `share_type=personal&permission=r&users=${idOf(OTHER)},${idOf(THIRD)}`;
    expect(await problem(share(`${both},nobody@auth.local`))).toEqual([
      400,
      "Some users are not existent, sharing rolled back",
    ]);
    expect(await problem(share(`${both},nobody`))).toEqual([400, "Some users are not valid, sharing rolled back"]);
    expect(permission(OTHER)).toBe(undefined);
    expect((await share(both)).status).toBe(200);
    expect([permission(OTHER), permission(THIRD)]).toEqual(["r", "r"]);
  });

  it("a second time leaves the permission as it was", async () => {
    await share(`share_type=personal&permission=r&user=${idOf(OTHER)}`);
    expect((await share(`share_type=personal&permission=rw&user=${idOf(OTHER)}`)).status).toBe(200);
    expect(permission(OTHER)).toBe("r");
  });

  it("is the owner's to do, and to undo", async () => {
    const query = `share_type=personal&permission=rw&user=${idOf(THIRD)}`;
    expect(await problem(share(query, OTHER))).toEqual([403, "You do not have permission to share library."]);
    const unshare = test.api(`/api2/shared-repos/${test.library}/?${query}`, { method: "DELETE", user: OTHER });
    expect(await problem(unshare)).toEqual([403, "You do not have permission to unshare library."]);
    expect(await problem(share("permission=rw"))).toEqual([400, "Share type can only be personal or group or public."]);
  });

  it("with a group is listed on both sides, and ended by the owner", async () => {
    const { store } = test.server;
    const known = store.createLibrary(USER, "Known");
    store.shareToGroup(known, "team", [OTHER], "r");
    const groupId = store.library(known)!.record.groupShares[0]!.groupId;
    expect(await problem(share("share_type=group&permission=rw&group_id=99"))).toEqual([400, "Group does not exist ."]);
    expect((await share(`share_type=group&permission=rw&group_id=${groupId}`)).status).toBe(200);
    expect(permission(OTHER)).toBe("rw");
    const mine = { share_type: "group", group_id: groupId, group_name: "team" };
    expect(await json(test.api("/api2/shared-repos/"))).toMatchObject([{ ...mine }, { ...mine }]);
    const theirs = await json<object[]>(test.api("/api2/beshared-repos/", { user: OTHER }));
    expect(theirs).toMatchObject([
      { user: idOf(USER), repo_id: test.library, permission: "rw" },
      { user: idOf(USER), repo_id: known, permission: "r" },
    ]);
    const leave = `/api2/beshared-repos/${test.library}/?share_type=group&group_id=${groupId}&from=${idOf(USER)}`;
    expect(await problem(test.api(leave, { method: "DELETE", user: OTHER }))).toEqual([403, "Permission denied"]);
    const end = `/api2/shared-repos/${test.library}/?share_type=group&group_id=${groupId}`;
    expect((await test.api(end, { method: "DELETE" })).status).toBe(200);
    expect(permission(OTHER)).toBe(undefined);
  });

  it("is left by who names its owner", async () => {
    test.server.store.share(test.library, OTHER, "rw");
    const leave = (query: string, library = test.library) =>
      test.api(`/api2/beshared-repos/${library}/?${query}`, { method: "DELETE", user: OTHER });
    expect(await problem(leave("share_type=personal"))).toEqual([400, "Invalid argument"]);
    const unknown = "00000000-0000-4000-8000-000000000000";
    expect(await problem(leave("share_type=personal", unknown))).toEqual([400, "Library does not exist"]);
    await leave(`share_type=personal&from=${idOf(THIRD)}`);
    expect(permission(OTHER)).toBe("rw");
    await leave(`share_type=personal&from=${idOf(USER)}`);
    expect(permission(OTHER)).toBe(undefined);
  });
});

describe("mailing a link", () => {
  const sent: Mail[] = [];
  const mailer = (mail: Mail) => {
    if (mail.to.startsWith("broken")) throw new Error("The mail server does not answer.");
    sent.push(mail);
  };
  const makeLink = async (kind: "share" | "upload", fields: Record<string, string> = {}) =>
    await json<{ token: string; link: string }>(
      test.form(`/api/v2.1/${kind}-links/`, { repo_id: test.library, path: "/", ...fields }),
    );

  beforeEach(async () => {
    sent.length = 0;
    await test.server.close();
    await start({ mailer });
  });

  it("tells of each address whether it was sent, with the link's password in it", async () => {
    const { token, link } = await makeLink("share", { password: "longpassword1" });
    const email = "a@example.com, nowhere;broken@example.com\nb@example.com,a@example.com";
    expect(await json(test.form("/api2/send-share-link/", { token, email, extra_msg: "Hello" }))).toEqual({
      failed: [
        { email: "nowhere", error_msg: "email invalid." },
        { email: "broken@example.com", error_msg: "Internal Server Error" },
      ],
      success: ["a@example.com", "b@example.com"],
    });
    expect(sent.map((mail) => [mail.to, mail.link, mail.password, mail.message])).toEqual([
      ["a@example.com", link, "longpassword1", "Hello"],
      ["b@example.com", link, "longpassword1", "Hello"],
    ]);
  });

  it("is the maker's to do, with a link of the right kind", async () => {
    const [share, upload] = [await makeLink("share"), await makeLink("upload")];
    const send = (kind: string, fields: Record<string, string>, user = USER) =>
      problem(test.form(`/api2/send-${kind}-link/`, fields, user));
    const email = "a@example.com";
    expect(await send("share", { token: share.token })).toEqual([400, "email invalid."]);
    expect(await send("share", { email })).toEqual([400, "token invalid."]);
    expect(await send("upload", { email, token: share.token })).toEqual([404, `token ${share.token} not found.`]);
    expect(await send("upload", { email, token: upload.token }, OTHER)).toEqual([403, "Permission denied."]);
    expect(sent).toEqual([]);
  });
});
