import { describe, expect, it } from "vitest";
import type { CommitId, LibraryId, LibraryInfo } from "../../src/seafile/types.ts";
import { normalizePath, splitExtension, splitPath } from "../../src/util/paths.ts";
import { uniqueNames } from "../../src/vfs/library-root.ts";
import { conflictName } from "../../src/writeback/conflict.ts";

const info = (name: string, ownerName: string, id: string): LibraryInfo => ({
  id: id.padEnd(36, "0") as LibraryId,
  name,
  ownerName,
  ownerEmail: "",
  kind: "own",
  writable: true,
  encrypted: false,
  size: 0,
  mtime: 0,
  head: "h" as CommitId,
});
const shown = (...infos: LibraryInfo[]) => {
  const names = uniqueNames(infos);
  return infos.map((i) => names.get(i));
};

describe("names", () => {
  it("libraries of one name are told apart by owner, else by id, and never collide", () => {
    expect(shown(info("Docs", "ann", "1"), info("Photos", "ann", "2"))).toEqual(["Docs", "Photos"]);
    expect(shown(info("Docs", "ann", "1"), info("Docs", "bob", "2"))).toEqual(["Docs (ann)", "Docs (bob)"]);
    expect(shown(info("Docs", "ann", "aaaaaaaa-1"), info("Docs", "ann", "bbbbbbbb-2"))).toEqual([
      "Docs (aaaaaaaa)",
      "Docs (bbbbbbbb)",
    ]);
    const tricky = shown(
      info("Docs", "ann", "aaaaaaaa"),
      info("Docs", "bob", "bbbbbbbb"),
      info("Docs (ann)", "x", "cccccccc"),
    );
    expect(new Set(tricky).size).toBe(3);
  });

  it("a library name that no file can have is made one", () => {
    expect(shown(info("a/b", "ann", "1"), info("..", "ann", "2"), info("", "ann", "3"))).toEqual(["a_b", "_..", "_"]);
  });

  it("a conflict copy is named as Seafile names it and fits into 255 bytes", () => {
    const at = new Date(2026, 10, 21, 9, 5, 7);
    expect(conflictName("notes.txt", "ann@example.com", at)).toBe(
      "notes (SFConflict ann@example.com 2026-11-21-09-05-07).txt",
    );
    expect(conflictName(".bashrc", "a", at)).toBe(".bashrc (SFConflict a 2026-11-21-09-05-07)");
    const long = conflictName(`${"é".repeat(120)}.txt`, "ann@example.com", at);
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255);
    expect(long.endsWith(".txt")).toBe(true);
  });

  it("paths split and join without doubled slashes", () => {
    expect(splitPath("/a")).toEqual({ parent: "/", name: "a" });
    expect(splitPath("/a/b/c")).toEqual({ parent: "/a/b", name: "c" });
    expect(normalizePath("a//b/")).toBe("/a/b");
    expect(normalizePath("/")).toBe("/");
    expect(splitExtension("a.tar.gz")).toEqual(["a.tar", ".gz"]);
    expect(splitExtension(".bashrc")).toEqual([".bashrc", ""]);
    expect(splitExtension("..x")).toEqual(["..x", ""]);
  });
});
