/** make and a compiler's work in a mount: what is up to date is left alone, and what is older than its source is made again. */
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { useMount } from "../support/fixture.ts";
import { ok } from "../support/process.ts";
import { fileOf } from "../support/trees.ts";

const shared = useMount();

const MAKEFILE = `
OBJECTS = a.o b.o
all: program
program: $(OBJECTS)
\tcat $^ > $@.tmp
\tmv $@.tmp $@
%.o: %.c common.h
\tcat common.h $< > $@
clean:
\trm -f program $(OBJECTS)
`;

it("make builds, builds nothing twice, and builds again what a changed source needs", async () => {
  const { dir, tree } = await shared.folder();
  const make = (...targets: string[]) => ok("make", ["-C", dir, "--no-print-directory", ...targets]);
  await writeFile(join(dir, "Makefile"), MAKEFILE);
  for (const [name, text] of Object.entries({ "a.c": "a", "b.c": "b", "common.h": "h" }))
    await writeFile(join(dir, name), text);
  await make();
  expect(await readFile(join(dir, "program"), "utf8")).toBe("hahb");
  expect(await make()).toContain("Nothing to be done");
  await appendFile(join(dir, "a.c"), "A");
  const again = await make();
  expect([again.includes("> a.o"), again.includes("> b.o")]).toEqual([true, false]);
  await ok("touch", [join(dir, "common.h")]);
  expect(await make()).toContain("> b.o");
  expect(await make()).toContain("Nothing to be done");
  expect(await tree()).toMatchObject({ program: fileOf("haAhb") });
  await make("clean");
  expect(Object.keys(await tree()).sort()).toEqual(["Makefile", "a.c", "b.c", "common.h"]);
});
