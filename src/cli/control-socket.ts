/**
 * Opens the control socket of the mount that this process serves, where its record can point to it.
 * Invariant: the socket lies in a folder that only this user may enter, under a name no other mount has; it is gone at the end.
 */
import { chmodSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { MountControl } from "../control/protocol.ts";
import { ControlServer } from "../control/server.ts";
import type { Logger } from "../observe/log.ts";
import { runNameOf } from "./mount-record.ts";
import { ensurePrivateDir, runDirs } from "./paths.ts";

/** unix(7): sun_path has 108 bytes with the final NUL. */
const MAX_SOCKET_PATH = 107;

export interface ControlSocket {
  readonly path: string;
  /** After the mount has ended: answers what is still to be answered. */
  close(): Promise<void>;
}

export interface ControlSocketOptions {
  readonly control: MountControl;
  readonly mountpoint: string;
  readonly log: Logger;
  /** The first one whose name is short enough is taken. */
  readonly folders?: readonly string[];
}

/** Lets the command line reach `control`. Rejects with the system's error when the socket cannot be made. */
export async function startControl(options: ControlSocketOptions): Promise<ControlSocket> {
  const { control, mountpoint, log, folders = runDirs() } = options;
  // With the process id: an earlier mount of this place may still be storing what is pending.
  const name = `${runNameOf(mountpoint)}.${process.pid}.sock`;
  const fitting = folders.find((dir) => Buffer.byteLength(join(dir, name)) <= MAX_SOCKET_PATH);
  const folder = fitting ?? mkdtempSync(join(tmpdir(), "seamount-"));
  ensurePrivateDir(folder);
  chmodSync(folder, 0o700);
  const server = await ControlServer.listen(join(folder, name), control, log);
  return {
    path: server.path,
    close: async () => {
      await server.close();
      if (fitting === undefined) rmdirSync(dirname(server.path));
    },
  };
}
