/**
 * Replacing a file by rename never leaves the server without the target: every state the library goes through is looked at,
 * one by one as it is committed, and in each the target holds the old content or the new one.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SERVERS, useMount } from "../support/fixture.ts";
import { outcome } from "../support/fs-worker.ts";
import { ok } from "../support/process.ts";

describe.each(SERVERS)("file server $flavour, as of version $compat", (options) => {
  const shared = useMount({ server: options, mount: { args: ["--refresh", "0.2"] } });

  interface States {
    /** The version (object id) at the path in each state after the first, or undefined where nothing is there. */
    readonly versions: readonly (string | undefined)[];
    readonly before: string | undefined;
    readonly after: string | undefined;
    /** How many states there were by the library's own count, so that a missed one fails the test. */
    readonly commits: number;
  }

  /**
   * Watches the path in every state of the library while `work` runs. The server lives in this process and answers a client
   * in another one, so between two of its commits this loop always gets a turn.
   */
  async function statesDuring(path: string, work: () => Promise<unknown>): Promise<States> {
    const { store } = shared.server;
    const id = shared.libraryId;
    const version = () => store.tree(id).get(path)?.id;
    const before = version();
    const commitsBefore = store.commits(id).length;
    const versions: (string | undefined)[] = [];
    let head = store.head(id);
    let watching = true;
    const look = () => {
      if (store.head(id) === head) return;
      head = store.head(id);
      versions.push(version());
    };
    const looking = (async () => {
      for (; watching; look()) await new Promise((resolve) => setImmediate(resolve));
    })();
    await work();
    watching = false;
    await looking;
    return { versions, before, after: version(), commits: store.commits(id).length - commitsBefore };
  }

  /** In every state the target holds the old version or the new one, and no state was missed. */
  function expectNeverMissing({ versions, before, after, commits }: States): void {
    expect(versions).toHaveLength(commits);
    expect(before).toBeDefined();
    expect(after).toBeDefined();
    expect(versions.filter((version) => version !== before && version !== after)).toEqual([]);
  }

  describe("replacing by rename", () => {
    // SEMANTICS: "At no moment is the target missing on the server, and a crash in between leaves both files."
    it.each([
      ["in the same folder", "new", "target"],
      ["from another folder", "sub/new", "target"],
      ["into another folder", "new", "sub/target"],
    ])("a stored file %s: the target is never missing", async (_, from, to) => {
      const folder = await shared.folder();
      await shared.worker.call("mkdir", join(folder.dir, "sub"));
      await writeFile(join(folder.dir, to), "old");
      await writeFile(join(folder.dir, from), "new");
      const states = await statesDuring(`${folder.path}/${to}`, () =>
        shared.worker.rename(join(folder.dir, from), join(folder.dir, to)),
      );
      expectNeverMissing(states);
      expect(await folder.text(to)).toBe("new");
      expect(Object.keys(await folder.tree()).filter((name) => !name.endsWith("/"))).toEqual([to]);
    });

    it("a file that is still being written: the target is never missing", async () => {
      const folder = await shared.folder();
      const { worker } = shared;
      await writeFile(join(folder.dir, "target"), "old");
      const states = await statesDuring(`${folder.path}/target`, async () => {
        const fd = await worker.open(join(folder.dir, "temp"), "O_WRONLY|O_CREAT|O_EXCL");
        await worker.pwrite(fd, "new", 0);
        await worker.rename(join(folder.dir, "temp"), join(folder.dir, "target"));
        await worker.close(fd);
      });
      expectNeverMissing(states);
      expect(await folder.text("target")).toBe("new");
      expect(Object.keys(await folder.tree())).toEqual(["target"]);
    });

    it("sed -i: the file is never missing", async () => {
      const folder = await shared.folder();
      await writeFile(join(folder.dir, "conf"), "old");
      const states = await statesDuring(`${folder.path}/conf`, () =>
        ok("sed", ["-i", "s/old/new/", join(folder.dir, "conf")]),
      );
      expectNeverMissing(states);
      expect(await folder.text("conf")).toBe("new");
    });

    it.each(["update-link", "update", "upload-link", "upload", "delete-file", "rename", "file-link", "batch-move"])(
      "when the server refuses %s, the target is never missing and no content is lost",
      async (kind) => {
        const folder = await shared.folder();
        const { worker, server } = shared;
        const content = `new ${kind}`;
        await writeFile(join(folder.dir, "target"), "old");
        await writeFile(join(folder.dir, "new"), content);
        server.faults.fail(kind, 403, { times: 20 });
        let result = "";
        const states = await statesDuring(`${folder.path}/target`, async () => {
          result = await outcome(worker.rename(join(folder.dir, "new"), join(folder.dir, "target")));
        });
        server.faults.clear();
        expectNeverMissing(states);
        const names = Object.keys(await folder.tree());
        expect(await Promise.all(names.map((name) => folder.text(name)))).toContain(content);
        const seen = (await worker.readFile(join(folder.dir, "target"))).toString();
        expect(seen).toBe(await folder.text("target"));
        if (result === "ok") expect(seen).toBe(content);
      },
    );
  });
});
