/** Applying changes: what is requested, which name comes back, what is never overwritten or done twice. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { SeafileError } from "../../src/seafile/errors.ts";
import type { ChangeResult, Library } from "../../src/seafile/library.ts";
import { fileIdOf } from "../../src/seafile/object-id.ts";
import { type Change, type LibraryInfo, type ObjectId, ZERO_ID } from "../../src/seafile/types.ts";
import {
  accountAt,
  contentOf,
  type Handler,
  type Hit,
  INFO,
  idOf,
  json,
  LIBRARY,
  LINK_ID,
  multipartOf,
  startServer,
} from "./seafile-server.ts";

const API = `/api2/repos/${LIBRARY}`;
const API21 = `/api/v2.1/repos/${LIBRARY}`;
const UPLOAD = `/upload-api/${LINK_ID}`;
const DATE = "Sat, 21 Nov 2026 19:33:08 GMT";
const NOW = Date.parse(DATE) / 1000;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

type Routes = Record<string, Handler>;

async function setUp(
  routes: Routes,
  { version = "11.0.13", info = INFO }: { version?: string; info?: LibraryInfo } = {},
) {
  const server = await startServer((hit, response, count) => {
    response.setHeader("date", DATE);
    const route = routes[`${hit.method} ${hit.path}`];
    if (route !== undefined) route(hit, response, count);
    else if (hit.path === "/api2/server-info/") json(response, { version });
    else if (hit.path === `${API}/upload-link/`) json(response, `http://${hit.headers.host}${UPLOAD}`);
    else response.writeHead(599).end(`no route for ${hit.method} ${hit.path}`);
  });
  const account = accountAt(server.url, { clock: () => NOW * 1000 });
  closers.push(
    () => account.close(),
    () => server.close(),
  );
  const library = account.library(info);
  await library.keepsMtimes();
  server.hits.length = 0;
  return { server, library };
}

const put = (path: string, text: string | Buffer, base: ObjectId | null = null, mtime = 1_000_000_000): Change => ({
  op: "put",
  path,
  content: contentOf(text),
  mtime,
  base,
});
const one = async (library: Library, change: Change): Promise<ChangeResult> => (await library.apply([change]))[0]!;
const failure = (result: ChangeResult): SeafileError => {
  if (result.ok) throw new Error("the change was expected to fail");
  return result.error;
};

/** The C file server's answer with ret-json. */
const storedAs = (name: (sent: string) => string, id: ObjectId = idOf("a")): Handler => {
  return (hit, response) => {
    const { fileName, file } = multipartOf(hit);
    json(response, [{ name: name(fileName), id, size: file.length }]);
  };
};
const asSent = storedAs((name) => name);
const missing: Handler = (_hit, response) => json(response, { error_msg: "File /x not found." }, {}, 404);
const cut: Handler = (_hit, response) => response.destroy();
const listingOf = (...entries: { type: string; name: string; id?: string }[]): Handler => {
  return (_hit, response) => {
    const lines = entries.map((entry) => ({ id: idOf("1"), mtime: 5, permission: "rw", size: 3, ...entry }));
    json(response, lines, { oid: idOf("9"), dir_perm: "rw" });
  };
};
const changed = (name: string, id: ObjectId = idOf("d")) => ({
  obj_name: name,
  obj_id: id,
  size: 3,
  mtime: "2026-11-21T19:19:34+00:00",
});

