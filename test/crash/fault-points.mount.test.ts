/**
 * kill -9 of a mount at each stage of a commit: the request has arrived and nothing was done, or it was done and nobody lived to
 * see the answer. After the next start the server holds what was accepted, once. The mount is stopped (SIGSTOP) while the
 * server works, so that the answer stays unread.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { DevServer } from "../../src/devserver/index.ts";
import { startServer } from "../support/fixture.ts";
import { FsWorker } from "../support/fs-worker.ts";
import { EMAIL } from "../support/mounts.ts";
import { eventually } from "../support/process.ts";
import { fileScope, testScope } from "../support/scope.ts";
import { fileOf, serverTree, type Tree } from "../support/trees.ts";
import { CrashingMount } from "./crashing-mount.ts";

interface Point {
  readonly what: string;
  /** The request that the kill comes with. */
  readonly kind: string;
  /** In a folder that holds "stored" and "d/x", "d/y"; an answer that never comes is its own affair. */
  readonly act: (
    worker: FsWorker,
    dir: string,
    other: (name: string, text: string) => Promise<unknown>,
  ) => Promise<unknown>;
  /** What the folder may hold afterwards. */
  readonly allowed: readonly Tree[];
}

const START = { "d/": "", "d/x": fileOf("x"), "d/y": fileOf("y"), stored: fileOf("stored") };
const { stored: _stored, ...WITHOUT } = START;
const MOVED = { "e/": "", "e/x": fileOf("x"), "e/y": fileOf("y"), stored: fileOf("stored") };

const CONFLICT = / \(SFConflict [^)]*\)/;

const POINTS: readonly Point[] = [
  {
    what: "a new file",
    kind: "upload",
    act: (worker, dir) => worker.writeFile(join(dir, "new"), "new"),
    allowed: [{ ...START, new: fileOf("new") }],
  },
  {
    what: "the link for a new file",
    kind: "upload-link",
    act: (worker, dir) => worker.writeFile(join(dir, "new"), "new"),
    allowed: [{ ...START, new: fileOf("new") }],
  },
  {
    what: "a new version",
    kind: "upload",
    act: (worker, dir) => worker.writeFile(join(dir, "stored"), "second"),
    allowed: [{ ...START, stored: fileOf("second") }],
  },
  {
    what: "the look before a new version",
    kind: "detail",
    act: (worker, dir) => worker.writeFile(join(dir, "stored"), "second"),
    allowed: [{ ...START, stored: fileOf("second") }],
  },
  {
    what: "a save by rename",
    kind: "upload",
    act: async (worker, dir) => {
      await worker.writeFile(join(dir, "temporary"), "second");
      await worker.rename(join(dir, "temporary"), join(dir, "stored"));
    },
    allowed: [{ ...START, stored: fileOf("second") }],
  },
  {
    what: "a removed file",
    kind: "delete-file",
    act: (worker, dir) => worker.call("unlink", join(dir, "stored")),
    allowed: [WITHOUT],
  },
  {
    what: "removed files",
    kind: "batch-delete",
    act: async (worker, dir) => {
      for (const name of ["d/x", "d/y"]) await worker.call("unlink", join(dir, name));
    },
    allowed: [{ "d/": "", stored: fileOf("stored") }],
  },
  {
    what: "a removed tree",
    kind: "delete-dir",
    act: async (worker, dir) => {
      for (const name of ["d/x", "d/y"]) await worker.call("unlink", join(dir, name));
      await worker.call("rmdir", join(dir, "d"));
    },
    allowed: [{ stored: fileOf("stored") }],
  },
  {
    what: "a moved file",
    kind: "rename",
    act: (worker, dir) => worker.rename(join(dir, "stored"), join(dir, "moved")),
    allowed: [START, { ...WITHOUT, moved: fileOf("stored") }],
  },
  {
    what: "a moved folder with files that wait",
    kind: "rename",
    act: async (worker, dir) => {
      await worker.writeFile(join(dir, "d/new"), "new");
      await worker.rename(join(dir, "d"), join(dir, "e"));
    },
    allowed: [
      { ...START, "d/new": fileOf("new") },
      { ...MOVED, "e/new": fileOf("new") },
    ],
  },
  ...["upload", "delete-file"].map(
    (kind): Point => ({
      what: "a stored file over a stored file",
      kind,
      act: (worker, dir) => worker.rename(join(dir, "stored"), join(dir, "d/x")),
      allowed: [START, { ...START, "d/x": fileOf("stored") }, { ...WITHOUT, "d/x": fileOf("stored") }],
    }),
  ),
  {
    what: "a file moved to another folder under another name",
    kind: "move",
    act: (worker, dir) => worker.rename(join(dir, "stored"), join(dir, "d/moved")),
    allowed: [START, { ...WITHOUT, "d/moved": fileOf("stored") }],
  },
  {
    what: "a folder moved to another folder",
    kind: "batch-move",
    act: async (worker, dir) => {
      await worker.call("mkdir", join(dir, "e"));
      await worker.rename(join(dir, "d"), join(dir, "e/d"));
    },
    allowed: [
      { ...START, "e/": "" },
      { "e/": "", "e/d/": "", "e/d/x": fileOf("x"), "e/d/y": fileOf("y"), stored: fileOf("stored") },
    ],
  },
  {
    what: "several new files together",
    kind: "upload",
    act: async (worker, dir) => {
      for (const name of ["1", "2", "3"]) await worker.writeFile(join(dir, `d/${name}`), name);
    },
    allowed: [{ ...START, "d/1": fileOf("1"), "d/2": fileOf("2"), "d/3": fileOf("3") }],
  },
  {
    what: "a conflict copy",
    kind: "upload",
    act: async (worker, dir, other) => {
      const fd = await worker.open(join(dir, "stored"), "O_WRONLY|O_TRUNC");
      await worker.pwrite(fd, "mine", 0);
      await other("stored", "theirs");
      await worker.close(fd);
    },
    allowed: [{ ...START, stored: fileOf("theirs"), "stored (SFConflict)": fileOf("mine") }],
  },
  {
    what: "a folder",
    kind: "mkdir",
    act: (worker, dir) => worker.call("mkdir", join(dir, "made")),
    allowed: [START, { ...START, "made/": "" }],
  },
];

