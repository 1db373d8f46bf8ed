/**
 * How mounts begin and end with a real kernel, for root and for an ordinary user (who gets /dev/fuse through fusermount3):
 * unmounted in every way, killed, aborted, refused, and with options.
 */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { mountEntries } from "../support/mountinfo.ts";
import { makeMountPoint, NOBODY } from "../support/mounts.ts";
import { eventually, ok, run } from "../support/process.ts";
import { type Scope, tempDir, testScope } from "../support/scope.ts";
import { holdFile } from "./file-holder.ts";
import { as, IDENTITIES, IS_ROOT, openDevice } from "./identities.ts";
import { type ChildSettings, mounted, startMount } from "./mount-process.ts";

beforeAll(openDevice);

/** The unmount command of a user, and how it ended. */
function umount(dir: string, uid: number | undefined, ...flags: readonly string[]) {
  const asRoot = IS_ROOT && uid === undefined;
  return asRoot ? run("umount", [...flags, dir]) : run("fusermount3", ["-u", ...flags, dir], as(uid));
}

const entryOf = async (dir: string) => (await mountEntries()).find((entry) => entry.mountpoint === dir);
const gone = (dir: string) => eventually(`${dir} is unmounted`, async () => (await entryOf(dir)) === undefined);

describe.each(IDENTITIES)("unmounting a mount of $who", ({ uid }) => {
  const start = (settings: ChildSettings = {}) => mounted(testScope(), { uid, ...settings });

  it.each([
    ["umount or fusermount3", []],
    ["the same, lazily", [IS_ROOT && uid === undefined ? "-l" : "-z"]],
  ])("by %s ends the session and the process", async (_, flags) => {
    const mount = await start();
    expect(await umount(mount.dir, uid, ...flags)).toMatchObject({ code: 0 });
    expect(await mount.next("closed")).toMatchObject({ destroyed: 1 });
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });

  it("by the session itself", async () => {
    const mount = await start();
    await mount.ask("unmount", "unmounted");
    expect(await mount.exited).toEqual({ code: 0, signal: null });
    expect(await entryOf(mount.dir)).toBeUndefined();
  });

  it("a second time changes nothing", async () => {
    const mount = await start();
    mount.send("unmount");
    await mount.ask("unmount", "unmounted");
    await mount.exited;
    expect(mount.log).toBe("");
  });

  it("is EBUSY while a file is open, and serves on", async () => {
    const mount = await start();
    const holder = await holdFile(testScope(), mount.dir, uid);
    expect(await mount.ask("unmount", "refused")).toMatchObject({ code: "EBUSY" });
    await ok("touch", [join(mount.dir, "more")], as(uid));
    await holder.release();
    await mount.ask("unmount", "unmounted");
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });

  it("lazily takes the mount away at once, and ends the session when the last file is closed", async () => {
    const mount = await start();
    const holder = await holdFile(testScope(), mount.dir, uid);
    await mount.ask("unmount lazy", "unmounted");
    await gone(mount.dir);
    expect(mount.over).toBe(false);
    expect(await holder.write("still here")).toBe("10");
    await holder.release();
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });

  it("leaves a mount alone that took its place", async () => {
    const first = await start();
    const holder = await holdFile(testScope(), first.dir, uid);
    await first.ask("unmount lazy", "unmounted");
    const second = await start({ dir: first.dir });
    await first.ask("unmount lazy", "unmounted");
    await ok("touch", [join(second.dir, "file")], as(uid));
    expect(await second.calls()).toContain("create file");
    await holder.release();
    expect(await first.exited).toEqual({ code: 0, signal: null });
  });
});

