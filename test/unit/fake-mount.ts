/**
 * A process that is recorded as the one serving a mount point and answers on a control socket, but mounts nothing: what
 * `seamount unmount` waits for. Arguments: mount point, manner of ending. Run by cli-unmount.test.ts.
 */
import { createServer } from "node:net";
import { type ControlSocket, startControl } from "../../src/cli/control-socket.ts";
import { writeRecord } from "../../src/cli/mount-record.ts";
import { silentLogger } from "../../src/observe/log.ts";
import { busy, FakeControl, queueItem } from "./fake-control.ts";

const [mountpoint = "", manner = ""] = process.argv.slice(2);
const control = new FakeControl(mountpoint);
control.items = [queueItem(1), queueItem(2, { state: "uploading", sent: 520, path: "/big.iso" })];
const socket = manner === "mute" ? await mute() : await startControl({ control, mountpoint, log: silentLogger() });
const record = writeRecord(mountpoint, socket.path);

/** Hangs up on whoever asks, and ends a little later by itself. */
async function mute(): Promise<ControlSocket> {
  const server = createServer((connection) => {
    connection.destroy();
    setTimeout(() => void end(0), 300);
  });
  const path = `${mountpoint}.sock`;
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, close: async () => void server.close() };
}

async function end(pending: number): Promise<void> {
  record.finish({ unstored: manner === "keeps" ? ["/kept/a.txt"] : [], pending });
  await socket.close();
  process.exit(0);
}

control.onUnmount = async (drainMs) => {
  if (manner === "busy") return await busy();
  if (manner === "dies") process.exit(1);
  // Long enough for a progress line when there is time to wait.
  if (manner === "slow") await new Promise((resolve) => setTimeout(resolve, 1500));
  const pending = drainMs === 0 ? control.items.length : 0;
  setTimeout(() => void end(pending), 50);
  return { pending };
};
process.stdout.write(`ready ${process.pid}\n`);
// A test that fails leaves nothing behind.
setTimeout(() => process.exit(2), 60_000);
