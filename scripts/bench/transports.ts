/** The transports that are compared, loaded when asked for: a server process has only one of them in it. Used by serve.ts and transport.ts. */
import type { Transport } from "../../src/fuse/transport.ts";

export const TRANSPORTS = {
  kernel: async (): Promise<Transport> => (await import("../../src/fuse/kernel/kernel-transport.ts")).kernelTransport,
  "fuse-native": async (): Promise<Transport> =>
    (await import("../../src/fuse/libfuse/libfuse-transport.ts")).libfuseTransport,
} as const;

export type TransportName = keyof typeof TRANSPORTS;