describe("put of a new file", () => {
  it("costs two requests cold and one warm", async () => {
    const { server, library } = await setUp({ [`POST ${UPLOAD}`]: asSent });
    await library.apply([put("/a.txt", "one"), put("/d/b.txt", "two")]);
    expect(server.lines()).toEqual([`GET ${API}/upload-link/`, `POST ${UPLOAD}`, `POST ${UPLOAD}`]);
  });

  it("sends folder, replace=0 and last_modify as fields, ret-json in the query, and a Content-Length", async () => {
    const { server, library } = await setUp({ [`POST ${UPLOAD}`]: asSent });
    await one(library, put("/d/e/naïve é's.txt", "bytes\r\n--"));
    const hit = server.hits[1]!;
    const { fields, fileName, file } = multipartOf(hit);
    expect(fields).toEqual({
      parent_dir: "/",
      relative_path: "d/e",
      replace: "0",
      last_modify: "2001-09-09T01:46:40+00:00",
    });
    expect(fileName).toBe("naïve é's.txt");
    expect(file.toString()).toBe("bytes\r\n--");
    expect(hit.query.get("ret-json")).toBe("1");
    expect(hit.headers["content-length"]).toBe(String(hit.body.length));
    expect(hit.headers.authorization).toBeUndefined();
  });

  it("reports the name the server gave and the server's time before 12", async () => {
    const { library } = await setUp({ [`POST ${UPLOAD}`]: storedAs(() => "a (1).txt") });
    const result = await one(library, put("/a.txt", "one"));
    expect(result).toEqual({
      ok: true,
      entry: { name: "a (1).txt", kind: "file", id: idOf("a"), size: 3, mtime: NOW, writable: true },
    });
  });

  it("reports its own mtime from version 12 on", async () => {
    const { library } = await setUp({ [`POST ${UPLOAD}`]: asSent }, { version: "12.0.14" });
    expect(await one(library, put("/a.txt", "one"))).toMatchObject({ ok: true, entry: { mtime: 1_000_000_000 } });
  });

  it("stores an empty file", async () => {
    const { server, library } = await setUp({ [`POST ${UPLOAD}`]: storedAs((name) => name, ZERO_ID) });
    expect(await one(library, put("/empty", ""))).toMatchObject({ ok: true, entry: { id: ZERO_ID, size: 0 } });
    expect(multipartOf(server.hits[1]!).file).toHaveLength(0);
  });

  it("normalises the name to NFC and refuses a folder that is stored in NFD", async () => {
    const { server, library } = await setUp({ [`POST ${UPLOAD}`]: asSent });
    expect(await one(library, put("/e\u0301.txt", "x"))).toMatchObject({ ok: true, entry: { name: "\u00e9.txt" } });
    expect(multipartOf(server.hits[1]!).fileName).toBe("\u00e9.txt");
    expect(failure(await one(library, put("/e\u0301/x", "x"))).kind).toBe("invalid-name");
    expect(server.hits).toHaveLength(2);
  });

  it("streams a large content in order", async () => {
    const bytes = Buffer.alloc(3_000_000, "0123456789abcdef-");
    const { server, library } = await setUp({ [`POST ${UPLOAD}`]: asSent });
    await one(library, put("/big", bytes));
    expect(multipartOf(server.hits[1]!).file.equals(bytes)).toBe(true);
  });

  it.each([
    ["a quote", 'q"uote.txt'],
    ["a tab", "tab\tx.txt"],
    ["250 bytes", "n".repeat(250)],
  ])("stores a name with %s under a temporary name and renames it", async (_what, name) => {
    const { server, library } = await setUp({
      [`POST ${UPLOAD}`]: asSent,
      [`POST ${API21}/file/`]: (hit, response) => {
        json(response, changed(new URLSearchParams(hit.body.toString()).get("newname") ?? ""));
      },
    });
    expect(await one(library, put(`/d/${name}`, "x"))).toMatchObject({ ok: true, entry: { name } });
    const { fileName, fields } = multipartOf(server.hits[1]!);
    expect(fileName).toMatch(/^\.seamount-[a-z0-9-]+$/);
    expect(fields["relative_path"]).toBe("d");
    expect(server.hits[2]!.query.get("p")).toBe(`/d/${fileName}`);
  });

  it("reports the numbered name when a name with a quote is taken", async () => {
    const { library } = await setUp({
      [`POST ${UPLOAD}`]: asSent,
      [`POST ${API21}/file/`]: (_hit, response) => json(response, changed('q" (1).txt')),
    });
    expect(await one(library, put('/q".txt', "x"))).toMatchObject({ ok: true, entry: { name: 'q" (1).txt' } });
  });

  it("stores into a folder whose name has a line break by way of the root", async () => {
    const { server, library } = await setUp({
      [`POST ${UPLOAD}`]: asSent,
      [`POST ${API21}/file/`]: (hit, response) => {
        const form = new URLSearchParams(hit.body.toString());
        json(response, changed(form.get("newname") ?? (hit.query.get("p") ?? "").slice(1)));
      },
    });
    expect(await one(library, put("/a\nb/c.txt", "x"))).toMatchObject({ ok: true, entry: { name: "c.txt" } });
    const { fileName, fields } = multipartOf(server.hits[1]!);
    expect(fields["relative_path"]).toBeUndefined();
    expect(server.hits.slice(2).map(({ query }) => query.get("p"))).toEqual([`/${fileName}`, `/a\nb/${fileName}`]);
  });

  it("takes a name of 249 bytes directly", async () => {
    const { server, library } = await setUp({ [`POST ${UPLOAD}`]: asSent });
    await one(library, put(`/${"é".repeat(124)}x`, "x"));
    expect(server.hits).toHaveLength(2);
  });

  it("refuses read-only and encrypted libraries without a request", async () => {
    const readOnly = await setUp({}, { info: { ...INFO, writable: false } });
    expect(failure(await one(readOnly.library, put("/a", "x"))).kind).toBe("read-only");
    const encrypted = await setUp({}, { info: { ...INFO, encrypted: true } });
    expect(failure(await one(encrypted.library, put("/a", "x"))).kind).toBe("encrypted");
    expect([...readOnly.server.hits, ...encrypted.server.hits]).toEqual([]);
  });

  it("says quota when the link or the upload is refused with 443", async () => {
    const atUpload = await setUp({
      [`POST ${UPLOAD}`]: (_hit, response) => response.writeHead(443).end('{"error": "Out of quota.\n"}'),
    });
    expect(failure(await one(atUpload.library, put("/a", "x")))).toMatchObject({ kind: "quota", status: 443 });
    const atLink = await setUp({
      [`GET ${API}/upload-link/`]: (_hit, response) => json(response, { error_msg: "Out of quota." }, {}, 443),
    });
    expect(failure(await one(atLink.library, put("/a", "x"))).kind).toBe("quota");
  });

  it("says quota when the connection is closed under an upload that does not fit", async () => {
    const refusing = createServer((_request, response) => response.destroy());
    await new Promise<void>((resolve) => refusing.listen(0, "127.0.0.1", resolve));
    closers.push(() => new Promise((resolve) => refusing.close(() => resolve())));
    const { port } = refusing.address() as AddressInfo;
    const account = { email: "x", usage: 900_000, total: 1_000_000 };
    const { library } = await setUp({
      [`GET ${API}/upload-link/`]: (_hit, response) => json(response, `http://127.0.0.1:${port}${UPLOAD}`),
      "GET /api2/account/info/": (_hit, response) => json(response, account),
    });
    expect(failure(await one(library, put("/big", Buffer.alloc(8_000_000)))).kind).toBe("quota");
  });

  it("renews a refused upload link once", async () => {
    const { server, library } = await setUp({
      [`POST ${UPLOAD}`]: (hit, response, count) => {
        if (count === 0) response.writeHead(403).end('{"error": "Access token not found."}');
        else asSent(hit, response, count);
      },
    });
    expect(await one(library, put("/a", "x"))).toMatchObject({ ok: true });
    expect(server.lines()).toEqual([
      `GET ${API}/upload-link/`,
      `POST ${UPLOAD}`,
      `GET ${API}/upload-link/`,
      `POST ${UPLOAD}`,
    ]);
  });

  it("repeats after 409 GC and 429, opening the content again", async () => {
    const content = contentOf("text");
    const { library } = await setUp({
      [`POST ${UPLOAD}`]: (hit, response, count) => {
        if (count === 0) response.writeHead(409).end('{"error": "GC Conflict.\n"}\n');
        else if (count === 1) response.writeHead(429, { "retry-after": "0" }).end();
        else asSent(hit, response, count);
      },
    });
    const result = await one(library, { op: "put", path: "/a", content, mtime: 1, base: null });
    expect(result).toMatchObject({ ok: true });
    expect(content.opened).toBe(3);
  });

  it("reports content that cannot be read, or is not as long as announced, without a retry", async () => {
    const { server, library } = await setUp({ [`POST ${UPLOAD}`]: asSent });
    const broken = {
      size: 10,
      open: async function* () {
        yield Buffer.from("abc");
        throw new Error("disk on fire");
      },
    };
    const short = { size: 10, open: () => contentOf("abc").open() };
    for (const content of [broken, short]) {
      const error = failure(await one(library, { op: "put", path: "/a", content, mtime: 1, base: null }));
      expect(error).toMatchObject({ kind: "protocol", message: expect.stringContaining("content to be stored") });
    }
    expect(server.lines().filter((line) => line.startsWith("POST"))).toEqual([]);
  });
});

