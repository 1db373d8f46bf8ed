/**
 * What is left of the filesystem's abilities behind libfuse 2 and fuse-native; native-notes/fuse-native.md says why, and what
 * happens instead. Tests name these capabilities, so this file imports nothing that mounts.
 */
import type { TransportCapabilities } from "../transport.ts";

export const LIBFUSE_CAPABILITIES: TransportCapabilities = {
  invalidation: false,
  nanosecondTimes: false,
  singleTimes: false,
  interrupts: false,
  renameNoReplace: false,
  fallocate: false,
  mknodErrors: false,
  replacementCharacter: false,
  versionPerOpen: false,
  unlinksOpenFilesAtOnce: false,
  removesFoldersOfOpenFiles: false,
};
