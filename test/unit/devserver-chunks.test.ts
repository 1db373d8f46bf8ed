/**
 * Uploads in chunks, where the recordings of real servers say nothing: what shares a temporary file, what stays of it, and that
 * names from headers never leave its folder. What was recorded is in test/contract.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DevServerOptions } from "../../src/devserver/index.ts";
import { multipart, startServer, type TestServer, USER } from "./devserver-client.ts";

let test: TestServer;
afterEach(() => test.server.close());

interface Chunk {
  readonly name: string;
  readonly at: number;
  readonly text: string;
  readonly total: number;
  readonly fields?: Record<string, string>;
  readonly library?: string;
  readonly disposition?: string;
}

/** Status and text of the answer. */
async function send(chunk: Chunk): Promise<string> {
  const link = await test.link(`/api2/repos/${chunk.library ?? test.library}/upload-link/`);
  const part = [`name="file"; filename="part"`, Buffer.from(chunk.text)] as const;
  const { body, headers } = multipart({ parent_dir: "/", ...chunk.fields }, [[...part]]);
  const answer = await fetch(`${link}?ret-json=1`, {
    method: "POST",
    body,
    headers: {
      ...headers,
      "content-range": `bytes ${chunk.at}-${chunk.at + chunk.text.length - 1}/${chunk.total}`,
      "content-disposition": chunk.disposition ?? `attachment; filename="${encodeURIComponent(chunk.name)}"`,
    },
  });
  return `${answer.status} ${await answer.text()}`;
}

async function arrived(name: string, parent = "/"): Promise<number> {
  const query = new URLSearchParams({ parent_dir: parent, file_name: name });
  const answer = await fetch(`${test.server.url}/api/v2.1/repos/${test.library}/file-uploaded-bytes/?${query}`);
  return ((await answer.json()) as { uploadedBytes: number }).uploadedBytes;
}

const text = async (path: string) => (await test.server.store.readFile(test.library, path)).toString();
const OK = '200 {"success": true}';

