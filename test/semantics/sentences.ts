/**
 * The sentences of a Markdown document: what its bullets, paragraphs and table rows say, one string each.
 * Leaves out headings, the preamble before the first second-level heading, code blocks, and the header rows of tables.
 * A full stop ends a sentence when white space and a capital letter (or the end) follow. Called by semantics.test.ts.
 */

const isTableRule = (line: string | undefined) => line !== undefined && /^\s*\|?[\s:|-]+\|[\s:|-]*$/.test(line);

/** Blocks of text: a bullet with its continuation lines, a paragraph, or a table row. */
function blocksOf(markdown: string): string[] {
  const blocks: string[] = [];
  let current = "";
  let inCode = false;
  let begun = false;
  const end = () => {
    if (current !== "") blocks.push(current);
    current = "";
  };
  const lines = markdown.split("\n");
  for (const [i, line] of lines.entries()) {
    if (/^\s*```/.test(line)) {
      end();
      inCode = !inCode;
    } else if (/^#/.test(line) && !inCode) {
      end();
      begun ||= line.startsWith("## ");
    } else if (inCode || !begun) {
      // Says nothing.
    } else if (line.trim() === "" || isTableRule(line) || isTableRule(lines[i + 1])) {
      end();
    } else if (/^\s*([-*]|\d+\.)\s/.test(line) || line.startsWith("|")) {
      end();
      current = line.replace(/^\s*([-*]|\d+\.)\s+/, "").trim();
    } else {
      current = current === "" ? line.trim() : `${current} ${line.trim()}`;
    }
  }
  end();
  return blocks;
}

export function sentencesOf(markdown: string): string[] {
  return blocksOf(markdown)
    .flatMap((block) => (block.startsWith("|") ? [block] : block.split(/(?<=[.!?])\s+(?=["`(]?[A-Z])/)))
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== "");
}
