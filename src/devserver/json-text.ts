/**
 * JSON as the real services write it: Python's and jansson's ", " and ": ", Django REST's compact form, and ASCII-only text
 * with lower-case \uXXXX escapes. Called by the replies (seahub, file server) and by the object encoder, whose ids are
 * SHA-1 of exactly these bytes.
 */

/** `{"a": 1, "b": [1, 2]}`: separators ", " and ": ", keys in the given order, non-ASCII kept; undefined members are left out. */
export function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}: ${spacedJson(member)}`).join(", ")}}`;
}

/** Everything outside printable ASCII as \uXXXX, as Python's json.dumps(ensure_ascii=True) does. */
export function escapeAscii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** As Go's encoding/json writes strings: <, > and & escaped, everything else as JSON.stringify. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** repr() of a Python float: "50.0", "9.999999999999999e-05". */
export function pythonFloat(value: number): string {
  const text = String(value);
  if (Number.isInteger(value) && !text.includes("e")) return `${text}.0`;
  if (value === 0 || Math.abs(value) >= 1e-4) return text;
  const [mantissa, exponent] = value.toExponential().split("e") as [string, string];
  return `${mantissa}e-${exponent.slice(1).padStart(2, "0")}`;
}