describe("put of a new file whose answer is lost", () => {
  it("is not stored twice when the server has it", async () => {
    const id = await fileIdOf(contentOf("text"));
    const { server, library } = await setUp({
      [`POST ${UPLOAD}`]: cut,
      [`GET ${API}/dir/`]: listingOf(
        { type: "file", name: "a.txt", id: idOf("7") },
        { type: "file", name: "a (3).txt", id },
      ),
    });
    expect(await one(library, put("/d/a.txt", "text"))).toMatchObject({ ok: true, entry: { name: "a (3).txt", id } });
    expect(server.lines().filter((line) => line === `POST ${UPLOAD}`)).toHaveLength(1);
  });

  it("is stored again when the server has not got it", async () => {
    const { server, library } = await setUp({
      [`POST ${UPLOAD}`]: (hit, response, count) => (count === 0 ? response.destroy() : asSent(hit, response, count)),
      [`GET ${API}/dir/`]: listingOf({ type: "file", name: "a.txt", id: idOf("7") }),
    });
    expect(await one(library, put("/d/a.txt", "text"))).toMatchObject({ ok: true });
    expect(server.lines().filter((line) => line === `POST ${UPLOAD}`)).toHaveLength(2);
  });
});

describe("put after an attempt that was broken off", () => {
  /** Stores, and never answers the first time. */
  const silent: Handler = (hit, response, count) => {
    if (count > 0) asSent(hit, response, count);
  };
  const breakOff = async (library: Library, change: Change) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("Ctrl-C")), 50);
    await expect(library.apply([change], controller.signal)).rejects.toThrow("Ctrl-C");
  };

  it("of a new file finds it stored instead of making a numbered one", async () => {
    const id = await fileIdOf(contentOf("text"));
    const { server, library } = await setUp({
      [`POST ${UPLOAD}`]: silent,
      [`GET ${API}/dir/`]: listingOf({ type: "file", name: "a", id }),
    });
    await breakOff(library, put("/a", "text"));
    expect(await one(library, put("/a", "text"))).toMatchObject({ ok: true, entry: { name: "a", id } });
    expect(server.lines().filter((line) => line === `POST ${UPLOAD}`)).toHaveLength(1);
  });

  it("of a new file stores it when the server has not got it", async () => {
    const { server, library } = await setUp({ [`POST ${UPLOAD}`]: silent, [`GET ${API}/dir/`]: listingOf() });
    await breakOff(library, put("/a", "text"));
    expect(await one(library, put("/a", "text"))).toMatchObject({ ok: true });
    server.hits.length = 0;
    expect(await one(library, put("/a", "other"))).toMatchObject({ ok: true });
    expect(server.hits).toHaveLength(1);
  });

  it("over a version is no conflict with itself", async () => {
    const id = await fileIdOf(contentOf("text"));
    const { server, library } = await setUp({
      [`GET ${API}/file/detail/`]: (_hit, response) => json(response, { id, name: "a", size: 4, mtime: 77 }),
    });
    expect(await one(library, put("/a", "text", idOf("b")))).toMatchObject({ ok: true, entry: { id, mtime: 77 } });
    expect(server.hits).toHaveLength(1);
  });
});

