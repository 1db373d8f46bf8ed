/**
 * What the command that mounts in the background (daemonize.ts) and the process that serves the mount (background-process.ts)
 * say to each other over Node's IPC channel: one job down, one answer up.
 */
import type { MountOptions } from "../options.ts";
import type { ExitCode } from "./exit-codes.ts";

/** Name of the environment variable that marks the serving process. It has no meaning without the channel. */
export const BACKGROUND_MARK = "SEAMOUNT_BACKGROUND";

export function isBackgroundProcess(): boolean {
  return process.env[BACKGROUND_MARK] === "1" && process.connected;
}

export interface BackgroundMount {
  readonly options: Omit<MountOptions, "log">;
  readonly verbose: boolean;
  readonly logFile: string;
}

export type Answer =
  | { readonly kind: "ready"; readonly transport: string }
  | { readonly kind: "failed"; readonly exitCode: ExitCode; readonly sentence: string };
