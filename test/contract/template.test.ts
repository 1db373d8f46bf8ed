/**
 * The comparison of the contract tests can fail: masks match only their shape, names keep their first value, and a
 * difference is shown where it begins.
 */
import { expect, it } from "vitest";
import { align, fill, type Variables } from "./template.ts";

const ID = "a".repeat(40);
const none = (): Variables => new Map();

it("gives the template back when text and shapes match", () => {
  const template = '{"id": "{{sha1}}", "mtime": {{unix}}}';
  expect(align(template, `{"id": "${ID}", "mtime": 1795288281}`, none())).toBe(template);
});

it("shows the text as it came from the first difference on", () => {
  expect(align('{"id": {{int}}, "x": 1}', '{"id": 7, "x": 2}', none())).toBe('{"id": {{int}}, "x": 2}');
});

it("does not match a placeholder of another shape", () => {
  expect(align("oid {{sha1}}.", `oid ${ID.slice(1)}.`, none())).not.toBe("oid {{sha1}}.");
});

it("notices text that follows, and text that is missing", () => {
  expect(align("abc", "abcd", none())).toBe("abcd");
  expect(align("abc", "ab", none())).toBe("ab");
  expect(align("abc", "abcd", none(), true)).toBe("abc");
});

it("remembers a named value and demands it again", () => {
  const variables = none();
  expect(align("{{h=int}}", "12", variables)).toBe("{{h=int}}");
  expect(align("{{h=int}}", "13", variables)).toBe("13");
  expect(fill("?oid={{h}}", variables)).toBe("?oid=12");
});

it("refuses names that nothing gave a value", () => {
  expect(() => fill("{{nobody}}", none())).toThrow("{{nobody}}");
  expect(() => align("{{nobody}}", "x", none())).toThrow("{{nobody}}");
});