describe("put over a version", () => {
  const detail = (id: ObjectId): Handler => {
    return (_hit, response) => json(response, { id, name: "a", size: 1, mtime: 1, permission: "rw" });
  };

  it("checks the base and then replaces", async () => {
    const { server, library } = await setUp({
      [`GET ${API}/file/detail/`]: detail(idOf("b")),
      [`POST ${UPLOAD}`]: asSent,
    });
    expect(await one(library, put("/a", "x", idOf("b")))).toMatchObject({ ok: true });
    expect(server.lines()).toEqual([`GET ${API}/file/detail/`, `GET ${API}/upload-link/`, `POST ${UPLOAD}`]);
    expect(multipartOf(server.hits[2]!).fields["replace"]).toBe("1");
  });

  it("replaces a file whose name has a quote in one commit through the update link", async () => {
    const { server, library } = await setUp({
      [`GET ${API}/file/detail/`]: detail(idOf("b")),
      [`GET ${API}/update-link/`]: (hit, response) =>
        json(response, `http://${hit.headers.host}/update-api/${LINK_ID}`),
      [`POST /update-api/${LINK_ID}`]: (_hit, response) => response.end(idOf("c")),
    });
    const result = await one(library, put('/d/q"x.txt', "new", idOf("b")));
    expect(result).toMatchObject({ ok: true, entry: { name: 'q"x.txt', id: idOf("c"), size: 3, mtime: NOW } });
    expect(multipartOf(server.hits[2]!).fields).toEqual({
      target_file: '/d/q"x.txt',
      last_modify: "2001-09-09T01:46:40+00:00",
    });
  });

  it("is a conflict when another version is there", async () => {
    const { server, library } = await setUp({ [`GET ${API}/file/detail/`]: detail(idOf("c")) });
    expect(failure(await one(library, put("/a", "x", idOf("b")))).kind).toBe("conflict");
    expect(server.hits).toHaveLength(1);
  });

  it("is a conflict when a folder is there", async () => {
    const { library } = await setUp({ [`GET ${API}/file/detail/`]: missing, [`GET ${API}/dir/`]: listingOf() });
    expect(failure(await one(library, put("/a", "x", idOf("b")))).kind).toBe("conflict");
  });

  it("is a new file when nothing is there", async () => {
    const { server, library } = await setUp({
      [`GET ${API}/file/detail/`]: missing,
      [`GET ${API}/dir/`]: missing,
      [`POST ${UPLOAD}`]: asSent,
    });
    expect(await one(library, put("/a", "x", idOf("b")))).toMatchObject({ ok: true });
    expect(multipartOf(server.hits.at(-1)!).fields["replace"]).toBe("0");
  });
});

