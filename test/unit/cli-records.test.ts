/** Records of running mounts and the spelling of mount points: what `unmount` knows, and what it must not believe. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { reportEnd } from "../../src/cli/mount-end.ts";
import { findRecord, isAlive, listRecords, takeEnd, waitForEnd, writeRecord } from "../../src/cli/mount-record.ts";
import { canonicalMountpoint } from "../../src/cli/mountpoint.ts";

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "seamount-"));
  vi.stubEnv("XDG_RUNTIME_DIR", root);
  folder = join(root, "seamount");
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

const recordFile = () => join(folder, readdirSync(folder)[0]!);

/** Rewrites the record as if another process had made it. */
function forge(change: object): void {
  const record = JSON.parse(readFileSync(recordFile(), "utf8")) as object;
  writeFileSync(recordFile(), JSON.stringify({ ...record, ...change }));
}

describe("mount records", () => {
  it("names the process that serves the mount point, readable for its user only", () => {
    writeRecord("/mnt/a");
    expect(findRecord("/mnt/a")).toMatchObject({ pid: process.pid, mountpoint: "/mnt/a" });
    expect(findRecord("/mnt/b")).toBeUndefined();
    expect((statSync(recordFile()).mode & 0o777).toString(8)).toBe("600");
    expect((statSync(folder).mode & 0o777).toString(8)).toBe("700");
  });

  it("is gone after a mount that stored everything", () => {
    writeRecord("/mnt/a").finish({ unstored: [], pending: 0 });
    expect(readdirSync(folder)).toEqual([]);
    expect(takeEnd("/mnt/a")).toEqual({ unstored: [] });
  });

  it.each([{ unstored: ["/docs/a.txt"] }, { unstored: [], pending: 3 }])(
    "tells once, after the process has ended, what is not stored: %j",
    (end) => {
      writeRecord("/mnt/a").finish(end);
      expect(takeEnd("/mnt/a")).toEqual({ unstored: [] });
      forge({ ticks: "1" });
      expect(findRecord("/mnt/a")).toBeUndefined();
      expect(takeEnd("/mnt/a")).toEqual(end);
      expect(takeEnd("/mnt/a")).toEqual({ unstored: [] });
    },
  );

  it("of a process that died without a word is told from one that stored everything", () => {
    writeRecord("/mnt/a");
    forge({ ticks: "1" });
    expect(takeEnd("/mnt/a")).toBe(undefined);
    expect(takeEnd("/mnt/a")).toEqual({ unstored: [] });
  });

  it("of all running mounts are listed by mount point, each once, without what is no record", () => {
    writeRecord("/mnt/b");
    writeRecord("/mnt/a", "/run/a.sock");
    writeRecord("/mnt/b", "/run/b.sock");
    writeRecord("/mnt/c").finish({ unstored: [], pending: 1 });
    writeFileSync(join(folder, "x.json"), "{");
    writeFileSync(join(folder, "y.sock"), "");
    expect(listRecords().map(({ mountpoint, socket }) => [mountpoint, socket])).toEqual([
      ["/mnt/a", "/run/a.sock"],
      ["/mnt/b", "/run/b.sock"],
    ]);
  });

  it("there are none without the folder", () => {
    expect(listRecords()).toEqual([]);
  });

  it("of a killed process takes its socket along when it goes", () => {
    const socket = join(root, "left.sock");
    for (const find of [() => findRecord("/mnt/a"), () => listRecords(), () => writeRecord("/mnt/a")]) {
      writeFileSync(socket, "");
      writeRecord("/mnt/a", socket);
      forge({ ticks: "1" });
      find();
      expect(existsSync(socket)).toBe(false);
    }
  });

  it("of a process that is gone is ignored and removed", () => {
    writeRecord("/mnt/a");
    forge({ pid: 2 ** 22 + 1 });
    expect(findRecord("/mnt/a")).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("whose process number belongs to another process now is ignored and removed", () => {
    writeRecord("/mnt/a");
    forge({ pid: process.ppid });
    expect(findRecord("/mnt/a")).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("that is damaged is as good as none", () => {
    writeRecord("/mnt/a");
    writeFileSync(recordFile(), "{");
    expect(findRecord("/mnt/a")).toBeUndefined();
  });

  it("of a later mount on the same place is left alone", () => {
    const first = writeRecord("/mnt/a");
    forge({ pid: 1 });
    first.finish({ unstored: [] });
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("waiting ends when the process has ended, also when nobody has collected it", async () => {
    const child = spawn("sleep", ["60"]);
    const stat = readFileSync(`/proc/${child.pid}/stat`, "latin1").split(") ")[1]!.split(" ");
    const record = { pid: child.pid!, ticks: stat[19]!, mountpoint: "/mnt/a", started: "" };
    expect(isAlive(record)).toBe(true);
    child.kill("SIGKILL");
    await waitForEnd(record, () => {});
    expect(isAlive(record)).toBe(false);
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
});

describe("the end of a mount", () => {
  const report = (end: Parameters<typeof reportEnd>[0]) => {
    const lines: string[] = [];
    return { code: reportEnd(end, "/mnt/a", (line) => lines.push(line)), lines };
  };

  it("without anything left is exit code 0 and no word", () => {
    expect(report({ unstored: [], pending: 0 })).toEqual({ code: 0, lines: [] });
  });

  it("that leaves changes for the next mount says so and is exit code 6", () => {
    expect(report({ unstored: [], pending: 2 })).toEqual({
      code: 6,
      lines: ["/mnt/a is unmounted, but 2 changes are not on the server yet; the next mount stores what was left."],
    });
  });

  it("names the files that were kept here", () => {
    expect(report({ unstored: ["/kept/a"] })).toEqual({
      code: 6,
      lines: ["/mnt/a is unmounted, but the server did not take 1 file. What was written is kept here:", "  /kept/a"],
    });
  });
});

describe("mount points", () => {
  it("are spelled without symbolic links, trailing slashes and dots", async () => {
    mkdirSync(join(root, "real"));
    symlinkSync(join(root, "real"), join(root, "link"));
    expect(await canonicalMountpoint(`${root}/./link/`)).toBe(join(root, "real"));
    expect(await canonicalMountpoint(`${root}/link/missing`)).toBe(join(root, "real", "missing"));
  });
});
