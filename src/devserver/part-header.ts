/**
 * What the two file servers make of a part's Content-Disposition: its field name and file name. The C server cuts the raw
 * text at quotes, the Go server parses MIME parameters; both keep only the last path component. The names are as observed on
 * 11.0.13 (both servers). Called by upload-form.ts, content-range.ts, and the web API's form parser for field names.
 */

export interface Disposition {
  readonly name: string;
  /** Undefined: a plain field. */
  readonly fileName: string | undefined;
}

function headerLine(header: Buffer): string | undefined {
  const lines = header.toString("latin1").split("\r\n");
  return lines.find((line) => /^content-disposition:/i.test(line))?.replace(/^[^:]*:\s*/, "");
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Undefined for bytes that are not UTF-8. */
function decode(latin1: string): string | undefined {
  try {
    return utf8.decode(Buffer.from(latin1, "latin1"));
  } catch {
    return undefined;
  }
}

/** The C server. Undefined: it answers "Bad request." (no disposition, or a name that is not UTF-8). */
export function parseLikeC(header: Buffer): Disposition | undefined {
  const line = headerLine(header);
  const [, name, ...rest] = (line ?? "").split(";");
  if (name === undefined) return undefined;
  const field = decode(betweenQuotes(name.trim()).replace(/^name=/, ""));
  if (field === undefined) return undefined;
  if (rest.length === 0) return { name: field, fileName: undefined };
  const raw = decode(betweenQuotes(rest.join(";").trim()));
  if (raw === undefined) return undefined;
  return { name: field, fileName: raw.slice(Math.max(raw.lastIndexOf("/"), raw.lastIndexOf("\\")) + 1) };
}

/** Text between the first and the last quote; all of it when there are not two. */
function betweenQuotes(text: string): string {
  const [first, last] = [text.indexOf('"'), text.lastIndexOf('"')];
  return first === last ? text : text.slice(first + 1, last);
}

/** A lone surrogate, which is no valid name: what stands for a name that is not UTF-8. */
const NO_NAME = "\ud800";

/** The Go server: mime.ParseMediaType, filepath.Base. Undefined: a part it skips. */
export function parseLikeGo(header: Buffer): Disposition | undefined {
  const parameters = mediaParameters(headerLine(header) ?? "");
  const name = parameters?.get("name");
  if (parameters === undefined || name === undefined) return undefined;
  const fileName = parameters.get("filename*") ?? parameters.get("filename");
  if (fileName === undefined || fileName === "") return { name, fileName: undefined };
  const base = fileName.replace(/\/+$/, "");
  return { name, fileName: base === "" ? "/" : base.slice(base.lastIndexOf("/") + 1) };
}

/** Parameters after the media type; undefined when they are malformed, as Go then drops all of them. */
export function mediaParameters(line: string): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  let rest = line.replace(/^[^;]*/, "");
  while (rest !== "" && rest.trim() !== ";") {
    const match = /^\s*;\s*([^\s=;"]+)=(?:"((?:\\[^A-Za-z0-9]|[^"])*)"|([^\s;"\\/]+))\s*/.exec(rest);
    const key = match?.[1]?.toLowerCase();
    if (match === null || key === undefined || parameters.has(key)) return undefined;
    // A backslash escapes only what RFC 2045 calls tspecials; elsewhere it stays (Windows paths).
    const value = match[3] ?? match[2]!.replace(/\\([()<>@,;:\\"/[\]?=])/g, "$1");
    const decoded = key.endsWith("*") ? decodeExtended(value) : (decode(value) ?? NO_NAME);
    if (decoded !== undefined) parameters.set(key, decoded);
    rest = rest.slice(match[0].length);
  }
  return parameters;
}

/** RFC 2231: charset'language'percent-encoded. Undefined when Go would ignore it. */
function decodeExtended(value: string): string | undefined {
  const match = /^(utf-8|us-ascii)'[^']*'(.*)$/is.exec(value);
  if (match === null) return undefined;
  try {
    return decodeURIComponent(match[2]!);
  } catch {
    return undefined;
  }
}