describe.each(IDENTITIES)("ending a mount of $who by force", ({ uid }) => {
  const start = (settings: ChildSettings = {}) => mounted(testScope(), { uid, ...settings });

  it("a stale mount of a killed process is recognised, removed with one log line, and mounted over", async () => {
    const killed = await start();
    killed.kill("SIGKILL");
    await killed.exited;
    expect((await run("ls", [killed.dir], as(uid))).stderr).toContain("Transport endpoint is not connected");
    const next = await start({ dir: killed.dir });
    expect(next.log.trim().split("\n").length).toBe(1);
    expect(next.log).toContain("removed the stale mount of a seamount that had crashed");
    await ok("touch", [join(next.dir, "works")], as(uid));
    expect((await mountEntries()).filter(({ mountpoint }) => mountpoint === next.dir).length).toBe(1);
  });

  it("a process that exits with a live mount does not hang, and keeps its exit code", async () => {
    const mount = await start();
    const holder = await holdFile(testScope(), mount.dir, uid);
    mount.send("exit");
    expect(await mount.exited).toEqual({ code: 7, signal: null });
    expect(await holder.write("text")).toMatch(/Transport endpoint is not connected|Software caused connection abort/);
    await holder.release();
  });

  it.runIf(IS_ROOT)(
    "abort() fails open files and running requests, and ends the session (fusectl mounted)",
    async () => {
      const scope = testScope();
      await mountFusectl(scope);
      const mount = await start();
      const holder = await holdFile(testScope(), mount.dir, uid);
      const making = run("mkdir", [join(mount.dir, "held")], as(uid));
      await eventually("mkdir has arrived", async () => (await mount.calls()).includes("mkdir held"));
      mount.send("abort");
      expect((await making).stderr).toContain("Transport endpoint is not connected");
      expect(await holder.write("text")).toMatch(
        /Transport endpoint is not connected|Software caused connection abort/,
      );
      mount.send("let-go");
      await mount.next("closed");
      await holder.release();
      await gone(mount.dir);
    },
  );

  it("abort() after a lazy unmount, with a file still open", async () => {
    const mount = await start();
    const holder = await holdFile(testScope(), mount.dir, uid);
    await mount.ask("unmount lazy", "unmounted");
    mount.send("abort");
    expect(await holder.write("text")).toMatch(/Transport endpoint is not connected|Software caused connection abort/);
    await holder.release();
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });
});

describe.each(IDENTITIES)("what $who is told when mounting fails", ({ uid }) => {
  const failure = async (settings: ChildSettings) =>
    (await startMount(testScope(), { uid, ...settings })).next("failed");

  it("a mount point that is missing, is a file, or is taken", async () => {
    const parent = await makeMountPoint(testScope(), uid);
    await writeFile(join(parent, "file"), "");
    expect(await failure({ dir: join(parent, "none") })).toMatchObject({
      reason: "mountpoint",
      message: `The mount point ${join(parent, "none")} does not exist.`,
    });
    expect(await failure({ dir: join(parent, "file") })).toMatchObject({
      reason: "mountpoint",
      message: `The mount point ${join(parent, "file")} is not a directory.`,
    });
    const mount = await mounted(testScope(), { uid });
    expect(await failure({ dir: mount.dir })).toMatchObject({
      reason: "mountpoint",
      message: `A seamount at ${mount.dir} is mounted already.`,
    });
  });

  it("an option that the helper does not know is shown in the helper's words", async () => {
    const event = await failure({ options: { extraOptions: ["nonsense"] } });
    expect(event).toMatchObject({ name: "MountError" });
    expect(event["message"]).toMatch(/^Mounting at .* failed: .*(nonsense|bad option|wrong fs type)/s);
  });

  it("no helper program", async () => {
    const bin = await tempDir(testScope(), "empty");
    await chmod(bin, 0o755);
    const event = await failure({ env: { PATH: bin } });
    expect(event).toMatchObject({ reason: "fuse-missing" });
    expect(event["message"]).toMatch(/^The program (mount|fusermount3) was not found/);
  });

  it.runIf(uid !== undefined || !IS_ROOT)("no koffi", async () => {
    const event = await failure({ nodeArguments: ["--no-addons"] });
    expect(event).toMatchObject({ reason: "ffi-missing" });
    expect(event["message"]).toMatch(/^Mounting as an ordinary user needs the package koffi/);
  });

  it.runIf(uid !== undefined || !IS_ROOT)("no access to /dev/fuse", async () => {
    const bin = await tempDir(testScope(), "bin");
    await chmod(bin, 0o755);
    const complaint = "fusermount3: failed to open /dev/fuse: Permission denied";
    await writeFile(join(bin, "fusermount3"), `#!/bin/sh\necho "${complaint}" >&2\nexit 1\n`, { mode: 0o755 });
    const event = await failure({ env: { PATH: `${bin}:${process.env["PATH"]}` } });
    expect(event).toMatchObject({ reason: "permission" });
    expect(event["message"]).toContain(complaint);
  });
});

