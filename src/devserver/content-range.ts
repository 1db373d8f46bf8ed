/**
 * The two request headers of an upload in chunks, as the file servers of 11.0 read them: Content-Range, and Content-Disposition
 * with the percent-encoded file name. Pure functions; the names are the client's words and are never paths of this machine.
 * Called by file-server.ts and chunk-upload.ts.
 */
import { mediaParameters } from "./part-header.ts";
import type { Flavour } from "./services.ts";

/** Bytes start to end of total; end belongs to it. */
export interface ChunkRange {
  readonly start: number;
  readonly end: number;
  readonly total: number;
}

/**
 * Undefined: no chunk. C (parse_range_val) calls a malformed header "malformed"; Go (parseContentRange) takes it for none, and
 * the body for a whole file.
 */
export function parseContentRange(header: string | undefined, flavour: Flavour): ChunkRange | "malformed" | undefined {
  if (header === undefined) return undefined;
  const match = (flavour === "c" ? /^bytes *(\d+)-(\d+)\/(\d+)$/ : /bytes *(\d+)-(\d+)\/(\d+)$/).exec(header);
  const [start, end, total] = (match ?? []).slice(1).map(Number);
  if (start !== undefined && end !== undefined && total !== undefined && start <= end && end < total) {
    return { start, end, total };
  }
  return flavour === "c" ? "malformed" : undefined;
}

/** The file name of the request's own Content-Disposition, in NFC; undefined when there is none that the server can read. */
export function nameOfChunk(header: string | undefined, flavour: Flavour): string | undefined {
  const name = flavour === "c" ? nameLikeC(header ?? "") : nameLikeGo(header ?? "");
  return name?.normalize("NFC");
}

/** parse_file_name_from_header: exactly two parameters, %XX unescaped, only the last path component. */
function nameLikeC(header: string): string | undefined {
  const [type = "", parameter = ""] = header.split(/;(.*)/s).map((part) => part.trim());
  if (type.toLowerCase() !== "attachment" || !/^filename/i.test(parameter)) return undefined;
  const [first, last] = [parameter.indexOf('"'), parameter.lastIndexOf('"')];
  if (first >= 0 && first === last) return undefined;
  const name = unescaped(first < 0 ? parameter : parameter.slice(first + 1, last));
  return name?.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
}

/** mime.ParseMediaType, then url.QueryUnescape: a plus is a space. */
function nameLikeGo(header: string): string | undefined {
  if (header === "") return undefined;
  const name = mediaParameters(header)?.get("filename");
  return name === undefined ? undefined : unescaped(name.replaceAll("+", " "));
}

function unescaped(text: string): string | undefined {
  try {
    const name = decodeURIComponent(text);
    return name.includes("\0") ? undefined : name;
  } catch {
    return undefined;
  }
}
