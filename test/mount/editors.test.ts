/** How editors and stream tools save: rename into place, backup copies, temp files. What the server holds decides. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { ok, run } from "../support/process.ts";

const shared = useMount();

/** Runs vim without configuration in silent ex mode; unset backupskip, because below /tmp vim makes no backups otherwise. */
const vim = (file: string, ...commands: string[]) =>
  ok("vim", [
    "-u",
    "NONE",
    "-i",
    "NONE",
    "-es",
    "-c",
    "set backupskip=",
    ...commands.flatMap((command) => ["-c", command]),
    file,
  ]);

describe("vim", () => {
  it("saves by writing in place", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "doc.txt"), "one\ntwo\n");
    await vim(join(folder.dir, "doc.txt"), "set nobackup backupcopy=yes", "%s/one/ONE/", "wq");
    expect(await folder.text("doc.txt")).toBe("ONE\ntwo\n");
    expect(Object.keys(await folder.tree())).toEqual(["doc.txt"]);
  });

  it("saves by rename, with swap file and without leaving anything else", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "doc.txt"), "one\ntwo\n");
    await vim(join(folder.dir, "doc.txt"), "set swapfile nobackup writebackup backupcopy=no", "%s/two/TWO/", "wq");
    expect(await folder.text("doc.txt")).toBe("one\nTWO\n");
    expect(Object.keys(await folder.tree())).toEqual(["doc.txt"]);
  });

  it("keeps a backup copy doc.txt~ on the server", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "doc.txt"), "old\n");
    await vim(join(folder.dir, "doc.txt"), "set backup backupcopy=no", "%s/old/new/", "wq");
    expect(await folder.text("doc.txt")).toBe("new\n");
    expect(await folder.text("doc.txt~")).toBe("old\n");
  });

  it("creates a new file", async () => {
    const folder = await shared.folder();
    await vim(join(folder.dir, "new.txt"), "normal ihello", "wq");
    expect(await folder.text("new.txt")).toBe("hello\n");
  });
});

describe("stream tools", () => {
  it("sed -i replaces the file", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "conf"), "a=1\nb=2\n");
    await ok("sed", ["-i", "s/b=2/b=3/", join(folder.dir, "conf")]);
    expect(await folder.text("conf")).toBe("a=1\nb=3\n");
    expect(Object.keys(await folder.tree())).toEqual(["conf"]);
  });

  it("sed -i.bak keeps the old content beside it", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "conf"), "old");
    await ok("sed", ["-i.bak", "s/old/new/", join(folder.dir, "conf")]);
    expect([await folder.text("conf"), await folder.text("conf.bak")]).toEqual(["new", "old"]);
  });

  it("the shell's >> appends", async () => {
    const folder = await shared.folder();
    for (const word of ["a", "b", "c"])
      await ok("sh", ["-c", 'printf %s "$1" >> "$2"', "sh", word, join(folder.dir, "log")]);
    expect(await folder.text("log")).toBe("abc");
  });

  it("the shell's > replaces, and an empty > empties", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "out");
    await ok("sh", ["-c", 'echo long content > "$1"; echo x > "$1"', "sh", file]);
    expect(await folder.text("out")).toBe("x\n");
    await ok("sh", ["-c", ': > "$1"', "sh", file]);
    expect(await folder.text("out")).toBe("");
  });

  it("noclobber (O_EXCL) refuses to replace", async () => {
    const folder = await shared.folder();
    await writeFile(join(folder.dir, "out"), "kept");
    const result = await run("bash", ["-c", 'set -C; echo other > "$1"', "bash", join(folder.dir, "out")]);
    expect(result.code).not.toBe(0);
    expect(await folder.text("out")).toBe("kept");
  });

  it("tee, sort -o and gzip write where they read", async () => {
    const folder = await shared.folder();
    await ok("tee", [join(folder.dir, "list")], { input: "b\nc\na\n" });
    await ok("sort", ["-o", join(folder.dir, "list"), join(folder.dir, "list")]);
    expect(await folder.text("list")).toBe("a\nb\nc\n");
    await ok("gzip", [join(folder.dir, "list")]);
    expect(Object.keys(await folder.tree())).toEqual(["list.gz"]);
    expect(await ok("zcat", [join(folder.dir, "list.gz")])).toBe("a\nb\nc\n");
  });
});
