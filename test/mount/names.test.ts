/** Names: what Seafile can store is stored and read back exactly, what it cannot is refused at once with an errno. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { requires } from "../support/transport.ts";
import { fileOf } from "../support/trees.ts";

const shared = useMount();
/** Refuses pictographs in mkdir and rename, as recent servers do. */
const strict = useMount({ server: { compat: 12 } });
const EMOJI = "party \u{1F389}";
const NFC = "café.txt".normalize("NFC");
const NFD = "café.txt".normalize("NFD");

describe("names that can be stored", () => {
  it.each([
    ["spaces", "  two  spaces  "],
    ["double quotes", 'say "hi".txt'],
    ["single quotes", "it's.txt"],
    ["a newline", "two\nlines"],
    ["a carriage return and a tab", "a\rb\tc"],
    ["control characters", "bell\u0007esc\u001b"],
    ["a leading dash", "-rf"],
    ["a percent sign", "100%25.txt"],
    ["characters of URLs", "a?b#c&d=e;f+g"],
    ["characters of headers", "a;filename=x, y\u00e9"],
    ["Chinese", "文件夹 文件.txt"],
    ["Arabic", "ملف.txt"],
    ["umlauts", "Übergrößenträger.txt"],
    ["a leading dot", ".hidden"],
    ["a trailing dot", "dot."],
    ["a trailing space", "space "],
    ["a colon and a star", "a:b*c|d<e>f"],
    ["a tilde", "doc.txt~"],
    ["a backslash", "back\\slash"],
    ["a backslash at the end", "end\\"],
    ["an emoji", EMOJI],
    ["255 bytes", "n".repeat(255)],
    ["255 bytes in 85 characters", "文".repeat(85)],
  ])("%s", async (_, name) => {
    const folder = await shared.folder();
    const { worker } = shared;
    const file = join(folder.dir, name);
    await worker.writeFile(file, "content");
    await worker.call("mkdir", join(folder.dir, "sub"));
    expect(await folder.tree()).toEqual({ [name]: fileOf("content"), "sub/": "" });
    expect(await worker.listdir(folder.dir)).toEqual([name, "sub"].sort());
    await worker.rename(file, join(folder.dir, "sub", name));
    expect(await folder.tree()).toEqual({ "sub/": "", [`sub/${name}`]: fileOf("content") });
    await worker.writeFile(join(folder.dir, "sub", name), "again");
    expect((await worker.readFile(join(folder.dir, "sub", name))).toString()).toBe("again");
    await worker.call("unlink", join(folder.dir, "sub", name));
    await worker.call("mkdir", file);
    expect(await folder.tree()).toEqual({ "sub/": "", [`${name}/`]: "" });
    await worker.call("rmdir", file);
    expect(await folder.tree()).toEqual({ "sub/": "" });
  });

  it("the replacement character U+FFFD", requires("replacementCharacter"), async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "odd\ufffd");
    await shared.worker.writeFile(file, "content");
    expect((await shared.worker.readFile(file)).toString()).toBe("content");
    expect(await folder.tree()).toEqual({ "odd\ufffd": fileOf("content") });
  });

  // SEMANTICS: "Names differ by case."
  it("names that differ in case are different files", async () => {
    const folder = await shared.folder();
    for (const name of ["Readme", "README", "readme"]) await writeFile(join(folder.dir, name), name);
    expect(await folder.tree()).toEqual({
      README: fileOf("README"),
      Readme: fileOf("Readme"),
      readme: fileOf("readme"),
    });
    expect((await shared.worker.readFile(join(folder.dir, "Readme"))).toString()).toBe("Readme");
  });

  it("folders 30 levels deep", async () => {
    const folder = await shared.folder();
    const deep = Array.from({ length: 30 }, (_, i) => `level-${i}`).join("/");
    await mkdir(join(folder.dir, deep), { recursive: true });
    await writeFile(join(folder.dir, deep, "file"), "deep");
    expect(await folder.text(`${deep}/file`)).toBe("deep");
    await shared.remount();
    expect((await shared.worker.readFile(join(folder.dir, deep, "file"))).toString()).toBe("deep");
  });
});

