/**
 * The transport that the running project mounts with (vitest.config.ts provides its name), and how a test says that it is
 * about something which not every transport can do. Invariant: no test looks at the name; it names a capability of
 * TransportCapabilities, and on a transport without it the test is shown as skipped together with that name.
 */
import { inject, type TestOptions } from "vitest";
import { KERNEL_CAPABILITIES } from "../../src/fuse/kernel/kernel-capabilities.ts";
import { LIBFUSE_CAPABILITIES } from "../../src/fuse/libfuse/libfuse-capabilities.ts";
import type { TransportCapabilities } from "../../src/fuse/transport.ts";

/** Value of --transport. */
export type TransportName = "kernel" | "fuse-native";

export type Capability = keyof TransportCapabilities;

declare module "vitest" {
  interface ProvidedContext {
    readonly transport: TransportName;
    /** The folder of the run, in which all temp folders are made. */
    readonly temp: string;
    /** How long the model test runs unless told otherwise. */
    readonly modelSeconds: number;
  }
  interface TaskMeta {
    /** Capabilities without which the test is skipped; scripts/count-tests.mjs lists them. */
    readonly requires?: readonly string[];
  }
}

const CAPABILITIES: Readonly<Record<TransportName, TransportCapabilities>> = {
  kernel: KERNEL_CAPABILITIES,
  "fuse-native": LIBFUSE_CAPABILITIES,
};

/** What every `seamount mount` of a test is told. */
export const transportArguments = (): readonly string[] => ["--transport", inject("transport")];

/** For what is no test of its own, as the kinds of random operations. */
export const has = (name: Capability): boolean => CAPABILITIES[inject("transport")][name];

/** Options of a test or describe block that needs these capabilities: `it("...", requires("interrupts"), async () => ...)`. */
export function requires(...names: readonly Capability[]): TestOptions {
  return { skip: !names.every(has), meta: { requires: names } };
}
