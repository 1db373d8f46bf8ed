/** The import rule of docs/ARCHITECTURE.md as a test: imports point down, and each package has one door. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

/** Which folder of src/ may import which. Read it top-down: nothing ever points up. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  cli: ["(root)", "control", "devserver", "seafile", "observe", "util"],
  "(root)": [
    "fuse",
    "fuse/kernel",
    "fuse/libfuse",
    "fuse/system",
    "vfs",
    "writeback",
    "cache",
    "seafile",
    "control",
    "observe",
    "util",
  ],
  fuse: ["vfs", "observe", "util"],
  "fuse/kernel": ["fuse", "fuse/system", "observe", "util"],
  "fuse/libfuse": ["fuse", "fuse/system", "observe", "util"],
  "fuse/system": ["observe", "util"],
  vfs: ["writeback", "cache", "seafile", "observe", "util"],
  writeback: ["seafile", "observe", "util"],
  cache: ["seafile", "observe", "util"],
  seafile: ["observe", "util"],
  control: ["observe", "util"],
  devserver: ["util"],
  observe: ["util"],
  util: [],
};

/** The only files that may import a package. */
const DOORS: Record<string, readonly RegExp[]> = {
  undici: [/^seafile\/http\.ts$/],
  zod: [/^seafile\/schema(-sharing)?\.ts$/, /^options\.ts$/],
  "lru-cache": [/^cache\//],
  "p-limit": [/^seafile\/http\.ts$/, /^writeback\/committer\.ts$/],
  "fuse-native": [/^fuse\/libfuse\/native-binding\.ts$/],
  "node-gyp-build": [/^fuse\/libfuse\/native-binding\.ts$/],
  koffi: [/^fuse\/kernel\/receive-fd\.ts$/],
  pino: [/^observe\/log\.ts$/],
  yargs: [/^cli\//],
  "env-paths": [/^cli\//, /^options\.ts$/],
};

const SRC = resolve(import.meta.dirname, "../src");
const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
const roomOf = (file: string) => {
  const folder = dirname(file);
  if (folder === ".") return "(root)";
  return /^fuse\/(kernel|libfuse|system)$/.test(folder) ? folder : folder.split("/")[0]!;
};
const importsOf = (file: string) =>
  [
    ...readFileSync(join(SRC, file), "utf8").matchAll(
      /\b(?:from\s+|import\s*\(?\s*|require\w*(?:\.resolve)?\(\s*)["']([^"']+)["']/g,
    ),
  ].map((m) => m[1]!);

describe("architecture", () => {
  it("imports point down only", () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => relative(SRC, resolve(SRC, dirname(file), specifier)))
        .filter((target) => {
          const [from, to] = [roomOf(file), roomOf(target)];
          return from !== to && !(MAY_IMPORT[from] ?? []).includes(to);
        })
        .map((target) => `${file} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("a transport imports the seam only, never the adapter", () => {
    const wrong = files
      .filter((file) => /^fuse\/(kernel|libfuse)\//.test(file))
      .flatMap((file) =>
        importsOf(file).filter((s) => s.startsWith("../") && !/^\.\.\/(transport\.ts|system\/|\.\.\/)/.test(s)),
      );
    expect(wrong).toEqual([]);
  });

  it("each package has one door", () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter((s) => !s.startsWith(".") && !s.startsWith("node:"))
        .filter((s) => {
          const name = s.startsWith("@") ? s.split("/").slice(0, 2).join("/") : s.split("/")[0]!;
          return !(DOORS[name] ?? []).some((door) => door.test(file));
        })
        .map((s) => `${file} -> ${s}`),
    );
    expect(wrong).toEqual([]);
  });

  it("only mount.ts and the CLI construct across rooms, and there are no barrels inside src", () => {
    const barrels = files.filter((file) => file.endsWith("/index.ts") && file !== "devserver/index.ts");
    expect(barrels).toEqual([]);
  });
});