describe("after a kill", () => {
  const scope = fileScope();
  let server: DevServer;
  let libraryId: string;
  let mount: CrashingMount;
  let folders = 0;

  beforeAll(async () => {
    server = await startServer(scope, { compat: 12 });
    libraryId = server.store.createLibrary(EMAIL, "Work");
    mount = await CrashingMount.start(scope, { server, library: "Work", args: ["--write-back-delay", "0.5"] });
  });

  beforeEach(async () => {
    if (!mount.isMounted) await mount.start();
  });

  async function prepared(): Promise<string> {
    const folder = `f${++folders}`;
    server.store.mkdir(libraryId, `/${folder}`);
    server.store.mkdir(libraryId, `/${folder}/d`);
    for (const name of ["d/x", "d/y", "stored"]) {
      await server.store.writeFile(libraryId, `/${folder}/${name}`, Buffer.from(name.replace("d/", "")));
    }
    return folder;
  }

  async function killedAt({ kind, act }: Point, isDone: boolean): Promise<string> {
    if (kind === "upload-link") {
      // A mount asks for it once.
      await mount.kill();
      await mount.start();
    }
    const folder = await prepared();
    const worker = new FsWorker(testScope());
    await eventually("the folder is shown", async () =>
      (await worker.listdir(join(mount.dir, folder)).catch((): string[] => [])).includes("stored"),
    );
    await worker.listdir(join(mount.dir, folder, "d"));
    if (isDone) server.faults.delay(kind, 400);
    else server.faults.hang(kind);
    const before = server.requests.count(kind);
    const other = (name: string, text: string) =>
      server.store.writeFile(libraryId, `/${folder}/${name}`, Buffer.from(text));
    const acting = act(worker, join(mount.dir, folder), other).catch(() => {});
    try {
      await eventually(`a request ${kind}`, () => server.requests.count(kind) > before);
      if (isDone) await stoppedUntilAnswered(kind, before);
    } finally {
      await mount.kill();
      await acting;
      server.faults.clear();
    }
    return folder;
  }

  async function stoppedUntilAnswered(kind: string, index: number): Promise<void> {
    await eventually("the server has answered", async () => {
      mount.mounted.signal("SIGSTOP");
      await sleep(600);
      const request = server.requests.list().filter((each) => each.kind === kind)[index]!;
      if (request.status !== 0) return true;
      // It was stopped before it had sent the whole request.
      mount.mounted.signal("SIGCONT");
      return false;
    });
  }

  const cases = POINTS.flatMap((point) => [
    { ...point, when: "arrived", isDone: false },
    { ...point, when: "was answered", isDone: true },
  ]);

  it.each(cases)("when the request ($kind) for $what $when: nothing is lost or there twice", async (point) => {
    const folder = await killedAt(point, point.isDone);
    await mount.start();
    const log = mount.mounted.log();
    expect(await mount.sync(), log).toMatchObject({ code: 0 });
    const tree = Object.entries(await serverTree(server, libraryId, `/${folder}`));
    const found = Object.fromEntries(tree.map(([path, state]) => [path.replace(CONFLICT, " (SFConflict)"), state]));
    expect(Object.keys(found)).toHaveLength(tree.length);
    expect(point.allowed, log).toContainEqual(found);
    expect(await mount.leftovers()).toEqual([]);
  });
});