describe("a mount point that is taken", () => {
  it("by a mount that does not answer: says how to remove it, and does not wait for ever", async () => {
    const hung = await mounted(testScope());
    hung.send("hang");
    await hung.calls();
    const event = await (await startMount(testScope(), { dir: hung.dir })).next("failed");
    expect(event["message"]).toBe(
      `A seamount at ${hung.dir} does not answer (unmount it with: umount -l ${hung.dir}).`,
    );
  });

  it.runIf(IS_ROOT)("by a filesystem of another type: is mounted over, and shows again afterwards", async () => {
    const dir = await makeMountPoint(testScope());
    await ok("mount", ["-t", "tmpfs", "below", dir]);
    const mount = await mounted(testScope(), { dir });
    expect((await mountEntries()).filter(({ mountpoint }) => mountpoint === dir).map(({ type }) => type)).toEqual([
      "tmpfs",
      "fuse.seamount",
    ]);
    await mount.ask("unmount", "unmounted");
    expect((await entryOf(dir))?.type).toBe("tmpfs");
  });

  it.runIf(IS_ROOT)("by the stale mount of another user: root removes it", async () => {
    const killed = await mounted(testScope(), { uid: NOBODY });
    killed.kill("SIGKILL");
    await killed.exited;
    const next = await mounted(testScope(), { dir: killed.dir });
    expect(next.log).toContain("removed the stale mount");
    const living = await mounted(testScope(), { uid: NOBODY });
    const event = await (await startMount(testScope(), { dir: living.dir })).next("failed");
    expect(event["message"]).toBe(`A seamount at ${living.dir} is mounted already.`);
  });
});

describe.each(IDENTITIES)("mount options of $who", ({ uid }) => {
  const start = (options: ChildSettings["options"]) => mounted(testScope(), { uid, options: options! });

  it("a read-only mount answers EROFS without asking the filesystem", async () => {
    const mount = await start({ readOnly: true });
    expect((await run("touch", [join(mount.dir, "file")], as(uid))).stderr).toContain("Read-only file system");
    expect(await mount.calls()).not.toContain("create file");
  });

  it.each(["with, comma", "with\\backslash", "-o allow_other", "grün\tund\nschwarz", "quotes \" and ' $(id) `id`"])(
    "shows the fsname %j as it is",
    async (fsname) => {
      const mount = await start({ fsname });
      expect((await entryOf(mount.dir))?.source).toBe(fsname);
    },
  );

  it("passes further options on", async () => {
    const mount = await start({ extraOptions: ["noexec"], defaultPermissions: true });
    expect((await entryOf(mount.dir))?.options).toEqual(expect.arrayContaining(["noexec", "default_permissions"]));
  });

  it.runIf(IS_ROOT)("other users see the mount only with allow_other", async () => {
    const [own, shared] = [
      await start({}),
      IS_ROOT && uid === undefined ? await start({ allowOther: true }) : undefined,
    ];
    const other = uid === undefined ? { uid: NOBODY } : {};
    expect((await run("ls", [own.dir], other)).stderr).toContain("Permission denied");
    if (shared !== undefined) expect(await run("ls", [shared.dir], other)).toMatchObject({ code: 0 });
  });

  it("a mount point with spaces, reached through a symbolic link", async () => {
    const parent = await makeMountPoint(testScope(), uid);
    const real = join(parent, "with space, comma and \\");
    await mkdir(real);
    if (uid !== undefined) await ok("chown", [String(uid), real]);
    await ok("ln", ["-s", real, join(parent, "link")]);
    const mount = await mounted(testScope(), { uid, dir: join(parent, "link") });
    expect((await entryOf(real))?.type).toBe("fuse.seamount");
    await mount.ask("unmount", "unmounted");
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });
});

/** As systemd does at boot. */
async function mountFusectl(scope: Scope): Promise<void> {
  const CONNECTIONS = "/sys/fs/fuse/connections";
  if ((await entryOf(CONNECTIONS)) !== undefined) return;
  await ok("mount", ["-t", "fusectl", "fusectl", CONNECTIONS]);
  scope.defer(() => ok("umount", [CONNECTIONS]));
}
