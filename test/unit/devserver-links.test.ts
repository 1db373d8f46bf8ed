/** Public links where the recordings of a real server are silent: time, restarts, targets that move, limits, pages. */
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DevServerOptions } from "../../src/devserver/index.ts";
import { multipart, OTHER, startServer, type TestServer, USER } from "./devserver-client.ts";

const DAY = 86_400_000;
const PASSWORD = "longpassword1";

let test: TestServer;
const closing: (() => Promise<unknown>)[] = [];
async function start(options?: DevServerOptions): Promise<TestServer> {
  test = await startServer(options);
  const { server } = test;
  closing.push(() => server.close());
  await server.store.writeFile(test.library, "/d/in.txt", "inside", { mkdirs: true });
  await server.store.writeFile(test.library, "/d/sub/deep.txt", "deep", { mkdirs: true });
  return test;
}
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Link {
  readonly token: string;
  readonly link: string;
  readonly path: string;
  readonly expire_date: string;
  readonly is_expired: boolean;
  readonly obj_id: string;
}

const post = (kind: "share" | "upload", path: string, options: object = {}) =>
  test.api(`/api/v2.1/${kind}-links/`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ repo_id: test.library, path, ...options }),
  });
const make = async (kind: "share" | "upload", path: string, options: object = {}) => {
  const response = await post(kind, path, options);
  expect(response.status).toBe(200);
  return (await response.json()) as Link;
};
const info = async (kind: "share" | "upload", token: string) =>
  (await (await test.api(`/api/v2.1/${kind}-links/${token}/`)).json()) as Link;
const visit = (path: string, init: RequestInit = {}) => fetch(test.server.url + path, { redirect: "manual", ...init });
const shown = async (response: Response) => [response.status, /class="error">(.*?)</.exec(await response.text())?.[1]];
const problem = async (response: Response) => [
  response.status,
  ((await response.json()) as { error_msg: string }).error_msg,
];

describe("a link that expires", () => {
  beforeEach(() => start({ now: () => Date.UTC(2026, 0, 1) }));

  it("works until the server's clock says so, then its pages say that it is expired, with 200", async () => {
    const link = await make("share", "/d", { expire_days: 3 });
    expect([link.expire_date, link.is_expired]).toEqual(["2026-01-04T00:00:00+00:00", false]);
    const download = () => visit(`/d/${link.token}/files/?p=/in.txt&dl=1`);
    const listing = () => visit(`/api2/d/${link.token}/dir/`);
    test.server.advanceClock(3 * DAY);
    expect([(await download()).status, (await listing()).status]).toEqual([302, 200]);
    test.server.advanceClock(1000);
    expect((await info("share", link.token)).is_expired).toBe(true);
    expect(await shown(await download())).toEqual([200, "Link is expired."]);
    expect(await problem(await listing())).toEqual([400, "Invalid token"]);
    expect((await visit(`/api/v2.1/share-links/${link.token}/dirents/`)).status).toBe(200);
  });

  it("gives a new life with PUT", async () => {
    const link = await make("upload", "/d", { expire_days: 1 });
    test.server.advanceClock(2 * DAY);
    expect(await shown(await visit(`/u/d/${link.token}/`))).toEqual([200, "Link is expired."]);
    const body = JSON.stringify({ expiration_time: "2026-02-01T01:00:00+01:00" });
    const headers = { "Content-Type": "application/json" };
    const changed = await test.api(`/api/v2.1/upload-links/${link.token}/`, { method: "PUT", headers, body });
    expect(((await changed.json()) as Link).expire_date).toBe("2026-02-01T00:00:00+00:00");
    expect((await visit(`/u/d/${link.token}/`)).status).toBe(200);
  });

  it("is refused with what is no time, with both forms, and outside the server's limits", async () => {
    await start({ now: () => Date.UTC(2026, 0, 1), linkPolicy: { minDays: 2, maxDays: 5 } });
    const refusal = async (options: object) => problem(await post("share", "/d", options));
    expect(await refusal({ expire_days: 1 })).toEqual([400, "Expire days should be greater or equal to 2"]);
    expect(await refusal({ expire_days: "6" })).toEqual([400, "Expire days should be less than or equal to 5"]);
    expect(await refusal({ expire_days: -1 })).toEqual([400, "expire_days invalid."]);
    expect(await refusal({ expiration_time: "soon" })).toEqual([
      400,
      "expiration_time invalid, should be iso format, for example: 2020-05-17T10:26:22+08:00",
    ]);
    expect(await refusal({ expiration_time: "2026-01-02T00:00:00+00:00" })).toEqual([
      400,
      "Expiration time should be later than 2026-01-03 00:00:00.",
    ]);
    expect(await refusal({ expiration_time: "2026-01-07" })).toEqual([
      400,
      "Expiration time should be earlier than 2026-01-06 23:59:59.",
    ]);
    expect(await refusal({ expire_days: 3, expiration_time: "2026-01-04" })).toEqual([
      400,
      "Can not pass expire_days and expiration_time at the same time.",
    ]);
  });
});

