/** What `status` and the waiting commands show: bars, times, what is left out, and that names cannot spoil a terminal. */
import { describe, expect, it } from "vitest";
import { moment, progressText, stateText, statusLines } from "../../src/cli/status-view.ts";
import type { MountStatus } from "../../src/control/protocol.ts";
import { FakeControl, queueItem } from "./fake-control.ts";

const NOW = new Date(2025, 10, 22, 10, 0, 0).getTime();

function statusOf(change: Partial<MountStatus> = {}): MountStatus {
  return { ...new FakeControl("/mnt/a").status(), pid: 42, since: NOW - 60_000, ...change };
}
const queueOf = (...uploading: MountStatus["queue"]["uploading"]) => ({
  files: uploading.length,
  bytes: 5_000_000,
  held: 0,
  retrying: 0,
  uploading,
});
const report = (status: MountStatus, bars = true) => statusLines(status, { bars, now: NOW });

describe("the report of a mount", () => {
  it("of which everything is stored", () => {
    expect(report(statusOf({ online: false }))).toEqual([
      "/mnt/a: me@example.com at https://seafile.example.com",
      "  state      offline, transport kernel, process 42, mounted 09:59:00",
      "  libraries  Work",
      "  pending    nothing, everything is stored",
      "  rates      up 0 B/s, down 0 B/s",
      "  cache      0 B of 268 MB, 0 listed entries",
    ]);
  });

  it("names rights, uploads, troubles, times that end and the last errors", () => {
    const libraries = [
      { name: "Shared", id: "1", permission: "r" as const, encrypted: false, locked: false },
      { name: "Vault", id: "2", permission: "r" as const, encrypted: true, locked: true },
      { name: "Safe", id: "3", permission: "rw" as const, encrypted: true, locked: false },
    ];
    const uploads = [queueItem(1, { state: "uploading", sent: 333 })];
    const queue = { ...queueOf(...uploads), files: 9, held: 2, retrying: 1 };
    const errors = Array.from({ length: 7 }, (_, i) => ({ at: NOW - 86_400_000, message: `error ${i}` }));
    const lines = report(statusOf({ libraries, queue, errors, timesNotKept: 1 }));
    expect(lines).toContain("  libraries  Shared (read-only), Vault (read-only, encrypted, locked), Safe (encrypted)");
    expect(lines).toContain("  pending    9 changes, 5.0 MB; 1 retrying; 2 held (`seamount queue ls` says why)");
    expect(lines).toContain("  uploading  [#######-------------]  33 % of 1.0 KB  /Work/f1.txt");
    expect(lines).toContain("  times      1 file with a modification time that ends with this mount");
    expect(lines.filter((line) => line.includes("error"))).toEqual(
      [2, 3, 4, 5, 6].map((i) => `  error      2025-11-21 10:00  error ${i}`),
    );
  });

  it("has no bars for a pipe", () => {
    const status = statusOf({ queue: queueOf(queueItem(1, { state: "uploading", sent: 333 })) });
    expect(report(status, false)).toContain("  uploading   33 % of 1.0 KB  /Work/f1.txt");
  });

  it("a bar stays in its bounds, whatever is sent", () => {
    const uploads = [
      queueItem(1, { state: "uploading" }),
      queueItem(2, { state: "uploading", sent: 2000 }),
      queueItem(3, { state: "uploading", size: 0, sent: 0 }),
    ];
    const shown = report(statusOf({ queue: queueOf(...uploads) })).filter((line) => line.includes("["));
    expect(shown.map((line) => line.slice(13, 42))).toEqual([
      "[--------------------]   0 % ",
      "[####################] 100 % ",
      "[####################] 100 % ",
    ]);
  });

  it("counts what there is no room for", () => {
    const uploads = Array.from({ length: 11 }, (_, i) => queueItem(i + 1, { state: "uploading", sent: 1 }));
    const library = { id: "1", permission: "rw" as const, encrypted: false, locked: false };
    const libraries = Array.from({ length: 10 }, (_, i) => ({ ...library, name: `L${i}` }));
    const lines = report(statusOf({ queue: queueOf(...uploads), libraries }));
    expect(lines.filter((line) => line.includes("uploading"))).toHaveLength(9);
    expect(lines).toContain("  uploading  and 3 more");
    expect(lines).toContain("  libraries  L0, L1, L2, L3, L4, L5, L6, L7 and 2 more");
  });

  it("cannot be spoilt by names and messages", () => {
    const item = queueItem(1, { state: "uploading", path: "/a\u001b[2J\nb" });
    const errors = [{ at: NOW, message: "no\u202e\u0007" }];
    const text = report(statusOf({ queue: queueOf(item), errors, user: "a\nb" })).join("");
    expect(text).toMatch(/\\u\{1b\}\[2J\\u\{a\}b/);
    expect(text).not.toMatch(/\p{Cc}|\p{Cf}/u);
  });
});

describe("how far storing is", () => {
  it("is one line over all mounts that are waited for", () => {
    const first = statusOf({
      queue: { ...queueOf(queueItem(1, { state: "uploading", sent: 520, path: "/d/big.iso" })), held: 1 },
      rates: { uploadBytesPerSecond: 1_000_000, downloadBytesPerSecond: 7 },
    });
    const second = statusOf({
      queue: { ...queueOf(), files: 4 },
      rates: { uploadBytesPerSecond: 200_000, downloadBytesPerSecond: 0 },
    });
    expect(progressText([first, second])).toBe("5 changes, 10 MB to store (1 held); big.iso 52 %; 1.2 MB/s");
    expect(progressText([statusOf()])).toBe("Nothing is left to store ...");
  });
});

describe("the state of a change", () => {
  it.each([
    [queueItem(1), "waiting"],
    [queueItem(1, { state: "writing" }), "writing"],
    [queueItem(1, { state: "uploading" }), "uploading"],
    [queueItem(1, { state: "uploading", sent: 999 }), "uploading 99 %"],
    [queueItem(1, { state: "retrying" }), "retrying"],
    [queueItem(1, { state: "retrying", at: NOW + 62_000 }), "retrying at 10:01:02"],
    [queueItem(1, { state: "held" }), "held"],
    [queueItem(1, { state: "held", reason: "quota" }), "held: quota"],
  ])("%j is %s", (item, text) => {
    expect(stateText(item, NOW)).toBe(text);
  });

  it("a moment has seconds today and a date on other days", () => {
    expect(moment(NOW, NOW)).toBe("10:00:00");
    expect(moment(NOW - 11 * 3_600_000, NOW)).toBe("2025-11-21 23:00");
  });
});
