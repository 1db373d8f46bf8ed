/** Encrypted libraries of the development server: what is stored, who may read it, and until when. */
import { createDecipheriv, pbkdf2Sync } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { createDevServer, type DevServer, type DevServerOptions } from "../../src/devserver/index.ts";
import { sha1 } from "../../src/devserver/objects.ts";

const EMAIL = "test@example.com";
const PASSWORD = "libpass123";
let server: DevServer;
afterEach(() => server.close());

async function open(encVersion: 2 | 3 | 4 = 2, options: DevServerOptions = {}) {
  server = await createDevServer(options);
  return server.store.createLibrary(EMAIL, "Secret", { password: PASSWORD, encVersion });
}

async function api(path: string, init: { method?: string; form?: Record<string, string>; headers?: object } = {}) {
  const { method = init.form === undefined ? "GET" : "POST", form, headers = {} } = init;
  return fetch(new URL(path, server.url), {
    method,
    headers: { Authorization: `Token ${server.token(EMAIL)}`, ...headers },
    ...(form === undefined ? {} : { body: new URLSearchParams(form) }),
  });
}

const unlock = (id: string, password = PASSWORD) => api(`/api2/repos/${id}/`, { form: { password } });

async function download(id: string, path: string, headers: Record<string, string> = {}) {
  const link = (await (await api(`/api2/repos/${id}/file/?p=${path}`)).json()) as string;
  return fetch(link, { headers });
}

/** Written down again from seafile-api.md §8, so that it can disagree with the server. */
function fileKey(id: string, info: { enc_version: number; salt: string; magic: string; random_key: string }) {
  const salt = Buffer.from(info.enc_version === 2 ? "da9045c306c7cc26" : info.salt, "hex");
  const stretch = (secret: Buffer) => {
    const key = pbkdf2Sync(secret, salt, 1000, 32, "sha256");
    return { key, iv: pbkdf2Sync(key, salt, 10, 16, "sha256") };
  };
  const decipher = ({ key, iv }: { key: Buffer; iv: Buffer }, bytes: Buffer) => {
    const made =
      info.enc_version === 3
        ? createDecipheriv("aes-128-ecb", key.subarray(0, 16), null)
        : createDecipheriv("aes-256-cbc", key, iv);
    return Buffer.concat([made.update(bytes), made.final()]);
  };
  expect(info.magic).toBe(stretch(Buffer.from(id + PASSWORD)).key.toString("hex"));
  const secret = decipher(stretch(Buffer.from(PASSWORD)), Buffer.from(info.random_key, "hex"));
  const key = stretch(secret);
  return { secret, decrypt: (bytes: Buffer) => decipher(key, bytes) };
}

describe.each([2, 3, 4] as const)("an encrypted library of version %i", (version) => {
  it("has a magic that tells the password, and blocks that only the key under the password opens", async () => {
    const id = await open(version);
    await server.store.writeFile(id, "/a.txt", "hello enc");
    const info = (await (await api(`/api2/repos/${id}/download-info/`)).json()) as Parameters<typeof fileKey>[1];
    expect(info).toMatchObject({ encrypted: 1, enc_version: version });
    expect(info.salt).toMatch(version === 2 ? /^$/ : /^[0-9a-f]{64}$/);
    const { secret, decrypt } = fileKey(id, info);
    expect(secret).toHaveLength(32);
    const { blockIds, size } = server.store.fs.file(server.store.list(id, "/")[0]!.id);
    expect(size).toBe(9);
    const { contents } = server.store;
    const stored: Buffer[] = [];
    for await (const piece of contents.read(server.store.list(id, "/")[0]!.id, 0, 16)) stored.push(piece);
    const block = Buffer.concat(stored);
    expect(block).toHaveLength(16);
    expect(blockIds).toEqual([sha1(block)]);
    expect(decrypt(block).toString()).toBe("hello enc");
  });

  it("gives out what was written to it, over several blocks, and ignores ranges", async () => {
    const id = await open(version);
    const content = Buffer.alloc(9 * 1024 * 1024, "0123456789abcdef!");
    await server.store.writeFile(id, "/big.bin", content);
    expect((await unlock(id)).status).toBe(200);
    const answer = await download(id, "/big.bin", { Range: "bytes=5-9" });
    expect(answer.status).toBe(200);
    expect(Buffer.from(await answer.arrayBuffer()).equals(content)).toBe(true);
  });
});

