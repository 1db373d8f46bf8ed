/**
 * Mounts MemoryFileSystem behind the real Adapter: argv is the transport, the mount point and the kernel's lifetimes in milliseconds.
 * Says "mounted" when it serves; unmounts and ends when stdin ends, so that no mount outlives transport.ts, which starts it.
 */
import { Adapter } from "../../src/fuse/adapter.ts";
import { createLogger } from "../../src/observe/log.ts";
import { MemoryFileSystem } from "./memory-file-system.ts";
import { TRANSPORTS, type TransportName } from "./transports.ts";

const [name, mountpoint, ttl] = process.argv.slice(2) as [TransportName, string, string];
const log = createLogger({ level: "warn" });
const ttlMs = Number(ttl);
const adapter = new Adapter({
  fileSystem: new MemoryFileSystem(),
  uid: process.getuid!(),
  gid: process.getgid!(),
  umask: 0o022,
  readOnly: false,
  lifetimes: { ttlMs, negativeTtlMs: 0 },
  log,
});
// Ctrl-C reaches every process of the terminal; transport.ts decides when the mount ends.
process.on("SIGINT", () => {});
const transport = await TRANSPORTS[name]();
const session = await transport(adapter, {
  mountpoint,
  fsname: "bench",
  readOnly: false,
  allowOther: false,
  defaultPermissions: false,
  extraOptions: [],
  log,
});
process.stdin.resume().once("end", () => void session.unmount({ lazy: true }));
process.stdout.write("mounted\n");
await session.closed;
process.stdin.destroy();
