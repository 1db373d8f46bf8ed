/** Encrypted libraries through the client: when passwords are sent, what their absence means, and what ids content has. */
import { afterEach, describe, expect, it } from "vitest";
import { createDevServer, type DevServer, type DevServerOptions } from "../../src/devserver/index.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { Account } from "../../src/seafile/account.ts";
import type { Library } from "../../src/seafile/library.ts";
import { fileIdOf } from "../../src/seafile/object-id.ts";
import type { Content, LibraryId } from "../../src/seafile/types.ts";

const EMAIL = "test@example.com";
const PASSWORD = "libpass123";
const HOUR = 3_660_000;
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Stage {
  readonly server: DevServer;
  readonly account: Account;
  readonly library: Library;
  readonly id: LibraryId;
  /** How often a password was sent since the last question. */
  sent(): number;
}

async function open(
  options: DevServerOptions & { encVersion?: 2 | 3 | 4; renewPasswordsMs?: number } = {},
): Promise<Stage> {
  const { encVersion = 2, renewPasswordsMs, ...own } = options;
  const server = await createDevServer(own);
  ends.push(() => server.close());
  const id = server.store.createLibrary(EMAIL, "Secret", { password: PASSWORD, encVersion }) as LibraryId;
  await server.store.writeFile(id, "/a.txt", "hello enc");
  const account = new Account({
    ...{ server: server.url, token: server.token(EMAIL), log: silentLogger() },
    retry: { deadlineMs: 1000, firstDelayMs: 10 },
    ...(renewPasswordsMs === undefined ? {} : { renewPasswordsMs }),
  });
  ends.push(() => account.close());
  const library = account.library((await account.libraries()).find((info) => info.id === id)!);
  let before = 0;
  const sent = () => {
    const all = server.requests.list().filter(({ kind }) => kind === "repo-operation").length;
    const since = all - before;
    before = all;
    return since;
  };
  return { server, account, library, id, sent };
}

const contentOf = (bytes: Uint8Array): Content => ({
  size: bytes.length,
  async *open() {
    yield bytes;
  },
});

