/** The filesystem when an operation fails half-way: nothing is lost, and nothing wrong is shown or stored. */

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  account,
  cat,
  close,
  crash,
  create,
  DENIED,
  dirtyOver,
  drain,
  fs,
  id,
  interruptedStore,
  lookup,
  names,
  O_RDWR,
  OWNER,
  open,
  rename,
  restart,
  save,
  server,
  signal,
  spoolFiles,
  stale,
  stored,
  useFileSystem,
  within,
  write,
} from "./filesystem-harness.ts";

useFileSystem();

describe("an operation that fails half-way", () => {
  /** The source has unsaved writes; its content reaches the target, and its removal is refused. */
  async function halfRename(): Promise<number> {
    await save("doc", "old target");
    await save("tmp", "version 1");
    const fh = await open("/tmp", O_RDWR);
    await write(fh, 0, "VERSION 2");
    server.faults.fail("delete-file", 403, DENIED);
    await expect(rename("tmp", "doc")).rejects.toMatchObject({ kind: "forbidden" });
    return fh;
  }

  it("a rename whose second half fails keeps what was written to its source", async () => {
    await close(await halfRename());
    expect(await stored("/tmp")).toBe("VERSION 2");
  });

  it("a rename whose second half fails puts no bytes under a version that they are not of", async () => {
    await server.store.writeFile(id, "/same as tmp", "version 1");
    await close(await halfRename());
    await stale();
    expect(await cat("/same as tmp")).toBe("version 1");
  });

  it("a rename whose upload fails leaves its source to the server", async () => {
    await save("doc", "old target");
    await save("tmp", "version 1");
    server.faults.fail("upload", 443);
    await expect(rename("tmp", "doc")).rejects.toMatchObject({ kind: "quota" });
    await server.store.writeFile(id, "/tmp", "by somebody else");
    await stale();
    expect([await cat("/tmp"), await spoolFiles()]).toEqual(["by somebody else", []]);
  });

  it("a truncate that fails leaves the file to the server", async () => {
    await save("a", "version 1");
    await expect(fs.setattr((await lookup("/a")).ino, { size: 2 ** 62 }, signal)).rejects.toThrow();
    await server.store.writeFile(id, "/a", "by somebody else");
    await stale();
    expect([await cat("/a"), await spoolFiles()]).toEqual(["by somebody else", []]);
  });

  it("an unlink that is refused while the file uploads does not keep it from being stored", async () => {
    const { fh } = await create("a", "content");
    server.faults.delay("upload", 200);
    server.faults.fail("delete-file", 403, DENIED);
    const closing = fs.flush(fh, signal);
    await sleep(60);
    await expect(fs.unlink(1, "a", signal)).rejects.toMatchObject({ kind: "forbidden" });
    await closing;
    await fs.release(fh);
    expect(await stored("/a")).toBe("content");
  });

  it("completing a file from its base survives a short write of the local disk", async () => {
    let isFirst = true;
    const dirty = await dirtyOver((real, data, from, length, at) => {
      const most = isFirst ? 4 : length;
      isFirst = false;
      return real.write(data, from, Math.min(length, most), at);
    }, "basedata");
    const parts: Uint8Array[] = [];
    await dirty.seal();
    for await (const part of (await dirty.content()).open()) parts.push(part);
    await dirty.release();
    expect(Buffer.concat(parts).toString()).toBe("basedata");
  });

  it("what a failed write left behind is not seen when the file grows over it", async () => {
    let written = 0;
    const dirty = await dirtyOver((real, data, from, _length, at) => {
      if (written++ > 0) return Promise.reject(Object.assign(new Error("disk full"), { code: "ENOSPC" }));
      return real.write(data, from, 4, at);
    });
    await expect(dirty.write(4, Buffer.from("12345678"))).rejects.toThrow("disk full");
    await dirty.truncate(16);
    const content = Buffer.concat(await dirty.read(0, 16));
    await dirty.release();
    expect(content.equals(Buffer.alloc(16))).toBe(true);
  });
});

describe("a file that could not be stored", () => {
  it("and was renamed is stored under its new name only", async () => {
    server.store.setQuota(OWNER, 10);
    const { fh } = await create("a", "more than ten bytes");
    await expect(close(fh)).rejects.toMatchObject({ kind: "quota" });
    await rename("a", "b");
    server.store.setQuota(OWNER, null);
    for (let i = 0; i < 400 && names().length === 0; i++) await sleep(25);
    expect([names(), await stored("/b")]).toEqual([["b"], "more than ten bytes"]);
  });

  it("and was replaced is not stored later", async () => {
    await save("a", "base");
    server.faults.fail("upload", 443);
    const fh = await open("/a", O_RDWR);
    await write(fh, 0, "failed");
    await expect(close(fh)).rejects.toMatchObject({ kind: "quota" });
    await save("tmp", "new");
    await rename("tmp", "a");
    // The first retry comes after two seconds.
    await sleep(2500);
    expect([names(), await stored("/a"), await spoolFiles()]).toEqual([["a"], "new", []]);
  });

  it("is in the journal for the next mount, which stores it", async () => {
    const { fh } = await create("a", "precious");
    server.faults.fail("upload", 403, { times: Number.POSITIVE_INFINITY, ...DENIED });
    await expect(close(fh)).rejects.toThrow();
    server.faults.clear();
    server.faults.fail("upload", 403, DENIED);
    await crash();
    expect(await cat("/a")).toBe("precious");
    expect((await drain()).length).toBe(0);
    await restart(50);
    expect([names(), await stored("/a")]).toEqual([["a"], "precious"]);
  });

  it("because its program was interrupted is stored at the end of the mount", async () => {
    const { fh } = await create("a", "precious");
    await interruptedStore(fh, "a");
    await fs.release(fh);
    expect([await drain(), names()]).toEqual([[], ["a"]]);
  });

  it("because its upload hangs does not make the end of the mount wait for it", async () => {
    const { fh } = await create("a", "precious");
    server.faults.hang("upload", { times: Number.POSITIVE_INFINITY });
    const released = fs.release(fh);
    await sleep(100);
    const draining = drain(200);
    const kept = await within(5000, draining);
    await account.close();
    await Promise.allSettled([released, draining]);
    expect(kept).toMatchObject([{ path: "/a" }]);
  });
});
