/** Public links mounted without an account: folder and file links to read, upload links as drop boxes. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, type Mounted, MountFailed, type MountSettings, mountLibrary } from "../support/mounts.ts";
import { eventually, ok } from "../support/process.ts";
import { fileScope, tempDir } from "../support/scope.ts";
import { serverText, serverTree } from "../support/trees.ts";

const PASSWORD = "longpassword1";
const scope = fileScope();
let server: DevServer;
let library: string;
let worker: FsWorker;

beforeAll(async () => {
  server = await startServer(scope);
  library = server.store.createLibrary(EMAIL, "Work");
  for (const folder of ["/shared", "/shared/sub", "/drop", "/locked"]) server.store.mkdir(library, folder);
  await server.store.writeFile(library, "/shared/in.txt", "inside");
  await server.store.writeFile(library, "/shared/sub/deep.txt", "deep");
  await server.store.writeFile(library, "/shared/é “x” #1?.txt", "odd");
  await server.store.writeFile(library, "/shared/big.bin", pattern(3_000_000));
  await server.store.writeFile(library, "/shared/empty", "");
  await server.store.writeFile(library, "/private.txt", "not shared");
  worker = new FsWorker(scope);
});

const pattern = (size: number) => Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

/** Makes a link as its owner does, and answers with its address. */
async function link(type: "share" | "upload", path: string, options: object = {}): Promise<string> {
  const response = await fetch(`${server.url}/api/v2.1/${type}-links/`, {
    method: "POST",
    headers: { authorization: `Token ${server.token(EMAIL)}`, "content-type": "application/json" },
    body: JSON.stringify({ repo_id: library, path, ...options }),
  });
  const made = (await response.json()) as { link: string };
  expect(response.status, JSON.stringify(made)).toBe(200);
  return made.link;
}

const mountLink = (address: string, settings: Partial<MountSettings> = {}) =>
  mountLibrary(scope, { server, link: address, args: ["--refresh", "0.2"], ...settings });

async function refusal(mounting: Promise<Mounted>): Promise<{ code: number | null; said: string }> {
  const failure = await mounting.then(
    () => new Error("it was mounted"),
    (error: unknown) => error,
  );
  if (!(failure instanceof MountFailed)) throw failure;
  return { code: failure.code, said: failure.output.trim() };
}