describe("a password", () => {
  it("can be asked for and has to be as strong as the server wants it", async () => {
    await start({ linkPolicy: { passwordRequired: true, passwordLength: 4, passwordStrength: 3 } });
    const refusal = async (password?: string) => problem(await post("share", "/d", { password }));
    expect(await refusal()).toEqual([400, "Password is required."]);
    expect(await refusal("aB1")).toEqual([400, "Password is too short."]);
    expect(await refusal("abcd1234")).toEqual([400, "Password is too weak."]);
    await make("upload", "/d", { password: "aB12" });
  });

  /** The session cookie that a browser has after the password page. */
  async function open(page: string, password: string): Promise<{ response: Response; cookie: string }> {
    const form = await visit(page);
    const csrf = /sfcsrftoken=\w+/.exec(form.headers.get("set-cookie") ?? "")?.[0] ?? "";
    const token = /csrfmiddlewaretoken" value="(\w+)"/.exec(await form.text())?.[1] ?? "";
    const body = new URLSearchParams({ csrfmiddlewaretoken: token, password });
    const response = await visit(page, { method: "POST", headers: { Cookie: csrf }, body });
    const session = /sessionid=\w+/.exec(response.headers.get("set-cookie") ?? "")?.[0] ?? "";
    return { response, cookie: `${csrf}; ${session}` };
  }

  it("opens a link for the session, for a day, and no other link", async () => {
    await start();
    const [first, second] = [
      await make("share", "/d", { password: PASSWORD }),
      await make("share", "/d/sub", { password: PASSWORD }),
    ];
    const { cookie } = await open(`/d/${first.token}/`, PASSWORD);
    const dirents = async ({ token }: Link) =>
      (await visit(`/api/v2.1/share-links/${token}/dirents/`, { headers: { Cookie: cookie } })).status;
    expect([await dirents(first), await dirents(second)]).toEqual([200, 403]);
    // The clock runs on meanwhile, and the session ends at a whole second.
    test.server.advanceClock(DAY - 60_000);
    expect(await dirents(first)).toBe(200);
    test.server.advanceClock(60_000);
    expect(await dirents(first)).toBe(403);
  });

  it("that is wrong or missing shows the form again, and why", async () => {
    await start();
    const { token } = await make("upload", "/d", { password: PASSWORD });
    expect(await shown((await open(`/u/d/${token}/`, "other")).response)).toEqual([
      200,
      "Please enter a correct password.",
    ]);
    expect(await shown((await open(`/u/d/${token}/`, "")).response)).toEqual([200, "Password can&#x27;t be empty"]);
  });

  it("is not looked at without the form's token", async () => {
    await start();
    const { token } = await make("share", "/d", { password: PASSWORD });
    const send = (headers: Record<string, string>, csrfmiddlewaretoken: string) => {
      const body = new URLSearchParams({ password: PASSWORD, csrfmiddlewaretoken });
      return visit(`/d/${token}/`, { method: "POST", headers, body });
    };
    const secret = "a".repeat(32);
    expect((await send({}, secret)).status).toBe(403);
    expect((await send({ Cookie: `sfcsrftoken=${secret}` }, "b".repeat(32))).status).toBe(403);
    expect((await send({ Cookie: `sfcsrftoken=${secret}` }, secret)).status).toBe(200);
  });
});

