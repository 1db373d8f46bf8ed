/** The backlog: what the journal says after a crash is what was promised, also when the journal is shortened. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { DirtyFile } from "../../src/writeback/dirty-file.ts";
import { decodeLog } from "../../src/writeback/journal-frame.ts";
import { interceptDisk } from "./file-handle-seam.ts";
import {
  adopt,
  backlog,
  bytesOf,
  compact,
  compactAlways,
  folder,
  journal,
  LIBRARY,
  objectId,
  pending,
  reopen,
  useWriteback,
  version,
} from "./writeback-stage.ts";

useWriteback();

const at = (path: string, expects: ReturnType<typeof objectId> | null = null) => ({ library: LIBRARY, path, expects });
const put = (dirty: DirtyFile, position: number, data: string) => dirty.write(position, Buffer.from(data));
const removal = (path: string) => ({ library: LIBRARY, path, kind: "file" as const, expects: objectId(1) });
const move = (from: string, to: string) => ({ library: LIBRARY, from, to, kind: "dir" as const });
const contents = () => [...pending.contents.values()];
const paths = () => contents().map(({ path }) => path);
const known = () => [...pending.contents.keys(), ...pending.removals.keys()];
const removals = () => [...pending.removals.values()].map(({ path }) => path);

/** What a kill of the process at this moment would leave of the journal. */
async function inTheFile(): Promise<string[]> {
  const path = join(folder, "journal");
  return decodeLog(await readFile(path), path).records.map(({ t }) => t);
}

async function sealed(path: string, content = "x", mtime = 1000): Promise<DirtyFile> {
  const dirty = await backlog.create(at(path));
  await put(dirty, 0, content);
  await backlog.seal(dirty, mtime);
  return dirty;
}

/** Fails every write to the journal while `work` runs. */
async function onFullDisk(work: () => Promise<void>): Promise<void> {
  const accept = journal.accept.bind(journal);
  journal.accept = () => Promise.reject(Object.assign(new Error("no space left"), { code: "ENOSPC" }));
  await work().finally(() => {
    journal.accept = accept;
  });
}

/** Lets `accept` note its records and answer only when `open` was called: the time that a slow disk takes. */
function slowDisk(): { readonly open: () => void } {
  const accept = journal.accept.bind(journal);
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  journal.accept = async (...records) => {
    const accepted = accept(...records);
    await gate;
    return accepted;
  };
  return {
    open: () => {
      journal.accept = accept;
      open();
    },
  };
}

