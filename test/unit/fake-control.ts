/**
 * A mount as the control socket sees it, without a filesystem: a queue that tests fill, and a record of what was asked.
 * Used in the test process and, by fake-mount.ts, in a process of its own.
 */
import { writeFile } from "node:fs/promises";
import type { Located, MountControl, MountStatus, QueueItem, SyncResult } from "../../src/control/protocol.ts";
import { ErrnoError } from "../../src/util/errno.ts";

export function queueItem(id: number, change: Partial<QueueItem> = {}): QueueItem {
  const path = change.path ?? `/f${id}.txt`;
  return {
    id,
    op: "put",
    library: "Work",
    path,
    location: `/Work${path}`,
    size: 1000,
    since: 1_700_000_000_000,
    state: "waiting",
    attempts: 0,
    ...change,
  };
}

export class FakeControl implements MountControl {
  readonly mountpoint: string;
  readonly calls: unknown[][] = [];
  /** Aborted syncs. */
  aborted = 0;
  items: readonly QueueItem[] = [];
  /** What locate finds, by the path below the mount point. */
  places: Readonly<Record<string, Located["place"]>> = {};
  overrides: Partial<MountStatus> = {};
  /** What unmount does; answers with what is pending unless replaced. */
  onUnmount: (drainMs: number | undefined) => Promise<{ readonly pending: number }> = async () => ({
    pending: this.items.length,
  });

  constructor(mountpoint: string) {
    this.mountpoint = mountpoint;
  }

  status(): MountStatus {
    const inState = (state: QueueItem["state"]) => this.items.filter((item) => item.state === state);
    return {
      mountpoint: this.mountpoint,
      server: "https://seafile.example.com",
      user: "me@example.com",
      pid: process.pid,
      since: 1_700_000_000_000,
      transport: "kernel",
      online: true,
      libraries: [{ name: "Work", id: "4a5f", permission: "rw", encrypted: false, locked: false }],
      queue: {
        files: this.items.length,
        bytes: this.items.reduce((sum, { size }) => sum + size, 0),
        held: inState("held").length,
        retrying: inState("retrying").length,
        uploading: inState("uploading"),
      },
      rates: { uploadBytesPerSecond: 0, downloadBytesPerSecond: 0 },
      errors: [],
      cache: { bytes: 0, maxBytes: 256 * 2 ** 20, listedEntries: 0 },
      timesNotKept: 0,
      ...this.overrides,
    };
  }

  queue(): readonly QueueItem[] {
    return this.items;
  }

  retry(ids?: readonly number[]): number {
    this.calls.push(["retry", ids]);
    return ids?.length ?? this.items.length;
  }

  async hold(ids: readonly number[]): Promise<number> {
    this.calls.push(["hold", ids]);
    return ids.length;
  }

  release(ids: readonly number[]): number {
    this.calls.push(["release", ids]);
    return ids.length;
  }

  async locate(path: string): Promise<Located> {
    this.calls.push(["locate", path]);
    const { server } = this.status();
    if (path === "/") return { server };
    const place = this.places[path];
    if (place === undefined) throw new ErrnoError("ENOENT", `There is no ${path} here.`);
    return { server, place };
  }

  async discard(ids: readonly number[]): Promise<number> {
    this.calls.push(["discard", ids]);
    const before = this.items.length;
    this.items = this.items.filter(({ id }) => !ids.includes(id));
    return before - this.items.length;
  }

  async export(id: number, path: string): Promise<void> {
    this.calls.push(["export", id, path]);
    await writeFile(path, `content of ${id}`, { flag: "wx", mode: 0o600 });
  }

  /** What is neither held nor uploading is stored at once; an upload ends when it is aborted. */
  async sync(path: string | undefined, signal: AbortSignal): Promise<SyncResult> {
    this.calls.push(["sync", path]);
    this.items = this.items.filter(({ state }) => state === "held" || state === "uploading");
    if (this.items.some(({ state }) => state === "uploading") && !signal.aborted) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      this.aborted++;
    }
    return { pending: this.items.length, held: this.items.filter(({ state }) => state === "held").length };
  }

  async unlock(library: string, password: string): Promise<number> {
    this.calls.push(["unlock", library, password]);
    return 0;
  }

  async unmount(drainMs: number | undefined): Promise<{ readonly pending: number }> {
    this.calls.push(["unmount", drainMs]);
    return await this.onUnmount(drainMs);
  }
}

export const busy = () => Promise.reject(new ErrnoError("EBUSY", "The mount is busy."));
