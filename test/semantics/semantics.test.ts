/**
 * docs/SEMANTICS.md promises nothing that is not tested: every sentence of it is quoted word for word in some test file, in
 * a comment `// SEMANTICS: "..."` or as the name of a test. Headings, code blocks and the header rows of tables promise nothing.
 */
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { sentencesOf } from "./sentences.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** One space for any white space, so that a quote may be wrapped over comment lines. */
const squeeze = (text: string) => text.replace(/\n\s*(?:\*|\/\/)\s?/g, " ").replace(/\s+/g, " ");

async function testSources(): Promise<string> {
  const names = await readdir(join(ROOT, "test"), { recursive: true });
  const files = names.filter((name) => name.endsWith(".test.ts") && name !== "semantics/semantics.test.ts");
  const texts = await Promise.all(files.map((name) => readFile(join(ROOT, "test", name), "utf8")));
  return squeeze(texts.join("\n").replaceAll('\\"', '"'));
}

describe("docs/SEMANTICS.md", () => {
  it("has a test for every sentence", async () => {
    const sentences = sentencesOf(await readFile(join(ROOT, "docs/SEMANTICS.md"), "utf8"));
    expect(sentences.length).toBeGreaterThan(20);
    const sources = await testSources();
    expect(sentences.filter((sentence) => !sources.includes(squeeze(sentence)))).toEqual([]);
  });

  it("is quoted as it is: no test quotes a sentence that is no longer there", async () => {
    const sentences = sentencesOf(await readFile(join(ROOT, "docs/SEMANTICS.md"), "utf8")).map(squeeze);
    const quotes = [...(await testSources()).matchAll(/SEMANTICS: "(.*?)"(?= (?!-))/g)].map((match) => match[1]!);
    expect(quotes.length).toBeGreaterThan(0);
    expect(quotes.filter((quote) => !sentences.includes(quote))).toEqual([]);
  });
});
