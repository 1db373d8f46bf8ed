/**
 * Three test projects. `fast` needs nothing but Node and runs in every edit loop. `mount` mounts for real, in child processes
 * that run the built program, over the kernel transport; `mount-fuse-native` runs the same files over the other one.
 * scripts/test runs all three, one after the other.
 */
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What is the same whatever transport serves the mount, or is about one transport, and runs in the project `mount` only. */
const ONCE = [
  // The command line itself, its refusals, and what it asks a running mount. Mount points are refused by each transport:
  // fuse-native.test.ts has that again.
  "test/mount/{cli,control,lifecycle-refusals}.test.ts",
  // About what the server gives to whom.
  "test/mount/{public-links,encrypted}.test.ts",
  // The kernel transport by itself, and a client that mounts nothing.
  "test/{protocol,contract}/**",
  // About a document, and about the model against the local disk.
  "test/semantics/semantics.test.ts",
  "test/model/model-on-disk.test.ts",
  // About what happens behind a close, whatever transport brought it.
  "test/crash/**",
  "test/model/background-operations.test.ts",
];
/** What only the libfuse transport does runs in the project `mount-fuse-native` only. */
const FUSE_NATIVE_ONLY = ["test/**/fuse-native.test.ts"];

/** Takes its time whatever the machine, so it begins first; all else as vitest orders it. */
const LONGEST = /test\/model\/random-operations\.test\.ts$/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = (file: TestSpecification) => LONGEST.test(file.moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

const mountProject = (
  name: string,
  provide: {
    readonly transport: "kernel" | "fuse-native";
    readonly modelSeconds: number;
  },
  exclude: readonly string[],
  groupOrder: number,
): TestProjectInlineConfiguration => ({
  test: {
    name,
    include: ["test/{mount,semantics,model}/**/*.test.ts", "test/**/*.mount.test.ts"],
    exclude: [...exclude],
    globalSetup: ["test/support/global-setup.ts"],
    provide,
    pool: "forks",
    // Mounts mostly wait: for the kernel, for programs to start, for time-outs.
    maxWorkers: 3,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    sequence: { groupOrder },
  },
});

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "fast",
          include: ["test/architecture.test.ts", "test/{unit,protocol,contract,crash}/**/*.test.ts"],
          exclude: ["**/*.mount.test.ts"],
          globalSetup: ["test/support/programs.ts"],
          pool: "forks",
          maxWorkers: 2,
          testTimeout: 60_000,
        },
      },
      mountProject("mount", { transport: "kernel", modelSeconds: 70 }, FUSE_NATIVE_ONLY, 1),
      mountProject("mount-fuse-native", { transport: "fuse-native", modelSeconds: 25 }, ONCE, 2),
    ],
  },
});
