/**
 * Where the command line keeps its files (XDG folders through env-paths), and how it writes one that only its owner may read.
 * Invariant: folders are 0700, files 0600, and a file is replaced in one step, never half written.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import envPaths from "env-paths";

const paths = envPaths("seamount", { suffix: "" });

export const credentialsFile = () => join(paths.config, "credentials.json");

/** Log of a background mount, named after its mount point. */
export function logFileOf(mountpoint: string): string {
  const slug = mountpoint.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^-/, "");
  return join(paths.log, `${slug.slice(-60) || "root"}.log`);
}

/** Folders that may hold records of running mounts; the first is where new ones go. */
export function runDirs(): string[] {
  const fallback = join(paths.log, "run");
  const runtime = process.env["XDG_RUNTIME_DIR"];
  return runtime && isOwn(runtime) ? [join(runtime, "seamount"), fallback] : [fallback];
}

/** Where a running mount keeps what it must reach at any time: below its own mount point it would wait for itself. */
export function ownFolders(): string[] {
  return [paths.data, paths.log, paths.config, ...runDirs()];
}

/** After `sudo` XDG_RUNTIME_DIR may be another user's. */
function isOwn(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false })?.uid === process.getuid?.();
}

export function ensurePrivateDir(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** Write, then rename over the old file: a reader sees the old or the new content. */
export function writePrivateFile(file: string, content: string): void {
  ensurePrivateDir(dirname(file));
  const temporary = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    writeFileSync(temporary, content, { mode: 0o600, flag: "wx", flush: true });
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
