/** A stored file that is renamed over another stored one while programs go on with it: what they write is neither lost nor mixed up. */
import { readdir } from "node:fs/promises";
import { describe, expect, it, vi } from "vitest";
import type { FileInode } from "../../src/vfs/inode.ts";
import {
  assembled,
  cat,
  close,
  crash,
  DENIED,
  fs,
  id,
  library,
  lookup,
  names,
  O_TRUNC,
  O_WRONLY,
  open,
  rename,
  server,
  signal,
  spoolFiles,
  state,
  stateDir,
  stored,
  until,
  useFileSystem,
  write,
} from "./filesystem-harness.ts";

const isIdle = () => assembled.outbox.items().length === 0;

async function storeBoth(): Promise<void> {
  await server.store.writeFile(id, "/a", "from a");
  await server.store.writeFile(id, "/b", "of old b");
}

/** Runs `work` when the rename has read all about the file and begins to store it. */
function duringUpload(work: () => Promise<void>): void {
  const apply = library.apply.bind(library);
  vi.spyOn(library, "apply").mockImplementationOnce(async (...args) => {
    await work();
    return apply(...args);
  });
}

describe.each(["background", "close"] as const)("with --commit %s, while a file is renamed over another", (commit) => {
  useFileSystem({ commit, fsync: "local", delayMs: 50 });

  it("what is written and closed meanwhile is stored under the new name", async () => {
    await storeBoth();
    const fh = await open("/a", O_WRONLY);
    let closing: Promise<void> | undefined;
    duringUpload(async () => {
      await write(fh, 0, "FROM");
      closing = fs.flush(fh, signal);
      if (commit === "background") await closing;
    });
    await rename("a", "b");
    await closing;
    await fs.release(fh);
    await until(isIdle);
    expect([names(), await stored("/b"), await cat("/b")]).toEqual([["b"], "FROM a", "FROM a"]);
    expect(await spoolFiles()).toEqual([]);
  });

  it("what is written before the rename has sealed it, and closed after it failed, is stored", async () => {
    await storeBoth();
    const fh = await open("/a", O_WRONLY);
    const seal = state.backlog.seal.bind(state.backlog);
    vi.spyOn(state.backlog, "seal").mockImplementationOnce(async (...args) => {
      await write(fh, 0, "FROM");
      return seal(...args);
    });
    server.faults.fail("upload", 443);
    await expect(rename("a", "b")).rejects.toThrow();
    await close(fh);
    await until(isIdle);
    expect([await stored("/a"), await stored("/b")]).toEqual(["FROM a", "of old b"]);
    expect(await spoolFiles()).toEqual([]);
  });

  it("a time that is set meanwhile reaches the server", async () => {
    await storeBoth();
    const { ino } = await lookup("/a");
    let setting: Promise<unknown> | undefined;
    duringUpload(async () => {
      setting = fs.setattr(ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal);
      if (commit === "background") await setting;
    });
    await rename("a", "b");
    await setting;
    await until(isIdle);
    expect([names(), server.store.list(id, "/")[0]?.mtime]).toEqual([["b"], 1_000_000_000]);
  });
});

describe("while a file is renamed over another", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });

  it.each([
    { kind: "upload", status: 443 },
    { kind: "delete-file", status: 403 },
  ])("what is closed meanwhile is stored when the request $kind is refused", async ({ kind, status }) => {
    await storeBoth();
    const fh = await open("/a", O_WRONLY);
    duringUpload(async () => {
      await write(fh, 0, "FROM");
      await close(fh);
    });
    server.faults.fail(kind, status, DENIED);
    await expect(rename("a", "b")).rejects.toThrow();
    await until(isIdle);
    expect([await stored("/a"), await stored("/b")]).toEqual(["FROM a", kind === "upload" ? "of old b" : "from a"]);
    expect(await spoolFiles()).toEqual([]);
  });

  it("what is closed meanwhile is stored when the rename is interrupted", async () => {
    await storeBoth();
    const fh = await open("/a", O_WRONLY);
    server.faults.hang("upload");
    const interrupt = new AbortController();
    const renaming = fs.rename({ parent: 1, name: "a" }, { parent: 1, name: "b" }, false, interrupt.signal);
    renaming.catch(() => {});
    await until(() => server.requests.count("upload") === 1);
    await write(fh, 0, "FROM");
    await close(fh);
    interrupt.abort();
    await expect(renaming).rejects.toThrow();
    await until(isIdle);
    expect([await stored("/a"), await stored("/b")]).toEqual(["FROM a", "of old b"]);
  });

  it("a close that follows leaves the content whole that the rename is sending", async () => {
    const long = "x".repeat(3 << 20);
    await server.store.writeFile(id, "/a", long);
    await server.store.writeFile(id, "/b", "of old b");
    const fh = await open("/a", O_WRONLY | O_TRUNC);
    await write(fh, 0, long.toUpperCase());
    duringUpload(async () => {
      await fs.setattr((await lookup("/a")).ino, { size: 0, fh }, signal);
      await write(fh, 0, "short");
      await close(fh);
    });
    server.faults.fail("delete-file", 403, DENIED);
    await expect(rename("a", "b")).rejects.toThrow();
    await until(isIdle);
    expect([(await stored("/b")).length, await stored("/a")]).toEqual([long.length, "short"]);
  });

  it("what is written and synced, but not closed, is recovered whole after a kill", async () => {
    await storeBoth();
    const fh = await open("/a", O_WRONLY);
    duringUpload(async () => {
      await write(fh, 0, "FROM");
      await fs.store(fh, signal);
    });
    await rename("a", "b");
    await crash();
    await until(isIdle);
    const copy = names().find((name) => name.includes("recovered"));
    expect([names().length, await stored("/b"), await stored(`/${copy}`)]).toEqual([2, "from a", "FROM a"]);
    expect(await readdir(`${stateDir}/recovered`).catch(() => [])).toEqual([]);
  });

  it("what could not be freed of the content stored by the rename stays in the queue, and the rename succeeds", async () => {
    await storeBoth();
    const fh = await open("/a", O_WRONLY);
    duringUpload(async () => {
      await write(fh, 0, "FROM");
      const { dirty } = (await lookup("/a")) as FileInode;
      vi.spyOn(dirty!, "detach").mockRejectedValueOnce(Object.assign(new Error("no space left"), { code: "ENOSPC" }));
    });
    await rename("a", "b");
    await close(fh);
    await until(isIdle);
    expect([names(), await stored("/b")]).toEqual([["b"], "FROM a"]);
    expect(await spoolFiles()).toEqual([]);
  });
});

describe("a new time alone", () => {
  useFileSystem({ commit: "background", fsync: "local", delayMs: 50 });

  it("of an earlier life does not take along what is closed while the server is asked for its version", async () => {
    await server.store.writeFile(id, "/a", "from a");
    server.faults.hang("upload", { times: 10 });
    await fs.setattr((await lookup("/a")).ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal);
    await until(() => server.requests.count("upload") === 1);
    await server.store.writeFile(id, "/a", "somebody's");
    server.faults.clear();
    server.faults.delay("detail", 400, { times: 10 });
    const before = server.requests.count("detail");
    await crash();
    await until(() => server.requests.count("detail") > before);
    const fh = await open("/a", O_WRONLY);
    await write(fh, 0, "mine, ");
    await close(fh);
    await until(isIdle);
    expect(
      (await Promise.all(names().map((name) => stored(`/${name}`)))).some((text) => text.startsWith("mine, ")),
    ).toBe(true);
  });
});
