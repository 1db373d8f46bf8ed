/** The web API where the recordings of a real server need a rate, a second factor or another version to be seen. */
import { afterEach, describe, expect, it } from "vitest";
import type { DevServerOptions } from "../../src/devserver/index.ts";
import { OTHER, startServer, type TestServer, USER } from "./devserver-client.ts";

const opened: TestServer[] = [];
async function start(options?: DevServerOptions): Promise<TestServer> {
  const test = await startServer(options);
  opened.push(test);
  return test;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((test) => test.server.close()));
});

const status = async (response: Promise<Response>) => (await response).status;

describe("throttle", () => {
  it("answers 429 with the seconds to wait, counts users apart, and lets through again after them", async () => {
    const { server, api } = await start({
      throttle: { requests: 2, perMs: 60_000 },
      now: () => 1_700_000_000_000,
    });
    const ask = (user?: string) => api("/api2/account/info/", user === undefined ? {} : { user });
    expect([await status(ask()), await status(ask())]).toEqual([200, 200]);
    server.advanceClock(20_000);
    const refused = await ask();
    expect([refused.status, refused.headers.get("retry-after"), await refused.json()]).toEqual([
      429,
      "40",
      { detail: "Request was throttled. Expected available in 40 seconds." },
    ]);
    expect(await status(ask(OTHER))).toBe(200);
    expect(await status(fetch(`${server.url}/api2/ping/`))).toBe(200);
    server.advanceClock(40_000);
    expect(await status(ask())).toBe(200);
  });
});

describe("login with a second factor", () => {
  const users = [{ email: USER, password: "p", otp: "123456" }];
  const login = (url: string, headers: Record<string, string>, password = "p") =>
    fetch(`${url}/api2/auth-token/`, {
      method: "POST",
      headers,
      body: new URLSearchParams({ username: USER, password }),
    });

  it("asks for the code by a header, and takes it by one", async () => {
    const { server } = await start({ users });
    const asked = await login(server.url, {});
    expect([asked.status, asked.headers.get("x-seafile-otp"), await asked.json()]).toEqual([
      400,
      "required",
      { non_field_errors: ["Two factor auth token is missing."] },
    ]);
    const wrong = await login(server.url, { "X-SEAFILE-OTP": "0" });
    expect(await wrong.json()).toEqual({ non_field_errors: ["Two factor auth token is invalid."] });
    const right = await login(server.url, { "X-SEAFILE-OTP": "123456" });
    expect(await right.json()).toEqual({ token: server.token(USER) });
  });

  it("does not tell a wrong password's user about the code", async () => {
    const { server } = await start({ users });
    const refused = await login(server.url, {}, "wrong");
    expect([refused.status, refused.headers.get("x-seafile-otp")]).toEqual([400, null]);
  });
});

describe("tokens", () => {
  it("of a malformed header are refused with the words of the real server", async () => {
    const { server } = await start();
    const ask = async (authorization: string) => {
      const response = await fetch(`${server.url}/api2/auth/ping/`, { headers: { Authorization: authorization } });
      return [response.status, ((await response.json()) as { detail: string }).detail];
    };
    expect(await ask("Token")).toEqual([401, "Invalid token header. No credentials provided."]);
    expect(await ask("Token a b")).toEqual([401, "Invalid token header. Token string should not contain spaces."]);
    expect(await ask("Token abc")).toEqual([401, "Invalid token"]);
    expect(await ask("Basic abc")).toEqual([403, "Authentication credentials were not provided."]);
  });
});

describe("version", () => {
  it("is told by server-info, and 12 refuses emoji in names", async () => {
    for (const [compat, version, code] of [
      [11, "11.0.13", 201],
      [12, "12.0.1", 400],
    ] as const) {
      const { server, library, form } = await start({ compat });
      const info = (await (await fetch(`${server.url}/api2/server-info/`)).json()) as { version: string };
      expect(info.version).toBe(version);
      expect(await status(form(`/api2/repos/${library}/dir/?p=/%F0%9F%98%80`, { operation: "mkdir" }))).toBe(code);
    }
  });
});

describe("group shares", () => {
  it("list a library once for each way it is shared, and the best permission counts", async () => {
    const { server, library, api } = await start();
    const { store } = server;
    store.shareToGroup(library, "Readers", [OTHER], "r");
    store.shareToGroup(library, "Writers", [OTHER], "rw");
    const response = await api("/api2/repos/", { user: OTHER });
    const items = (await response.json()) as Record<string, unknown>[];
    const shown = items.map(({ type, id, group_name, permission }) => [type, id, group_name, permission]);
    expect(shown).toEqual([
      ["grepo", library, "Readers", "r"],
      ["grepo", library, "Writers", "rw"],
    ]);
    expect(await status(api(`/api2/repos/${library}/upload-link/`, { user: OTHER }))).toBe(200);
    const own = (await (await api("/api2/repos/?type=mine,group")).json()) as { type: string }[];
    expect(own.map((item) => item.type)).toEqual(["repo"]);
  });
});

