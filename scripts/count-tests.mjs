/**
 * Adds up vitest's JSON results for scripts/test and .ci/run: one line per project, what it skipped and for want of which
 * capability of the transport, then "N passed, N failed".
 * A file that could not be loaded, an error outside a test and a project without tests count as failures.
 * Usage: node count-tests.mjs FOLDER EXTRA_FAILURES   (FOLDER holds NAME.json and NAME.code, vitest's exit code)
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

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
  passed += count.passed;
  failed += count.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

function countProject(project, exitCode) {
  const file = join(folder, `${project}.json`);
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0, skips: [] };
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
  };
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
