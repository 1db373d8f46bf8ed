/** The transports that are compared, loaded when asked for: a server process has only one of them in it. Used by serve.ts and transport.ts. */
import { Socket } from "node:net";
import type { Transport } from "../../src/fuse/transport.ts";

export const TRANSPORTS = {
  kernel: async (): Promise<Transport> => (await import("../../src/fuse/kernel/kernel-transport.ts")).kernelTransport,
  /** The kernel transport as it reads where Node lacks the handle that lets the event loop wait for /dev/fuse. */
  "kernel-pool": async (): Promise<Transport> => {
    Socket.prototype.connect = () => {
      throw new Error("no handle");
    };
    return TRANSPORTS.kernel();
  },
  "fuse-native": async (): Promise<Transport> =>
    (await import("../../src/fuse/libfuse/libfuse-transport.ts")).libfuseTransport,
} as const;

export type TransportName = keyof typeof TRANSPORTS;