async function read(stage: Stage, path = "/a.txt"): Promise<string> {
  const { id, size } = stage.server.store.list(stage.id, "/").find(({ name }) => name === path.slice(1))!;
  const chunks: Buffer[] = [];
  for await (const chunk of stage.library.read({ path, id: id as never, size }, 0, size)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const put = (path: string, text: string, base: string | null = null) =>
  ({ op: "put", path, content: contentOf(Buffer.from(text)), mtime: 1_700_000_000, base: base as never }) as const;

const kindOf = (error: unknown) => (error as { kind?: string }).kind;
const refusalOf = (work: Promise<unknown>) => work.then(() => "done", kindOf);

describe("an encrypted library without a password", () => {
  it("lists, and refuses content without sending anything", async () => {
    const stage = await open();
    expect(await stage.library.list("/")).toMatchObject({ entries: [{ name: "a.txt", size: 9 }] });
    expect(stage.library.isLocked).toBe(true);
    expect(await refusalOf(read(stage))).toBe("encrypted");
    expect(() => stage.library.prepareWriting()).toThrow(/encrypted and locked/);
    const [made, stored] = await stage.library.apply([{ op: "mkdir", path: "/d" }, put("/d/b.txt", "b")]);
    expect(made).toMatchObject({ ok: true });
    expect(stored).toMatchObject({ ok: false, error: { kind: "encrypted" } });
    expect(stage.sent()).toBe(0);
  });
});

describe.each(["c", "go"] as const)("an encrypted library with its password (%s)", (flavour) => {
  it("is unlocked at first need, once, and then reads and stores", async () => {
    const stage = await open({ flavour });
    stage.account.givePassword(stage.id, PASSWORD);
    expect(stage.sent()).toBe(0);
    expect(await Promise.all([read(stage), read(stage)])).toEqual(["hello enc", "hello enc"]);
    expect(stage.sent()).toBe(1);
    const [one, two] = await stage.library.apply([put("/b.txt", "b"), put("/c.txt", "c")]);
    expect([one, two]).toMatchObject([{ ok: true }, { ok: true }]);
    expect((await stage.server.store.readFile(stage.id, "/c.txt")).toString()).toBe("c");
    expect(stage.sent()).toBe(0);
  });

  it("gets it once more when the server has forgotten it", async () => {
    const stage = await open({ flavour });
    stage.account.givePassword(stage.id, PASSWORD);
    await read(stage);
    stage.sent();
    stage.server.advanceClock(HOUR);
    expect(await read(stage)).toBe("hello enc");
    expect(stage.sent()).toBe(1);
    stage.server.faults.lockLibraries();
    const [stored] = await stage.library.apply([put("/b.txt", "b")]);
    expect(stored).toMatchObject({ ok: true, entry: { name: "b.txt" } });
    expect(stage.sent()).toBe(1);
    stage.server.faults.lockLibraries();
    const again = await stage.library.apply([put("/c.txt", "c"), put("/d.txt", "d")]);
    expect(again).toMatchObject([{ ok: true }, { ok: true }]);
    expect(
      stage.server.store
        .list(stage.id, "/")
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["a.txt", "b.txt", "c.txt", "d.txt"]);
  });

  it("knows what it stored when the answer was lost, and stores nothing twice", async () => {
    const stage = await open({ flavour });
    stage.account.givePassword(stage.id, PASSWORD);
    stage.server.faults.cut("upload", 0, { answer: true });
    const [stored] = await stage.library.apply([put("/b.txt", "lost and found")]);
    expect(stored).toMatchObject({ ok: true, entry: { name: "b.txt" } });
    expect(
      stage.server.store
        .list(stage.id, "/")
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["a.txt", "b.txt"]);
    expect(stage.server.requests.list().filter(({ kind }) => kind === "upload")).toHaveLength(1);
  });

  it("stores a big file in chunks, and believes the server what it made of them", async () => {
    const stage = await open({ flavour, announcesChunks: true });
    stage.account.givePassword(stage.id, PASSWORD);
    const bytes = Buffer.alloc(70 * 1024 * 1024, "some seventy megabytes ");
    const change = { ...put("/big.bin", ""), content: contentOf(bytes) };
    const [stored] = await stage.library.apply([change]);
    expect(stored).toMatchObject({ ok: true, entry: { name: "big.bin", size: bytes.length } });
    expect(stage.server.store.list(stage.id, "/")).toHaveLength(2);
    expect(stage.server.store.commits(stage.id)).toHaveLength(3);
    expect((await stage.server.store.readFile(stage.id, "/big.bin")).equals(bytes)).toBe(true);
  });
});

describe("a wrong password", () => {
  it("is sent once, and then refused here until another one is given", async () => {
    const stage = await open();
    stage.account.givePassword(stage.id, "wrong");
    expect(stage.library.isLocked).toBe(false);
    expect(await refusalOf(Promise.resolve(stage.library.prepareWriting()))).toBe("wrong-password");
    expect(stage.library.isLocked).toBe(true);
    expect(await refusalOf(read(stage))).toBe("wrong-password");
    expect(await stage.library.apply([put("/b.txt", "b")])).toMatchObject([
      { ok: false, error: { kind: "wrong-password" } },
    ]);
    expect(stage.sent()).toBe(1);
    await stage.account.unlock(stage.id, PASSWORD);
    expect(await read(stage)).toBe("hello enc");
  });

  it("never takes the place of a right one, and appears in no message", async () => {
    const stage = await open();
    await stage.account.unlock(stage.id, PASSWORD);
    const refused = await stage.account.unlock(stage.id, "my-wrong-secret").catch((error: Error) => error);
    expect(kindOf(refused)).toBe("wrong-password");
    expect(JSON.stringify([refused, (refused as Error).message])).not.toContain("my-wrong-secret");
    stage.server.faults.lockLibraries();
    expect(await read(stage)).toBe("hello enc");
  });

  it("is what a password becomes that somebody changed on the server", async () => {
    const stage = await open();
    stage.account.givePassword(stage.id, PASSWORD);
    await read(stage);
    stage.server.store.changePassword(stage.id, { old: PASSWORD, new: "another" });
    expect(await read(stage)).toBe("hello enc");
    stage.server.faults.lockLibraries();
    expect(await refusalOf(read(stage))).toBe("wrong-password");
  });
});

describe("a password that the server cannot be asked about", () => {
  it("does not keep content from being accepted", async () => {
    const stage = await open();
    stage.account.givePassword(stage.id, PASSWORD);
    stage.server.faults.down();
    await stage.library.prepareWriting();
    stage.server.faults.up();
    expect(await stage.library.apply([put("/b.txt", "b")])).toMatchObject([{ ok: true }]);
  });
});

describe("the key on the server", () => {
  // SEMANTICS: "The server gets the password at first need, before the hour is over for which it keeps it, and once more when it has
  // forgotten it."
  it("is renewed in the background as long as the account is open, also after a renewal that failed", async () => {
    const stage = await open({ renewPasswordsMs: 100 });
    stage.account.givePassword(stage.id, PASSWORD);
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(stage.sent()).toBe(0);
    await read(stage);
    await expect
      .poll(() => stage.server.requests.list().filter(({ kind }) => kind === "repo-operation").length)
      .toBeGreaterThan(2);
    await stage.account.close();
    stage.sent();
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(stage.sent()).toBe(0);
  });
});

describe.each([2, 3, 4] as const)("the id of content in an encrypted library of version %i", (encVersion) => {
  it("is the server's, of one block and of several, whatever pieces it comes in", async () => {
    const stage = await open({ encVersion });
    await stage.account.unlock(stage.id, PASSWORD);
    for (const size of [0, 1, 15, 16, 17, 8 * 1024 * 1024, 9 * 1024 * 1024 + 5]) {
      const bytes = Buffer.alloc(size, "not so random ");
      await stage.server.store.writeFile(stage.id, "/x.bin", bytes);
      const pieces: Content = {
        size,
        async *open() {
          for (let at = 0; at < size; at += 70_001) yield bytes.subarray(at, at + 70_001);
        },
      };
      const { id } = stage.server.store.list(stage.id, "/").find(({ name }) => name === "x.bin")!;
      expect(await stage.library.idOf(pieces)).toBe(id);
      if (size > 0) expect(await fileIdOf(pieces)).not.toBe(id);
    }
  });
});