describe("mkdir", () => {
  it("is one request that reports the folder", async () => {
    const { server, library } = await setUp({
      [`POST ${API21}/dir/`]: (_hit, response) => json(response, { ...changed("new", ZERO_ID), size: undefined }),
    });
    expect(await one(library, { op: "mkdir", path: "/d/new" })).toEqual({
      ok: true,
      entry: { name: "new", kind: "dir", id: ZERO_ID, size: 0, mtime: 1795288774, writable: true },
    });
    expect(server.hits.map(({ query, body }) => [query.get("p"), body.toString()])).toEqual([
      ["/d/new", "operation=mkdir"],
    ]);
  });

  it("removes the numbered folder that the server made instead, and says exists", async () => {
    const removed: (string | null)[] = [];
    const { library } = await setUp({
      [`POST ${API21}/dir/`]: (_hit, response) => json(response, changed("new (1)")),
      [`DELETE ${API21}/dir/`]: (hit, response) => {
        removed.push(hit.query.get("p"));
        json(response, { success: true, commit_id: idOf("2") });
      },
    });
    expect(failure(await one(library, { op: "mkdir", path: "/d/new" })).kind).toBe("exists");
    expect(removed).toEqual(["/d/new (1)"]);
  });

  it("is not made twice when the answer was lost", async () => {
    const { server, library } = await setUp({
      [`POST ${API21}/dir/`]: cut,
      [`GET ${API}/dir/`]: listingOf({ type: "dir", name: "new", id: ZERO_ID }),
    });
    expect(await one(library, { op: "mkdir", path: "/d/new" })).toMatchObject({ ok: true, entry: { name: "new" } });
    expect(server.lines()).toEqual([`POST ${API21}/dir/`, `GET ${API}/dir/`]);
  });

  it("is made again when the answer was lost and it is not there", async () => {
    const { library } = await setUp({
      [`POST ${API21}/dir/`]: (_hit, response, count) => {
        if (count === 0) response.writeHead(502).end("<html>");
        else json(response, changed("new"));
      },
      [`GET ${API}/dir/`]: listingOf(),
    });
    expect(await one(library, { op: "mkdir", path: "/d/new" })).toMatchObject({ ok: true });
  });
});

describe("remove", () => {
  it.each(["file", "dir"] as const)("of a %s is one request, and what is missing counts as removed", async (kind) => {
    const { server, library } = await setUp({
      [`DELETE ${API21}/${kind}/`]: (_hit, response, count) => {
        if (count === 0) json(response, { success: true, commit_id: idOf("2") });
        else if (kind === "file") json(response, { success: true });
        else json(response, { error_msg: "Folder /x not found." }, {}, 404);
      },
    });
    const change: Change = { op: "remove", path: "/x y+%", kind };
    expect(await library.apply([change, change])).toEqual([{ ok: true }, { ok: true }]);
    expect(server.hits.map(({ query }) => query.get("p"))).toEqual(["/x y+%", "/x y+%"]);
  });

  it("refuses a name stored in NFD, because the server would look for another one", async () => {
    const { server, library } = await setUp({});
    expect(failure(await one(library, { op: "remove", path: "/e\u0301", kind: "file" })).kind).toBe("invalid-name");
    expect(server.hits).toEqual([]);
  });

  it("goes on with the next change after a failure", async () => {
    const { library } = await setUp({
      [`DELETE ${API21}/file/`]: (_hit, response, count) => {
        if (count === 0) json(response, { error_msg: "Permission denied." }, {}, 403);
        else json(response, { success: true });
      },
    });
    const change: Change = { op: "remove", path: "/x", kind: "file" };
    const results = await library.apply([change, change]);
    expect(results.map(({ ok }) => ok)).toEqual([false, true]);
    expect(failure(results[0]!).kind).toBe("forbidden");
  });
});

