/**
 * docs/SEMANTICS.md, "What Seafile does not have": special files, reserved space, locks over the network. Extended attributes and
 * df are quoted in test/mount/unsupported and options.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startServer, useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { EMAIL, mountLibrary } from "../support/mounts.ts";
import { python } from "../support/process.ts";
import { testScope } from "../support/scope.ts";
import { requires } from "../support/transport.ts";
import { fileOf, serverTree } from "../support/trees.ts";

const shared = useMount();

const MAKE_THEM = `
import errno, os, socket, stat, sys
os.chdir(sys.argv[1])
open("file", "w").close()
def bind():
    with socket.socket(socket.AF_UNIX) as s: s.bind("socket")
# Device 0:0 is the character device that a program without CAP_MKNOD may ask for: the filesystem itself must refuse it.
calls = [lambda: os.symlink("file", "symlink"), lambda: os.link("file", "link"), lambda: os.mkfifo("fifo"), bind,
         lambda: os.mknod("character", stat.S_IFCHR | 0o600, 0), lambda: os.mknod("block", stat.S_IFBLK | 0o600, os.makedev(7, 0))]
for call in calls:
    try:
        call()
        print("ok")
    except OSError as error:
        print(errno.errorcode[error.errno])
os.mknod("regular", stat.S_IFREG | 0o600)`;

describe("special files", () => {
  // SEMANTICS: "Symbolic links, hard links, FIFOs, sockets and devices are refused with EPERM."
  it("are EPERM and leave nothing behind", async () => {
    const folder = await shared.folder();
    const results = (await python(MAKE_THEM, [folder.dir])).trim().split("\n");
    expect(results).toEqual(["EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM"]);
    expect(await folder.tree()).toEqual({ file: fileOf(""), regular: fileOf("") });
    expect(await shared.worker.listdir(folder.dir)).toEqual(["file", "regular"]);
  });
});

describe("fallocate", requires("fallocate"), () => {
  // SEMANTICS: "fallocate makes a file longer and reserves nothing; punching holes is answered EOPNOTSUPP."
  it("succeeds where there is no room, which close then says; holes are refused", async () => {
    const scope = testScope();
    const server = await startServer(scope);
    const id = server.store.createLibrary(EMAIL, "Work");
    await server.store.writeFile(id, "/data", "0123456789");
    server.store.setQuota(EMAIL, 1000);
    const mount = await mountLibrary(scope, { server, library: "Work" });
    const worker = new FsWorker(scope);
    const fd = await worker.open(join(mount.dir, "data"), "O_RDWR");
    const blocks = (await worker.fstat(fd)).blocks;
    expect(await outcome(worker.call("fallocate", fd, 1, 0, 1_000_000))).toBe("ok");
    expect(await worker.fstat(fd)).toMatchObject({ size: 10, blocks });
    // PUNCH_HOLE with KEEP_SIZE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE (linux/falloc.h)
    for (const mode of [3, 8, 16, 32]) {
      // The number of EOPNOTSUPP is that of ENOTSUP.
      expect(await outcome(worker.call("fallocate", fd, mode, 0, 4096))).toBe("ENOTSUP");
    }
    expect((await worker.pread(fd, 100, 0)).toString()).toBe("0123456789");
    expect(await outcome(worker.call("fallocate", fd, 0, 0, 1_000_000))).toBe("ok");
    expect((await worker.fstat(fd)).size).toBe(1_000_000);
    expect(await worker.pread(fd, 12, 8)).toEqual(Buffer.concat([Buffer.from("89"), Buffer.alloc(10)]));
    expect(await outcome(worker.call("fsync", fd))).toBe("EDQUOT");
    server.store.setQuota(EMAIL, null);
    expect(await outcome(worker.close(fd))).toBe("ok");
    const longer = Buffer.concat([Buffer.from("0123456789"), Buffer.alloc(999_990)]);
    expect(await serverTree(server, id)).toEqual({ data: fileOf(longer) });
  });
});

describe("locks", () => {
  // SEMANTICS: "flock and POSIX locks hold between the programs that use one mount."
  it.each(["flock", "lockf"])("%s excludes a program in the same mount, and nobody in another one", async (call) => {
    const scope = testScope();
    const folder = await shared.folder();
    await shared.worker.writeFile(join(folder.dir, "f"), "x");
    // What another machine has: a mount of its own.
    const elsewhere = await mountLibrary(scope, { server: shared.server, library: "Work" });
    const lock = async (dir: string) => {
      const worker = new FsWorker(scope);
      return outcome(worker.call(call, await worker.open(join(dir, folder.path, "f"), "O_RDWR"), 2 | 4));
    };
    expect(await lock(shared.mount.dir)).toBe("ok");
    expect(await lock(shared.mount.dir)).toBe("EAGAIN");
    expect(await lock(elsewhere.dir)).toBe("ok");
    expect(await lock(elsewhere.dir)).toBe("EAGAIN");
  });
});
