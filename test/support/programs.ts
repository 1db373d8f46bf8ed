/**
 * The programs that tests start in processes of their own: the command line, and the children written for tests. They are compiled
 * once before a run (global-setup.ts), because compiling at every start takes longer than most tests. Invariant: what runs is what the sources
 * say now.
 */
import { execFile } from "node:child_process";
import { join, relative, resolve } from "node:path";
import { promisify } from "node:util";

const ROOT = resolve(import.meta.dirname, "../..");

/** The built `seamount`. */
export const MAIN = join(ROOT, "dist/cli/main.js");

/** The compiled form of a child; it has to be listed in test/tsconfig.children.json. `folder` is the caller's import.meta.dirname. */
export function compiled(folder: string, name: string): string {
  return join(ROOT, "build", relative(ROOT, folder), `${name}.js`);
}

/** Compiles what has changed. Rejects with what the compiler says. Called by vitest before the fast tests, and by global-setup.ts. */
export async function setup(): Promise<void> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const projects = ["tsconfig.build.json", "test/tsconfig.children.json"];
  try {
    await promisify(execFile)(process.execPath, [tsc, "-b", ...projects], { cwd: ROOT });
  } catch (error) {
    throw new Error(`the programs cannot be compiled:\n${(error as { stdout?: string }).stdout ?? String(error)}`);
  }
}
