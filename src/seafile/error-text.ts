/**
 * What an error body says: JSON of several shapes (with raw newlines inside strings from both file servers), plain text, web
 * pages of proxies and of Django. Invariant: the text is one line for people, without tokens and link ids. Called by errors.ts.
 */

export interface Reason {
  /** What the server says, in one line without secrets; "" when it says nothing. */
  readonly text: string;
  /** Shape of the body: seahub's own, the REST layer's `detail`, the login form's, a web page, or anything else. */
  readonly shape: "error_msg" | "detail" | "login" | "html" | "other";
}

/** Reads any error body a Seafile installation produces: JSON (also with raw newlines in strings), plain text, web pages. */
export function readReason(body: string): Reason {
  const text = body.trim();
  if (/^\s*(<!doctype|<html|<\?xml|<head)/i.test(text)) {
    return { text: oneLine(/<title>([^<]*)<\/title>/i.exec(text)?.[1] ?? ""), shape: "html" };
  }
  if (text.startsWith("{")) {
    const fields = parseLoosely(text);
    for (const [key, shape] of KEYS) {
      const value = fields?.[key];
      const said = Array.isArray(value) ? value[0] : value;
      if (typeof said === "string") return { text: oneLine(said), shape };
    }
  }
  return { text: oneLine(text), shape: "other" };
}

const KEYS = [
  ["error_msg", "error_msg"],
  ["detail", "detail"],
  ["error", "other"],
  ["err", "other"],
  ["non_field_errors", "login"],
  ["username", "login"],
  ["password", "login"],
] as const;

/** The C and the Go file server put raw newlines inside JSON strings, which JSON.parse refuses. */
function parseLoosely(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text.replace(/\p{Cc}/gu, " "));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Server text for people: one line, at most 200 characters, without tokens (40 hex), link ids (UUIDs) and public links' tokens. */
function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\s]+/gu, " ")
    .replace(/\b[0-9a-f]{40}\b/gi, "…")
    .replace(/\b((?:link|token) )[0-9a-f]{10,}\b/gi, "$1…")
    .replace(/(files|upload-api|update-api)\/[0-9a-f-]{8,}/gi, "$1/…")
    .trim()
    .replace(/\.$/, "")
    .slice(0, 200);
}