describe("a folder link", () => {
  let mount: Mounted;
  let address: string;
  beforeAll(async () => {
    address = await link("share", "/shared");
    mount = await mountLink(address);
  });
  const at = (path: string) => join(mount.dir, path);

  // SEMANTICS: "The mount of a folder link shows the shared folder and what is below it, and every change is answered EROFS."
  it("shows the shared folder and what is below it, and nothing else", async () => {
    expect((await worker.listdir(mount.dir)).sort()).toEqual(["big.bin", "empty", "in.txt", "sub", "é “x” #1?.txt"]);
    expect(await worker.listdir(at("sub"))).toEqual(["deep.txt"]);
    expect(await worker.stat(at("big.bin"))).toMatchObject({ size: 3_000_000, kind: "file" });
  });

  it("files are copied from it byte for byte, also with names that an address would have to spell otherwise", async () => {
    const copy = await tempDir(scope, "copy");
    await ok("cp", ["-r", `${mount.dir}/.`, copy]);
    expect(await ok("diff", ["-r", mount.dir, copy])).toBe("");
    expect(await ok("cat", [join(copy, "é “x” #1?.txt")])).toBe("odd");
    expect(Buffer.compare(await worker.readFile(join(copy, "big.bin")), pattern(3_000_000))).toBe(0);
  });

  it("random reads get the right bytes", async () => {
    const fd = await worker.open(at("big.bin"), "O_RDONLY");
    for (const offset of [2_999_000, 5, 1_700_001]) {
      expect(await worker.pread(fd, 500, offset)).toEqual(pattern(3_000_000).subarray(offset, offset + 500));
    }
    await worker.close(fd);
  });

  it("every change is EROFS", async () => {
    expect(await outcome(worker.writeFile(at("new.txt"), "x"))).toBe("EROFS");
    expect(await outcome(worker.call("unlink", at("in.txt")))).toBe("EROFS");
    expect(await outcome(worker.rename(at("in.txt"), at("out.txt")))).toBe("EROFS");
    expect(await outcome(worker.call("mkdir", at("d")))).toBe("EROFS");
  });

  it("what the owner changes is shown, and a file that is replaced gives its new content", async () => {
    await server.store.writeFile(library, "/shared/sub/deep.txt", "deeper");
    await eventually("the new size", async () => (await worker.stat(at("sub/deep.txt"))).size === 6);
    expect(await ok("cat", [at("sub/deep.txt")])).toBe("deeper");
    await server.store.writeFile(library, "/shared/sub/deep.txt", "deep");
  });

  // SEMANTICS: "A file is read in exactly the version that was listed; when it was replaced meanwhile, reading is answered ESTALE
  // until it is opened again."
  it("an open file that is replaced is ESTALE, not a mixture, and the new one is read when it is opened", async () => {
    await server.store.writeFile(library, "/shared/sub/changes.bin", pattern(3_100_000));
    await eventually("it is there", async () => (await worker.listdir(at("sub"))).includes("changes.bin"));
    const fd = await worker.open(at("sub/changes.bin"), "O_RDONLY");
    await server.store.writeFile(library, "/shared/sub/changes.bin", Buffer.alloc(3_100_000, 1));
    expect(await outcome(worker.pread(fd, 1000, 2_500_000))).toBe("ESTALE");
    await worker.close(fd);
    const isNew = async () => (await worker.readFile(at("sub/changes.bin"))).every((byte) => byte === 1);
    await eventually("the new content", () => isNew().catch(() => false));
    server.store.remove(library, "/shared/sub/changes.bin");
  });

  it("an address with ?p= shows the folder below", async () => {
    const below = await mountLink(`${address}?p=/sub&mode=list`);
    expect(await worker.listdir(below.dir)).toEqual(["deep.txt"]);
  });

  it("is refused with exit code 7 when it was removed", async () => {
    const gone = new URL(address);
    gone.pathname = "/d/0123456789abcdef0123/";
    expect(await refusal(mountLink(gone.href))).toEqual({
      code: 7,
      said: "seamount: The link has expired or was removed.",
    });
  });

  it("what is no address of a link is wrong usage, and so is an address without a folder", async () => {
    expect((await refusal(mountLink(`${server.url}/library/x/`))).code).toBe(1);
  });
});

describe("a folder link with a password", () => {
  let address: string;
  beforeAll(async () => {
    address = await link("share", "/shared/sub", { password: PASSWORD });
  });

  it("lists and reads with the password from the environment", async () => {
    const mount = await mountLink(address, { linkPassword: PASSWORD });
    expect(await ok("cat", [join(mount.dir, "deep.txt")])).toBe("deep");
    expect(mount.log()).not.toContain(PASSWORD);
  });

  it("without or with a wrong one is refused with exit code 3 and a sentence", async () => {
    expect(await refusal(mountLink(address))).toEqual({
      code: 3,
      said: "seamount: The link needs a password: run this on a terminal, or give --password-file FILE or SEAMOUNT_LINK_PASSWORD.",
    });
    expect(await refusal(mountLink(address, { linkPassword: "wrongpassword" }))).toEqual({
      code: 3,
      said: "seamount: The password of the link is wrong.",
    });
  });
});