/** A library of files and folders that behaves as the server does: numbers taken names, reports success for nothing. */
function tree(initial: Record<string, "file" | "dir">) {
  const entries = new Map(Object.entries(initial));
  const free = (path: string) => {
    if (!entries.has(path)) return path;
    for (let i = 1; ; i++) if (!entries.has(`${path} (${i})`)) return `${path} (${i})`;
  };
  const relocate = (from: string, to: string) => {
    for (const [path, kind] of [...entries]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      entries.delete(path);
      entries.set(to + path.slice(from.length), kind);
    }
  };
  const parent = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";
  const base = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  const at = (folder: string, name: string) => (folder === "/" ? `/${name}` : `${folder}/${name}`);
  const post =
    (kind: "file" | "dir"): Handler =>
    (hit, response) => {
      const path = hit.query.get("p") ?? "";
      const form = new URLSearchParams(hit.body.toString());
      if (entries.get(path) !== kind) return missing(hit, response, 0);
      const rename = form.get("operation") === "rename";
      const to = free(rename ? at(parent(path), form.get("newname")!) : at(form.get("dst_dir")!, base(path)));
      relocate(path, to);
      json(response, changed(base(to)));
    };
  const routes: Routes = {
    [`POST ${API21}/file/`]: post("file"),
    [`POST ${API21}/dir/`]: post("dir"),
    [`POST /api/v2.1/repos/sync-batch-move-item/`]: (hit: Hit, response: ServerResponse) => {
      const { src_parent_dir, src_dirents, dst_parent_dir } = JSON.parse(hit.body.toString());
      const from = at(src_parent_dir, src_dirents[0]);
      if (entries.has(from)) relocate(from, free(at(dst_parent_dir, src_dirents[0])));
      json(response, { success: true });
    },
    [`GET ${API}/dir/`]: (hit, response) => {
      const folder = hit.query.get("p") ?? "";
      const inside = [...entries].filter(([path]) => parent(path) === folder);
      const lines = inside.map(([path, type]) => ({ type, name: base(path), id: idOf("e"), mtime: 1, size: 0 }));
      json(response, lines, { oid: idOf("9"), dir_perm: "rw" });
    },
  };
  return { routes, names: () => [...entries.keys()].sort() };
}

