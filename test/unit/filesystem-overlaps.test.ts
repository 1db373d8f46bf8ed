/** The filesystem when operations of several programs overlap. */
import { readdir, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import {
  assembled,
  close,
  create,
  fs,
  id,
  library,
  lookup,
  names,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  open,
  read,
  rename,
  save,
  server,
  signal,
  spoolFiles,
  stale,
  state,
  stateDir,
  stored,
  useFileSystem,
  within,
  write,
} from "./filesystem-harness.ts";

useFileSystem();

describe("operations that overlap", () => {
  it("a file opened O_RDONLY|O_TRUNC right after a close is empty", async () => {
    for (let round = 0; round < 10; round++) {
      const { inode, fh } = await create(`${round}`, "content");
      await fs.flush(fh, signal);
      const released = fs.release(fh);
      const again = await fs.open(inode.ino, O_RDONLY | O_TRUNC, signal);
      await released;
      await close(again.fh);
      expect(await stored(`/${round}`)).toBe("");
    }
  });

  it("closing a file that was truncated by O_RDONLY|O_TRUNC stores it", async () => {
    await save("a", "content");
    const fh = await open("/a", O_RDONLY | O_TRUNC);
    await fs.flush(fh, signal);
    expect(await stored("/a")).toBe("");
    await fs.release(fh);
  });

  it("fsync returns although another program goes on writing", async () => {
    const { fh } = await create("log", "x");
    let isStored = false;
    const storing = fs.store(fh, signal).then(() => {
      isStored = true;
    });
    let writes = 0;
    while (!isStored && writes < 100) {
      await write(fh, writes++, "y");
      await sleep(1);
    }
    await storing;
    await close(fh);
    expect(writes).toBeLessThan(100);
  });

  it("a time set while the file uploads reaches the server", async () => {
    const { inode, fh } = await create("a", "content");
    server.faults.delay("upload", 200);
    const closing = fs.flush(fh, signal);
    await sleep(80);
    await fs.setattr(inode.ino, { mtime: { sec: 1_000_000_000, nsec: 0 } }, signal);
    await closing;
    await close(fh);
    expect(server.store.list(id, "/")[0]?.mtime).toBe(1_000_000_000);
  });

  it("a close that waits for its turn can be given up, and its file be removed", async () => {
    server.faults.hang("upload", { times: 4 });
    const others = new AbortController();
    const files = await Promise.all(["a", "b", "c", "d"].map((name) => create(name, "x")));
    const closes = files.map(({ fh }) => fs.store(fh, others.signal));
    await sleep(150);
    const fifth = await create("e", "x");
    const interrupt = new AbortController();
    const waiting = fs.store(fifth.fh, interrupt.signal).catch(() => "given up");
    await sleep(50);
    interrupt.abort();
    const first = await within(2000, waiting);
    const removing = fs.unlink(1, "e", signal).then(() => "removed");
    const second = await within(2000, removing);
    others.abort();
    await Promise.allSettled([...closes, waiting, removing]);
    expect([first, second]).toEqual(["given up", "removed"]);
  });

  it.each(["unlink", "rename"])(
    "a file that is removed by %s while it is closed leaves nothing open or on the disk",
    async (way) => {
      await save("other", "x");
      const { inode, fh } = await create("a", "content");
      const seal = state.backlog.seal.bind(state.backlog);
      vi.spyOn(state.backlog, "seal").mockImplementationOnce(async (...args) => {
        await (way === "unlink" ? fs.unlink(1, "a", signal) : rename("other", "a"));
        return seal(...args);
      });
      await close(fh);
      const open = await Promise.all(
        (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`, "utf8").catch(() => "")),
      );
      expect(open.filter((path) => path.includes(`${stateDir}/spool/`))).toEqual([]);
      expect([await spoolFiles(), assembled.outbox.items()]).toEqual([[], []]);
      expect(() => fs.inode(inode.ino)).toThrow();
    },
  );

  it("a reader of a file that is being written reads on after it was removed", async () => {
    await server.store.writeFile(id, "/a", "x".repeat(300_000));
    const writer = await open("/a", O_WRONLY);
    await write(writer, 0, "Y");
    const reader = await open("/a", O_RDONLY);
    await fs.unlink(1, "a", signal);
    expect((await read(reader)).slice(0, 2)).toBe("Yx");
    await fs.release(writer);
    await fs.release(reader);
  });

  it("a folder keeps its own entries when it is moved while they are fetched", async () => {
    for (const [dir, name] of ["a/mine", "c/other"].map((path) => path.split("/"))) {
      await server.store.mkdir(id, `/${dir}`);
      await server.store.writeFile(id, `/${dir}/${name}`, "x");
    }
    const { ino } = await lookup("/a");
    await stale();
    server.faults.delay("dir", 300);
    const found = fs.lookup(ino, "mine", signal).then(({ name }) => name, String);
    await sleep(30);
    await rename("a", "b");
    await rename("c", "a");
    expect(await found).toBe("mine");
  });

  it("a folder is found in between the server's moving it and our hearing of it", async () => {
    await server.store.mkdir(id, "/a");
    await server.store.writeFile(id, "/a/mine", "x");
    const { ino } = await lookup("/a");
    const apply = library.apply.bind(library);
    library.apply = async (...args) => {
      const results = await apply(...args);
      await sleep(200);
      return results;
    };
    const moving = rename("a", "b");
    await sleep(120);
    const found = await fs.lookup(ino, "mine", signal).then(({ name }) => name, String);
    await moving;
    expect(found).toBe("mine");
  });

  it("who has a replaced file open goes on writing and reading it, and nothing of that is stored", async () => {
    await save("a", "base");
    const replaced = await open("/a", O_RDWR);
    await write(replaced, 0, "writer");
    const { fh } = await create("tmp", "from tmp");
    await rename("tmp", "a");
    await write(replaced, 6, " more");
    expect(await read(replaced)).toBe("writer more");
    await Promise.all([close(replaced), close(fh)]);
    expect([names(), await stored("/a"), await spoolFiles()]).toEqual([["a"], "from tmp", []]);
  });

  it("closes, renames between two folders in both directions, and the move of one of them all end", async () => {
    await server.store.mkdir(id, "/p");
    await server.store.mkdir(id, "/q");
    const dirs = [await lookup("/p"), await lookup("/q")] as const;
    const saveElsewhere = async (round: number) => {
      const [from, to] = round % 2 === 0 ? dirs : ([dirs[1], dirs[0]] as const);
      const { fh } = (await fs.create(from.ino, `f${round}`, 0o644, O_RDWR, signal)).open;
      await write(fh, 0, `content ${round}`);
      const closing = fs.flush(fh, signal);
      const [source, target] = [`f${round}`, `g${round % 3}`];
      await fs.rename({ parent: from.ino, name: source }, { parent: to.ino, name: target }, false, signal);
      await closing;
      await fs.release(fh);
    };
    await Promise.all([...[0, 1, 2, 3, 4, 5].map(saveElsewhere), rename("p", "r")]);
    expect([names(), names("/q"), names("/r")]).toEqual([
      ["q", "r"],
      ["g0", "g1", "g2"],
      ["g0", "g1", "g2"],
    ]);
  });

  it("positions above 4 GiB are written, read back and cut off again", async () => {
    const { inode, fh } = await create("a", "");
    const end = 5 * 2 ** 30 + 3;
    await write(fh, end, "end");
    expect(fs.sizeOf(inode)).toBe(end + 3);
    expect(Buffer.concat(await fs.read(fh, end - 2, 10, signal)).toString()).toBe("\0\0end");
    await fs.setattr(inode.ino, { size: 2, fh }, signal);
    await close(fh);
    expect(await stored("/a")).toBe("\0\0");
  });
});
