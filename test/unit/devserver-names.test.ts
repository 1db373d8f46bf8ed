/** Paths, name checks and free names of the development server are those of seahub and of the file server. */
import { describe, expect, it } from "vitest";
import {
  basename,
  canonicalDirectory,
  dirname,
  freeNameA,
  freeNameB,
  isValidName,
  normalizeDirectory,
  quote,
} from "../../src/devserver/paths.ts";

describe("free names", () => {
  const cases: [name: string, byRuleA: string, byRuleB: string][] = [
    ["a.txt", "a (1).txt", "a (1).txt"],
    ["a.tar.gz", "a.tar (1).gz", "a.tar (1).gz"],
    ["name", "name (1)", "name (1)"],
    ["my.dir", "my (1).dir", "my (1).dir"],
    [".bashrc", ".bashrc (1)", " (1).bashrc"],
    ["..x", "..x (1)", ". (1).x"],
    ["dot.", "dot (1).", "dot (1)."],
    [".a.b", ".a (1).b", ".a (1).b"],
  ];
  for (const [name, byRuleA, byRuleB] of cases) {
    it(`${JSON.stringify(name)} becomes ${JSON.stringify(byRuleA)} by rule A and ${JSON.stringify(byRuleB)} by rule B`, () => {
      expect(freeNameA(name, new Set([name]))).toBe(byRuleA);
      expect(freeNameB(name, new Set([name]))).toBe(byRuleB);
    });
  }

  it("the first free number is taken, and a free name stays", () => {
    expect(freeNameA("a", new Set(["a", "a (1)", "a (3)"]))).toBe("a (2)");
    expect(freeNameB("a", new Set(["a", "a (1)", "a (3)"]))).toBe("a (2)");
    expect(freeNameA("b", new Set(["a"]))).toBe("b");
  });

  it("rule B gives up after a thousand", () => {
    const taken = new Set(["a", ...Array.from({ length: 1000 }, (_, i) => `a (${i + 1})`)]);
    expect(freeNameB("a", taken)).toBeUndefined();
    expect(freeNameA("a", taken)).toBe("a (1001)");
  });
});

describe("name check", () => {
  it("allows 255 bytes and what other systems forbid", () => {
    const allowed = ["x".repeat(255), "é".repeat(127), "a:b", "a\\b", " ", ".", "tab\tx", "\u{1f600}", "%2F"];
    expect(allowed.filter((name) => !isValidName(name))).toEqual([]);
  });

  it("refuses 256 bytes, slashes, '..', nothing and half characters", () => {
    const refused = ["x".repeat(256), "é".repeat(128), "a/b", "..", "", "\0", "\ud800"];
    expect(refused.filter((name) => isValidName(name))).toEqual([]);
  });
});

describe("paths", () => {
  it("are split as posixpath does", () => {
    expect([dirname("/a/b"), dirname("/a"), dirname("/a/b/"), dirname("a")]).toEqual(["/a", "/", "/a/b", ""]);
    expect([basename("/a/b"), basename("/a/b/")]).toEqual(["b", ""]);
  });

  it("of directories keep inner slashes for display, and lose them for comparison", () => {
    expect([normalizeDirectory("//a//b"), normalizeDirectory("a"), normalizeDirectory("")]).toEqual([
      "/a//b/",
      "/a/",
      "/",
    ]);
    expect(canonicalDirectory("//a//b/")).toBe("/a/b");
  });

  it("are quoted as urllib does", () => {
    expect(quote("/n (1)/naïve 'x'~_.-!*.txt")).toBe("/n%20%281%29/na%C3%AFve%20%27x%27~_.-%21%2A.txt");
  });
});
