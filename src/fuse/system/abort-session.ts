/**
 * Ends serving at once, whatever is open or running: Session.abort() of both transports.
 * Invariant: touches neither the connection nor the mount of a session that has ended, whose device number may be another's by now.
 */
import type { Logger } from "../../observe/log.ts";
import { abortConnection } from "./connection.ts";
import { unmountSession } from "./unmount-path.ts";

/** `device` is the mount's "major:minor". What cannot be done is logged. */
export function abortSession(
  session: { readonly ended: boolean; stop(): void },
  mountpoint: string,
  device: string | undefined,
  log: Logger,
): void {
  if (session.ended) return;
  session.stop();
  if (!abortConnection(device)) {
    log.warn("the connection cannot be aborted (no fusectl); it ends when the last file on it is closed");
  }
  unmountSession(mountpoint, device, true, log).catch((error: unknown) => {
    log.warn({ err: error }, "unmounting after an abort failed");
  });
}
