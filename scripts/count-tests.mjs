/**
 * Adds up vitest's JSON results for scripts/test and .ci/run: one line per project, what it skipped and for want of which
 * capability of the transport, what failed and why (again, because of a long log only the end is kept), then
 * "N passed, N failed".
 * A file that could not be loaded, an error outside a test and a project without tests count as failures.
 * Usage: node count-tests.mjs FOLDER EXTRA_FAILURES   (FOLDER holds NAME.json and NAME.code, vitest's exit code)
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { stripVTControlCharacters } from "node:util";

const [folder, extra] = process.argv.slice(2);
let passed = 0;
let failed = Number(extra);

for (const file of readdirSync(folder)
  .filter((name) => name.endsWith(".code"))
  .sort()) {
  const project = file.slice(0, -".code".length);
  const count = countProject(project, Number(readFileSync(join(folder, file), "utf8")));
  console.log(`${project} tests: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  for (const line of count.skips) console.log(`  skipped, ${line}`);
  for (const line of count.failures) console.log(`  failed, ${line}`);
  passed += count.passed;
  failed += count.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

function countProject(project, exitCode) {
  const file = join(folder, `${project}.json`);
  if (!existsSync(file)) {
    return {
      passed: 0,
      failed: 1,
      skipped: 0,
      skips: [],
      failures: [`vitest, which wrote no results (exit code ${exitCode})`],
    };
  }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(file, "utf8"),
  );
  const broken = testResults.filter(
    (result) => result.status === "failed" && !result.assertionResults.some((test) => test.status === "failed"),
  ).length;
  const counted = numFailedTests + broken;
  const unseen = counted === 0 && (exitCode !== 0 || numPassedTests === 0) ? 1 : 0;
  return {
    passed: numPassedTests,
    failed: counted + unseen,
    skipped: numPendingTests + numTodoTests,
    skips: testResults.flatMap((result) => skipsOf(result.assertionResults)),
    failures: [
      ...testResults.flatMap(failuresOf),
      ...(unseen === 0 ? [] : [`outside the tests (vitest ended with ${exitCode}; see its output above)`]),
    ],
  };
}

/** One text per failed test, or for the file that could not be run: where it is and the beginning of what it said. */
function failuresOf({ name, status, message, assertionResults }) {
  const where = relative(process.cwd(), name);
  const tests = assertionResults.filter((test) => test.status === "failed");
  if (tests.length === 0) return status === "failed" ? [`${where}: ${beginningOf(message)}`] : [];
  return tests.map((test) => `${where}: ${test.fullName}: ${beginningOf(test.failureMessages.join("\n"))}`);
}

/** The first lines of a message without colours and without vitest's own frames, indented below the line they explain. */
function beginningOf(message) {
  const lines = stripVTControlCharacters(message).trim().split("\n");
  const said = lines.filter((line) => !/^\s+at .*(node_modules|new Promise|node:)/.test(line)).slice(0, 12);
  return said.map((line) => line.slice(0, 300)).join("\n    ");
}

/** `requires` is what test/support/transport.ts notes of a test. */
function skipsOf(tests) {
  return tests
    .filter((test) => test.status === "skipped" || test.status === "pending")
    .map((test) => `${reasonOf(test.meta?.requires)}: ${test.fullName}`);
}

function reasonOf(requires) {
  return requires === undefined ? "for a reason of its own" : `needs ${requires.join(" and ")}`;
}