describe("on a server, or behind a proxy, that has only v2.1's listing of links", () => {
  it("a folder link is listed and read, also with a password, and a replaced file is ESTALE for who has it open", async () => {
    const other = await startServer(scope);
    const id = other.store.createLibrary(EMAIL, "Work");
    other.store.mkdir(id, "/d");
    other.store.mkdir(id, "/d/sub");
    await other.store.writeFile(id, "/d/sub/big.bin", pattern(3_200_000));
    other.faults.fail("link-dir", 404, { times: Number.POSITIVE_INFINITY, body: "<html><title>404</title></html>" });
    const response = await fetch(`${other.url}/api/v2.1/share-links/`, {
      method: "POST",
      headers: { authorization: `Token ${other.token(EMAIL)}`, "content-type": "application/json" },
      body: JSON.stringify({ repo_id: id, path: "/d", password: PASSWORD }),
    });
    const { link: address } = (await response.json()) as { link: string };
    const settings = { server: other, link: address, args: ["--refresh", "0.2"] };
    expect((await refusal(mountLibrary(scope, settings))).code).toBe(3);
    expect((await refusal(mountLibrary(scope, { ...settings, linkPassword: "wrongpassword" }))).code).toBe(3);
    const mount = await mountLibrary(scope, { ...settings, linkPassword: PASSWORD });
    const file = join(mount.dir, "sub/big.bin");
    expect(await worker.readFile(file)).toEqual(pattern(3_200_000));
    expect(await outcome(worker.listdir(join(mount.dir, "none")))).toBe("ENOENT");
    expect(other.requests.count("link-dirents")).toBeGreaterThan(0);
  });
});

describe("a link that expires", () => {
  // SEMANTICS: "When a link expires or is removed, listing and reading are answered EACCES."
  it("answers EACCES from then on, with a line in the log, and cannot be mounted any more", async () => {
    const other = await startServer(scope);
    const id = other.store.createLibrary(EMAIL, "Work");
    other.store.mkdir(id, "/d");
    await other.store.writeFile(id, "/d/a.txt", "a");
    await other.store.writeFile(id, "/d/b.txt", "b");
    const response = await fetch(`${other.url}/api/v2.1/share-links/`, {
      method: "POST",
      headers: { authorization: `Token ${other.token(EMAIL)}`, "content-type": "application/json" },
      body: JSON.stringify({ repo_id: id, path: "/d", expire_days: 1 }),
    });
    const { link: address } = (await response.json()) as { link: string };
    const mount = await mountLibrary(scope, { server: other, link: address, args: ["--refresh", "0.2"] });
    expect(await ok("cat", [join(mount.dir, "a.txt")])).toBe("a");
    other.advanceClock(2 * 24 * 3600 * 1000);
    await eventually("it has expired", async () => (await outcome(worker.listdir(mount.dir))) === "EACCES");
    expect(await outcome(worker.readFile(join(mount.dir, "b.txt")))).toBe("EACCES");
    expect(mount.log()).toContain("The link has expired or was removed.");
    expect((await refusal(mountLibrary(scope, { server: other, link: address }))).code).toBe(7);
  });
});

describe("a file link", () => {
  // SEMANTICS: "The mount of a file link shows that one file."
  it("shows one file, which is read from any place", async () => {
    const mount = await mountLink(await link("share", "/shared/big.bin"));
    expect(await worker.listdir(mount.dir)).toEqual(["big.bin"]);
    const fd = await worker.open(join(mount.dir, "big.bin"), "O_RDONLY");
    expect(await worker.pread(fd, 100, 2_000_000)).toEqual(pattern(3_000_000).subarray(2_000_000, 2_000_100));
    await worker.close(fd);
    expect(await outcome(worker.writeFile(join(mount.dir, "x"), "x"))).toBe("EROFS");
  });

  it("with a password asks for it", async () => {
    const address = await link("share", "/shared/in.txt", { password: PASSWORD });
    const mount = await mountLink(address, { linkPassword: PASSWORD });
    expect(await ok("cat", [join(mount.dir, "in.txt")])).toBe("inside");
    expect((await refusal(mountLink(address, { linkPassword: "wrongpassword" }))).code).toBe(3);
  });
});