describe("the key of an encrypted library", () => {
  it("is each user's own, and lives an hour from when the password was given, whatever use is made of it", async () => {
    const id = await open();
    await server.store.writeFile(id, "/a.txt", "hello enc");
    const needsKey = async () =>
      ((await (await api(`/api/v2.1/repos/${id}/`)).json()) as { lib_need_decrypt: boolean }).lib_need_decrypt;
    expect(await needsKey()).toBe(true);
    await unlock(id);
    expect(await needsKey()).toBe(false);
    server.advanceClock(3_590_000);
    expect((await download(id, "/a.txt")).status).toBe(200);
    server.advanceClock(70_000);
    expect((await download(id, "/a.txt")).status).toBe(400);
    expect(await needsKey()).toBe(true);
  });

  it("is forgotten with a restart", async () => {
    const id = await open();
    await unlock(id);
    server.faults.lockLibraries();
    await server.store.writeFile(id, "/a.txt", "x");
    expect((await download(id, "/a.txt")).status).toBe(400);
  });

  it("stays when a wrong password is given", async () => {
    const id = await open();
    await server.store.writeFile(id, "/a.txt", "x");
    await unlock(id);
    expect((await unlock(id, "wrong")).status).toBe(400);
    expect((await download(id, "/a.txt")).status).toBe(200);
  });

  it("is the same after the password was changed, which the old one no longer opens", async () => {
    const id = await open();
    await server.store.writeFile(id, "/a.txt", "same");
    const form = { old_password: PASSWORD, new_password: "another one" };
    const changed = await api(`/api/v2.1/repos/${id}/set-password/`, { method: "PUT", form });
    expect(await changed.json()).toEqual({ success: true });
    expect((await unlock(id)).status).toBe(400);
    expect((await unlock(id, "another one")).status).toBe(200);
    expect(await (await download(id, "/a.txt")).text()).toBe("same");
  });
});

describe("checkpassword", () => {
  it("compares the magic of the query", async () => {
    const id = await open();
    const { magic } = (await (await api(`/api2/repos/${id}/`)).json()) as { magic: string };
    const check = (wanted: string) => api(`/api2/repos/${id}/?op=checkpassword&magic=${wanted}`, { method: "POST" });
    expect(await (await check(magic)).json()).toBe("success");
    const wrong = await check("0".repeat(64));
    expect([wrong.status, await wrong.json()]).toEqual([500, { error_msg: "SearpcError:Incorrect password" }]);
  });
});

describe("creating", () => {
  it("makes an encrypted library of a password, or of what a client made of one", async () => {
    const id = await open();
    const made = await api("/api2/repos/", { form: { name: "Two", passwd: "abc" } });
    const info = (await made.json()) as { repo_id: string; magic: string; random_key: string; encrypted: number };
    expect(info.encrypted).toBe(1);
    expect((await unlock(info.repo_id, "abc")).status).toBe(200);
    const { magic, random_key } = (await (await api(`/api2/repos/${id}/`)).json()) as typeof info;
    server.store.deleteLibrary(id);
    const form = { name: "Three", repo_id: id, magic, random_key, enc_version: "2" };
    expect(((await (await api("/api2/repos/", { form })).json()) as typeof info).repo_id).toBe(id);
    expect((await unlock(id)).status).toBe(200);
    const newer = await api("/api2/repos/", { form: { ...form, enc_version: "4" } });
    expect([newer.status, await newer.json()]).toEqual([400, { error_msg: "Invalid enc_version param." }]);
  });
});

describe("content of encrypted libraries", () => {
  it("is not copied to another library", async () => {
    const id = await open();
    await server.store.writeFile(id, "/a.txt", "x");
    const target = server.store.createLibrary(EMAIL, "Plain");
    const form = { operation: "copy", dst_repo: target, dst_dir: "/" };
    expect((await api(`/api2/repos/${id}/file/?p=/a.txt`, { form })).status).toBe(500);
    expect(server.store.list(target, "/")).toEqual([]);
  });
});
