/**
 * What stands in the way of a mount on machines that are set up otherwise, and what our error then says: the proofs of
 * native-notes/mount-helpers.md. Each set-up is made in a mount namespace of its own (unshare -m), so that nothing
 * outside of it changes; hence for root only.
 */

import { spawn } from "node:child_process";
import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { mountEntries } from "../support/mountinfo.ts";
import { makeMountPoint, NOBODY } from "../support/mounts.ts";
import { ok, run } from "../support/process.ts";
import { fileScope, type Scope, tempDir, testScope } from "../support/scope.ts";
import { IS_ROOT, openDevice } from "./identities.ts";
import { CHILD, type ChildEvent, MountProcess, mounted } from "./mount-process.ts";

const childArguments = (dir: string, options = {}) => [process.execPath, CHILD, dir, JSON.stringify(options)];

/**
 * Runs a shell script and then its arguments in a mount namespace of their own. Copies of the FUSE mounts of tests that run at the
 * same time are removed from it first, all but $KEEP: they would keep those mounts alive.
 */
const inNamespace = (script: string) => [
  "unshare",
  "-m",
  "sh",
  "-ec",
  `grep -F " - fuse." /proc/self/mountinfo | cut -d " " -f 5 | grep -vxF "\${KEEP:-/}" | while read -r copy; do
  umount -i -c -l "$copy" || true
done 2> /dev/null
${script}
exec "$@"`,
  "sh",
];

/** /dev with the two devices that Node needs, and no /dev/fuse. */
const BARE_DEV =
  "mount -t tmpfs -o mode=755 none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9";

const asUser = (uid: number) => ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
const AS_USER = asUser(NOBODY);
/** In no /etc/passwd. */
const NAMELESS = 54321;

describe.runIf(IS_ROOT)("where mounting is not possible", () => {
  const scope = fileScope();
  let work: string;
  let dir: string;

  beforeAll(async () => {
    await openDevice();
    work = await tempDir(scope, "work");
    await chmod(work, 0o755);
    dir = join(work, "mnt");
    await mkdir(dir);
    await chown(dir, NOBODY, NOBODY);
  });

  /** Mounts after `setup`, a script that sees the work folder as $WORK: the event "failed". */
  async function failure(setup: string, prefix: readonly string[], at = dir, options = {}): Promise<ChildEvent> {
    const [program = "", ...args] = [...inNamespace(setup), ...prefix, ...childArguments(at, options)];
    const result = await run(program, args, { env: { WORK: work, HOME: work, TSX_DISABLE_CACHE: "1" } });
    const line = result.stdout.split("\n").find((text) => text.startsWith("{"));
    if (line === undefined) throw new Error(`the mount said nothing\n${result.stderr}`);
    return JSON.parse(line) as ChildEvent;
  }

  it("without /dev/fuse, root is told to load the module or to give the container the device", async () => {
    expect(await failure(BARE_DEV, [])).toMatchObject({
      reason: "fuse-missing",
      message: "/dev/fuse cannot be opened. Load the kernel module (modprobe fuse) or give the container the device.",
    });
  });

  it("without /dev/fuse, an ordinary user is told what fusermount3 says", async () => {
    const event = await failure(BARE_DEV, AS_USER);
    expect(event).toMatchObject({ reason: "fuse-missing" });
    expect(event["message"]).toContain("fuse device not found, try 'modprobe fuse' first");
  });

  it("with a /dev/fuse of mode 0600, which fusermount3 opens as the caller although it is setuid root", async () => {
    const event = await failure(`${BARE_DEV} && mknod -m 600 /dev/fuse c 10 229`, AS_USER);
    expect(event).toMatchObject({ reason: "permission" });
    expect(event["message"]).toContain("failed to open /dev/fuse: Permission denied");
    expect(event["message"]).toContain("chmod 0666 /dev/fuse");
  });

  it("with a fusermount3 that is not setuid root, or may not become so (no_new_privs)", async () => {
    const setup =
      'cp /usr/bin/fusermount3 "$WORK" && chmod 755 "$WORK/fusermount3" && mount --bind "$WORK/fusermount3" /usr/bin/fusermount3';
    for (const event of [await failure(setup, AS_USER), await failure("", [...AS_USER, "--no-new-privs"])]) {
      expect(event).toMatchObject({ reason: "permission" });
      expect(event["message"]).toContain("mount failed: Operation not permitted");
    }
  });

  it("as root without CAP_SYS_ADMIN, as in a container without privileges", async () => {
    const event = await failure("", ["setpriv", "--bounding-set", "-sys_admin"]);
    expect(event).toMatchObject({ reason: "permission" });
    expect(event["message"]).toMatch(/^Mounting at .* failed: mount: .*permission denied/);
  });

  const fuseConf = (text: string) =>
    `echo "${text}" > "$WORK/fuse.conf" && mount --bind "$WORK/fuse.conf" /etc/fuse.conf`;

  it("with allow_other as an ordinary user, unless /etc/fuse.conf says user_allow_other", async () => {
    const event = await failure(fuseConf("mount_max = 1000"), AS_USER, dir, { allowOther: true });
    expect(event).toMatchObject({ reason: "permission" });
    expect(event["message"]).toContain(
      "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
    );
  });

  it("beyond mount_max of /etc/fuse.conf", async () => {
    const event = await failure(fuseConf("mount_max = 0"), AS_USER);
    expect(event["message"]).toContain("too many FUSE filesystems mounted");
  });

  it("as a user id without a name, as containers give one", async () => {
    await chown(dir, NAMELESS, NAMELESS);
    const event = await failure("", asUser(NAMELESS));
    await chown(dir, NOBODY, NOBODY);
    expect(event["message"]).toContain("could not determine username");
  });

  it("on a folder that the user may not write to, or that is not his in a sticky one", async () => {
    expect((await failure("", AS_USER, work))["message"]).toContain("user has no write access to mountpoint");
    const sticky = join(work, "sticky");
    await mkdir(sticky);
    await chmod(sticky, 0o1777);
    expect((await failure("", AS_USER, sticky))["message"]).toContain("not owned by user");
  });
});