describe("a drop box", () => {
  let mount: Mounted;
  beforeAll(async () => {
    await server.store.writeFile(library, "/drop/theirs.txt", "theirs");
    mount = await mountLink(await link("upload", "/drop"));
  });
  const at = (path: string) => join(mount.dir, path);

  // SEMANTICS: "The mount of an upload link is a drop box: what was dropped through it is listed as long as it is mounted, and nothing else."
  it("is empty at first, whatever the folder holds", async () => {
    expect(await worker.listdir(mount.dir)).toEqual([]);
  });

  it("takes a file, lists it, and gives nothing back", async () => {
    await worker.writeFile(at("mine.txt"), "mine");
    expect(await serverText(server, library, "/drop/mine.txt")).toBe("mine");
    expect(await worker.listdir(mount.dir)).toEqual(["mine.txt"]);
    expect(await outcome(worker.readFile(at("mine.txt")))).toBe("EACCES");
  });

  // SEMANTICS: "What is in a drop box cannot be read (EACCES), overwritten (EACCES), renamed or removed (EPERM)."
  it("what was dropped is neither overwritten nor renamed nor removed", async () => {
    await worker.writeFile(at("kept.txt"), "kept");
    expect(await outcome(worker.writeFile(at("kept.txt"), "other"))).toBe("EACCES");
    expect(await outcome(worker.rename(at("kept.txt"), at("renamed.txt")))).toBe("EPERM");
    expect(await outcome(worker.call("unlink", at("kept.txt")))).toBe("EPERM");
    expect(await serverText(server, library, "/drop/kept.txt")).toBe("kept");
  });

  // SEMANTICS: "A name that is taken on the server gets a number, and the drop box shows it under the name that it got."
  it("a name that is taken on the server gets a number, and the list says so", async () => {
    await worker.writeFile(at("theirs.txt"), "ours");
    expect(await serverText(server, library, "/drop/theirs.txt")).toBe("theirs");
    expect(await serverText(server, library, "/drop/theirs (1).txt")).toBe("ours");
    expect(await worker.listdir(mount.dir)).toContain("theirs (1).txt");
  });

  // SEMANTICS: "A folder of a drop box is made on the server with its first file."
  it("folders are made with their first file", async () => {
    await ok("sh", ["-c", 'mkdir -p "$1/a/b" "$1/none" && echo x > "$1/a/b/f" && rmdir "$1/none"', "sh", mount.dir]);
    expect(await serverText(server, library, "/drop/a/b/f")).toBe("x\n");
    expect(Object.keys(await serverTree(server, library, "/drop"))).not.toContain("none");
  });

  it("a program that goes on writing after a close of one of its children drops one file", async () => {
    await ok("sh", ["-c", '(echo one; sleep 0.1; echo two) > "$1/slow.txt"', "sh", mount.dir]);
    expect(await serverText(server, library, "/drop/slow.txt")).toBe("one\ntwo\n");
  });

  it("takes many files in few requests, and a big one", async () => {
    const source = await tempDir(scope, "many");
    await mkdir(join(source, "many"));
    for (let i = 0; i < 150; i++) await writeFile(join(source, "many", `f${i}`), `content ${i}`);
    await writeFile(join(source, "many", "big"), pattern(20_000_000));
    const drop = await mountLink(await link("upload", "/shared/sub"), { background: true });
    server.requests.reset();
    await ok("cp", ["-r", join(source, "many"), drop.dir]);
    expect((await drop.unmount()).code).toBe(0);
    expect(Object.keys(await serverTree(server, library, "/shared/sub/many"))).toHaveLength(151);
    expect(await serverText(server, library, "/shared/sub/many/f77")).toBe("content 77");
    const uploads = server.requests.list().filter(({ url }) => url.startsWith("/upload-api/"));
    expect(uploads.length).toBeLessThan(20);
  });

  // SEMANTICS: "When the answer to a drop was lost, the file is dropped again and may be there twice."
  it("a drop whose answer was lost is made again, and nothing is lost", async () => {
    server.faults.cut("upload", 0, { answer: true });
    await worker.writeFile(at("lost.txt"), "lost");
    expect(await serverText(server, library, "/drop/lost.txt")).toBe("lost");
  });

  it("with a password takes files with it, and is refused without", async () => {
    const address = await link("upload", "/locked", { password: PASSWORD });
    expect((await refusal(mountLink(address))).code).toBe(3);
    const locked = await mountLink(address, { linkPassword: PASSWORD });
    await worker.writeFile(join(locked.dir, "f.txt"), "f");
    expect(await serverText(server, library, "/locked/f.txt")).toBe("f");
  });
});