describe("what a link points to", () => {
  beforeEach(() => start());

  it("is a path: renamed or deleted, the link is there and leads nowhere", async () => {
    const [file, folder] = [await make("share", "/d/in.txt"), await make("share", "/d/sub")];
    const upload = await make("upload", "/d/sub");
    test.server.store.move(test.library, "/d/in.txt", "/d/out.txt");
    test.server.store.remove(test.library, "/d/sub");
    expect((await info("share", file.token)).obj_id).toBe("");
    expect(await problem(await visit(`/api2/f/${file.token}/`))).toEqual([404, "File not found"]);
    expect(await shown(await visit(`/f/${file.token}/?dl=1`))).toEqual([200, "File does not exist"]);
    expect(await problem(await visit(`/api2/d/${folder.token}/dir/`))).toEqual([400, "Invalid path"]);
    expect(await shown(await visit(`/d/${folder.token}/`))).toEqual([200, "&quot;/d/sub/&quot; does not exist."]);
    expect(await problem(await visit(`/api/v2.1/upload-links/${upload.token}/upload/`))).toEqual([
      404,
      "Folder /d/sub/ not found.",
    ]);
    await test.api("/api/v2.1/share-links/clean-invalid/", { method: "DELETE" });
    expect(await (await test.api("/api/v2.1/share-links/")).json()).toEqual([]);
  });

  it("comes back under the same link when the name does", async () => {
    const file = await make("share", "/d/in.txt");
    test.server.store.remove(test.library, "/d/in.txt");
    await test.server.store.writeFile(test.library, "/d/in.txt", "other");
    const address = (await (await visit(`/api2/f/${file.token}/`)).json()) as string;
    expect(await (await fetch(address)).text()).toBe("other");
  });

  it("takes its links with it when the library is deleted", async () => {
    const [share, upload] = [await make("share", "/d"), await make("upload", "/d")];
    test.server.store.deleteLibrary(test.library);
    expect(await problem(await test.api(`/api/v2.1/share-links/${share.token}/`))).toEqual([
      404,
      `token ${share.token} not found.`,
    ]);
    expect(await shown(await visit(`/u/d/${upload.token}/`))).toEqual([200, "Link does not exist."]);
  });

  it("is not given out any more when the maker of the link has lost the library", async () => {
    const theirs = test.server.store.createLibrary(OTHER, "Theirs");
    test.server.store.share(theirs, USER, "rw");
    await test.server.store.writeFile(theirs, "/a.txt", "a");
    const share = await make("share", "/a.txt", { repo_id: theirs });
    const upload = await make("upload", "/", { repo_id: theirs });
    test.server.store.library(theirs)!.unshare(test.server.store.user(USER)!.id);
    expect(await shown(await visit(`/f/${share.token}/?dl=1`))).toEqual([200, "Permission denied"]);
    expect(await problem(await visit(`/api/v2.1/upload-links/${upload.token}/upload/`))).toEqual([
      403,
      "Permission denied.",
    ]);
  });

  it("cannot be left upwards", async () => {
    const { token } = await make("share", "/d/sub");
    expect(await shown(await visit(`/d/${token}/files/?p=/../in.txt&dl=1`))).toEqual([200, "File does not exist"]);
    expect((await visit(`/api2/d/${token}/dir/?p=/../`)).status).toBe(400);
  });
});

