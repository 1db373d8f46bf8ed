/**
 * Two test projects. `fast` needs nothing but Node and runs in every edit loop; `mount` mounts for real, in child
 * processes, and is run by scripts/test. The mount project builds dist once, because its children run the built program.
 */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          include: ["test/architecture.test.ts", "test/{unit,protocol,contract}/**/*.test.ts"],
          exclude: ["**/*.mount.test.ts"],
          pool: "forks",
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "mount",
          include: ["test/{mount,semantics,model}/**/*.test.ts", "test/**/*.mount.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
          pool: "forks",
          // Mounts mostly wait; two files at a time leave a core to each.
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