describe("read-only shares", () => {
  it("refuse every change and hide nothing", async () => {
    const { server, library, api, form } = await start();
    await server.store.writeFile(library, "/d/f", "1", { mkdirs: true });
    server.store.share(library, OTHER, "r");
    const head = server.store.head(library);
    const repo = `/api2/repos/${library}`;
    const v21 = `/api/v2.1/repos/${library}`;
    const asOther = { user: OTHER };
    const json = (body: object, method = "POST") => ({
      ...asOther,
      method,
      body: JSON.stringify(body),
      headers: { "Content-Type": "application/json" },
    });
    const batch = {
      src_repo_id: library,
      src_parent_dir: "/d",
      src_dirents: ["f"],
      dst_repo_id: library,
      dst_parent_dir: "/",
    };
    const refused = await Promise.all([
      form(`${repo}/dir/?p=/x`, { operation: "mkdir" }, OTHER),
      form(`${repo}/dir/?p=/d`, { operation: "rename", newname: "x" }, OTHER),
      form(`${repo}/file/?p=/d/f`, { operation: "rename", newname: "x" }, OTHER),
      form(`${repo}/file/?p=/d/f`, { operation: "move", dst_repo: library, dst_dir: "/" }, OTHER),
      form(`${repo}/file/?p=/d/g`, { operation: "create" }, OTHER),
      form(`${v21}/dir/?p=/x`, { operation: "mkdir" }, OTHER),
      form(`${v21}/dir/?p=/d`, { operation: "rename", newname: "x" }, OTHER),
      form(`${v21}/file/?p=/d/f`, { operation: "rename", newname: "x" }, OTHER),
      form(`${v21}/file/?p=/d/g`, { operation: "create" }, OTHER),
      api(`${repo}/dir/?p=/d`, { ...asOther, method: "DELETE" }),
      api(`${repo}/file/?p=/d/f`, { ...asOther, method: "DELETE" }),
      api(`${v21}/dir/?p=/d`, { ...asOther, method: "DELETE" }),
      api(`${v21}/file/?p=/d/f`, { ...asOther, method: "DELETE" }),
      api(`${repo}/upload-link/`, asOther),
      api(`${repo}/update-link/`, asOther),
      api("/api/v2.1/repos/sync-batch-move-item/", json(batch)),
      api("/api/v2.1/repos/batch-delete-item/", json({ repo_id: library, parent_dir: "/d", dirents: ["f"] }, "DELETE")),
      api(`${repo}/`, { ...asOther, method: "DELETE" }),
    ]);
    expect(refused.map((response) => response.status)).toEqual(refused.map(() => 403));
    expect(server.store.head(library)).toBe(head);
    expect(await status(api(`${repo}/dir/?p=/d`, asOther))).toBe(200);
  });
});

describe("v2.1 batch-move-item", () => {
  it("reports the name that each item got, and what is wrong with the others", async () => {
    const { server, library, api } = await start();
    const { store } = server;
    await store.writeFile(library, "/a/x.txt", "1", { mkdirs: true });
    await store.writeFile(library, "/b/x.txt", "2", { mkdirs: true });
    const paths = [
      { src_path: "/a/x.txt", dst_path: "/b" },
      { src_path: "/a/none", dst_path: "/b" },
      { src_path: "/a", dst_path: "/a" },
    ];
    const response = await api("/api/v2.1/repos/batch-move-item/", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ src_repo_id: library, dst_repo_id: library, paths }),
    });
    const result = (await response.json()) as { success: object[]; failed: { error_msg: string }[] };
    expect(result.success).toEqual([
      {
        src_repo_id: library,
        src_path: "/a/x.txt/",
        dst_repo_id: library,
        dst_path: "/b/",
        dst_obj_name: "x (1).txt",
      },
    ]);
    expect(result.failed.map((item) => item.error_msg)).toEqual([
      "/a/none not found.",
      "The destination directory is the same as the source, or is it's subfolder.",
    ]);
    expect([...store.tree(library).keys()].sort()).toEqual(["/a", "/b", "/b/x (1).txt", "/b/x.txt"]);
  });
});

describe("v2.1 file create", () => {
  it("fills Office files, so that they are not empty", async () => {
    const { library, form } = await start();
    const create = async (name: string) => {
      const response = await form(`/api/v2.1/repos/${library}/file/?p=/${name}`, { operation: "create" });
      return ((await response.json()) as { size: number }).size;
    };
    expect([await create("a.docx"), await create("a.txt")]).toEqual([22, 0]);
  });
});

describe("listing with a known id", () => {
  it("is up to date until something below changes", async () => {
    const { server, library, api } = await start();
    await server.store.writeFile(library, "/a/b/f", "1", { mkdirs: true });
    const first = await api(`/api2/repos/${library}/dir/?p=/a`);
    const oid = first.headers.get("oid");
    await first.arrayBuffer();
    const again = () => api(`/api2/repos/${library}/dir/?p=/a&oid=${oid}`).then((response) => response.json());
    expect(await again()).toBe("uptodate");
    await server.store.writeFile(library, "/a/b/f", "2");
    expect(await again()).toHaveLength(1);
  });
});