describe("a download through a page", () => {
  const twice = async (address: string) => [(await fetch(address)).status, (await fetch(address)).status];
  const location = async (path: string) => (await visit(path)).headers.get("location")!;

  it("works once on 11 and for an hour on 12; showing a file works for an hour on both", async () => {
    for (const compat of [11, 12] as const) {
      await start({ compat });
      const { token } = await make("share", "/d/in.txt");
      expect(await twice(await location(`/f/${token}/?dl=1`))).toEqual([200, compat === 11 ? 403 : 200]);
      const raw = await location(`/f/${token}/?raw=1`);
      expect(await twice(raw)).toEqual([200, 200]);
      expect((await fetch(raw)).headers.get("content-disposition")).toBe(`inline;filename*="utf-8' 'in.txt"`);
    }
  });

  it("is not to be had from a link that may only be looked at", async () => {
    await start();
    const permissions = { can_edit: false, can_download: false };
    const [file, folder] = [
      await make("share", "/d/in.txt", { permissions }),
      await make("share", "/d", { permissions: JSON.stringify(permissions) }),
    ];
    const paths = [`/f/${file.token}/?dl=1`, `/f/${file.token}/?raw=1`, `/d/${folder.token}/files/?p=/in.txt&dl=1`];
    for (const path of paths) expect((await visit(path)).status).toBe(404);
    expect((await visit(`/f/${file.token}/`)).status).toBe(200);
  });

  it("without a file goes to the folder's page", async () => {
    await start();
    const { token } = await make("share", "/d");
    expect(await location(`/d/${token}/files/`)).toBe(`/d/${token}/`);
  });
});

describe("an upload link", () => {
  beforeEach(() => start());

  it("tells with its page where to upload to, and takes files for that folder only", async () => {
    const name = `it's "x" </script> – é`;
    await test.server.store.writeFile(test.library, `/${name}/a`, "a", { mkdirs: true });
    const { token } = await make("upload", `/${name}`);
    const page = await (await visit(`/u/d/${token}/`)).text();
    const literal = /^ +path: .(.*).$/m.exec(page)?.[1] ?? "";
    const path = JSON.parse(`"${literal}"`) as string;
    expect(path).toBe(`/${name}/`);
    const asked = await visit(`/api/v2.1/upload-links/${token}/upload/`);
    const { upload_link: address } = (await asked.json()) as { upload_link: string };
    const send = async (parent_dir: string) => {
      const { body, headers } = multipart({ parent_dir }, [[`name="file"; filename="b.txt"`, Buffer.from("b")]]);
      return (await fetch(address, { method: "POST", body, headers })).status;
    };
    expect([await send("/"), await send(path)]).toEqual([403, 200]);
    expect((await test.server.store.readFile(test.library, `/${name}/b.txt`)).toString()).toBe("b");
  });

  it("gives the first link to who asks for a second, and forgets the new options", async () => {
    const first = await make("upload", "/d");
    expect(await make("upload", "/d/", { password: PASSWORD, expire_days: 1 })).toEqual(first);
  });

  it("is listed by library and folder", async () => {
    await make("upload", "/d");
    await make("upload", "/d/sub");
    const list = async (query: string) => {
      const links = (await (await test.api(`/api/v2.1/upload-links/${query}`)).json()) as Link[];
      return links.map((link) => link.path);
    };
    expect(await list("")).toEqual(["/d/", "/d/sub/"]);
    expect(await list(`?repo_id=${test.library}&path=/d/sub`)).toEqual(["/d/sub/"]);
    const other = test.server.store.createLibrary(USER, "Other");
    expect(await list(`?repo_id=${other}`)).toEqual([]);
  });
});

