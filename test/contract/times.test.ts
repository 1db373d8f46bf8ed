/**
 * Modification times as section 12 and 20 of the recordings found them: which change gives a new time to what. The clock is
 * moved by a minute between the changes, so that "same" and "new" are exact. Also: what compat 12 does with last_modify.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exchange, multipart } from "./raw-http.ts";
import type { Part } from "./recording.ts";
import { Stage, TEST_USER } from "./stage.ts";

const MINUTE = 60;
let stage: Stage;

async function open(compat: 11 | 12): Promise<void> {
  stage = await Stage.open({ compat });
  await stage.prepare([
    { library: "Times", owner: TEST_USER },
    { library: "Other", owner: TEST_USER },
    { write: "/a/b/c/deep.txt", library: "Times", content: "old" },
    { write: "/f.txt", library: "Times", content: "file" },
    { write: "/d/inner.txt", library: "Times", content: "inner" },
    { link: "up", kind: "upload", library: "Times", path: "/" },
    { link: "update", kind: "update", library: "Times", path: "/" },
  ]);
  stage.server.advanceClock(MINUTE * 1000);
}

afterEach(() => stage.close());

function mtime(path: string, library = "Times"): number {
  const slash = path.lastIndexOf("/");
  const entries = stage.server.store.list(stage.libraryId(library), path.slice(0, slash) || "/");
  const entry = entries.find(({ name }) => name === path.slice(slash + 1));
  if (entry === undefined) throw new Error(`${path} is not listed.`);
  return entry.mtime;
}

const now = () => mtime("/probe");
/** A file made now, in the root, which no other time in question depends on. */
async function probe(): Promise<void> {
  await stage.prepare([{ write: "/probe", library: "Times", content: "x" }]);
}

async function post(path: string, form: string): Promise<string> {
  const { status } = await exchange({
    method: "POST",
    url: `${stage.server.url}/api2/repos/${stage.libraryId("Times")}/${path}`,
    headers: {
      Authorization: `Token ${stage.server.token(TEST_USER)}`,
      "Content-Type": "application/x-www-form-urlencoded",
    },
    body: Buffer.from(form),
  });
  return status;
}

async function send(kind: "upload" | "update", parts: readonly Part[]): Promise<string> {
  const { contentType, body } = multipart(parts);
  const { status } = await exchange({
    method: "POST",
    url: `${stage.server.fileServerUrl}/${kind}-api/${stage.variables.get(kind === "upload" ? "up" : "update")}`,
    headers: { "Content-Type": contentType },
    body,
  });
  return status;
}

const file = (filename: string, content: string): Part => ({ name: "file", filename, content });
const field = (name: string, content: string): Part => ({ name, content });

describe("a Seafile 11 server", () => {
  beforeEach(() => open(11));

  it("gives the folder and all its ancestors a new time when a file is added, changed or removed inside", async () => {
    const ancestors = () => ["/a", "/a/b", "/a/b/c"].map((path) => mtime(path));
    const changes = [
      { write: "/a/b/c/new.txt", library: "Times", content: "new" },
      { write: "/a/b/c/new.txt", library: "Times", content: "newer" },
      { remove: "/a/b/c/new.txt", library: "Times" },
    ];
    for (const change of changes) {
      stage.server.advanceClock(MINUTE * 1000);
      await probe();
      await stage.prepare([change]);
      expect(ancestors()).toEqual([now(), now(), now()]);
    }
  });

  it("keeps the time of a file and of a folder that are renamed", async () => {
    const before = [mtime("/f.txt"), mtime("/d")];
    expect(await post("file/?p=/f.txt", "operation=rename&newname=g.txt")).toBe("301 Moved Permanently");
    expect(await post("dir/?p=/d", "operation=rename&newname=e")).toBe("200 OK");
    expect([mtime("/g.txt"), mtime("/e")]).toEqual(before);
  });

  it("keeps the time of a file that is moved, copied, or moved to another library", async () => {
    const before = mtime("/f.txt");
    const to = (library: string, folder: string) => `dst_repo=${stage.libraryId(library)}&dst_dir=${folder}`;
    expect(await post("file/?p=/f.txt", `operation=copy&${to("Times", "/d")}`)).toBe("200 OK");
    expect(mtime("/d/f.txt")).toBe(before);
    expect(await post("file/?p=/f.txt", `operation=move&${to("Times", "/a")}`)).toBe("301 Moved Permanently");
    expect(mtime("/a/f.txt")).toBe(before);
    expect(await post("file/?p=/a/f.txt", `operation=move&${to("Other", "/")}`)).toBe("301 Moved Permanently");
    expect(mtime("/f.txt", "Other")).toBe(before);
  });

  it("changes nothing and commits nothing when an update brings the same content", async () => {
    const id = stage.libraryId("Times");
    const [before, head] = [mtime("/f.txt"), stage.server.store.head(id)];
    expect(await send("update", [file("f.txt", "file"), field("target_file", "/f.txt")])).toBe("200 OK");
    expect([mtime("/f.txt"), stage.server.store.head(id)]).toEqual([before, head]);
  });

  it("gives a new time when an upload with replace=1 brings the same content", async () => {
    await probe();
    const parts = [file("f.txt", "file"), field("parent_dir", "/"), field("replace", "1")];
    expect(await send("upload", parts)).toBe("200 OK");
    expect(mtime("/f.txt")).toBe(now());
  });

  it("ignores last_modify", async () => {
    await probe();
    const parts = [
      file("f.txt", "x"),
      field("target_file", "/f.txt"),
      field("last_modify", "2001-02-03T04:05:06+00:00"),
    ];
    expect(await send("update", parts)).toBe("200 OK");
    expect(mtime("/f.txt")).toBe(now());
  });
});

describe("a Seafile 12 server", () => {
  beforeEach(() => open(12));

  it.each(["2001-02-03T04:05:06+00:00", "2001-02-03T04:05:06Z", "2001-02-03T06:05:06+02:00"])(
    "keeps the time that last_modify says: %s",
    async (time) => {
      const seconds = Date.UTC(2001, 1, 3, 4, 5, 6) / 1000;
      const modified = field("last_modify", time);
      expect(await send("update", [file("f.txt", "x"), field("target_file", "/f.txt"), modified])).toBe("200 OK");
      expect(await send("upload", [file("new.txt", "x"), field("parent_dir", "/"), modified])).toBe("200 OK");
      expect([mtime("/f.txt"), mtime("/new.txt")]).toEqual([seconds, seconds]);
    },
  );
});
