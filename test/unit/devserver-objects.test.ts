/** The development server's objects have the ids that a real Seafile server gives to the same content. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { FileContents } from "../../src/devserver/file-content.ts";
import { FsObjects } from "../../src/devserver/fs-objects.ts";
import { memoryObjectStore } from "../../src/devserver/object-store.ts";
import {
  BLOCK_SIZE,
  type Dirent,
  decodeCommit,
  decodeDirectory,
  encodeCommit,
  encodeDirectory,
  encodeFile,
  MODE_DIRECTORY,
  MODE_FILE,
  ZERO_ID,
} from "../../src/devserver/objects.ts";

const sha1 = (data: string | Buffer) => createHash("sha1").update(data).digest("hex");
const A = "a".repeat(40);
const B = "b".repeat(40);
const file = (name: string): Dirent => ({ name, id: A, mode: MODE_FILE, mtime: 1700000000, size: 3, modifier: "m@x" });
const directory = (name: string): Dirent => ({
  name,
  id: B,
  mode: MODE_DIRECTORY,
  mtime: 1700000001,
  size: 0,
  modifier: "",
});

function memory() {
  const objects = memoryObjectStore();
  const fs = new FsObjects(objects, { decodedOnly: true });
  return { objects, fs, contents: new FileContents(objects, fs) };
}

describe("object ids", () => {
  it("a file of 'hello world' has the id that a real 11.0.13 server gave it", async () => {
    const { contents } = memory();
    expect(await contents.store([Buffer.from("hello world")])).toEqual({
      id: "aab9a78455aaf01c2779ecc7288ca3c500171b50",
      size: 11,
    });
  });

  it("a file object is JSON with sorted keys and the separators of the real server", () => {
    const { id, bytes } = encodeFile({ blockIds: [A, B], size: 7 });
    const literal = `{"block_ids": ["${A}", "${B}"], "size": 7, "type": 1, "version": 1}`;
    expect(bytes.toString()).toBe(literal);
    expect(id).toBe(sha1(literal));
  });

  it("a directory object lists entries by name, descending bytewise, with modifier and size for files only", () => {
    const { id, bytes } = encodeDirectory([file("a"), directory("é"), file("Z"), file('q"')]);
    const fileText = (name: string) =>
      `{"id": "${A}", "mode": 33188, "modifier": "m@x", "mtime": 1700000000, "name": ${JSON.stringify(name)}, "size": 3}`;
    const directoryText = `{"id": "${B}", "mode": 16384, "mtime": 1700000001, "name": "é"}`;
    const dirents = [directoryText, fileText('q"'), fileText("a"), fileText("Z")].join(", ");
    const literal = `{"dirents": [${dirents}], "type": 3, "version": 1}`;
    expect(bytes.toString()).toBe(literal);
    expect(id).toBe(sha1(literal));
  });

  it("the order in which entries were added does not matter, and decoding gives them back", () => {
    const [one, two] = [encodeDirectory([file("a"), directory("b")]), encodeDirectory([directory("b"), file("a")])];
    expect(one.id).toBe(two.id);
    expect(decodeDirectory(one.bytes)).toEqual([directory("b"), file("a")]);
  });

  it("sorts by bytes where UTF-16 order would differ", () => {
    const names = ["\uffee", "\u{1f600}"];
    const decoded = decodeDirectory(encodeDirectory(names.map(file)).bytes);
    expect(decoded.map((entry) => entry.name)).toEqual(["\u{1f600}", "\uffee"]);
  });

  it("the empty file and the empty directory are the zero id", async () => {
    const { contents, fs } = memory();
    expect(await contents.store([])).toEqual({ id: ZERO_ID, size: 0 });
    expect(fs.putDirectory([])).toBe(ZERO_ID);
    expect(fs.directory(ZERO_ID)).toEqual([]);
    expect(fs.file(ZERO_ID).size).toBe(0);
  });

  it("a commit survives encoding", () => {
    const commit = {
      id: A,
      libraryId: "l",
      rootId: B,
      creatorName: "u@auth.local",
      description: 'Added "x".',
      ctime: 1700000000,
      parentId: null,
      secondParentId: null,
      libraryName: "L",
      libraryDescription: "",
      encryption: undefined,
    };
    expect(decodeCommit(encodeCommit(commit))).toEqual(commit);
  });
});

describe("blocks", () => {
  it("content is cut into 8 MiB blocks named by their SHA-1, whatever the chunks were", async () => {
    const { contents, fs } = memory();
    const data = Buffer.alloc(BLOCK_SIZE + 5, "x");
    const chunks = [data.subarray(0, 1), data.subarray(1, BLOCK_SIZE + 1), data.subarray(BLOCK_SIZE + 1)];
    const stored = await contents.store(chunks);
    expect(fs.file(stored.id)).toEqual({
      blockIds: [sha1(data.subarray(0, BLOCK_SIZE)), sha1(Buffer.from("xxxxx"))],
      size: BLOCK_SIZE + 5,
    });
  });

  it("a range that spans blocks reads exactly its bytes", async () => {
    const { contents } = memory();
    const data = Buffer.alloc(BLOCK_SIZE + 100);
    for (let at = 0; at < data.length; at += 4) data.writeUInt32LE(at, at);
    const { id } = await contents.store([data]);
    const read: Buffer[] = [];
    for await (const chunk of contents.read(id, BLOCK_SIZE - 7, BLOCK_SIZE + 9)) read.push(chunk);
    expect(Buffer.concat(read)).toEqual(data.subarray(BLOCK_SIZE - 7, BLOCK_SIZE + 9));
  });
});

describe("totals", () => {
  it("count bytes and files of a whole tree", () => {
    const { fs } = memory();
    const below = fs.putDirectory([file("a"), file("b")]);
    const root = fs.putDirectory([{ ...directory("d"), id: below }, file("c")]);
    expect(fs.totals(root)).toEqual({ bytes: 9, files: 3 });
  });
});