describe("who may make a link of what", () => {
  beforeEach(() => start());

  it("lets a reader share for viewing, and nothing more", async () => {
    const theirs = test.server.store.createLibrary(OTHER, "Theirs");
    test.server.store.share(theirs, USER, "r");
    const asked = (permissions: object) => post("share", "/", { repo_id: theirs, permissions });
    expect(await problem(await asked({ can_upload: true }))).toEqual([403, "Permission denied."]);
    expect(await problem(await asked({ can_edit: true }))).toEqual([403, "Permission denied."]);
    expect((await asked({ can_download: false })).status).toBe(200);
  });

  it("refuses who does not have the library, what is not there, and permissions that are none", async () => {
    const theirs = test.server.store.createLibrary(OTHER, "Theirs");
    expect(await problem(await post("share", "/", { repo_id: theirs }))).toEqual([403, "Permission denied."]);
    const unknown = "00000000-0000-4000-8000-000000000000";
    expect(await problem(await post("share", "/", { repo_id: unknown }))).toEqual([
      404,
      `Library ${unknown} not found.`,
    ]);
    expect(await problem(await post("share", "/d", { permissions: "{" }))).toEqual([400, "permissions invalid."]);
    expect(await problem(await post("share", ""))).toEqual([400, "path invalid."]);
  });

  it("lets nobody but its maker change or delete a share link", async () => {
    const { token } = await make("share", "/d");
    const body = new URLSearchParams({ expire_days: "1" });
    const change = await test.api(`/api/v2.1/share-links/${token}/`, { method: "PUT", body, user: OTHER });
    expect(await problem(change)).toEqual([403, "Permission denied."]);
    expect(await problem(await test.api(`/api2/shared-links/?t=${token}`, { method: "DELETE", user: OTHER }))).toEqual([
      400,
      "Invalid token",
    ]);
  });
});

describe("several share links", () => {
  beforeEach(() => start());

  it("are deleted with one request; what is not there counts as deleted, what is another's does not", async () => {
    const [mine, theirs] = [await make("share", "/d"), await make("share", "/d/sub")];
    const remove = async (user: string, tokens: readonly string[]) => {
      const headers = { "Content-Type": "application/json" };
      const body = JSON.stringify({ tokens });
      return (await test.api("/api/v2.1/share-links/", { method: "DELETE", headers, body, user })).json();
    };
    expect(await remove(OTHER, [theirs.token])).toEqual({
      failed: [{ token: theirs.token, error_msg: "Permission denied." }],
      success: [],
    });
    expect(await remove(USER, [mine.token, "ffff"])).toEqual({
      failed: [],
      success: [{ token: mine.token }, { token: "ffff" }],
    });
    const left = (await (await test.api("/api/v2.1/share-links/")).json()) as Link[];
    expect(left.map((link) => link.token)).toEqual([theirs.token]);
  });

  it("are cut into pages in the order in which they were made", async () => {
    const made = [await make("share", "/d/in.txt"), await make("share", "/d"), await make("share", "/")];
    const page = async (query: string) => {
      const links = (await (await test.api(`/api/v2.1/share-links/?${query}`)).json()) as Link[];
      return links.map((link) => link.path);
    };
    expect(await page("page=1&per_page=2")).toEqual(["/d/", "/d/in.txt"]);
    expect(await page("page=2&per_page=2")).toEqual(["/"]);
    expect((await page("")).length).toBe(made.length);
  });
});

describe("a server that is started again", () => {
  it("knows its links, their passwords and who has given them, in a file for its user alone", async () => {
    const data = await mkdtemp(join(tmpdir(), "seamount-links-"));
    closing.push(() => rm(data, { recursive: true }));
    await start({ data });
    const [share, upload] = [await make("share", "/d", { password: PASSWORD }), await make("upload", "/d/sub")];
    await test.api("/api/v2.1/starred-items/", {
      method: "POST",
      body: new URLSearchParams({ repo_id: test.library, path: "/d" }),
    });
    const session = test.server.store.sessions.open("", share.token);
    const library = test.library;
    await test.server.close();
    expect((await stat(join(data, "state.json"))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(data, "state.json"), "utf8")).not.toContain("testpass123");
    test = await startServer({ data });
    closing.push(() => test.server.close());
    const dirents = await visit(`/api/v2.1/share-links/${share.token}/dirents/`, {
      headers: { Cookie: `sessionid=${session}` },
    });
    expect(dirents.status).toBe(200);
    expect((await info("upload", upload.token)).path).toBe("/d/sub/");
    const stars = (await (await test.api("/api/v2.1/starred-items/")).json()) as { starred_item_list: object[] };
    expect(stars.starred_item_list).toMatchObject([{ repo_id: library, path: "/d/" }]);
  });
});
