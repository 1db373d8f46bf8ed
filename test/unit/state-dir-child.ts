/**
 * A process that opens a state folder (its argument: the options in JSON), says in one line of JSON what came of it, and keeps the
 * folder, and a child of its own, until its standard input ends or it is killed. Run by state-dir.test.ts.
 */
import { spawn } from "node:child_process";
import { silentLogger } from "../../src/observe/log.ts";
import { StateDir, type StateDirOptions } from "../../src/writeback/state-dir.ts";

const options = JSON.parse(process.argv[2]!) as Omit<StateDirOptions, "log">;
let answer: object;
try {
  await StateDir.open({ ...options, log: silentLogger() });
  const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60_000)"], { stdio: "ignore" });
  answer = { opened: true, pid: process.pid, child: child.pid };
} catch (error) {
  answer = { opened: false, message: (error as Error).message };
}
process.stdout.write(`${JSON.stringify(answer)}\n`);
process.stdin.resume().on("end", () => process.exit());
