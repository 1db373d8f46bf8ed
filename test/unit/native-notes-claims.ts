/**
 * Reads the claims of a page of native-notes out of its Markdown: bullets, paragraphs, and rows of tables whose last column
 * is "proof", each with the proofs it ends with. What stands before the first second-level heading, code blocks and other tables
 * are no claims: the paragraph before them speaks for them. Called by native-notes.test.ts.
 */

export interface Claim {
  readonly text: string;
  readonly proofs: readonly string[];
}

export function claimsOf(markdown: string): readonly Claim[] {
  return blocksOf(markdown).flatMap((block): Claim[] => {
    if (!block[0]!.startsWith("|")) return [claim(block.map((line) => line.trim()).join(" "))];
    const [header = [], , ...rows] = block.map(cellsOf);
    if (header.at(-1) !== "proof") return [];
    return rows.map((row) => claim(`${row.slice(0, -1).join(" ")} (${row.at(-1)!.replace(/^\((.*)\)$/, "$1")})`));
  });
}

/** Lines that belong together: a bullet, a paragraph, a whole table. */
function blocksOf(markdown: string): readonly (readonly string[])[] {
  const blocks: string[][] = [];
  let isNew = true;
  const body = markdown.slice(markdown.search(/^## /m)).replace(/^```.*?^```$/gms, "");
  for (const line of body.split("\n")) {
    const isBreak = line.trim() === "" || line.startsWith("#");
    if (!isBreak && (isNew || /^\s*([-*]|\d+\.)\s/.test(line))) blocks.push([]);
    if (!isBreak) blocks.at(-1)!.push(line);
    isNew = isBreak;
  }
  return blocks;
}

/** A vertical line inside a cell is written \|. */
function cellsOf(row: string): readonly string[] {
  const cells = row.trim().split(/(?<!\\)\|/);
  return cells.slice(1, -1).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** Splits at the last bracket that begins with the name of a proof and lasts to the end. */
function claim(text: string): Claim {
  const match = /^(.*?)\s*\(((?:test|command|capture|source): .*)\)\.?$/s.exec(text);
  if (match === null) return { text, proofs: [] };
  const [, statement = "", proofs = ""] = match;
  if (leavesBracket(proofs)) return { text, proofs: [] };
  return { text: statement, proofs: proofs.split(/;\s+(?=(?:test|command|capture|source): )/) };
}

/** Whether the bracket of the proofs closes before the end: what follows it would be a claim without proof. */
function leavesBracket(proofs: string): boolean {
  let depth = 0;
  for (const char of proofs.replace(/`[^`]*`|"[^"]*"/g, "")) {
    if (char === "(") depth++;
    if (char === ")" && --depth < 0) return true;
  }
  return false;
}
