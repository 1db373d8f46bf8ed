/**
 * What was written and is not stored yet, on the local disk: opened at the start of a mount, with what dead mounts of the same
 * account left. Invariant: content that is taken over from another state folder is in this journal, durably, before the other
 * folder is removed. Called by mount.ts.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "./observe/log.ts";
import type { Library } from "./seafile/library.ts";
import type { LibraryId } from "./seafile/types.ts";
import { settleMoves } from "./vfs/recovered.ts";
import { Backlog } from "./writeback/backlog.ts";
import { Journal } from "./writeback/journal.ts";
import type { Pending } from "./writeback/records.ts";
import { replay } from "./writeback/recovery.ts";
import { Spool } from "./writeback/spool.ts";
import type { StateDir } from "./writeback/state-dir.ts";

export interface WriteState {
  readonly backlog: Backlog;
  readonly spool: Spool;
  /** What an earlier process left to be done. */
  readonly pending: Pending;
  /** Moves content out of the spool for its user and says where it is. */
  keep(spoolName: string, name: string): Promise<string>;
  close(): Promise<void>;
}

export type StateFolders = Pick<StateDir, "folder" | "spool" | "recovered">;

export async function openWriteState(folders: StateFolders, log: Logger): Promise<WriteState> {
  const { journal, records } = await Journal.open(folders.folder, log);
  const spool = await Spool.open(folders.spool);
  const pending = replay(records);
  const backlog = new Backlog(journal, spool, pending, log);
  const keep = async (spoolName: string, name: string) => {
    await mkdir(folders.recovered, { recursive: true, mode: 0o700 });
    const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
    // Only the last 200 bytes of the name, so that stamp and id still fit into NAME_MAX.
    const tail = Buffer.from(name).subarray(-200).toString("latin1");
    const place = join(
      folders.recovered,
      `${stamp} ${randomUUID().slice(0, 4)} ${tail.replaceAll(/[^\x20-\x7e]|\//g, "_")}`,
    );
    await rename(spool.pathOf(spoolName), place);
    return place;
  };
  return { backlog, spool, pending, keep, close: () => backlog.close() };
}

export interface Adoption {
  readonly stateDir: StateDir;
  readonly state: WriteState;
  readonly libraryOf: (id: LibraryId) => Library | undefined;
  readonly revive: (pending: Pending, libraryOf: (id: LibraryId) => Library | undefined) => Promise<string[]>;
  readonly log: Logger;
}

/** Takes over what dead mounts of the account left. Resolves with the places of what belongs nowhere any more. */
export async function adoptSiblings({ stateDir, state, libraryOf, revive, log }: Adoption): Promise<string[]> {
  const kept: string[] = [];
  for (const sibling of await stateDir.siblings()) {
    let other: WriteState | undefined;
    try {
      other = await openWriteState(sibling, log);
      await settleMoves(other.pending, libraryOf, other.backlog);
      for (const content of other.pending.contents.values()) {
        await link(other.spool.pathOf(content.spool), state.spool.pathOf(content.spool)).catch(ignoreExisting);
      }
      await state.spool.sync();
      const imported = await state.backlog.import(other.pending);
      try {
        // From here on our journal has it all, so that theirs need not be whole any more.
        await other.close().catch(() => {});
        await sibling.remove();
      } finally {
        kept.push(...(await revive(imported, libraryOf)));
      }
    } catch (error) {
      log.warn(
        { folder: sibling.folder, err: error },
        "the state of an earlier mount cannot be taken over to the end; the rest is left for the next one",
      );
      await other?.close().catch(() => {});
      await sibling.release();
    }
  }
  return kept;
}

/** Linked already by a process that died before it could remove the folder. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
