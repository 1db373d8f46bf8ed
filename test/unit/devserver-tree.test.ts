/** Changes of a library's tree: against a plain Map as model, and the rules on times and commits. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Store } from "../../src/devserver/store.ts";

const OWNER = "a@example.com";

function makeStore(now: () => number = Date.now) {
  const store = new Store({ now, users: [{ email: OWNER, password: "x" }] });
  return { store, id: store.createLibrary(OWNER, "L") };
}

/** Seconds as the store's milliseconds. */
function clockAt(start: number) {
  let seconds = start;
  const pass = (by: number) => {
    seconds += by;
  };
  return { now: () => seconds * 1000, pass };
}

type Model = Map<string, string | null>;
const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
const isDirectory = (model: Model, path: string) => path === "" || model.get(path) === null;
const below = (model: Model, path: string) =>
  [...model.keys()].filter((key) => key === path || key.startsWith(`${path}/`));

type Step =
  | { readonly op: "write"; readonly path: string; readonly data: string }
  | { readonly op: "mkdir"; readonly path: string }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move"; readonly path: string; readonly to: string };

/** Whether the step is one that the store promises to do; then the model does it. */
function applyToModel(model: Model, step: Step): boolean {
  const { path } = step;
  switch (step.op) {
    case "write":
      if (!isDirectory(model, parentOf(path)) || model.get(path) === null) return false;
      model.set(path, step.data);
      return true;
    case "mkdir":
      if (!isDirectory(model, parentOf(path)) || model.has(path)) return false;
      model.set(path, null);
      return true;
    case "remove":
      if (!model.has(path)) return false;
      for (const key of below(model, path)) model.delete(key);
      return true;
    case "move": {
      const { to } = step;
      if (!model.has(path) || model.has(to) || !isDirectory(model, parentOf(to)) || to.startsWith(`${path}/`))
        return false;
      for (const key of below(model, path)) {
        model.set(to + key.slice(path.length), model.get(key)!);
        model.delete(key);
      }
      return true;
    }
  }
}

const path = fc
  .array(fc.constantFrom("a", "b", "B", "é", "x y"), { minLength: 1, maxLength: 3 })
  .map((parts) => `/${parts.join("/")}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op: fc.constant("write" as const), path, data: fc.constantFrom("", "one", "two") }),
  fc.record({ op: fc.constant("mkdir" as const), path }),
  fc.record({ op: fc.constant("remove" as const), path }),
  fc.record({ op: fc.constant("move" as const), path, to: path }),
);

describe("a library's tree", () => {
  it("after any changes holds what a Map would hold, one commit per change", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const clock = clockAt(1000);
        const { store, id } = makeStore(clock.now);
        const model: Model = new Map();
        let changes = 0;
        for (const current of steps) {
          clock.pass(1);
          if (!applyToModel(model, current)) continue;
          changes += 1;
          if (current.op === "write") await store.writeFile(id, current.path, current.data);
          else if (current.op === "mkdir") store.mkdir(id, current.path);
          else if (current.op === "remove") store.remove(id, current.path);
          else store.move(id, current.path, current.to);
        }
        const held = await Promise.all(
          [...store.tree(id)].map(async ([key, entry]) => {
            return [key, entry.kind === "dir" ? null : (await store.readFile(id, key)).toString()] as const;
          }),
        );
        expect(new Map(held.sort())).toEqual(new Map([...model].sort()));
        expect(store.commits(id)).toHaveLength(changes + 1);
      }),
      { numRuns: 150 },
    );
  });

  it("gives every directory above a change the time of the change", async () => {
    const clock = clockAt(1000);
    const { store, id } = makeStore(clock.now);
    store.mkdir(id, "/a/b/c");
    clock.pass(5);
    await store.writeFile(id, "/a/b/x", "1");
    const times = () => [...store.tree(id)].map(([key, entry]) => `${key} ${entry.mtime}`).sort();
    expect(times()).toEqual(["/a 1005", "/a/b 1005", "/a/b/c 1000", "/a/b/x 1005"]);
    clock.pass(5);
    store.remove(id, "/a/b/x");
    expect(times()).toEqual(["/a 1010", "/a/b 1010", "/a/b/c 1000"]);
  });

  it("keeps all times at a rename, and the moved entry's at a move", async () => {
    const clock = clockAt(1000);
    const { store, id } = makeStore(clock.now);
    store.mkdir(id, "/a/b");
    store.mkdir(id, "/z");
    await store.writeFile(id, "/a/b/x", "1");
    clock.pass(5);
    store.move(id, "/a/b/x", "/a/b/y");
    expect([...new Set([...store.tree(id).values()].map((entry) => entry.mtime))]).toEqual([1000]);
    store.move(id, "/a/b/y", "/z/y");
    expect(store.tree(id).get("/z/y")?.mtime).toBe(1000);
    expect([store.tree(id).get("/z")?.mtime, store.tree(id).get("/a/b")?.mtime]).toEqual([1005, 1005]);
  });

  it("keeps a directory's id as long as nothing below it changes, and gives equal content equal ids", async () => {
    const { store, id } = makeStore(() => 1_000_000);
    store.mkdir(id, "/a/b");
    store.mkdir(id, "/c");
    await store.writeFile(id, "/a/b/x", "same");
    const before = store.tree(id);
    await store.writeFile(id, "/c/y", "same");
    const after = store.tree(id);
    expect(after.get("/a")?.id).toBe(before.get("/a")?.id);
    expect(after.get("/c")?.id).not.toBe(before.get("/c")?.id);
    expect(after.get("/c/y")?.id).toBe(after.get("/a/b/x")?.id);
  });

  it("stores names in NFC and does not look names up by their NFD form", async () => {
    const { store, id } = makeStore();
    store.mkdir(id, "/e\u0301");
    expect(store.list(id, "/").map((entry) => entry.name)).toEqual(["\u00e9"]);
    expect(() => store.list(id, "/e\u0301")).toThrow("There is no directory");
    expect(store.list(id, "/\u00e9")).toEqual([]);
  });

  it("has a history without rings even when a change is undone and redone within one second", async () => {
    const { store, id } = makeStore(() => 1_000_000);
    for (let i = 0; i < 3; i++) {
      await store.writeFile(id, "/x", "1");
      store.remove(id, "/x");
    }
    expect(new Set(store.commits(id).map((commit) => commit.id)).size).toBe(7);
  });

  it("says what is missing instead of making it", async () => {
    const { store, id } = makeStore();
    await expect(store.writeFile(id, "/no/x", "1")).rejects.toThrow("Parent dir doesn't exist.");
    await expect(store.readFile(id, "/x")).rejects.toThrow("There is no file /x");
    expect(() => store.remove(id, "/x")).toThrow("There is no directory");
    await store.writeFile(id, "/f", "1");
    expect(() => store.mkdir(id, "/f/d")).toThrow("There is no directory");
  });
});