describe.each(["c", "go"] as const)("file server %s", (flavour) => {
  beforeEach(async () => {
    test = await startServer({ flavour });
  });

  it("keeps chunks apart by library, folder and name", async () => {
    const other = test.server.store.createLibrary(USER, "Other");
    test.server.store.mkdir(test.library, "/d");
    const first = { name: "f", at: 0, total: 4 };
    expect(await send({ ...first, text: "1" })).toBe(OK);
    expect(await send({ ...first, text: "22", fields: { relative_path: "d" } })).toBe(OK);
    expect(await send({ ...first, text: "333", library: other })).toBe(OK);
    expect(await send({ ...first, name: "g", text: "444" })).toBe(OK);
    expect([await arrived("f"), await arrived("f", "/d"), await arrived("f", "/d/"), await arrived("g")]).toEqual([
      1, 2, 2, 3,
    ]);
    expect(await send({ name: "f", at: 2, text: "xx", total: 4, fields: { relative_path: "d" } })).toMatch(/^200 \[/);
    expect(await text("/d/f")).toBe("22xx");
    expect(test.server.store.list(test.library, "/").map(({ name }) => name)).toEqual(["d"]);
  });

  it("keeps the tail of an older, longer attempt", async () => {
    expect(await send({ name: "f", at: 0, text: "old and long", total: 99 })).toBe(OK);
    expect(await send({ name: "f", at: 0, text: "new", total: 3 })).toMatch(/^200 \[/);
    expect(await text("/f")).toBe("new and long");
    expect(await arrived("f")).toBe(0);
  });

  it("forgets what has arrived when the last chunk is refused", async () => {
    expect(await send({ name: "f", at: 0, text: "12", total: 4 })).toBe(OK);
    expect(await send({ name: "f", at: 2, text: "34", total: 4, fields: { parent_dir: "/none" } })).toMatch(/^400 /);
    expect(await arrived("f")).toBe(2);
    test.server.store.setQuota(USER, 4);
    expect(await send({ name: "f", at: 2, text: "34", total: 4 })).toMatch(/^443 /);
    expect(await arrived("f")).toBe(0);
    expect(test.server.store.list(test.library, "/")).toEqual([]);
  });

  it("has nothing of a chunk whose connection broke", async () => {
    expect(await send({ name: "f", at: 0, text: "12", total: 400_000 })).toBe(OK);
    test.server.faults.cut("upload", 100_000);
    await expect(send({ name: "f", at: 2, text: "x".repeat(300_000), total: 400_000 })).rejects.toThrow();
    expect(await arrived("f")).toBe(2);
  });

  it("takes names for names, not for paths of this machine", async () => {
    await test.server.close();
    const folder = mkdtempSync(join(tmpdir(), "seamount-test-"));
    try {
      test = await startServer({ flavour, data: join(folder, "data") });
      for (const name of ["../../x", "/etc/x", "a/../../x"]) {
        expect(await send({ name, at: 0, text: "1", total: 2 })).toBe(OK);
        expect(await send({ name, at: 1, text: "2", total: 2 })).toMatch(/^200 \[/);
      }
      const names = test.server.store.list(test.library, "/").map(({ name }) => name);
      expect(names.sort()).toEqual(["x", "x (1)", "x (2)"]);
      expect([readdirSync(folder), readdirSync(join(folder, "data", "partial"))]).toEqual([["data"], []]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("decodes the name of the header as the real one does, and refuses one that is too long for its temporary file", async () => {
    const disposition = 'attachment; filename="a+b%2Bc%20%C3%A9"';
    await send({ name: "", at: 0, text: "x", total: 1, disposition });
    const stored = flavour === "c" ? "a+b+c é" : "a b+c é";
    expect(test.server.store.list(test.library, "/").map(({ name }) => name)).toEqual([stored]);
    const longest = flavour === "c" ? 249 : 245;
    expect(await send({ name: "n".repeat(longest), at: 0, text: "x", total: 1 })).toMatch(/^200 /);
    expect(await send({ name: "n".repeat(longest + 1), at: 0, text: "x", total: 1 })).toMatch(/^500 /);
  });
});

describe("what has arrived", () => {
  const start = async (options: DevServerOptions) => {
    test = await startServer(options);
  };

  it("is asked for with a folder that exists and a name", async () => {
    await start({});
    const ask = async (query: string) => {
      const answer = await fetch(`${test.server.url}/api/v2.1/repos/${test.library}/file-uploaded-bytes/${query}`);
      return `${answer.status} ${await answer.text()}`;
    };
    expect(await ask("")).toBe('400 {"error_msg":"parent_dir invalid."}');
    expect(await ask("?parent_dir=/")).toBe('400 {"error_msg":"file_name invalid."}');
    expect(await ask("?parent_dir=/none&file_name=f")).toBe('404 {"error_msg":"Folder /none not found."}');
    expect(await ask("?parent_dir=/&file_name=f")).toBe('200 {"uploadedBytes":0}');
  });

  it("is announced where the server is told to", async () => {
    await start({ announcesChunks: true });
    const address = `/api/v2.1/repos/${test.library}/file-uploaded-bytes/?parent_dir=/&file_name=f`;
    expect((await test.api(address)).headers.get("accept-ranges")).toBe("bytes");
  });

  it("survives a restart of a server that keeps its data", async () => {
    const data = mkdtempSync(join(tmpdir(), "seamount-test-"));
    try {
      await start({ data });
      expect(await send({ name: "f", at: 0, text: "12", total: 4 })).toBe(OK);
      const { library } = test;
      await test.server.close();
      test = { ...(await startServer({ data })), library };
      expect(await arrived("f")).toBe(2);
      expect(await send({ name: "f", at: 2, text: "34", total: 4, library })).toMatch(/^200 \[/);
      expect(await text("/f")).toBe("1234");
    } finally {
      rmSync(data, { recursive: true, force: true });
    }
  });
});
