/**
 * A process that appends to the journal of a folder (its argument) as fast as it can, from several writers, compacts now and then, and
 * says in lines of JSON what was promised, only after it was. Runs until it is killed or its standard input ends. Run by
 * journal-cut.test.ts.
 */
import { writeSync } from "node:fs";
import { silentLogger } from "../../src/observe/log.ts";
import { Journal } from "../../src/writeback/journal.ts";
import { numbered } from "../unit/journal-records.ts";

const WRITERS = 5;
const COMPACT_EVERY = 15;

const { journal } = await Journal.open(process.argv[2]!, silentLogger());
let last = 0;

function say(set: "synced" | "leaving" | "left", ids: readonly number[]): void {
  writeSync(1, `${JSON.stringify({ set, ids })}\n`);
}

async function write(): Promise<never> {
  for (;;) {
    journal.append(numbered(++last));
    const id = ++last;
    await journal.accept(numbered(id, "x".repeat(id % 300)));
    say("synced", [id]);
  }
}

async function compact(): Promise<never> {
  for (let next = COMPACT_EVERY; ; next = last + COMPACT_EVERY) {
    while (last < next) await new Promise(setImmediate);
    const all = Array.from({ length: last }, (_, i) => i + 1);
    const gone = all.filter((id) => id % 3 === 0);
    say("leaving", gone);
    await journal.compact(all.filter((id) => id % 3 !== 0).map((id) => numbered(id)));
    say("left", gone);
  }
}

process.stdin.resume().on("end", () => process.exit());
await Promise.all([compact(), ...Array.from({ length: WRITERS }, write)]);
