/** The libfuse transport's operations by path over a filesystem in memory: lookup counts, open paths, hidden names, names that are not UTF-8. */
import { describe, expect, it } from "vitest";
import { PathOperations } from "../../src/fuse/libfuse/path-operations.ts";
import type { EntryReply, OpContext } from "../../src/fuse/transport.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { deferred, sleep } from "../../src/util/abort.ts";
import { ErrnoError } from "../../src/util/errno.ts";
import { MemoryOperations } from "../protocol/memory-operations.ts";

const CTX: OpContext = { pid: 0, uid: 0, gid: 0, signal: new AbortController().signal };
const HIDDEN = "/.fuse_hidden0000000200000001";
const THREAD = {};
const O_TRUNC = 0o1000;

/** Keeps the kernel's side of the books: how often each inode was given out and not given back. */
class CountedOperations extends MemoryOperations {
  readonly counts = new Map<number, number>();
  readonly names: string[] = [];

  override async lookup(ctx: OpContext, parent: number, name: string): Promise<EntryReply> {
    return this.#count(await super.lookup(ctx, parent, name));
  }

  override async mkdir(ctx: OpContext, parent: number, name: string, mode: number): Promise<EntryReply> {
    return this.#count(await super.mkdir(ctx, parent, name, mode));
  }

  override async mknod(ctx: OpContext, parent: number, name: string, mode: number): Promise<EntryReply> {
    return this.#count(await super.mknod(ctx, parent, name, mode));
  }

  override async create(ctx: OpContext, parent: number, name: string, mode: number) {
    const reply = await super.create(ctx, parent, name, mode);
    this.#count(reply.entry);
    return reply;
  }

  override async unlink(ctx: OpContext, parent: number, name: string): Promise<void> {
    this.names.push(`unlink ${name}`);
    return super.unlink(ctx, parent, name);
  }

  override async rename(ctx: OpContext, parent: number, name: string, newParent: number, newName: string) {
    this.names.push(`rename ${name} ${newName}`);
    return super.rename(ctx, parent, name, newParent, newName, { noReplace: false });
  }

  override forget(ino: number, nlookup: number): void {
    this.counts.set(ino, (this.counts.get(ino) ?? 0) - nlookup);
  }

  /** Inodes whose count is not zero. */
  get held(): number[] {
    return [...this.counts].filter(([, count]) => count !== 0).map(([ino]) => ino);
  }

  #count(entry: EntryReply): EntryReply {
    this.counts.set(entry.attr.ino, (this.counts.get(entry.attr.ino) ?? 0) + 1);
    return entry;
  }
}

function setUp(signal = CTX.signal) {
  const memory = new CountedOperations();
  const paths = new PathOperations(memory, { ...CTX, signal }, silentLogger());
  const write = async (path: string, text: string) => {
    const id = await paths.create(path, 0o644);
    await paths.fgetattr(id);
    await paths.write(id, 0, Buffer.from(text));
    await paths.release(id);
  };
  const read = async (id: number) => Buffer.concat(await paths.read(id, 0, 100)).toString();
  /** Inodes that somebody holds when the session has ended. */
  const heldAfterEnd = async () => {
    await paths.finish();
    return memory.held;
  };
  const list = async () => (await paths.readdir("/")).map(({ name }) => name).slice(2);
  return { memory, paths, write, read, list, heldAfterEnd };
}

const codeOf = (work: Promise<unknown>) => work.then(() => "ok").catch((error: { code: string }) => error.code);

