/** Removing with an expected id, and many at once: how many requests it costs, and that nothing else is ever removed. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Change, ObjectId } from "../../src/seafile/types.ts";
import { FLAVOURS, openStage, type Stage } from "./seafile-stage.ts";

let stage: Stage;
afterEach(() => stage.close());

const remove = (path: string, expects?: ObjectId | null, kind: "file" | "dir" = "file"): Change => ({
  op: "remove",
  path,
  kind,
  expects,
});

describe.each(FLAVOURS)("file server $flavour, version $compat", (options) => {
  beforeEach(async () => {
    stage = await openStage(options);
  });

  it("removes a file or a folder of the expected id with one look and one request", async () => {
    const id = await stage.write("/d/f", "x");
    expect(await stage.outcomes([remove("/d/f", id)])).toEqual(["ok"]);
    expect(stage.requests()).toEqual(["detail", "delete-file"]);
    await stage.write("/d/e/f", "y");
    expect(await stage.outcomes([remove("/d", stage.idOf("/d"), "dir")])).toEqual(["ok"]);
    expect(stage.requests()).toEqual(["dir", "delete-dir"]);
    expect(stage.paths()).toEqual([]);
  });

  it("removes nothing that has another id than expected", async () => {
    const id = await stage.write("/f", "old");
    await stage.write("/f", "new");
    await stage.write("/d/f", "old");
    const dir = stage.idOf("/d");
    await stage.write("/d/deep/er/f", "new");
    expect(await stage.outcomes([remove("/f", id)])).toEqual(["conflict"]);
    expect(await stage.outcomes([remove("/d", dir, "dir")])).toEqual(["conflict"]);
    expect(await stage.outcomes([remove("/f", id), remove("/d", dir, "dir")])).toEqual(["conflict", "conflict"]);
    expect(stage.requests().filter((kind) => /delete/.test(kind))).toEqual([]);
    expect(stage.paths()).toEqual(["/d", "/d/deep", "/d/deep/er", "/d/deep/er/f", "/d/f", "/f"]);
  });

  it("counts as removed what is gone or has become something else, and leaves the latter", async () => {
    const id = await stage.write("/gone", "x");
    stage.server.store.remove(stage.library.id, "/gone");
    await stage.write("/became-dir/f", "x");
    await stage.write("/became-file", "x");
    const changes = [remove("/gone", id), remove("/became-dir", id), remove("/became-file", id, "dir")];
    for (const change of changes) expect(await stage.outcomes([change])).toEqual(["ok"]);
    expect(await stage.outcomes(changes)).toEqual(["ok", "ok", "ok"]);
    expect(stage.paths()).toEqual(["/became-dir", "/became-dir/f", "/became-file"]);
  });

  it("removes neighbours of one folder with one listing and one request", async () => {
    const names = Array.from({ length: 30 }, (_, index) => `f${index} +%é".txt`);
    const changes: Change[] = [];
    for (const name of names) changes.push(remove(`/d/${name}`, await stage.write(`/d/${name}`, name)));
    await stage.write("/d/stays", "x");
    await stage.write("/d/sub/f", "x");
    changes.push(remove("/d/sub", stage.idOf("/d/sub"), "dir"));
    expect(new Set(await stage.outcomes(changes))).toEqual(new Set(["ok"]));
    expect(stage.requests()).toEqual(["dir", "batch-delete"]);
    expect(stage.paths()).toEqual(["/d", "/d/stays"]);
  });

  it("removes a tree of 300 files in 10 folders in 22 requests", async () => {
    const changes: Change[] = [];
    for (let folder = 0; folder < 10; folder++) {
      for (let file = 0; file < 30; file++) {
        const path = `/t/d${folder}/f${file}`;
        changes.push(remove(path, await stage.write(path, path)));
      }
    }
    for (let folder = 0; folder < 10; folder++) changes.push(remove(`/t/d${folder}`, null, "dir"));
    expect(new Set(await stage.outcomes(changes))).toEqual(new Set(["ok"]));
    expect(stage.requests()).toHaveLength(22);
    expect(stage.paths()).toEqual(["/t"]);
  });

  it("gives each neighbour its own outcome", async () => {
    const one = await stage.write("/1", "1");
    const two = await stage.write("/2", "2");
    await stage.write("/2", "changed");
    await stage.write("/3/f", "a folder now");
    await stage.write("/4", "whatever");
    const changes = [remove("/1", one), remove("/2", two), remove("/3", one), remove("/4"), remove("/5", one)];
    expect(await stage.outcomes(changes)).toEqual(["ok", "conflict", "ok", "ok", "ok"]);
    expect(stage.paths()).toEqual(["/2", "/3", "/3/f"]);
  });

  it("asks again after a lost answer, and spares what somebody has put there since", async () => {
    const one = await stage.write("/1", "1");
    const two = await stage.write("/2", "2");
    stage.server.faults.cut("batch-delete", 0);
    expect(await stage.outcomes([remove("/1", one), remove("/2", two)])).toEqual(["ok", "ok"]);
    expect(stage.requests()).toEqual(["dir", "batch-delete", "dir"]);
    const three = await stage.write("/3", "3");
    stage.server.faults.cut("delete-file", 0);
    expect(await stage.outcomes([remove("/3", three)])).toEqual(["ok"]);
    expect(stage.requests()).toEqual(["detail", "delete-file", "detail"]);
    const four = await stage.write("/4", "4");
    stage.server.faults.fail("delete-file", 502);
    stage.server.faults.delay("detail", 50, { times: 2 });
    const outcome = stage.outcomes([remove("/4", four)]);
    while (stage.server.requests.count("delete-file") === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await stage.write("/4", "somebody's");
    expect(await outcome).toEqual(["conflict"]);
    expect(stage.paths()).toEqual(["/4"]);
  });

  it("repeats over 500 and 429", async () => {
    const changes = [remove("/1", await stage.write("/1", "1")), remove("/2", await stage.write("/2", "2"))];
    stage.server.faults.fail("dir", 500);
    stage.server.faults.fail("batch-delete", 429, { headers: { "Retry-After": "0" } });
    stage.server.faults.fail("batch-delete", 500);
    expect(await stage.outcomes(changes)).toEqual(["ok", "ok"]);
    expect(stage.paths()).toEqual([]);
  });

  it("fails for all neighbours, each with the reason, when the server cannot", async () => {
    const changes = [remove("/1", await stage.write("/1", "1")), remove("/2", await stage.write("/2", "2"))];
    stage.server.faults.fail("batch-delete", 500, { times: Number.POSITIVE_INFINITY });
    expect(await stage.outcomes(changes)).toEqual(["server", "server"]);
    expect(stage.paths()).toEqual(["/1", "/2"]);
  });
});

describe("many removes", () => {
  it.each([400, 405, 413])(
    "are made one by one where a proxy answers %i to the batch, and the batch not tried again",
    async (status) => {
      stage = await openStage({});
      stage.server.faults.fail("batch-delete", status, { times: Number.POSITIVE_INFINITY, body: "<html></html>" });
      const paths = ["/1", "/2", "/3", "/4"];
      const changes: Change[] = [];
      for (const path of paths) changes.push(remove(path, await stage.write(path, path)));
      expect(await stage.outcomes(changes.slice(0, 2))).toEqual(["ok", "ok"]);
      expect(await stage.outcomes(changes.slice(2))).toEqual(["ok", "ok"]);
      expect(stage.paths()).toEqual([]);
      expect(stage.requests().filter((kind) => kind === "batch-delete")).toHaveLength(1);
    },
  );

  it("are made one by one when the batch is forbidden, so that one locked file does not keep the others", async () => {
    stage = await openStage({});
    const changes = [remove("/1", await stage.write("/1", "1")), remove("/2", await stage.write("/2", "2"))];
    stage.server.faults.fail("batch-delete", 403);
    stage.server.faults.fail("delete-file", 403, { body: '{"error_msg": "File is locked"}' });
    expect(await stage.outcomes(changes)).toEqual(["forbidden", "ok"]);
  });

  it("go out in requests of at most so many names", async () => {
    stage = await openStage({}, { limits: { namesPerDelete: 4 } });
    const changes: Change[] = [];
    for (let index = 0; index < 9; index++) {
      await stage.write(`/${index}`, "x");
      changes.push(remove(`/${index}`));
    }
    expect(new Set(await stage.outcomes(changes))).toEqual(new Set(["ok"]));
    expect(stage.requests()).toEqual(["dir", "batch-delete", "batch-delete", "batch-delete"]);
    expect(stage.paths()).toEqual([]);
  });

  it("leave out names that the batch could take for several", async () => {
    stage = await openStage({});
    for (const path of ["/a\tb", "/a", "/b"]) await stage.write(path, "x");
    expect(await stage.outcomes([remove("/a\tb"), remove("/c")])).toEqual(["ok", "ok"]);
    expect(stage.requests()).toEqual(["delete-file", "delete-file"]);
    expect(stage.paths()).toEqual(["/a", "/b"]);
  });

  it("end with the abort reason", async () => {
    stage = await openStage({});
    stage.server.faults.hang("batch-delete");
    const changes = [remove("/1", await stage.write("/1", "1")), remove("/2", await stage.write("/2", "2"))];
    const controller = new AbortController();
    const applied = stage.library.apply(changes, controller.signal);
    while (stage.server.requests.count("batch-delete") === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort(new Error("unmounting"));
    await expect(applied).rejects.toThrow("unmounting");
  });
});
