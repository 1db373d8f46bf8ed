/** Records of running mounts and the spelling of mount points: what `unmount` knows, and what it must not believe. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
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
import { findRecord, isAlive, takeUnstored, waitForEnd, writeRecord } from "../../src/cli/mount-record.ts";
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
    writeRecord("/mnt/a").finish([]);
    expect(readdirSync(folder)).toEqual([]);
    expect(takeUnstored("/mnt/a")).toEqual([]);
  });

  it("tells once, after the process has ended, what could not be stored", () => {
    writeRecord("/mnt/a").finish(["/docs/a.txt"]);
    expect(takeUnstored("/mnt/a")).toEqual([]);
    forge({ ticks: "1" });
    expect(findRecord("/mnt/a")).toBeUndefined();
    expect(takeUnstored("/mnt/a")).toEqual(["/docs/a.txt"]);
    expect(takeUnstored("/mnt/a")).toEqual([]);
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
    first.finish([]);
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

describe("mount points", () => {
  it("are spelled without symbolic links, trailing slashes and dots", async () => {
    mkdirSync(join(root, "real"));
    symlinkSync(join(root, "real"), join(root, "link"));
    expect(await canonicalMountpoint(`${root}/./link/`)).toBe(join(root, "real"));
    expect(await canonicalMountpoint(`${root}/link/missing`)).toBe(join(root, "real", "missing"));
  });
});
