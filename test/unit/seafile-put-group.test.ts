/** Small files of one folder in one request: what it costs, and that no file is stored twice, lost, or over another's. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileIdOf } from "../../src/seafile/object-id.ts";
import type { Change, ObjectId } from "../../src/seafile/types.ts";
import { contentOf } from "./seafile-server.ts";
import { FLAVOURS, openStage, type Stage } from "./seafile-stage.ts";

let stage: Stage;
afterEach(() => stage.close());

type Put = Extract<Change, { op: "put" }>;
const put = (path: string, text: string, base: ObjectId | null = null, mtime = 1_000_000_000): Put => ({
  op: "put",
  path,
  content: contentOf(text),
  mtime,
  base,
});
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const requestFor = async (kind: string) => {
  while (stage.server.requests.count(kind) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
};

describe.each(FLAVOURS)("file server $flavour, version $compat", (options) => {
  beforeEach(async () => {
    stage = await openStage(options);
  });

  it("stores 250 new files of one folder in three requests, each as it is", async () => {
    const puts = numbers(250).map((n) => put(`/d/é ${n}.txt`, `content ${n}`));
    const results = await stage.library.apply(puts);
    expect(stage.requests()).toEqual(["upload-link", "upload", "upload", "upload"]);
    for (const [n, result] of results.entries()) {
      const entry = { name: `é ${n}.txt`, id: stage.idOf(`/d/é ${n}.txt`), size: `content ${n}`.length };
      expect(result).toMatchObject({ ok: true, entry });
      expect(await stage.text(`/d/é ${n}.txt`)).toBe(`content ${n}`);
    }
    expect(stage.paths()).toHaveLength(251);
    expect(stage.server.store.commits(stage.library.id)).toHaveLength(1 + 1 + 3);
  });

  it("keeps times where the server does: files of different mtimes go alone there", async () => {
    const puts = [put("/a", "1", null, 1_000_000_001), put("/b", "2", null, 1_000_000_002.9)];
    const results = await stage.library.apply(puts);
    const keeps = options.compat === 12;
    expect(stage.requests()).toEqual(["upload-link", "upload", ...(keeps ? ["upload"] : [])]);
    const [first, second] = results.map((result) => (result.ok ? result.entry!.mtime : Number.NaN));
    expect([first === 1_000_000_001, second === 1_000_000_002]).toEqual([keeps, keeps]);
    const listed = stage.server.store.list(stage.library.id, "/").map(({ mtime }) => mtime);
    expect(listed.some((mtime) => mtime === 1_000_000_002)).toBe(keeps);
  });

  it("tells which names were taken, also where a numbered name is among the new ones", async () => {
    await stage.write("/a.txt", "other");
    const results = await stage.library.apply([put("/b.txt", "22"), put("/a.txt", "11"), put("/a (1).txt", "33")]);
    expect(stage.requests()).toEqual(["upload-link", "upload"]);
    const names = results.map((result) => (result.ok ? result.entry!.name : ""));
    expect(names[0]).toBe("b.txt");
    for (const [index, text] of ["22", "11", "33"].entries()) expect(await stage.text(`/${names[index]}`)).toBe(text);
    expect(await stage.text("/a.txt")).toBe("other");
    expect(new Set(names).size).toBe(3);
  });

  it("replaces many versions with one look and one request, and only what they were made from", async () => {
    const bases: ObjectId[] = [];
    for (const n of numbers(20)) bases.push(await stage.write(`/d/${n}`, `old ${n}`));
    await stage.write("/d/3", "somebody's");
    stage.server.store.remove(stage.library.id, "/d/4");
    stage.server.store.remove(stage.library.id, "/d/5");
    await stage.write("/d/5/f", "a folder now");
    await stage.write("/d/6", "new 6");
    const outcomes = await stage.outcomes(numbers(20).map((n) => put(`/d/${n}`, `new ${n}`, bases[n]!)));
    expect(outcomes).toEqual(numbers(20).map((n) => (n === 3 || n === 5 ? "conflict" : "ok")));
    expect(stage.requests()).toEqual(["dir", "upload-link", "upload", "upload"]);
    expect(await stage.text("/d/3")).toBe("somebody's");
    expect(await stage.text("/d/5/f")).toBe("a folder now");
    for (const n of [0, 4, 6, 19]) expect(await stage.text(`/d/${n}`)).toBe(`new ${n}`);
    expect(stage.paths()).toHaveLength(1 + 20 + 1);
  });

  it("stores new files and versions together, and asks for a single base directly", async () => {
    const base = await stage.write("/b", "old");
    expect(await stage.outcomes([put("/a", "1"), put("/b", "2", base), put("/c", "3")])).toEqual(["ok", "ok", "ok"]);
    expect(stage.requests()).toEqual(["upload-link", "upload", "detail", "upload"]);
    expect([await stage.text("/a"), await stage.text("/b"), await stage.text("/c")]).toEqual(["1", "2", "3"]);
  });

  it("keeps the order of changes of one name", async () => {
    const results = await stage.library.apply([
      put("/a", "1"),
      put("/b", "1"),
      { op: "remove", kind: "file", path: "/a" },
      put("/a", "22"),
      put("/a", "333", await fileIdOf(contentOf("22"))),
    ]);
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true, true, true]);
    expect(await stage.text("/a")).toBe("333");
    expect(stage.paths()).toEqual(["/a", "/b"]);
  });

  it("finds what was stored when the answer is lost, by one listing, and stores nothing twice", async () => {
    await stage.write("/d/2", "taken");
    stage.server.faults.cut("upload", 0, { answer: true });
    const results = await stage.library.apply(numbers(5).map((n) => put(`/d/${n}`, `text ${n}`)));
    expect(stage.requests()).toEqual(["upload-link", "upload", "dir"]);
    const names = results.map((result) => (result.ok ? result.entry!.name : result.error.kind));
    expect(names).toEqual(["0", "1", "2 (1)", "3", "4"]);
    expect(stage.paths()).toHaveLength(1 + 6);
  });

  it("stores all of it after a cut body, 409, 500 and an expired link", async () => {
    const { faults } = stage.server;
    faults.fail("upload", 409, { body: '{"error": "GC Conflict.\n"}' });
    faults.fail("upload", 500);
    faults.cut("upload", 500);
    expect(await stage.outcomes(numbers(5).map((n) => put(`/d/${n}`, `text ${n}`.repeat(1000))))).toEqual([
      "ok",
      "ok",
      "ok",
      "ok",
      "ok",
    ]);
    faults.expireLinks();
    expect(await stage.outcomes([put("/d/5", "5"), put("/d/6", "6")])).toEqual(["ok", "ok"]);
    expect(stage.paths()).toEqual(["/d", ...numbers(7).map((n) => `/d/${n}`)]);
  });

  it("of an attempt that was given up stores the rest, and nothing twice", async () => {
    const controller = new AbortController();
    const puts = [put("/d/0", "0"), put("/d/1", "1"), put("/e/2", "2"), put("/e/3", "3"), put("/f/4", "4")];
    stage.server.faults.cut("upload", 0, { answer: true, after: 1 });
    stage.server.faults.hang("dir");
    const applied = stage.library.apply(puts, controller.signal);
    await requestFor("dir");
    controller.abort(new Error("unmounting"));
    await expect(applied).rejects.toThrow("unmounting");
    expect(await stage.outcomes(puts)).toEqual(["ok", "ok", "ok", "ok", "ok"]);
    expect(stage.paths()).toEqual(["/d", "/d/0", "/d/1", "/e", "/e/2", "/e/3", "/f", "/f/4"]);
  });

  it("of an attempt of an earlier life stores nothing twice when told what was attempted", async () => {
    await stage.write("/a", "text");
    const attempted = await fileIdOf(contentOf("text"));
    expect(await stage.outcomes([{ ...put("/a", "text"), attempted }])).toEqual(["ok"]);
    expect(await stage.outcomes([{ ...put("/a", "text, and more"), attempted }])).toEqual(["ok"]);
    expect(stage.paths()).toEqual(["/a"]);
    expect(await stage.text("/a")).toBe("text, and more");
  });
});

describe("a group of puts", () => {
  it("of earlier attempts of unknown outcome is settled by one listing, and nothing is stored twice", async () => {
    stage = await openStage({});
    const base = await stage.write("/d/8", "base 8");
    const first = await fileIdOf(contentOf("first"));
    for (const n of [0, 1]) await stage.write(`/d/${n}`, `text ${n}`);
    for (const n of [2, 3, 9]) await stage.write(`/d/${n}`, "first");
    for (const n of [4, 5]) await stage.write(`/d/${n}`, "somebody's");
    await stage.write("/d/5 (1)", "text 5");
    const puts = numbers(8).map((n) => ({ ...put(`/d/${n}`, `text ${n}`), attempted: first }));
    puts.push(
      { ...put("/d/8", "text 8", base), attempted: first },
      { ...put("/d/9", "text 9", base), attempted: first },
    );
    const results = await stage.library.apply(puts);
    expect(stage.requests()).toEqual(["dir", "upload-link", "upload", "upload"]);
    expect(results.map((result) => (result.ok ? result.entry!.name : ""))).toEqual(
      numbers(10).map((n) => (n === 4 || n === 5 ? `${n} (1)` : `${n}`)),
    );
    for (const n of numbers(10)) {
      expect(await stage.text(n === 4 || n === 5 ? `/d/${n} (1)` : `/d/${n}`)).toBe(`text ${n}`);
    }
    expect(stage.paths()).toHaveLength(1 + 10 + 2);
  });

  it("holds no more files and bytes than allowed, and no large file", async () => {
    stage = await openStage({}, { limits: { groupFiles: 4, groupBytes: 1000, groupedFileMax: 600 } });
    const sizes = [1, 1, 1, 1, 1, 1, 500, 501, 601, 1, 1];
    await stage.library.apply(sizes.map((size, n) => put(`/${n}`, "x".repeat(size))));
    expect(stage.requests().filter((kind) => kind === "upload")).toHaveLength(5);
    expect(stage.paths()).toHaveLength(sizes.length);
  });

  it("does not suffer from one file that the server refuses", async () => {
    stage = await openStage({});
    const broken = {
      size: 10,
      open: async function* () {
        yield Buffer.from("abc");
        throw new Error("disk on fire");
      },
    };
    const puts = [put("/a", "1"), { ...put("/b", ""), content: broken }, put("/c", "3")];
    expect(await stage.outcomes(puts)).toEqual(["ok", "protocol", "ok"]);
    stage.server.store.setQuota("test@example.com", 6_000);
    const sized = [put("/d", "x".repeat(4_000)), put("/e", "x".repeat(100)), put("/f", "x".repeat(4_000))];
    expect(await stage.outcomes(sized)).toEqual(["ok", "ok", "quota"]);
    expect(stage.paths()).toEqual(["/a", "/c", "/d", "/e"]);
  });

  it("fails as a whole, with the reason, when the server may not be written to", async () => {
    stage = await openStage({});
    stage.server.faults.fail("upload-link", 403, { times: 2 });
    expect(await stage.outcomes([put("/a", "1"), put("/b", "2")])).toEqual(["forbidden", "forbidden"]);
    expect(stage.requests()).toEqual(["upload-link"]);
  });

  it("leaves out names that cannot stand in a form, and what is refused without a request", async () => {
    stage = await openStage({});
    const puts = [put("/a", "1"), put('/q"', "2"), put("/c", "3"), put("/e\u0301/x", "4"), put("/e\u0301", "5")];
    expect(await stage.outcomes(puts)).toEqual(["ok", "ok", "ok", "invalid-name", "ok"]);
    expect(stage.paths()).toEqual(["/a", "/c", '/q"', "/\u00e9"]);
  });

  it("tells the progress of each file, up to its size", async () => {
    stage = await openStage({});
    const seen: number[][] = [[], []];
    const big = Buffer.alloc(300_000, "x").toString();
    const puts = [put("/a", big), put("/b", "22")].map((change, index): Change => {
      return { ...change, progress: (bytes) => seen[index]!.push(bytes) };
    });
    await stage.library.apply(puts);
    expect(seen[0]!.length).toBeGreaterThan(2);
    expect(seen[0]).toEqual(seen[0]!.toSorted((a, b) => a - b));
    expect(seen.map((each) => each.at(-1))).toEqual([300_000, 2]);
  });
});
