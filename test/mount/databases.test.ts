/** Programs that lock and rewrite in place: SQLite with both journal modes, flock and fcntl locks. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { FsWorker, outcome } from "../support/fs-worker.ts";
import { ok, python, run } from "../support/process.ts";
import { tempDir, testScope } from "../support/scope.ts";
import { writeTree } from "../support/trees.ts";

const shared = useMount();
const LOCK_EX_NB = 2 | 4;
const LOCK_UN = 8;

const FILL = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
mode = db.execute("PRAGMA journal_mode=" + sys.argv[2]).fetchone()[0]
db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, word TEXT)")
for batch in range(10):
    with db:
        db.executemany("INSERT INTO t (word) VALUES (?)", [("word %d" % i,) for i in range(100)])
try:
    with db:
        db.execute("DELETE FROM t")
        raise KeyError
except KeyError:
    pass
db.close()
print(mode)`;

const CHECK = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("PRAGMA integrity_check").fetchone()[0], db.execute("SELECT count(*) FROM t").fetchone()[0])`;

describe("SQLite", () => {
  it.each(["delete", "truncate", "wal"])("journal mode %s: the database on the server is whole", async (mode) => {
    const scope = testScope();
    const folder = await shared.folder();
    const file = join(folder.dir, "data.db");
    expect((await python(FILL, [file, mode])).trim()).toBe(mode);
    expect((await python(CHECK, [file])).trim()).toBe("ok 1000");
    const local = await tempDir(scope, "db");
    for (const name of Object.keys(await folder.tree())) {
      await writeTree(local, {
        [name]: await shared.server.store.readFile(shared.libraryId, `${folder.path}/${name}`),
      });
    }
    expect((await python(CHECK, [join(local, "data.db")])).trim()).toBe("ok 1000");
    expect(Object.keys(await folder.tree())).toContain("data.db");
  });

  it("a database that was copied in is changed in place by the sqlite3 shell", async () => {
    const scope = testScope();
    const local = join(await tempDir(scope, "db"), "local.db");
    await python(FILL, [local, "delete"]);
    const folder = await shared.folder();
    await copyFile(local, join(folder.dir, "copy.db"));
    await ok("sqlite3", [join(folder.dir, "copy.db"), "UPDATE t SET word = 'x' WHERE id <= 500; VACUUM;"]);
    expect(await ok("sqlite3", [join(folder.dir, "copy.db"), "SELECT count(*) FROM t WHERE word = 'x'"])).toBe("500\n");
    expect(Object.keys(await folder.tree())).toEqual(["copy.db"]);
  });

  it("two processes that insert in turns lose nothing", async () => {
    const folder = await shared.folder();
    const file = join(folder.dir, "shared.db");
    await python(FILL, [file, "delete"]);
    const insert = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=50)
for i in range(10):
    with db: db.execute("INSERT INTO t (word) VALUES ('more')")
`;
    await Promise.all([python(insert, [file]), python(insert, [file])]);
    expect((await python(CHECK, [file])).trim()).toBe("ok 1020");
  });
});

describe("locks", () => {
  it.each(["flock", "lockf"])("%s excludes a second process until it is released", async (call) => {
    const scope = testScope();
    const folder = await shared.folder();
    const [a, b] = [new FsWorker(scope), new FsWorker(scope)];
    await a.writeFile(join(folder.dir, "f"), "x");
    const fdA = await a.open(join(folder.dir, "f"), "O_RDWR");
    const fdB = await b.open(join(folder.dir, "f"), "O_RDWR");
    expect(await outcome(a.call(call, fdA, LOCK_EX_NB))).toBe("ok");
    expect(["EAGAIN", "EACCES"]).toContain(await outcome(b.call(call, fdB, LOCK_EX_NB)));
    await a.call(call, fdA, LOCK_UN);
    expect(await outcome(b.call(call, fdB, LOCK_EX_NB))).toBe("ok");
  });

  it("flock(1) runs one command at a time", async () => {
    const folder = await shared.folder();
    const lock = join(folder.dir, "lock");
    const counter = join(folder.dir, "counter");
    await ok("sh", ["-c", 'echo 0 > "$1"', "sh", counter]);
    const add = () => run("flock", [lock, "sh", "-c", 'n=$(cat "$1"); echo $((n + 1)) > "$1"', "sh", counter]);
    const results = await Promise.all(Array.from({ length: 8 }, add));
    expect(results.map((result) => result.code)).toEqual(Array(8).fill(0));
    expect(await folder.text("counter")).toBe("8\n");
  });
});
