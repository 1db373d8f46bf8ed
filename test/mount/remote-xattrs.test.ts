/** Stars and share links as extended attributes through a real mount, and the commands that take a path in it. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { EMAIL, seamount } from "../support/mounts.ts";
import { ok } from "../support/process.ts";

const shared = useMount({ mount: { background: true, args: ["--write-back-delay", "600"] } });

const STARRED = "user.seafile.starred";
const LINK = "user.seafile.share_link";
const encoded = (text: string) => Buffer.from(text).toString("base64");
const get = (name: string, path: string) => ok("getfattr", ["--absolute-names", "--only-values", "-n", name, path]);
const set = (name: string, value: string, path: string) => ok("setfattr", ["-n", name, "-v", value, path]);
const remove = (name: string, path: string) => ok("setfattr", ["-x", name, path]);
const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await seamount(args, { server: shared.server, home: shared.mount.home });
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
};

describe("user.seafile.starred", () => {
  // SEMANTICS: "`user.seafile.starred` is 1 or 0, of files and folders; setting it to 1 or 0 stars and unstars, and removing it
  // unstars."
  it("stars and unstars files and folders", async () => {
    const folder = await shared.folder();
    await shared.worker.writeFile(join(folder.dir, "f"), "content");
    for (const path of [join(folder.dir, "f"), folder.dir]) {
      expect(await get(STARRED, path)).toBe("0");
      await set(STARRED, "1", path);
      expect(await get(STARRED, path)).toBe("1");
      await set(STARRED, "0", path);
      expect(await get(STARRED, path)).toBe("0");
      await set(STARRED, "1", path);
      await remove(STARRED, path);
      expect(await get(STARRED, path)).toBe("0");
      expect(await outcome(shared.worker.call("removexattr", path, STARRED))).toBe("ENODATA");
    }
    expect(await outcome(shared.worker.call("setxattr", folder.dir, STARRED, encoded("yes")))).toBe("EINVAL");
  });
});

describe("user.seafile.share_link", () => {
  // SEMANTICS: "`user.seafile.share_link` is the address of your share link, if there is one; setting it makes one, whatever the
  // value, and removing it revokes the link."
  it("makes, tells and revokes the link", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    await shared.worker.writeFile(file, "content");
    expect(await outcome(shared.worker.call("getxattr", file, LINK))).toBe("ENODATA");
    await set(LINK, "", file);
    const link = await get(LINK, file);
    expect(link).toMatch(new RegExp(`^${shared.server.url}/f/[0-9a-f]{20}/$`));
    await set(LINK, "again", file);
    expect(await get(LINK, file)).toBe(link);
    expect((await run("share-links", "create", file)).trim()).toBe(link);
    await remove(LINK, file);
    expect(await outcome(shared.worker.call("getxattr", file, LINK))).toBe("ENODATA");
    expect(await outcome(shared.worker.call("removexattr", file, LINK))).toBe("ENODATA");
  });

  // SEMANTICS: "A file that the server does not have yet is stored first; when that is not possible, EBUSY."
  it("of a file that waits stores the file first, and says EBUSY when it cannot", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    await shared.worker.writeFile(file, "content");
    expect(Object.keys(await folder.tree())).toEqual([]);
    await set(LINK, "", file);
    expect(Object.keys(await folder.tree())).toEqual(["f"]);
    expect(await get(LINK, file)).toContain("/f/");
    shared.server.store.setQuota(EMAIL, 10);
    await shared.worker.writeFile(join(folder.dir, "g"), "more than ten bytes");
    expect(await outcome(shared.worker.call("setxattr", join(folder.dir, "g"), LINK, ""))).toBe("EBUSY");
    shared.server.store.setQuota(EMAIL, null);
  });

  // SEMANTICS: "Reading these two asks the server, and they are not listed either, so that no copy of a file stars or publishes
  // it."
  it("is not listed, so that a copy of a file does not publish it", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "f");
    await shared.worker.writeFile(file, "content");
    await set(LINK, "", file);
    expect(await ok("getfattr", ["-d", "-m", "-", file])).not.toContain("seafile");
  });
});

describe("commands with a path in the mount", () => {
  it("mean the file on the server, also after a rename, and refuse what it does not have", async () => {
    const folder = await shared.folder();
    const at = (name: string) => join(folder.dir, name);
    await shared.worker.writeFile(at("a"), "content");
    const refused = await seamount(["star", "add", at("a")], { server: shared.server, home: shared.mount.home });
    expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining("is not on the server yet")]);
    await run("sync", at("a"));
    await shared.worker.call("rename", at("a"), at("b"));
    await run("star", "add", at("b"), folder.dir);
    expect(await run("star", "ls")).toContain(`Work\t${folder.path}/b\t`);
    await run("upload-links", "create", folder.dir);
    expect(await run("upload-links", "ls", folder.dir)).toContain(`Work\t${folder.path}\t`);
    const missing = await seamount(["star", "add", at("none")], { server: shared.server, home: shared.mount.home });
    expect(missing.code).toBe(7);
  });
});
