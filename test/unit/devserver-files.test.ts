/** Links, uploads and downloads where the recordings of real servers say nothing or need a clock, a second version or a restart. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { DevServerOptions } from "../../src/devserver/index.ts";
import { multipart, OTHER, startServer, type TestServer, USER } from "./devserver-client.ts";

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

describe("links", () => {
  it("live for their lifetime by the injected clock, and use does not prolong it", async () => {
    const { server, library, link } = await start({ linkLifetimeMs: 10_000, now: () => 1_700_000_000_000 });
    await server.store.writeFile(library, "/f", "data");
    const download = await link(`/api2/repos/${library}/file/?p=/f&reuse=1`);
    server.advanceClock(9_999);
    expect(await status(fetch(download))).toBe(200);
    server.advanceClock(1);
    expect(await status(fetch(download))).toBe(403);
  });

  it("of one use are used up by a HEAD", async () => {
    const { server, library, link } = await start();
    await server.store.writeFile(library, "/f", "data");
    const download = await link(`/api2/repos/${library}/file/?p=/f`);
    expect(await status(fetch(download, { method: "HEAD" }))).toBe(200);
    expect(await status(fetch(download))).toBe(403);
  });

  it("keep serving the version they were made for", async () => {
    const { server, library, link } = await start();
    await server.store.writeFile(library, "/f", "old");
    const download = await link(`/api2/repos/${library}/file/?p=/f&reuse=1`);
    await server.store.writeFile(library, "/f", "new");
    expect(await (await fetch(download)).text()).toBe("old");
  });
});

describe("HEAD with a range", () => {
  it.each([
    ["c", "hello"],
    ["go", ""],
  ] as const)("gets the body too from the C server, and not from the Go one (%s)", async (flavour, body) => {
    const { server, library, link } = await start({ flavour });
    await server.store.writeFile(library, "/f", "hello world");
    const { host, port, pathname } = new URL(await link(`/api2/repos/${library}/file/?p=/f`));
    const socket = connect(Number(port), "127.0.0.1");
    socket.write(`HEAD ${pathname} HTTP/1.1\r\nHost: ${host}\r\nRange: bytes=0-4\r\n\r\n`);
    // The answer to the second request tells that the first is over.
    socket.end(`GET /protocol-version HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const received: Buffer[] = [];
    for await (const chunk of socket) received.push(chunk as Buffer);
    const [, afterFirstHead] = Buffer.concat(received).toString().split("\r\n\r\n");
    expect(afterFirstHead?.split("HTTP/1.1")[0]).toBe(body);
  });
});

describe("uploads", () => {
  it.each(["c", "go"] as const)("last_modify sets the time from 12 on (%s)", async (flavour) => {
    const times = await Promise.all(
      ([11, 12] as const).map(async (compat) => {
        const { server, library, upload } = await start({ flavour, compat, now: () => 1_700_000_000_000 });
        await upload("f", "1", { fields: { last_modify: "2001-02-03T04:05:06+01:00" } });
        await upload("g", "1", { fields: { last_modify: "yesterday" } });
        return server.store.list(library, "/").map((entry) => entry.mtime);
      }),
    );
    expect(times).toEqual([
      [1_700_000_000, 1_700_000_000],
      [981_169_506, 1_700_000_000],
    ]);
  });

  it("several at once under one name keep every content", async () => {
    const { server, library, upload, link } = await start();
    const target = await link(`/api2/repos/${library}/upload-link/`);
    await Promise.all(Array.from({ length: 12 }, (_, i) => upload("one.txt", `content ${i}`, { link: target })));
    const names = server.store.list(library, "/").map((entry) => entry.name);
    const contents = await Promise.all(
      names.map(async (name) => (await server.store.readFile(library, `/${name}`)).toString()),
    );
    expect(names).toHaveLength(12);
    expect(new Set(contents).size).toBe(12);
    expect(server.store.commits(library)).toHaveLength(13);
  });

  it.each([
    ["c", 403, "Repo status not writable.\n"],
    ["go", 400, "Repo status not writable.\n"],
  ] as const)("to a library that became read-only are refused (%s)", async (flavour, code, text) => {
    const { server, library, upload, link } = await start({ flavour });
    const target = await link(`/api2/repos/${library}/upload-link/`);
    server.store.library(library)!.setReadOnly(true);
    const refused = await upload("f", "1", { link: target });
    expect(refused.status).toBe(code);
    expect(await refused.text()).toContain(text);
  });

  it("pieces with Content-Range are refused, not stored as whole files", async () => {
    const { server, library, link } = await start();
    const target = await link(`/api2/repos/${library}/upload-link/`);
    const { body, headers } = multipart({ parent_dir: "/" }, [['name="file"; filename="f"', Buffer.from("piece")]]);
    const init = { method: "POST", body, headers: { ...headers, "Content-Range": "bytes 0-4/10" } };
    expect(await status(fetch(target, init))).toBe(400);
    expect(server.store.list(library, "/")).toEqual([]);
  });

  it("whose body ends early store nothing", async () => {
    const { server, library, link } = await start();
    const target = await link(`/api2/repos/${library}/upload-link/`);
    const { body, headers } = multipart({ parent_dir: "/" }, [['name="file"; filename="f"', Buffer.from("data")]]);
    expect(await status(fetch(target, { method: "POST", body: body.subarray(0, -10), headers }))).toBe(400);
    expect(server.store.list(library, "/")).toEqual([]);
  });

  it("of many blocks read back the same", async () => {
    const { server, library, upload } = await start();
    const data = Buffer.alloc(20_000_000);
    for (let at = 0; at < data.length; at += 4) data.writeUInt32LE(at * 7, at);
    expect(await status(upload("big", data))).toBe(200);
    expect(Buffer.compare(await server.store.readFile(library, "/big"), data)).toBe(0);
  });
});

describe("bandwidth", () => {
  it("makes a body slower than other requests, and changes none of its bytes", async () => {
    const { server, library, upload, link } = await start({ bandwidth: 400_000 });
    const data = Buffer.alloc(150_000, "abc");
    expect(await status(upload("f", data))).toBe(200);
    const download = await fetch(await link(`/api2/repos/${library}/file/?p=/f`));
    let finished = false;
    const body = download.arrayBuffer().finally(() => {
      finished = true;
    });
    expect(await status(fetch(`${server.url}/api2/ping/`))).toBe(200);
    expect(finished).toBe(false);
    expect(Buffer.compare(Buffer.from(await body), data)).toBe(0);
  });
});

describe("quota", () => {
  it("counts for the owner: full means usage plus the request reaches it", async () => {
    const { server, library, upload, api } = await start();
    server.store.setQuota(USER, 2_000);
    server.store.share(library, OTHER, "rw");
    expect(await status(upload("a", Buffer.alloc(1_000)))).toBe(200);
    expect(await status(upload("b", Buffer.alloc(1_000)))).toBe(443);
    expect(await status(api(`/api2/repos/${library}/upload-link/`, { user: OTHER }))).toBe(200);
    server.store.setQuota(USER, 1_000);
    expect(await status(api(`/api2/repos/${library}/upload-link/`, { user: OTHER }))).toBe(443);
    server.store.setQuota(USER, null);
    expect(await status(upload("b", Buffer.alloc(1_000)))).toBe(200);
  });
});

describe("a data folder", () => {
  it("keeps libraries, content, shares and tokens over a restart, and forgets links", async () => {
    const data = await mkdtemp(join(tmpdir(), "seamount-devserver-"));
    try {
      const first = await start({ data });
      const { library, server } = first;
      await first.upload("f", "kept");
      server.store.share(library, OTHER, "r");
      const download = await first.link(`/api2/repos/${library}/file/?p=/f&reuse=1`);
      const before = { tokens: [server.token(USER), server.token(OTHER)], head: server.store.head(library) };
      await server.close();

      const { server: second } = await start({ data });
      expect({ tokens: [second.token(USER), second.token(OTHER)], head: second.store.head(library) }).toEqual(before);
      expect((await second.store.readFile(library, "/f")).toString()).toBe("kept");
      expect(second.store.commits(library)).toHaveLength(2);
      expect(await status(fetch(second.fileServerUrl + new URL(download).pathname))).toBe(403);
      const shared = await fetch(`${second.url}/api2/repos/?type=shared`, {
        headers: { Authorization: `Token ${second.token(OTHER)}` },
      });
      expect(((await shared.json()) as { id: string; permission: string }[])[0]).toMatchObject({
        id: library,
        permission: "r",
      });
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  });

  it("holds no password, and only files that others cannot read", async () => {
    const data = await mkdtemp(join(tmpdir(), "seamount-devserver-"));
    try {
      const { upload } = await start({ data });
      await upload("f", "content");
      const files = (await readdir(data, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
      expect(files.length).toBeGreaterThan(3);
      for (const file of files) {
        const path = join(file.parentPath, file.name);
        expect([path, (await stat(path)).mode & 0o777]).toEqual([path, 0o600]);
        expect((await readFile(path)).includes("testpass123")).toBe(false);
      }
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  });
});

describe("importing a folder", () => {
  it("takes content, times and exec bits in one commit, and leaves out what Seafile cannot hold", async () => {
    const folder = await mkdtemp(join(tmpdir(), "seamount-import-"));
    try {
      await mkdir(join(folder, "sub/empty"), { recursive: true });
      await writeFile(join(folder, "sub/run.sh"), "#!/bin/sh\n");
      await chmod(join(folder, "sub/run.sh"), 0o755);
      await utimes(join(folder, "sub/run.sh"), 1_000_000_000, 1_000_000_000);
      await writeFile(join(folder, "e\u0301.txt"), "");
      const { server, library } = await start();
      await server.store.importFolder(library, folder);
      const [script] = server.store.list(library, "/sub").filter((entry) => entry.kind === "file");
      expect(script).toMatchObject({ name: "run.sh", mode: 0o100755, mtime: 1_000_000_000, size: 10 });
      expect([...server.store.tree(library).keys()].sort()).toEqual([
        "/sub",
        "/sub/empty",
        "/sub/run.sh",
        "/\u00e9.txt",
      ]);
      expect(server.store.commits(library)).toHaveLength(2);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