describe("a path", () => {
  it("leads to its inode from the root, and every lookup on the way is given back", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await paths.mkdir("/a", 0o755);
    await paths.mkdir("/a/b", 0o755);
    await write("/a/b/c", "text");
    memory.calls.splice(0);
    expect((await paths.getattr("/a/b/c")).size).toBe(4);
    expect(memory.calls.filter((call) => call.startsWith("lookup"))).toEqual(["lookup a", "lookup b", "lookup c"]);
    expect(await codeOf(paths.getattr("/a/b/none"))).toBe("ENOENT");
    expect(await codeOf(paths.getattr("/a/b/c/d"))).toBe("ENOTDIR");
    await paths.setattr("/a/b/c", { mode: 0o600 });
    await paths.rename(THREAD, "/a/b/c", "/a/c");
    await paths.unlink("/a/c");
    await paths.rmdir("/a/b");
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("of a directory lists all entries at once and lets go of its handle", async () => {
    const { paths, write } = setUp();
    await write("/f", "");
    await paths.mkdir("/d", 0o755);
    expect((await paths.readdir("/")).map(({ name, kind }) => [name, kind])).toEqual([
      [".", "dir"],
      ["..", "dir"],
      ["f", "file"],
      ["d", "dir"],
    ]);
  });

  it.each(["create", "mkdir", "mknod"] as const)(
    "with U+FFFD cannot be made (%s), as it may be invalid UTF-8",
    async (call) => {
      const { memory, paths } = setUp();
      expect(await codeOf(paths[call]("/bad\ufffdname", 0o644))).toBe("EINVAL");
      expect(memory.nodes.size).toBe(1);
    },
  );

  it("with U+FFFD is not found, removed or renamed to", async () => {
    const { paths, write, list } = setUp();
    await write("/good", "");
    expect(await codeOf(paths.getattr("/bad\ufffd"))).toBe("ENOENT");
    expect(await codeOf(paths.getattr("/bad\ufffd/below"))).toBe("ENOENT");
    expect(await codeOf(paths.unlink("/bad\ufffd"))).toBe("ENOENT");
    expect(await codeOf(paths.rename(THREAD, "/good", "/bad\ufffd"))).toBe("EINVAL");
    expect(await list()).toEqual(["good"]);
  });

  it("that somebody made a moment ago is ESTALE to create, so that the kernel looks again", async () => {
    const { memory, paths } = setUp();
    memory.poke("new", "theirs");
    expect(await codeOf(paths.create("/new", 0o644))).toBe("ESTALE");
  });
});

describe("an open file", () => {
  it("holds its inode until its last handle is released", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await write("/f", "x");
    const { ino } = await paths.getattr("/f");
    const [first, second] = [await paths.open("/f", 0), await paths.open("/f", 0)];
    await paths.release(first);
    expect(await heldAfterEnd()).toEqual([ino]);
    await paths.release(second);
    expect(memory.held).toEqual([]);
    expect(await codeOf(paths.read(second, 0, 1))).toBe("EBADF");
  });

  it("is what its path means, also when somebody else has replaced it", async () => {
    const { memory, paths, write, read } = setUp();
    await write("/f", "old");
    const id = await paths.open("/f", 0);
    await memory.rename(CTX, 1, "f", 1, "elsewhere");
    memory.poke("f", "theirs");
    expect((await paths.getattr("/f")).size).toBe(3);
    expect(await codeOf(paths.open("/f", 0))).toBe("ESTALE");
    expect(await read(id)).toBe("old");
    await paths.release(id);
    expect((await paths.getattr("/f")).size).toBe(6);
  });

  it("that somebody else removed is shown at its path, and not opened or made there until it is closed", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await write("/f", "old");
    const id = await paths.open("/f", 0);
    await memory.unlink(CTX, 1, "f");
    expect((await paths.getattr("/f")).size).toBe(3);
    expect(await codeOf(paths.open("/f", 0))).toBe("ESTALE");
    expect(await codeOf(paths.create("/f", 0o644))).toBe("ESTALE");
    await paths.release(id);
    expect(await codeOf(paths.getattr("/f"))).toBe("ESTALE");
    await paths.release(await paths.create("/f", 0o644));
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("that is being closed is waited for by who opens what replaced it", async () => {
    const { memory, paths, write, read } = setUp();
    await write("/f", "old");
    const id = await paths.open("/f", 0);
    await memory.rename(CTX, 1, "f", 1, "elsewhere");
    memory.poke("f", "theirs");
    await paths.flush(id);
    const opened = codeOf(paths.open("/f", 0));
    await paths.release(id);
    expect(await opened).toBe("ESTALE");
    await paths.getattr("/f");
    expect(await read(await paths.open("/f", 0))).toBe("theirs");
  });

  it("that is being closed is not waited for once the session ends", async () => {
    const end = new AbortController();
    const { memory, paths, write } = setUp(end.signal);
    await write("/f", "old");
    const id = await paths.open("/f", 0);
    await memory.rename(CTX, 1, "f", 1, "elsewhere");
    memory.poke("f", "theirs");
    await paths.flush(id);
    const opened = codeOf(paths.open("/f", 0));
    end.abort(new ErrnoError("ENOTCONN"));
    expect(await Promise.race([opened, sleep(500)])).toBe("ENOTCONN");
    await paths.release(id);
  });

  it("keeps its meaning when a directory above it is renamed", async () => {
    const { paths, write, read } = setUp();
    await paths.mkdir("/d", 0o755);
    await write("/d/f", "text");
    const id = await paths.open("/d/f", 0);
    await paths.rename(THREAD, "/d", "/e");
    expect(await read(id)).toBe("text");
    expect((await paths.getattr("/e/f")).size).toBe(4);
    expect(await codeOf(paths.getattr("/d/f"))).toBe("ENOENT");
    await paths.release(id);
  });

  it("keeps the directory that it is in: rmdir, and a rename onto it, are ENOTEMPTY", async () => {
    const { paths, memory, write } = setUp();
    await paths.mkdir("/d", 0o755);
    await paths.mkdir("/other", 0o755);
    await write("/d/f", "text");
    const id = await paths.open("/d/f", 0);
    await memory.unlink(CTX, (await paths.getattr("/d")).ino, "f");
    expect(await codeOf(paths.rmdir("/d"))).toBe("ENOTEMPTY");
    expect(await codeOf(paths.rename(THREAD, "/other", "/d"))).toBe("ENOTEMPTY");
    await paths.release(id);
    expect(await codeOf(paths.rmdir("/d"))).toBe("ok");
  });

  it("is never removed under its own path, which its handles need", async () => {
    const { paths, write } = setUp();
    await write("/f", "x");
    const id = await paths.open("/f", 0);
    expect(await codeOf(paths.unlink("/f"))).toBe("EBUSY");
    await paths.release(id);
    expect(await codeOf(paths.unlink("/f"))).toBe("ok");
  });
});

describe("getattr", () => {
  it("keeps the number of an inode whose attributes were asked for while it was open, too", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await write("/f", "x");
    const { ino } = await paths.getattr("/f");
    expect(memory.held).toEqual([ino]);
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("of what is no more is ESTALE once, so that the kernel forgets the name, then ENOENT", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await write("/f", "x");
    await paths.getattr("/f");
    await memory.unlink(CTX, 1, "f");
    expect(await codeOf(paths.getattr("/f"))).toBe("ESTALE");
    expect(await codeOf(paths.getattr("/f"))).toBe("ENOENT");
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("of what was renamed here and is no more is ESTALE once, at the new name and below it", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await paths.mkdir("/d", 0o755);
    await write("/d/f", "x");
    for (const path of ["/d", "/d/f"]) await paths.getattr(path);
    await paths.rename(THREAD, "/d", "/e");
    await memory.rename(CTX, 1, "e", 1, "theirs");
    for (const path of ["/e/f", "/e"]) {
      expect(await codeOf(paths.getattr(path))).toBe("ESTALE");
      expect(await codeOf(paths.getattr(path))).toBe("ENOENT");
    }
    expect(await codeOf(paths.getattr("/d"))).toBe("ENOENT");
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("of a file that became a folder is ESTALE once, then the folder", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await write("/f", "x");
    await paths.getattr("/f");
    await memory.unlink(CTX, 1, "f");
    memory.forget((await memory.mkdir(CTX, 1, "f", 0o755)).attr.ino, 1);
    expect(await codeOf(paths.getattr("/f"))).toBe("ESTALE");
    expect((await paths.getattr("/f")).mode).toBe(0o040755);
    expect(await heldAfterEnd()).toEqual([]);
  });
});

describe("open", () => {
  it("is ESTALE for a file that somebody else replaced, until the kernel has looked at the new one", async () => {
    const { memory, paths, write, read, heldAfterEnd } = setUp();
    await write("/f", "old");
    await memory.rename(CTX, 1, "f", 1, "elsewhere");
    memory.poke("f", "theirs");
    expect(await codeOf(paths.open("/f", 0))).toBe("ESTALE");
    await paths.getattr("/f");
    expect(await read(await paths.open("/f", 0))).toBe("theirs");
    expect(await heldAfterEnd()).toHaveLength(1);
  });

  it("of a file that is no more is ESTALE once, so that the kernel forgets the name and makes a new one", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await write("/f", "x");
    await paths.getattr("/f");
    await memory.unlink(CTX, 1, "f");
    expect(await codeOf(paths.open("/f", 0))).toBe("ESTALE");
    expect(await codeOf(paths.getattr("/f"))).toBe("ENOENT");
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("truncates nothing when it is refused because another version is being opened here", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await write("/f", "old");
    const { ino } = await paths.getattr("/f");
    const [waits, gate] = [deferred<void>(), deferred<void>()];
    const open = memory.open.bind(memory);
    memory.open = async (ctx, opened, flags) => {
      waits.resolve();
      if (opened === ino) await gate.promise;
      return open(ctx, opened, flags);
    };
    const first = paths.open("/f", 0);
    await waits.promise;
    await memory.rename(CTX, 1, "f", 1, "elsewhere");
    const theirs = memory.poke("f", "theirs");
    await paths.getattr("/f");
    expect(await Promise.race([codeOf(paths.open("/f", O_TRUNC)), sleep(500)])).toBe("ESTALE");
    expect(memory.nodes.get(theirs)!.data.toString()).toBe("theirs");
    gate.resolve();
    await paths.release(await first);
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("that the filesystem refuses leaves nothing open", async () => {
    const { memory, paths, write, heldAfterEnd } = setUp();
    await write("/f", "x");
    memory.open = async () => Promise.reject(new ErrnoError("EACCES"));
    expect(await codeOf(paths.open("/f", 0))).toBe("EACCES");
    expect(await codeOf(paths.unlink("/f"))).toBe("ok");
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("of a path looked up long before thousands of others costs another look, and works then", async () => {
    const { memory, paths, heldAfterEnd } = setUp();
    for (let i = 0; i < 5000; i++) {
      memory.poke(`f${i}`, "x");
      await paths.getattr(`/f${i}`);
    }
    expect(await codeOf(paths.open("/f0", 0))).toBe("ESTALE");
    await paths.getattr("/f0");
    await paths.release(await paths.open("/f0", 0));
    expect(await heldAfterEnd()).toEqual([]);
  });
});

describe("libfuse's hidden names", () => {
  it("are never seen by the filesystem: a removed open file is removed there", async () => {
    const { memory, paths, write, read, list, heldAfterEnd } = setUp();
    await write("/f", "text");
    const id = await paths.open("/f", 0);
    await paths.rename(THREAD, "/f", HIDDEN);
    await paths.arrive({}, "readdir", "/");
    expect(await list()).toEqual([]);
    expect(memory.names).toEqual(["unlink f"]);
    expect((await paths.getattr(HIDDEN)).size).toBe(4);
    expect(await read(id)).toBe("text");
    await paths.release(id);
    await paths.unlink(HIDDEN);
    expect(memory.names).toEqual(["unlink f"]);
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("before a rename onto an open file mean nothing: the filesystem sees the rename only", async () => {
    const { memory, paths, write, read, list, heldAfterEnd } = setUp();
    await write("/f", "old");
    await write("/new", "new");
    const id = await paths.open("/f", 0);
    await paths.rename(THREAD, "/f", HIDDEN);
    await paths.arrive(THREAD, "rename", "/new", "/f");
    await paths.rename(THREAD, "/new", "/f");
    await paths.finish();
    expect(memory.names).toEqual(["rename new f"]);
    expect(await list()).toEqual(["f"]);
    expect(await read(id)).toBe("old");
    await paths.release(id);
    await paths.unlink(HIDDEN);
    expect(await heldAfterEnd()).toEqual([]);
  });

  it("are for open files: a rename to such a name is a rename otherwise", async () => {
    const { memory, paths, write } = setUp();
    await write("/f", "x");
    await paths.rename(THREAD, "/f", HIDDEN);
    await paths.finish();
    expect(memory.names).toEqual([`rename f ${HIDDEN.slice(1)}`]);
  });

  it("whoever asks for the name of a removed open file waits until it is removed", async () => {
    const { paths, write } = setUp();
    await write("/f", "x");
    const id = await paths.open("/f", 0);
    await paths.rename(THREAD, "/f", HIDDEN);
    const other = {};
    await paths.arrive(other, "getattr", "/f");
    expect(await codeOf(paths.getattr("/f"))).toBe("ENOENT");
    await paths.release(id);
  });

  it("the next call of the same thread, if it is no such rename, says that the file is removed", async () => {
    const { memory, paths, write } = setUp();
    await write("/f", "x");
    await write("/g", "y");
    const id = await paths.open("/f", 0);
    await paths.rename(THREAD, "/f", HIDDEN);
    await paths.arrive(THREAD, "rename", "/g", "/h");
    await paths.finish();
    expect(memory.names).toEqual(["unlink f"]);
    await paths.release(id);
  });
});