describe("decomposed and composed names", () => {
  // SEMANTICS: "A decomposed name (NFD) is stored composed (NFC) and is found under both spellings."
  it("a decomposed name is stored composed and found by both spellings", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    await worker.writeFile(join(folder.dir, NFD), "accent");
    expect(await folder.tree()).toEqual({ [NFC]: fileOf("accent") });
    expect((await worker.readFile(join(folder.dir, NFC))).toString()).toBe("accent");
    expect((await worker.readFile(join(folder.dir, NFD))).toString()).toBe("accent");
  });

  it("creating the other spelling exclusively is EEXIST, and no second file appears", async () => {
    const folder = await shared.folder();
    const { worker } = shared;
    await worker.writeFile(join(folder.dir, NFC), "first");
    expect(await outcome(worker.open(join(folder.dir, NFD), "O_WRONLY|O_CREAT|O_EXCL"))).toBe("EEXIST");
    await worker.writeFile(join(folder.dir, NFD), "second");
    expect(await folder.tree()).toEqual({ [NFC]: fileOf("second") });
    expect(await worker.listdir(folder.dir)).toHaveLength(1);
    await worker.call("unlink", join(folder.dir, NFD));
    expect(await folder.tree()).toEqual({});
    expect(await worker.listdir(folder.dir)).toEqual([]);
  });
});

describe("names that cannot be stored are refused at once", () => {
  const BAD: readonly [string, string, string][] = [
    ["256 bytes", "n".repeat(256), "ENAMETOOLONG"],
    ["256 bytes in 86 characters", `${"文".repeat(85)}x`, "ENAMETOOLONG"],
  ];

  it.each(BAD)("%s", async (_, name, errno) => {
    const folder = await shared.folder();
    const { worker } = shared;
    await worker.writeFile(join(folder.dir, "good"), "x");
    await worker.call("mkdir", join(folder.dir, "dir"));
    shared.server.requests.reset();
    expect(await outcome(worker.open(join(folder.dir, name), "O_WRONLY|O_CREAT"))).toBe(errno);
    expect(await outcome(worker.call("mkdir", join(folder.dir, name)))).toBe(errno);
    expect(await outcome(worker.rename(join(folder.dir, "good"), join(folder.dir, name)))).toBe(errno);
    expect(await outcome(worker.rename(join(folder.dir, "dir"), join(folder.dir, name)))).toBe(errno);
    const changes = shared.server.requests.list().filter((request) => request.method !== "GET");
    expect(changes).toEqual([]);
    expect(await folder.tree()).toEqual({ "dir/": "", good: fileOf("x") });
  });

  it("bytes that are not UTF-8", async () => {
    const folder = await shared.folder();
    // Python's surrogateescape: the byte 0xff.
    expect(await outcome(shared.worker.open(join(folder.dir, "bad\udcff"), "O_WRONLY|O_CREAT"))).toBe("EINVAL");
    expect(await folder.tree()).toEqual({});
  });

  it("an emoji where the server refuses it: mkdir and rename are EINVAL, and a new file is stored", async () => {
    const folder = await strict.folder();
    const { worker } = strict;
    const [good, emoji] = [join(folder.dir, "good"), join(folder.dir, EMOJI)];
    await worker.writeFile(good, "x");
    expect(await outcome(worker.call("mkdir", emoji))).toBe("EINVAL");
    expect(await outcome(worker.rename(good, emoji))).toBe("EINVAL");
    expect(await folder.tree()).toEqual({ good: fileOf("x") });
    expect(await worker.listdir(folder.dir)).toEqual(["good"]);
    await worker.writeFile(emoji, "content");
    expect((await worker.readFile(emoji)).toString()).toBe("content");
    expect(await folder.tree()).toEqual({ good: fileOf("x"), [EMOJI]: fileOf("content") });
  });
});
