/**
 * What the kernel transport can do on every kernel that it accepts (7.28 and later); kernel-transport.ts replaces what INIT
 * negotiated otherwise. Tests name these capabilities, so this file imports nothing that mounts.
 */
import type { TransportCapabilities } from "../transport.ts";
import { MAX_WRITE } from "./init.ts";

export const KERNEL_CAPABILITIES: TransportCapabilities = {
  maxWrite: MAX_WRITE,
  readdirplus: true,
  invalidation: true,
  nanosecondTimes: true,
  singleTimes: true,
  interrupts: true,
  callers: true,
  renameNoReplace: true,
  fallocate: true,
  mknodErrors: true,
  replacementCharacter: true,
  versionPerOpen: true,
  unlinksOpenFilesAtOnce: true,
  removesFoldersOfOpenFiles: true,
};
