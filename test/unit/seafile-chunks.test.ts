/** Big files in chunks: what is sent again after a failure, and that no content is mixed, stored twice, or over another's. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileIdOf } from "../../src/seafile/object-id.ts";
import type { Change, Content, ObjectId } from "../../src/seafile/types.ts";
import { multipart } from "./devserver-client.ts";
import {
  accountAt,
  contentOf,
  INFO,
  idOf,
  json,
  LIBRARY,
  LINK_ID,
  multipartOf,
  startServer,
} from "./seafile-server.ts";
import { FLAVOURS, openStage, outcomeOf, type Stage } from "./seafile-stage.ts";

const CHUNK = 64 * 1024;
const limits = { chunkedAbove: 100_000, chunkBytes: CHUNK };
/** Five chunks, the last one shorter. */
const SIZE = 4 * CHUNK + 5_000;
const bytesOf = (seed: string, size = SIZE) => Buffer.alloc(size, `${seed}0123456789abcdefghi`);

let stage: Stage;
afterEach(() => stage.close());

type Put = Extract<Change, { op: "put" }>;
const put = (path: string, content: Buffer | Content, base: ObjectId | null = null): Put => ({
  op: "put",
  path,
  content: Buffer.isBuffer(content) ? contentOf(content, 10_000) : content,
  mtime: 1_000_000_000,
  base,
});
const stored = (path: string) => stage.server.store.readFile(stage.library.id, path);
const one = async (change: Change) => (await stage.library.apply([change]))[0]!;
const uploads = () => stage.requests().filter((kind) => kind === "upload").length;
const commits = () => stage.server.store.commits(stage.library.id).length;
const chunkOf = (bytes: number) => Math.floor(bytes / CHUNK) + 1;

/** Does something once, when the upload has come so far. */
function at(bytes: number, action: () => void): (sent: number) => void {
  let done = false;
  return (sent) => {
    if (done || sent < bytes) return;
    done = true;
    action();
  };
}

/** A chunk of somebody else for the same path. */
async function intrude(name: string, start: number, text: string, total: number): Promise<number> {
  const address = `${stage.server.url}/api2/repos/${stage.library.id}/upload-link/?p=/`;
  const authorization = `Token ${stage.server.token("test@example.com")}`;
  const link = (await (await fetch(address, { headers: { authorization } })).json()) as string;
  const { body, headers } = multipart({ parent_dir: "/" }, [[`name="file"; filename="x"`, Buffer.from(text)]]);
  const answer = await fetch(`${link}?ret-json=1`, {
    method: "POST",
    body,
    headers: {
      ...headers,
      "content-range": `bytes ${start}-${start + text.length - 1}/${total}`,
      "content-disposition": `attachment; filename="${name}"`,
    },
  });
  return answer.status;
}

