/**
 * A foreign client on the development server: Debian's rclone, which knows nothing of this project, lists, uploads,
 * downloads, moves and deletes through its seafile backend. What the server then holds is asked of its store.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bytesOf } from "./recording.ts";
import { PASSWORD, Stage, TEST_USER } from "./stage.ts";

const FILES: Readonly<Record<string, Buffer>> = {
  "notes.txt": Buffer.from("first line\nsecond line\n"),
  "empty.txt": Buffer.alloc(0),
  "naïve — 100% & #1.txt": Buffer.from("a name to encode"),
  "photos/2024/one.jpg": bytesOf({ counter: 3_000_000 }),
  "photos/2024/two.jpg": bytesOf({ repeat: "jpg", bytes: 70_000 }),
  "photos/index.html": Buffer.from("<p>"),
};

/** Path to digest: what a tree holds, in a form that compares fast and fails readably. */
type Digests = Readonly<Record<string, string>>;

const digest = (content: Buffer) => `${content.length} bytes, ${createHash("sha1").update(content).digest("hex")}`;
const DIGESTS: Digests = Object.fromEntries(Object.entries(FILES).map(([path, content]) => [path, digest(content)]));

/** Runs rclone without a shell; rejects with what it printed to stderr. */
function rclone(args: readonly string[], env: NodeJS.ProcessEnv = {}, input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile("rclone", args, { env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      reject(
        missing
          ? new Error("rclone is not installed; scripts/test installs it (Debian package rclone).")
          : new Error(`rclone ${args.join(" ")} failed: ${stderr}`, { cause: error }),
      );
    });
    child.stdin?.on("error", () => undefined).end(input);
  });
}