describe.each(["file", "dir"] as const)("move of a %s", (kind) => {
  const move = (from: string, to: string): Change => ({ op: "move", kind, from, to });

  it("within a folder is one rename", async () => {
    const { routes, names } = tree({ "/d": "dir", "/d/a": kind });
    const { server, library } = await setUp(routes);
    expect(await one(library, move("/d/a", "/d/b"))).toMatchObject({ ok: true, entry: { name: "b", kind } });
    expect(server.hits).toHaveLength(1);
    expect(names()).toEqual(["/d", "/d/b"]);
  });

  it("within a folder to a taken name is put back and says exists", async () => {
    const { routes, names } = tree({ "/a": kind, "/b": "file" });
    const { library } = await setUp(routes);
    expect(failure(await one(library, move("/a", "/b"))).kind).toBe("exists");
    expect(names()).toEqual(["/a", "/b"]);
  });

  it("to another folder keeps the name", async () => {
    const { routes, names } = tree({ "/d": "dir", "/a:b": kind });
    const { library } = await setUp(routes);
    expect(await one(library, move("/a:b", "/d/a:b"))).toMatchObject({ ok: true, entry: { name: "a:b", kind } });
    expect(names()).toEqual(["/d", "/d/a:b"]);
  });

  it("to another folder that has the name says exists and leaves both", async () => {
    const { routes, names } = tree({ "/d": "dir", "/d/a": "file", "/a": kind });
    const { library } = await setUp(routes);
    expect(failure(await one(library, move("/a", "/d/a"))).kind).toBe("exists");
    expect(names()).toEqual(["/a", "/d", "/d/a"]);
  });

  it.each([
    ["nothing in the way", {}],
    ["the old name taken in the new folder", { "/d/a": "file" }],
    ["the new name taken in the old folder", { "/b": "dir" }],
    ["both", { "/d/a": "dir", "/b": "file" }],
  ] as const)("to another folder under another name works with %s", async (_what, others) => {
    const { routes, names } = tree({ "/d": "dir", "/a": kind, ...others });
    const { library } = await setUp(routes);
    expect(await one(library, move("/a", "/d/b"))).toMatchObject({ ok: true, entry: { name: "b", kind } });
    expect(names()).toEqual([...Object.keys(others), "/d", "/d/b"].sort());
  });

  it("to another folder under another name that is taken says exists and leaves everything", async () => {
    const { routes, names } = tree({ "/d": "dir", "/d/a": "file", "/d/b": "file", "/a": kind });
    const { library } = await setUp(routes);
    expect(failure(await one(library, move("/a", "/d/b"))).kind).toBe("exists");
    expect(names()).toEqual(["/a", "/d", "/d/a", "/d/b"]);
  });

  it("to another folder under a name that the server refuses is put back", async () => {
    const { routes, names } = tree({ "/d": "dir", "/d/a": "file", "/a": kind });
    const post = `POST ${API21}/${kind}/`;
    const refusing: Handler = (hit, response, count) => {
      const newName = new URLSearchParams(hit.body.toString()).get("newname");
      if (newName === "b") json(response, { error_msg: "name invalid." }, {}, 400);
      else routes[post]!(hit, response, count);
    };
    const { library } = await setUp({ ...routes, [post]: refusing });
    expect(failure(await one(library, move("/a", "/d/b"))).kind).toBe("invalid-name");
    expect(names()).toEqual(["/a", "/d", "/d/a"]);
  });

  it("that is given up half-way is put back", async () => {
    const { routes, names } = tree({ "/d": "dir", "/d/a": "file", "/a": kind });
    const controller = new AbortController();
    const post = `POST ${API21}/${kind}/`;
    const hanging: Handler = (hit, response, count) => {
      const newName = new URLSearchParams(hit.body.toString()).get("newname");
      if (newName === "b") controller.abort(new Error("Ctrl-C"));
      else routes[post]!(hit, response, count);
    };
    const { library } = await setUp({ ...routes, [post]: hanging });
    await expect(library.apply([move("/a", "/d/b")], controller.signal)).rejects.toThrow("Ctrl-C");
    expect(names()).toEqual(["/a", "/d", "/d/a"]);
  });

  it("of something that is not there says not-found, although the server says success", async () => {
    const { routes } = tree({ "/d": "dir" });
    const { library } = await setUp(routes);
    for (const to of ["/b", "/d/a", "/d/b"]) expect(failure(await one(library, move("/a", to))).kind).toBe("not-found");
  });

  it("whose answer is lost is not made twice", async () => {
    const { routes, names } = tree({ "/d": "dir", "/a": kind });
    const lost: Handler = (hit, _response, count) => {
      const sink = { writeHead: () => sink, end: () => sink } as unknown as ServerResponse;
      routes[`POST ${API21}/${kind}/`]!(hit, sink, count);
      _response.destroy();
    };
    const { server, library } = await setUp({ ...routes, [`POST ${API21}/${kind}/`]: lost });
    expect(await one(library, move("/a", "/b"))).toMatchObject({ ok: true, entry: { name: "b" } });
    expect(names()).toEqual(["/b", "/d"]);
    expect(server.lines().filter((line) => line.startsWith("POST"))).toHaveLength(1);
  });

  it("into itself is refused without a request", async () => {
    const { server, library } = await setUp({});
    expect(failure(await one(library, move("/a", "/a/b"))).kind).toBe("invalid");
    expect(server.hits).toEqual([]);
  });
});

describe("apply", () => {
  it("rejects with the abort reason", async () => {
    const { library } = await setUp({ [`DELETE ${API21}/file/`]: () => {} });
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("unmounting")), 10);
    const change: Change = { op: "remove", path: "/x", kind: "file" };
    await expect(library.apply([change], controller.signal)).rejects.toThrow("unmounting");
  });
});
