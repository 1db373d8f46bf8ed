/**
 * Is this directory fit to be mounted on? Recognises and removes the stale mount that a crashed seamount left behind.
 * Invariant: never waits for ever on a dead or hung mount: whatever could touch one runs in a child process that is killed
 * after a time, or asks /proc instead. Called by the transports before mounting.
 */
import { realpath, stat } from "node:fs/promises";
import type { Logger } from "../../observe/log.ts";
import { MountError } from "./mount-error.ts";
import { type MountEntry, mountAt, SEAMOUNT_TYPE } from "./mountinfo.ts";
import { runHelper } from "./run-helper.ts";
import { unmountPath } from "./unmount-path.ts";

/** How long a mount may take to answer one stat before it counts as hung, in milliseconds. */
const ANSWERS_WITHIN_MS = 5000;
/** Crashed mounts may be stacked; more than this many are somebody else's problem. */
const MOST_STACKED = 8;

/** The real path of a directory that can be mounted on now. Throws MountError. */
export async function prepareMountpoint(path: string, log: Logger): Promise<string> {
  const real = await realpath(path).catch((error: unknown) => {
    throw new MountError("mountpoint", `The mount point ${path} ${whatIsWrong(error)}.`, { cause: error });
  });
  for (let stacked = 0; stacked < MOST_STACKED; stacked++) {
    const mount = await mountAt(real);
    if (mount?.type !== SEAMOUNT_TYPE) break;
    const state = await probe(mount);
    if (state !== "dead") {
      const hint = state === "hung" ? `does not answer (unmount it with: umount -l ${real})` : "is mounted already";
      throw new MountError("mountpoint", `A seamount at ${real} ${hint}.`);
    }
    await unmountPath(real, { lazy: true });
    log.warn({ mountpoint: real }, "removed the stale mount of a seamount that had crashed");
  }
  await checkDirectory(real);
  return real;
}

/** alive: answers, or it is closed to us. dead: its server is gone (ENOTCONN). */
async function probe(mount: MountEntry): Promise<"alive" | "dead" | "hung"> {
  // A mount without allow_other answers its owner only, and EACCES to root, whether its server lives or not.
  const owner = { uid: idOption(mount, "user_id"), gid: idOption(mount, "group_id") };
  const result = await runHelper("stat", ["-c", "%i", "--", mount.mountpoint], {
    timeoutMs: ANSWERS_WITHIN_MS,
    ...(process.geteuid?.() === 0 && { as: owner }),
  });
  if (result === undefined) throw new MountError("refused", "The program stat was not found.");
  if (result.status === null) return "hung";
  return /not connected|connection abort/i.test(result.stderr) ? "dead" : "alive";
}

function idOption(mount: MountEntry, name: string): number {
  return Number(mount.options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1) ?? 0);
}

async function checkDirectory(path: string): Promise<void> {
  const info = await stat(path).catch((error: unknown) => {
    throw new MountError("mountpoint", `The mount point ${path} ${whatIsWrong(error)}.`, { cause: error });
  });
  if (!info.isDirectory()) throw new MountError("mountpoint", `The mount point ${path} is not a directory.`);
}

function whatIsWrong(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return "does not exist";
    case "ENOTDIR":
      return "is not a directory";
    case "EACCES":
      return "cannot be reached with your permissions";
    case "ENOTCONN":
      return "lies in a mount whose program has crashed";
    default:
      return `cannot be used (${String(code ?? error)})`;
  }
}
