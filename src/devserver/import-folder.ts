/**
 * Reads a local folder into objects: blocks, file and directory objects, with modification times and exec bits. What
 * Seafile cannot hold (symlinks, sockets, names that are not UTF-8) is left out. Called by Store.importFolder.
 */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { FileKey } from "./encryption.ts";
import type { FileContents } from "./file-content.ts";
import type { FsObjects } from "./fs-objects.ts";
import { type Dirent, MODE_DIRECTORY, MODE_EXECUTABLE, MODE_FILE } from "./objects.ts";
import { isValidName } from "./paths.ts";

/** The entries of `folder`, with everything below stored. Names come out in NFC. */
export async function readFolder(
  folder: string,
  modifier: string,
  contents: FileContents,
  fs: FsObjects,
  key?: FileKey,
): Promise<Dirent[]> {
  const entries = new Map<string, Dirent>();
  for (const local of await readdir(folder, { withFileTypes: true })) {
    const name = local.name.normalize("NFC");
    if (name.includes("\ufffd") || !isValidName(name)) continue;
    const path = join(folder, local.name);
    if (local.isDirectory()) {
      const { mtimeMs } = await stat(path);
      const id = fs.putDirectory(await readFolder(path, modifier, contents, fs, key));
      entries.set(name, { name, id, mode: MODE_DIRECTORY, mtime: Math.floor(mtimeMs / 1000), size: 0, modifier: "" });
    } else if (local.isFile()) {
      const { mtimeMs, mode } = await stat(path);
      const stored = await contents.store(createReadStream(path) as AsyncIterable<Buffer>, key);
      const fileMode = (mode & 0o100) !== 0 ? MODE_EXECUTABLE : MODE_FILE;
      entries.set(name, { name, ...stored, mode: fileMode, mtime: Math.floor(mtimeMs / 1000), modifier });
    }
  }
  return [...entries.values()];
}