const isListed = async (dir: string) => (await mountEntries()).some(({ mountpoint }) => mountpoint === dir);

describe.runIf(IS_ROOT)("a mount and the namespaces around it", () => {
  beforeAll(openDevice);

  it("lives on in another mount namespace that was made from this one, after it is unmounted here", async () => {
    const mount = await mounted(testScope());
    const holder = await newNamespace(testScope(), mount.dir);
    await ok("umount", [mount.dir]);
    expect(await isListed(mount.dir)).toBe(false);
    expect((await run("grep", ["-c", mount.dir, `/proc/${holder.pid}/mountinfo`])).stdout).toBe("1\n");
    expect(await ok("nsenter", ["-t", String(holder.pid), "-m", "stat", "-f", "-c", "%T", mount.dir])).toBe(
      "fuseblk\n",
    );
    expect(mount.over).toBe(false);
    holder.end();
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });

  it("needs no privileges in a user namespace, as in a rootless container, if /dev/fuse is there", async () => {
    const dir = await makeMountPoint(testScope(), NOBODY);
    const { mount, pid } = await startIn(testScope(), dir, [...inNamespace(""), ...AS_USER, "unshare", "-Urm"]);
    const inside = ["-t", String(pid), "-U", "-m", "-S", "0", "-G", "0"];
    await ok("nsenter", [...inside, "touch", join(dir, "file")]);
    expect(await mount.calls()).toContain("create file");
    expect(await isListed(dir)).toBe(false);
    await mount.ask("unmount", "unmounted");
    expect(await mount.exited).toEqual({ code: 0, signal: null });
  });

  it("cannot be unmounted by fusermount3 where there is no /etc/mtab", async () => {
    const etc = await tempDir(testScope(), "etc");
    await chmod(etc, 0o755);
    await ok("cp", ["/etc/passwd", etc]);
    const dir = await makeMountPoint(testScope(), NOBODY);
    const withoutMtab = inNamespace(`mount --bind '${etc}' /etc`);
    const { mount } = await startIn(testScope(), dir, [...withoutMtab, ...AS_USER]);
    expect((await mount.ask("unmount", "refused"))["message"]).toContain("failed to open /etc/mtab");
  });

  it("is not unmounted by fusermount3 for anybody but its owner", async () => {
    const mount = await mounted(testScope());
    const result = await run("fusermount3", ["-u", mount.dir], { uid: NOBODY });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("not found in /etc/mtab");
    expect(await isListed(mount.dir)).toBe(true);
  });

  it("hides what the folder held, until it is unmounted", async () => {
    const dir = await makeMountPoint(testScope(), NOBODY);
    await writeFile(join(dir, "below"), "");
    const mount = await mounted(testScope(), { dir, uid: NOBODY });
    expect(await ok("ls", ["-A", dir], { uid: NOBODY })).toBe("");
    await mount.ask("unmount", "unmounted");
    await mount.exited;
    expect(await ok("ls", ["-A", dir])).toBe("below\n");
  });
});

/** A mount whose process is started by `prefix`, a program that sets namespaces or ids and then executes its arguments. */
async function startIn(scope: Scope, dir: string, prefix: readonly string[]) {
  const [program = "", ...args] = [...prefix, ...childArguments(dir)];
  const child = spawn(program, args, {
    env: { PATH: process.env["PATH"], HOME: dir, TSX_DISABLE_CACHE: "1" },
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
  });
  const mount = new MountProcess(dir, child);
  scope.defer(() => mount.dispose());
  await mount.next("mounted");
  return { mount, pid: child.pid! };
}

/** A process in a mount namespace with a copy of the mount at `dir`. */
async function newNamespace(scope: Scope, dir: string): Promise<{ readonly pid: number; end(): void }> {
  const [program = "", ...args] = [...inNamespace(""), "cat"];
  const child = spawn(program, args, {
    env: { ...process.env, KEEP: dir },
    stdio: ["pipe", "pipe", "inherit"],
    cwd: "/",
  });
  scope.defer(async () => child.kill("SIGKILL"));
  child.stdin.write("ready\n");
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return { pid: child.pid!, end: () => child.stdin.end() };
}
