/**
 * What the kernel transport can do on every kernel that it accepts (7.28 and later). Tests name these capabilities, so this file
 * imports nothing that mounts.
 */
import type { TransportCapabilities } from "../transport.ts";

export const KERNEL_CAPABILITIES: TransportCapabilities = {
  invalidation: true,
  nanosecondTimes: true,
  singleTimes: true,
  interrupts: true,
  renameNoReplace: true,
  fallocate: true,
  mknodErrors: true,
  replacementCharacter: true,
  versionPerOpen: true,
  unlinksOpenFilesAtOnce: true,
  removesFoldersOfOpenFiles: true,
};