describe.each(FLAVOURS)("file server $flavour, version $compat", (options) => {
  beforeEach(async () => {
    stage = await openStage(options, { limits });
  });

  it("stores a big file in one commit, reads it once, and tells its progress", async () => {
    const progress: number[] = [];
    const content = contentOf(bytesOf("a"), 10_000);
    const name = "näïve + 100%20 (1)'s.bin";
    const result = await one({ ...put(`/d e/${name}`, content), progress: (sent) => progress.push(sent) });
    // The folder is not there yet, and the server knows no temporary files of a folder that is not there.
    expect(stage.requests()).toEqual(["uploaded-bytes", "upload-link", "upload"]);
    expect(result).toMatchObject({ ok: true, entry: { name, size: SIZE } });
    const again = await one({ ...put("/d e/second", content), progress: (sent) => progress.push(sent) });
    expect(stage.requests()).toEqual(["uploaded-bytes", ...Array(5).fill("upload")]);
    expect(again).toMatchObject({ ok: true, entry: { name: "second", id: await fileIdOf(content), size: SIZE } });
    expect(content.opened).toBe(3);
    expect((await stored("/d e/second")).equals(bytesOf("a"))).toBe(true);
    const second = progress.slice(progress.lastIndexOf(SIZE, -2) + 1);
    expect(second).toEqual(second.toSorted((a, b) => a - b));
    expect(second.at(-1)).toBe(SIZE);
    expect(commits()).toBe(1 + 2 + 1);
    if (options.compat === 12) {
      expect(stage.server.store.list(stage.library.id, "/d e")[0]!.mtime).toBe(1_000_000_000);
    }
  });

  it("stores names that need encoding, and those too long for the server's temporary file in one piece", async () => {
    const names = ["näïve + 100%20 (1)'s;x=y.bin", "*", "é".repeat(122), "n".repeat(246), 'q".bin'];
    for (const name of names) {
      expect(await one(put(`/${name}`, bytesOf(name)))).toMatchObject({ ok: true, entry: { name } });
      expect((await stored(`/${name}`)).equals(bytesOf(name))).toBe(true);
      expect(uploads()).toBe(Buffer.byteLength(name) > 245 ? 1 : 5);
    }
  });

  it("replaces a version in one commit, and takes a numbered name where the name is taken", async () => {
    const base = await stage.write("/f", "old");
    const before = commits();
    expect(await one(put("/f", bytesOf("b"), base))).toMatchObject({ ok: true, entry: { name: "f" } });
    expect(commits()).toBe(before + 1);
    expect(await one(put("/f", bytesOf("c")))).toMatchObject({ ok: true, entry: { name: "f (1)" } });
    expect((await stored("/f")).equals(bytesOf("b"))).toBe(true);
    expect((await stored("/f (1)")).equals(bytesOf("c"))).toBe(true);
  });

  it("does not replace a version that came while the chunks were sent", async () => {
    const base = await stage.write("/f", "old");
    const progress = at(3 * CHUNK, () => void stage.write("/f", "somebody's"));
    expect(outcomeOf(await one({ ...put("/f", bytesOf("b"), base), progress }))).toBe("conflict");
    expect(await stage.text("/f")).toBe("somebody's");
    expect(stage.paths()).toEqual(["/f"]);
  });

  it("sends only the third chunk again when the connection breaks in the middle of it", async () => {
    stage.server.faults.cut("upload", CHUNK / 2, { after: 2 });
    const sent = new Map<number, number>();
    let last = 0;
    const progress = (bytes: number) => {
      sent.set(chunkOf(bytes - 1), (sent.get(chunkOf(bytes - 1)) ?? 0) + Math.max(0, bytes - last));
      last = bytes;
    };
    expect(outcomeOf(await one({ ...put("/f", bytesOf("a")), progress }))).toBe("ok");
    const three = Array(3).fill("upload");
    expect(stage.requests()).toEqual(["uploaded-bytes", "upload-link", ...three, "uploaded-bytes", ...three]);
    expect([sent.get(1), sent.get(2)]).toEqual([CHUNK, CHUNK]);
    expect((await stored("/f")).equals(bytesOf("a"))).toBe(true);
  });

  it("gets over 409, 429, 500 and expired links in the middle", async () => {
    const { faults } = stage.server;
    faults.fail("upload", 409, { after: 1, body: '{"error": "GC Conflict.\n"}' });
    faults.fail("upload", 429, { after: 2, headers: { "Retry-After": "0" } });
    faults.fail("upload", 500, { after: 4 });
    faults.fail("uploaded-bytes", 502, { after: 1 });
    const progress = at(3 * CHUNK + 1, () => faults.expireLinks());
    expect(outcomeOf(await one({ ...put("/f", bytesOf("a")), progress }))).toBe("ok");
    expect((await stored("/f")).equals(bytesOf("a"))).toBe(true);
    expect(stage.paths()).toEqual(["/f"]);
    expect(commits()).toBe(2);
  });

  it.each([0, 2, 4])("stores it once when the answer to a chunk is lost (%i)", async (after) => {
    const base = await stage.write("/over", "old");
    stage.server.faults.cut("upload", 0, { answer: true, after });
    expect(outcomeOf(await one(put("/f", bytesOf("a"))))).toBe("ok");
    stage.server.faults.cut("upload", 0, { answer: true, after });
    expect(outcomeOf(await one(put("/over", bytesOf("b"), base)))).toBe("ok");
    expect((await stored("/f")).equals(bytesOf("a"))).toBe(true);
    expect((await stored("/over")).equals(bytesOf("b"))).toBe(true);
    expect(stage.paths()).toEqual(["/f", "/over"]);
    expect(commits()).toBe(4);
  });

  it("goes over what somebody left there, and around it when it is longer than the file", async () => {
    expect(await intrude("f", 10, "left behind", 9_999_999)).toBe(200);
    expect(outcomeOf(await one(put("/f", bytesOf("a"))))).toBe("ok");
    expect((await stored("/f")).equals(bytesOf("a"))).toBe(true);
    expect(await intrude("g", SIZE, "left behind", 9_999_999)).toBe(200);
    stage.requests();
    expect(outcomeOf(await one(put("/g", bytesOf("b"))))).toBe("ok");
    expect(uploads()).toBe(1);
    expect((await stored("/g")).equals(bytesOf("b"))).toBe(true);
  });

  it("begins again when the server has lost what it had received", async () => {
    stage.server.faults.fail("upload", 500, { after: 3 });
    stage.server.faults.fail("uploaded-bytes", 200, { after: 1, body: '{"uploadedBytes":0}' });
    expect(await one(put("/f", bytesOf("a")))).toMatchObject({ ok: true, entry: { name: "f" } });
    expect(uploads()).toBe(3 + 1 + 5);
    expect((await stored("/f")).equals(bytesOf("a"))).toBe(true);
  });

  it("stores it again in one piece when the server made other content of the chunks", async () => {
    const progress = at(2 * CHUNK + 1, () => void intrude("f", 5, "from somebody else", 9_999_999));
    stage.server.faults.delay("upload", 200, { after: 4 });
    const result = await one({ ...put("/f", bytesOf("a")), progress });
    expect(result).toMatchObject({ ok: true, entry: { name: "f", id: await fileIdOf(contentOf(bytesOf("a"))) } });
    expect((await stored("/f")).equals(bytesOf("a"))).toBe(true);
    expect(stage.paths()).toEqual(["/f"]);
    stage.requests();
    expect(outcomeOf(await one(put("/g", bytesOf("b"))))).toBe("ok");
    expect(uploads()).toBe(1);
  });

  it("goes on where an earlier attempt was given up, if the content is the same", async () => {
    const { faults } = stage.server;
    for (const [path, second] of [
      ["/same", "a"],
      ["/other", "b"],
    ] as const) {
      faults.fail("upload", 500, { after: 3, times: 10 });
      const first = await one(put(path, bytesOf("a")));
      expect(first).toMatchObject({ ok: false, error: { kind: "server", unapplied: true } });
      faults.clear();
      stage.requests();
      expect(outcomeOf(await one(put(path, bytesOf(second))))).toBe("ok");
      expect(uploads()).toBe(second === "a" ? 2 : 5);
      expect((await stored(path)).equals(bytesOf(second))).toBe(true);
    }
  });

  it("that was given up at the last chunk is found when it was stored after all", async () => {
    const controller = new AbortController();
    stage.server.faults.cut("upload", 0, { answer: true, after: 4 });
    stage.server.faults.hang("dir");
    const applied = stage.library.apply([put("/f", bytesOf("a"))], controller.signal);
    while (stage.server.requests.count("dir") === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort(new Error("unmounting"));
    await expect(applied).rejects.toThrow("unmounting");
    stage.requests();
    expect(outcomeOf(await one(put("/f", bytesOf("a"))))).toBe("ok");
    expect(uploads()).toBe(0);
    expect(stage.paths()).toEqual(["/f"]);
  });

  it("says quota, and stores nothing", async () => {
    stage.server.store.setQuota("test@example.com", SIZE - 1);
    expect(outcomeOf(await one(put("/f", bytesOf("a"))))).toBe("quota");
    expect(stage.paths()).toEqual([]);
  });

  it("does not repeat content that cannot be read, and still sends the next file in chunks", async () => {
    const broken: Content = {
      size: SIZE,
      open: async function* () {
        yield bytesOf("a", 3 * CHUNK);
        throw new Error("disk on fire");
      },
    };
    const short: Content = { size: SIZE, open: () => contentOf(bytesOf("a", SIZE - 1)).open() };
    const long: Content = { size: SIZE, open: () => contentOf(bytesOf("a", SIZE + 1)).open() };
    for (const content of [broken, short, long]) {
      expect(await one(put("/f", content))).toMatchObject({ ok: false, error: { kind: "protocol", unapplied: true } });
    }
    expect(stage.paths()).toEqual([]);
    stage.requests();
    expect(outcomeOf(await one(put("/g", bytesOf("b"))))).toBe("ok");
    // One that was broken off may still have been on its way.
    expect(uploads()).toBeGreaterThanOrEqual(5);
  });
});

describe("a big file", () => {
  it("up to the limit goes in one request", async () => {
    stage = await openStage({}, { limits });
    await one(put("/f", bytesOf("a", 100_000)));
    expect(stage.requests()).toEqual(["upload-link", "upload"]);
  });

  it("of real size is read again from its beginning after a cut, and sent from the third chunk on", async () => {
    const mib = 1024 * 1024;
    stage = await openStage({}, { limits: { chunkedAbove: 10 * mib, chunkBytes: 8 * mib } });
    stage.server.faults.cut("upload", 2 * mib, { after: 2 });
    const content = contentOf(bytesOf("a", 28 * mib));
    expect(await one(put("/f", content))).toMatchObject({ ok: true, entry: { id: await fileIdOf(content) } });
    // Two readings for the chunks, one for the id above. Was it the quota that ended the connection?
    expect(content.opened).toBe(3);
    expect(stage.requests().slice(4)).toEqual(["upload", "account", "uploaded-bytes", "upload", "upload"]);
    expect(stage.paths()).toEqual(["/f"]);
  });

  it("may take longer than the server may take to answer, as long as its bytes flow", async () => {
    stage = await openStage({ bandwidth: 4_000_000 }, { timeouts: { uploadHeaders: 1_000 } });
    const content = contentOf(bytesOf("a", 24_000_000));
    expect(await one(put("/f", content))).toMatchObject({ ok: true });
    expect(uploads()).toBe(1);
  });

  it("goes in one piece to a server that knows no chunks, which is asked once", async () => {
    stage = await openStage({}, { limits });
    stage.server.faults.fail("uploaded-bytes", 404, { body: "<html></html>" });
    expect(outcomeOf(await one(put("/f", bytesOf("a"))))).toBe("ok");
    expect(outcomeOf(await one(put("/g", bytesOf("b"))))).toBe("ok");
    expect(stage.requests()).toEqual(["uploaded-bytes", "upload-link", "upload", "upload"]);
  });

  it("goes in one piece when the first chunk is refused as malformed", async () => {
    stage = await openStage({}, { limits });
    stage.server.faults.fail("upload", 400, { body: '{"error": "Invalid Seafile-Content-Range"}' });
    expect(outcomeOf(await one(put("/f", bytesOf("a"))))).toBe("ok");
    expect(uploads()).toBe(2);
    expect((await stored("/f")).equals(bytesOf("a"))).toBe(true);
  });

  it("ends in an error when the server loses what it has received again and again", async () => {
    stage = await openStage({}, { limits });
    stage.server.faults.fail("upload", 500, { after: 2, times: 1 });
    stage.server.faults.fail("upload", 500, { after: 5, times: 1 });
    stage.server.faults.fail("upload", 500, { after: 8, times: 1 });
    stage.server.faults.fail("uploaded-bytes", 200, {
      body: '{"uploadedBytes":0}',
      times: Number.POSITIVE_INFINITY,
    });
    const result = await one(put("/f", bytesOf("a")));
    expect(result).toMatchObject({ ok: false, error: { kind: "server", message: expect.stringContaining("loses") } });
    expect(stage.paths()).toEqual([]);
  });

  it("of which a server took a chunk for the whole is stored in one piece, and the chunk removed", async () => {
    stage = await openStage({});
    const removed: (string | null)[] = [];
    const upload = `/upload-api/${LINK_ID}`;
    const seen: { range: string | undefined; replace: string | undefined; size: number }[] = [];
    const times = new Set<string | undefined>();
    const server = await startServer((hit, response) => {
      const api = `/api2/repos/${LIBRARY}`;
      if (hit.path === "/api2/server-info/") return json(response, { version: "11.0.13" });
      if (hit.path === `${api}/upload-link/`) return json(response, `http://${hit.headers.host}${upload}`);
      if (hit.path.endsWith("/file-uploaded-bytes/")) return json(response, { uploadedBytes: 0 });
      if (hit.path === `${api}/file/detail/`) {
        const id = hit.query.get("p") === "/f (1)" ? idOf("a") : idOf("b");
        return json(response, { id, name: "x", size: 1, mtime: 1 });
      }
      if (hit.method === "DELETE") {
        removed.push(hit.query.get("p"));
        return json(response, { success: true });
      }
      const { fields, file } = multipartOf(hit);
      seen.push({ range: hit.headers["content-range"], replace: fields["replace"], size: file.length });
      times.add(fields["last_modify"]);
      const name = fields["replace"] === "1" ? "f" : "f (1)";
      json(response, [{ name, id: idOf("a"), size: file.length }]);
    });
    const account = accountAt(server.url, { limits });
    const [result] = await account.library(INFO).apply([put("/f", bytesOf("a"), idOf("b"))]);
    expect(result).toMatchObject({ ok: true, entry: { name: "f" } });
    expect(seen).toEqual([
      { range: `bytes 0-${CHUNK - 1}/${SIZE}`, replace: "0", size: CHUNK },
      { range: undefined, replace: "1", size: SIZE },
    ]);
    // The time goes with every part.
    expect([...times]).toEqual(["2001-09-09T01:46:40+00:00"]);
    expect(removed).toEqual(["/f (1)"]);
    await account.close();
    await server.close();
  });
});