async function writeTree(root: string): Promise<void> {
  for (const [path, content] of Object.entries(FILES)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

async function readTree(root: string): Promise<Digests> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(
    files.map(async (path) => [relative(root, path), digest(await readFile(path))] as const),
  );
  return Object.fromEntries(contents);
}

describe.each(["c", "go"] as const)("rclone on the development server, flavour %s", (flavour) => {
  let stage: Stage;
  let folder: string;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    stage = await Stage.open({ flavour });
    folder = await mkdtemp(join(tmpdir(), "seamount-rclone-"));
    await writeTree(join(folder, "local"));
    const remote = {
      TYPE: "seafile",
      URL: stage.server.url,
      USER: TEST_USER,
      PASS: (await rclone(["obscure", "-"], {}, PASSWORD)).trim(),
    };
    const settings = (name: string, extra: Record<string, string>) =>
      Object.entries({ ...remote, ...extra }).map(([key, value]) => [`RCLONE_CONFIG_${name}_${key}`, value]);
    environment = {
      RCLONE_CONFIG: join(folder, "rclone.conf"),
      RCLONE_CACHE_DIR: join(folder, "cache"),
      RCLONE_RETRIES: "1",
      RCLONE_LOW_LEVEL_RETRIES: "1",
      ...Object.fromEntries([...settings("X", { LIBRARY: "Rclone" }), ...settings("ALL", {})]),
    };
    await writeFile(join(folder, "rclone.conf"), "");
  });

  afterAll(async () => {
    await stage?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    for (const name of ["Rclone", "Second"]) {
      const old = stage.variables.get(name);
      if (old !== undefined) await stage.prepare([{ deleteLibrary: name }]);
    }
    await stage.prepare([
      { library: "Rclone", owner: TEST_USER },
      { library: "Second", owner: TEST_USER },
    ]);
  });

  const run = (...args: string[]) => rclone(args, environment);
  const library = () => stage.libraryId("Rclone");

  async function fill(): Promise<void> {
    const { store } = stage.server;
    for (const [path, content] of Object.entries(FILES)) {
      await store.writeFile(library(), `/${path}`, content, { mkdirs: true });
    }
  }

  async function held(): Promise<Digests> {
    const { store } = stage.server;
    const files = [...store.tree(library())].filter(([, entry]) => entry.kind === "file").map(([path]) => path);
    const contents = await Promise.all(
      files.map(async (path) => [path.replace(/^\//, ""), digest(await store.readFile(library(), path))] as const),
    );
    return Object.fromEntries(contents);
  }

  const paths = () => [...stage.server.store.tree(library()).keys()].map((path) => path.replace(/^\//, "")).sort();

  it("lists libraries, folders and files with their sizes", async () => {
    await fill();
    expect((await run("lsf", "ALL:")).split("\n").filter(Boolean).sort()).toEqual(["Rclone/", "Second/"]);
    const listed = (await run("lsf", "-R", "--files-only", "--format", "sp", "X:")).split("\n").filter(Boolean);
    expect(listed.sort()).toEqual(
      Object.entries(FILES)
        .map(([path, { length }]) => `${length};${path}`)
        .sort(),
    );
    expect((await run("lsf", "X:photos")).split("\n").filter(Boolean).sort()).toEqual(["2024/", "index.html"]);
  });

  it("uploads a tree, finds it equal, and sends nothing the second time", async () => {
    const local = join(folder, "local");
    await run("copy", local, "X:");
    expect(await held()).toEqual(DIGESTS);
    await run("check", "--download", local, "X:");
    const uploads = stage.server.requests.count("upload");
    await run("copy", local, "X:");
    expect(stage.server.requests.count("upload")).toBe(uploads);
  });

  it("replaces a file that has changed, in place", async () => {
    await fill();
    const changed = join(folder, "changed.txt");
    await writeFile(changed, "longer than what was there before, by some bytes");
    await run("copyto", changed, "X:notes.txt");
    expect((await held())["notes.txt"]).toBe(digest(await readFile(changed)));
    expect(paths().filter((path) => path.startsWith("notes"))).toEqual(["notes.txt"]);
  });

  it("downloads a tree, and parts of a file", async () => {
    await fill();
    const target = await mkdtemp(join(folder, "down-"));
    await run("copy", "X:", target);
    expect(await readTree(target)).toEqual(DIGESTS);
    expect(await run("cat", "X:notes.txt")).toBe("first line\nsecond line\n");
    expect(await run("cat", "--offset", "6", "--count", "4", "X:notes.txt")).toBe("line");
    expect(await run("cat", "--tail", "5", "X:notes.txt")).toBe("line\n");
  });

  it("renames and moves files and folders on the server, without sending contents", async () => {
    await fill();
    const { requests } = stage.server;
    requests.reset();
    await run("moveto", "X:notes.txt", "X:renamed.txt");
    await run("moveto", "X:empty.txt", "X:photos/moved.txt");
    await run("moveto", "X:photos/2024", "X:albums/years");
    expect(paths().filter((path) => !path.startsWith("na"))).toEqual(
      [
        ...["albums", "albums/years", "albums/years/one.jpg", "albums/years/two.jpg"],
        ...["photos", "photos/index.html", "photos/moved.txt", "renamed.txt"],
      ].sort(),
    );
    expect(requests.count("upload") + requests.count("download")).toBe(0);
  });

  it("makes folders, and deletes files, folders and trees", async () => {
    await fill();
    await run("mkdir", "X:new/inner");
    expect(paths()).toContain("new/inner");
    await run("rmdir", "X:new/inner");
    expect(paths()).not.toContain("new/inner");
    await run("deletefile", "X:empty.txt");
    await run("delete", "--include", "*.jpg", "X:photos");
    expect(paths().filter((path) => path.startsWith("photos/"))).toEqual(["photos/2024", "photos/index.html"]);
    await run("purge", "X:photos");
    expect(Object.keys(await held()).sort()).toEqual(["naïve — 100% & #1.txt", "notes.txt"]);
  });

  it("reads the quota", async () => {
    await fill();
    const used = Object.values(FILES).reduce((sum, { length }) => sum + length, 0);
    await stage.prepare([{ quota: 10_000_000, user: TEST_USER }]);
    expect(JSON.parse(await run("about", "--json", "X:"))).toMatchObject({ total: 10_000_000, used });
    await stage.prepare([{ quota: null, user: TEST_USER }]);
  });

  it("is told about a full quota, and nothing is stored", async () => {
    await stage.prepare([{ quota: 1_000_000, user: TEST_USER }]);
    await expect(run("copyto", join(folder, "local/photos/2024/one.jpg"), "X:big.bin")).rejects.toThrow(/quota|443/i);
    await stage.prepare([{ quota: null, user: TEST_USER }]);
    expect(paths()).toEqual([]);
  });
});
