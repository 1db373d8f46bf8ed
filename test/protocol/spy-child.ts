/**
 * Mounts MemoryOperations at argv[2] with a channel that tells which requests came and who sent them, and does on command what
 * a filesystem process must not do: touch its own mount, fill its thread pool, notify on the main thread, exit.
 * argv[3] is JSON (SpySettings). Events go to stdout by write(2), so that they leave before the main thread blocks.
 */
import { spawn } from "node:child_process";
import { pbkdf2 } from "node:crypto";
import { stat, statSync, writeSync } from "node:fs";
import { access } from "node:fs/promises";
import { createInterface } from "node:readline";
import { OPCODE, opcodeName } from "../../src/fuse/kernel/abi.ts";
import { DeviceChannel } from "../../src/fuse/kernel/channel.ts";
import { KernelSession } from "../../src/fuse/kernel/kernel-session.ts";
import { mountFuse } from "../../src/fuse/kernel/mount-helper.ts";
import { invalEntry, invalInode } from "../../src/fuse/kernel/notify.ts";
import type { Receiver } from "../../src/fuse/kernel/reader.ts";
import { mountAt } from "../../src/fuse/system/mountinfo.ts";
import { prepareMountpoint } from "../../src/fuse/system/mountpoint.ts";
import { unmountSession } from "../../src/fuse/system/unmount-path.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { deferred } from "../../src/util/abort.ts";
import { MemoryOperations } from "./memory-operations.ts";

/** What INIT's answer is changed by, and how long the kernel may keep names and attributes, in milliseconds. */
export interface SpySettings {
  readonly setFlags?: number;
  readonly clearFlags?: number;
  readonly ttlMs?: number;
}

const settings = JSON.parse(process.argv[3] ?? "{}") as SpySettings;
const dir = process.argv[2]!;
const say = (event: unknown) => writeSync(1, `${JSON.stringify(event)}\n`);
const requests: { op: string; pid: number }[] = [];
let initUnique = 0n;

/** struct fuse_init_out has its flags 12 bytes after the header of 16. */
const INIT_FLAGS_AT = 16 + 12;

class SpyChannel extends DeviceChannel {
  override start(receiver: Receiver): void {
    const request = (buffer: Buffer, length: number) => {
      const opcode = buffer.readUInt32LE(4);
      if (opcode === OPCODE.INIT) initUnique = buffer.readBigUInt64LE(8);
      requests.push({ op: opcodeName(opcode), pid: buffer.readUInt32LE(32) });
      receiver.request(buffer, length);
    };
    super.start({ takeBuffer: () => receiver.takeBuffer(), end: (error) => receiver.end(error), request });
  }

  override write(message: readonly Uint8Array[]): "sent" | "gone" {
    const bytes = Buffer.concat(message);
    if (bytes.length > INIT_FLAGS_AT && bytes.readBigUInt64LE(8) === initUnique) {
      const flags = (bytes.readUInt32LE(INIT_FLAGS_AT) | (settings.setFlags ?? 0)) & ~(settings.clearFlags ?? 0);
      bytes.writeUInt32LE(flags >>> 0, INIT_FLAGS_AT);
    }
    return super.write([bytes]);
  }
}

const operations = new MemoryOperations({ ttlMs: settings.ttlMs ?? 0 });
const options = { readOnly: false, allowOther: false, defaultPermissions: false, extraOptions: [] };
await prepareMountpoint(dir, silentLogger());
const fd = await mountFuse({ ...options, mountpoint: dir, fsname: "spy" });
const session = new KernelSession({ operations, channel: new SpyChannel(fd), log: silentLogger() });
await session.ready;
const device = (await mountAt(dir))?.device;
say({ event: "mounted" });
const lines = createInterface({ input: process.stdin });
void session.closed.then(() => {
  say({ event: "closed", destroyed: operations.destroyed, requests });
  lines.close();
});

const held = deferred<void>();

function notifyOnMainThread(message: Buffer): void {
  let code: string | undefined;
  say({ event: "invalidating" });
  try {
    writeSync(fd, message);
  } catch (error) {
    code = (error as NodeJS.ErrnoException).code;
  }
  say({ event: "invalidated", code });
}

const COMMANDS: Readonly<Record<string, (argument: string) => void>> = {
  requests: () => say({ event: "requests", requests: requests.splice(0) }),
  "make-files": (count) => {
    for (let n = 0; n < Number(count); n++) operations.poke(`file${n}`, "text");
    say({ event: "made" });
  },
  "let-go": () => operations.letGo(),
  "stat-own-sync": () => {
    say({ event: "touching" });
    statSync(dir);
    say({ event: "touched" });
  },
  "stat-own": (count) => {
    for (let n = 0; n < Number(count); n++) stat(dir, () => say({ event: "touched" }));
    say({ event: "touching" });
  },
  "spawn-in-own": () => {
    say({ event: "touching" });
    spawn("true", { cwd: dir });
    say({ event: "touched" });
  },
  "fill-pool": (count) => {
    for (let n = 0; n < Number(count); n++) {
      pbkdf2("password", "salt", 50_000, 64, "sha512", () => requests.push({ op: "JOB", pid: 0 }));
    }
    say({ event: "filled" });
  },
  "invalidate-name-on-main-thread": (name) => notifyOnMainThread(invalEntry(1, name)),
  "invalidate-data-on-main-thread": (name) => notifyOnMainThread(invalInode(operations.poke(name, "text"), 0, 0)),
  "hold-lookups": () => {
    const lookup = operations.lookup.bind(operations);
    operations.lookup = async (...args) => {
      await held.promise;
      return lookup(...args);
    };
    say({ event: "held" });
  },
  "hold-reads": () => {
    operations.read = () => new Promise(() => {});
    say({ event: "held" });
  },
  "let-lookups-go": () => held.resolve(),
  "need-the-pool": () => {
    const getattr = operations.getattr.bind(operations);
    operations.getattr = async (...args) => {
      await access("/");
      return getattr(...args);
    };
    say({ event: "needed" });
  },
  "invalidate-in-the-pool": (name) => session.kernelCache.invalidateEntry(1, name),
  unmount: () => void unmountSession(dir, device, false, silentLogger()),
  exit: () => {
    process.once("exit", () => say({ event: "exiting" }));
    process.exit(7);
  },
};

for await (const line of lines) {
  const [command = "", argument = ""] = line.split(" ");
  COMMANDS[command]?.(argument);
}
