/**
 * Mounts MemoryOperations at argv[2] with the options in argv[3] (JSON) through the transport argv[4], and answers to lines on stdin,
 * because the process that serves a mount must never touch it: the tests do that from outside. Started by mount-process.ts.
 */
import { createInterface } from "node:readline";
import type { Transport, TransportOptions } from "../../src/fuse/transport.ts";
import { createLogger } from "../../src/observe/log.ts";
import { MemoryOperations } from "./memory-operations.ts";

const operations = new MemoryOperations({ ttlMs: 60_000 });
const say = (event: unknown) => process.stdout.write(`${JSON.stringify(event)}\n`);

async function loadTransport(): Promise<Transport> {
  if (process.argv[4] === "fuse-native")
    return (await import("../../src/fuse/libfuse/libfuse-transport.ts")).libfuseTransport;
  return (await import("../../src/fuse/kernel/kernel-transport.ts")).kernelTransport;
}

try {
  const options = JSON.parse(process.argv[3] ?? "{}") as Partial<TransportOptions>;
  const transport = await loadTransport();
  const session = await transport(operations, {
    mountpoint: process.argv[2]!,
    fsname: "memory",
    readOnly: false,
    allowOther: false,
    defaultPermissions: false,
    extraOptions: [],
    log: createLogger({ level: "info" }),
    ...options,
  });
  say({ event: "mounted" });
  const lines = createInterface({ input: process.stdin });
  void session.closed.then(() => {
    say({ event: "closed", destroyed: operations.destroyed });
    lines.close();
  });
  for await (const line of lines) {
    const [command, ...args] = line.split(" ");
    if (command === "unmount") {
      const outcome = session.unmount({ lazy: args[0] === "lazy" });
      await outcome.then(
        () => say({ event: "unmounted" }),
        (error: { code?: string; message: string }) =>
          say({ event: "refused", code: error.code, message: error.message }),
      );
    } else if (command === "abort") session.abort();
    else if (command === "exit") process.exit(7);
    else if (command === "hang") operations.getattr = () => new Promise(() => {});
    else if (command === "break") {
      operations.readdir = () => {
        throw new TypeError("broken on purpose");
      };
      say({ event: "broken" });
    } else if (command === "let-go") operations.letGo();
    else if (command === "calls") say({ event: "calls", calls: operations.calls.splice(0) });
    else if (command === "drop") session.kernelCache.invalidateEntry(1, args[0]!);
    else if (command === "poke") {
      const ino = operations.poke(args[0]!, args[1]!);
      if (args[2] !== "silently") {
        session.kernelCache.invalidateEntry(1, args[0]!);
        session.kernelCache.invalidateInode(ino, 0, 0);
      }
      say({ event: "poked" });
    }
  }
} catch (error) {
  const { name, message, reason } = error as { name: string; message: string; reason?: string };
  say({ event: "failed", name, message, reason });
  process.exitCode = 5;
}
