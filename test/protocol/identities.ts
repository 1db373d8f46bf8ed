/**
 * Who mounts in the mount tests of this folder: root and an ordinary user where the tests run as root, else the current user.
 */
import { chmod } from "node:fs/promises";
import { NOBODY } from "../support/mounts.ts";

export const IS_ROOT = process.getuid?.() === 0;

export interface Identity {
  readonly who: string;
  /** undefined: the user who runs the tests. */
  readonly uid: number | undefined;
}

export const IDENTITIES: readonly Identity[] = IS_ROOT
  ? [
      { who: "root", uid: undefined },
      { who: "an ordinary user", uid: NOBODY },
    ]
  : [{ who: "the current user", uid: undefined }];

/** Options for running a tool as that user. */
export const as = (uid: number | undefined) => (uid === undefined ? {} : { uid });

/** Lets everybody open /dev/fuse, as udev does where it runs. */
export async function openDevice(): Promise<void> {
  if (IS_ROOT) await chmod("/dev/fuse", 0o666);
}