describe("the backlog", () => {
  it("content without a base that is forked, stored and written on comes back without the stored content", async () => {
    const first = await sealed("/a", "0123456789");
    const second = await backlog.fork(first, at("/a"));
    await put(second, 2, "ab");
    await second.detach();
    backlog.done(first.id);
    await reopen();
    expect(String(await bytesOf(await adopt(contents()[0]!)))).toBe("01ab456789");
  });

  it("content that is sealed in place of other content is the only one, although the journal is shortened meanwhile", async () => {
    const first = await sealed("/a", "first");
    const second = await backlog.fork(first, at("/a"));
    await put(second, 0, "SECOND");
    const other = await sealed("/other");
    const disk = slowDisk();
    const sealing = backlog.seal(second, 2000, first);
    await expect.poll(() => second.isSealed).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 30));
    compactAlways();
    backlog.done(other.id);
    compactAlways(false);
    disk.open();
    await sealing;
    await reopen();
    expect(contents().map(({ id, mtime }) => [id, mtime])).toEqual([[second.id, 2000]]);
  });

  it("a removal is not lost when the journal is shortened before its record is on the disk", async () => {
    const first = await sealed("/a");
    const disk = slowDisk();
    const removing = backlog.removing(removal("/b"));
    compactAlways();
    backlog.done(first.id);
    disk.open();
    await removing;
    await reopen();
    expect(removals()).toEqual(["/b"]);
  });

  it("content that cannot be noted is not sealed, and can be sealed when there is room", async () => {
    const first = await sealed("/a", "first");
    const second = await backlog.fork(first, at("/a"));
    await put(second, 0, "SECOND");
    await onFullDisk(() => expect(backlog.seal(second, 2000, first)).rejects.toMatchObject({ code: "ENOSPC" }));
    expect([second.isSealed, await put(second, 6, "!")]).toEqual([false, true]);
    await compact();
    await backlog.seal(second, 3000, first);
    await reopen();
    expect(contents().map(({ id, mtime }) => [id, mtime])).toEqual([[second.id, 3000]]);
    expect(String(await bytesOf(await adopt(contents()[0]!)))).toBe("SECOND!");
  });

  it("a removal that cannot be noted leaves nothing", async () => {
    await onFullDisk(() => expect(backlog.removing(removal("/b"))).rejects.toMatchObject({ code: "ENOSPC" }));
    await compact();
    await reopen();
    expect(removals()).toEqual([]);
  });

  it("a move that cannot be noted is not made, and leaves nothing", async () => {
    await sealed("/d/a");
    const work = async () => expect.unreachable("moved");
    await onFullDisk(() => expect(backlog.moving(move("/d", "/e"), work)).rejects.toMatchObject({ code: "ENOSPC" }));
    await compact();
    await reopen();
    expect([paths(), pending.moves.size]).toEqual([["/d/a"], 0]);
  });

  it("a new time of sealed content is noted", async () => {
    await backlog.retime(await sealed("/a"), 4000);
    await reopen();
    expect(contents().map(({ mtime }) => mtime)).toEqual([4000]);
  });

  it("content with no name leaves nothing after a crash", async () => {
    const dirty = await sealed("/a");
    await backlog.forget(dirty);
    await reopen();
    expect([contents(), await readdir(join(folder, "spool"))]).toEqual([[], []]);
  });

  it("sealed content takes the place of removals that it is told to", async () => {
    const id = await backlog.removing(removal("/b"));
    const dirty = await backlog.create(at("/a"));
    await put(dirty, 0, "x");
    await backlog.seal(dirty, 1, undefined, [id]);
    await reopen();
    expect([paths(), removals()]).toEqual([["/a"], []]);
  });

  it.each(["before", "during", "after"])(
    "what waits below a moved directory follows it, with the journal shortened %s the move",
    async (when) => {
      await sealed("/d/a");
      await put(backlog.create(at("/d/sub/open")), 0, "x");
      await backlog.removing(removal("/d/gone"));
      await sealed("/dd");
      if (when === "before") await compact();
      await backlog.moving(move("/d", "/e"), async () => (when === "during" ? compact() : undefined));
      if (when === "after") await compact();
      await reopen();
      expect([paths(), removals(), pending.moves.size]).toEqual([["/e/a", "/e/sub/open", "/dd"], ["/e/gone"], 0]);
    },
  );

  it("what waits below a directory stays when its move fails", async () => {
    await sealed("/d/a");
    await expect(backlog.moving(move("/d", "/e"), () => Promise.reject(new Error("refused")))).rejects.toThrow(
      "refused",
    );
    await reopen();
    expect([paths(), pending.moves.size]).toEqual([["/d/a"], 0]);
  });

  it("a move of unknown outcome is still to be asked about, also after the journal was shortened", async () => {
    await sealed("/d/a");
    let finish = () => {};
    const moving = backlog.moving(move("/d", "/e"), async () => {
      await compact();
      await backlog.sync();
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    await expect.poll(() => finish.length).toBe(1);
    const { records } = await import("../../src/writeback/journal.ts").then(async ({ Journal }) => {
      const { silentLogger } = await import("../../src/observe/log.ts");
      return Journal.open(folder, silentLogger());
    });
    expect(records.filter(({ t }) => t === "moving")).toHaveLength(1);
    finish();
    await moving;
  });

  it("an answered move is not asked about again, and what waits below it followed it", async () => {
    await sealed("/d/a");
    journal.append({ t: "moving", id: 50, ...move("/d", "/e") });
    await reopen();
    expect([paths(), pending.moves.size]).toEqual([["/d/a"], 1]);
    backlog.moveSettled(50, true);
    await reopen();
    expect([paths(), pending.moves.size]).toEqual([["/e/a"], 0]);
  });

  it("what was inherited and is not taken up yet survives that the journal is shortened", async () => {
    await sealed("/a");
    await sealed("/b");
    await backlog.removing(removal("/c"));
    await reopen();
    const [first] = contents();
    await adopt(first!);
    compactAlways();
    backlog.done(first!.id);
    await reopen();
    expect([paths(), removals()]).toEqual([["/b"], ["/c"]]);
  });

  it("what was inherited and given up is over", async () => {
    await sealed("/a");
    await backlog.removing(removal("/c"));
    await reopen();
    for (const id of known()) backlog.done(id);
    await reopen();
    expect([paths(), removals()]).toEqual([[], []]);
  });

  it("takes over what another journal says, once, under numbers of its own", async () => {
    const base = Buffer.from("0123456789");
    const first = await backlog.create(at("/a", objectId(3)), version(base));
    await put(first, 2, "ab");
    await backlog.seal(first, 1234);
    const second = await backlog.fork(first, at("/a"));
    await put(second, 8, "cd!");
    await backlog.removing(removal("/c"));
    const others = await reopen();
    // The same journal read as if it were another one, and, as after a crash, a second time.
    for (const id of known()) backlog.done(id);
    const imported = await backlog.import(others);
    const again = await backlog.import(others);
    expect([again.contents.size, imported.contents.size]).toEqual([0, 2]);
    expect([...imported.contents.keys()].filter((id) => others.contents.has(id))).toEqual([]);
    await reopen();
    expect(removals()).toContain("/c");
    const [closed, open] = contents();
    expect([closed!.sealed, closed!.mtime, closed!.expects, open!.sealed]).toEqual([true, 1234, objectId(3), false]);
    const under = await adopt(closed!, base);
    expect(String(await bytesOf(under))).toBe("01ab456789");
    expect(String(await bytesOf(await adopt(open!, base, under)))).toBe("01ab4567cd!");
  });

  it("knows where the base is of content that goes elsewhere as something new, also after the journal was shortened", async () => {
    const dirty = await backlog.create(at("/a", objectId(7)), version(Buffer.from("0123456789")));
    await put(dirty, 2, "ab");
    backlog.placed(dirty, "/copy", null);
    await backlog.seal(dirty, 1);
    await compact();
    await reopen();
    expect(contents().map(({ path, basePath }) => [path, basePath])).toEqual([["/copy", "/a"]]);
    await adopt(contents()[0]!, Buffer.from("0123456789"));
    await compact();
    await reopen();
    expect(contents().map(({ path, basePath }) => [path, basePath])).toEqual([["/copy", "/a"]]);
  });

  it("is shortened when it is twice as long as what was left the last time, however long that is", async () => {
    let size = 3 * 2 ** 20;
    Object.defineProperty(journal, "size", { configurable: true, get: () => size });
    const shortened = vi.spyOn(journal, "compact");
    const removeSome = async () => {
      for (let i = 0; i < 5; i++) backlog.done(await backlog.removing(removal(`/${i}`)));
      await backlog.sync();
    };
    await removeSome();
    expect(shortened).toHaveBeenCalledTimes(1);
    size *= 2;
    await removeSome();
    expect(shortened).toHaveBeenCalledTimes(2);
    Reflect.deleteProperty(journal, "size");
  });

  it("numbers are never used again", async () => {
    const before = backlog.number();
    const { id } = await sealed("/a");
    backlog.done(id);
    await reopen();
    expect(backlog.number()).toBeGreaterThan(Math.max(before, id));
  });
});

describe("a write that was answered", () => {
  it("is known to the journal by its name and its range when the process is killed, however slow the disk syncs for others", async () => {
    const base = await version(Buffer.from("0123456789"));
    await interceptDisk(async (call, _, real) => {
      if (call === "datasync") await new Promise((resolve) => setTimeout(resolve, 100));
      return real();
    });
    const others = backlog.removing(removal("/other"));
    await vi.waitFor(async () => expect(await inTheFile()).toContain("removing"));
    const dirty = await backlog.create(at("/a", objectId(1)), base);
    await put(dirty, 2, "x");
    expect(await inTheFile()).toEqual(["removing", "opened", "wrote"]);
    const next = backlog.removing(removal("/next"));
    await dirty.truncate(5);
    expect(await inTheFile()).toContain("truncated");
    await Promise.all([others, next]);
    vi.restoreAllMocks();
  });

  it("is answered although the journal cannot be written", async () => {
    await interceptDisk((call, _, real) => {
      return call === "datasync" ? Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" })) : real();
    });
    await expect(backlog.removing(removal("/other"))).rejects.toThrow("full");
    const dirty = await backlog.create(at("/a"));
    expect(await put(dirty, 0, "x")).toBe(true);
    vi.restoreAllMocks();
  });
});
