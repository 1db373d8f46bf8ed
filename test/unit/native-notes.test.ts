/**
 * native-notes claim nothing without proof: every bullet, paragraph and table row ends with a test that exists, a command with
 * what it printed, a captured request that exists, or a source. The form is described in native-notes/README.md.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { claimsOf } from "./native-notes-claims.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const PAGES = ["fuse-native.md", "kernel-protocol.md", "mount-helpers.md", "node-event-loop.md"];

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

const captures = new Set(
  (JSON.parse(read("test/protocol/captures.json")) as { command: string }[]).map(({ command }) => command),
);

/** The names of a file's tests and groups of tests, as they stand in its source. */
function titlesOf(path: string): ReadonlySet<string> {
  const titles = new Set<string>();
  const source = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest);
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const [title, ...rest] = node.arguments;
      const isTest = /^(it|test|describe)/.test(rootOf(node.expression)) && rest.length > 0;
      if (isTest && title && ts.isStringLiteralLike(title)) titles.add(title.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return titles;
}

/** `it` of it("..."), it.each([...])("...") and it.runIf(...)("..."). */
function rootOf(node: ts.Expression): string {
  if (ts.isIdentifier(node)) return node.text;
  if (ts.isCallExpression(node) || ts.isPropertyAccessExpression(node)) return rootOf(node.expression);
  return "";
}

const known = new Map<string, ReadonlySet<string>>();

/** What is wrong with one proof; undefined if it stands. */
function wrongWith(proof: string): string | undefined {
  const test = /^test: (\S+) "(.+)"$/s.exec(proof);
  if (test !== null) {
    const [, path = "", title = ""] = test;
    if (!existsSync(join(ROOT, path))) return `no such file: ${path}`;
    if (!known.has(path)) known.set(path, titlesOf(path));
    return known.get(path)!.has(title) ? undefined : `no such test in ${path}: "${title}"`;
  }
  const capture = /^capture: `(.+)`$/s.exec(proof);
  if (capture !== null) return captures.has(capture[1]!) ? undefined : `no such capture: ${capture[1]}`;
  if (/^command: `[^`]+` (printed|showed|took) .+/s.test(proof)) return undefined;
  if (/^source: .+/s.test(proof)) return undefined;
  return `not a proof: ${proof}`;
}

describe("native-notes", () => {
  it("has every page, and no page that this test does not know", () => {
    const pages = readdirSync(join(ROOT, "native-notes")).filter((name) => name !== "README.md");
    expect(pages.sort()).toEqual(PAGES);
  });

  it.each(PAGES)("%s proves every claim, and its proofs exist", (page) => {
    const claims = claimsOf(read(`native-notes/${page}`));
    expect(claims.length).toBeGreaterThan(5);
    const wrong = claims.flatMap(({ text, proofs }) => {
      const complaints = proofs.length === 0 ? ["no proof"] : proofs.flatMap((proof) => wrongWith(proof) ?? []);
      return complaints.map((complaint) => `${text.slice(0, 60)}...: ${complaint}`);
    });
    expect(wrong).toEqual([]);
  });
});

describe("the claims of a page", () => {
  const proofs = (markdown: string) =>
    claimsOf(`# Title\n\nPreamble.\n\n## Section\n\n${markdown}`).map((c) => c.proofs);

  it("are its bullets, paragraphs and rows of tables that have a column for proofs", () => {
    expect(proofs('- A bullet\n  of two lines (test: a.ts "x").\n\nA paragraph (source: b).')).toEqual([
      ['test: a.ts "x"'],
      ["source: b"],
    ]);
    expect(proofs("| claim | proof |\n|---|---|\n| It is so | source: b; capture: `mv` |")).toEqual([
      ["source: b", "capture: `mv`"],
    ]);
  });

  it("are not headings, code, and tables of numbers", () => {
    expect(proofs("```\nls\n```\n\n| work | rate |\n|---|---|\n| read | 1 |")).toEqual([]);
  });

  it("may have brackets, semicolons and quotes in commands, titles and before the proof", () => {
    expect(proofs('- It (mostly) holds; see (test: a.ts "(x); y"; command: `f(1); g` printed `(2)`).')).toEqual([
      ['test: a.ts "(x); y"', "command: `f(1); g` printed `(2)`"],
    ]);
  });

  it("have no proof when they do not end with one", () => {
    expect(proofs('- It (test: a.ts "x") is so.\n- So (it is).')).toEqual([[], []]);
  });
});
