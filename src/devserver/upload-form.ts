/**
 * The multipart body of an upload, read as it arrives: files go where the caller says, fields are kept. Names and fields come
 * out as the C or the Go server would understand them. Nothing is committed here. Called by file-server.ts and chunk-upload.ts.
 */
import type { StoredFile } from "./file-content.ts";
import { boundaryOf, MultipartError, MultipartReader, readSmall } from "./multipart.ts";
import { type Disposition, parseLikeC, parseLikeGo } from "./part-header.ts";
import type { Flavour } from "./services.ts";
import { UploadError } from "./wire-upload.ts";

/** `File` is what has become of the content of each. */
export interface UploadForm<File = StoredFile> {
  readonly fields: ReadonlyMap<string, string>;
  /** In the order of the request. */
  readonly files: readonly (File & { readonly name: string })[];
}

/** The C server makes a temporary file "<name>XXXXXX", which must not be longer than 255 bytes. */
const LONGEST_NAME_C = 249;

/** Throws UploadError for a body that the server would not take. */
export async function readUploadForm<File extends object>(
  contentType: string | undefined,
  body: AsyncIterable<Buffer>,
  store: (content: AsyncIterable<Buffer>) => Promise<File>,
  flavour: Flavour,
): Promise<UploadForm<File>> {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) {
    throw flavour === "c" ? new UploadError(400, "Wrong boundary in url", { early: true }) : new UploadError(400, "");
  }
  const reader = new MultipartReader(body, boundary);
  const fields = new Map<string, string>();
  const files: (File & { name: string })[] = [];
  try {
    for (let part = await reader.next(); part !== undefined; part = await reader.next()) {
      const disposition = dispositionOf(part.header, flavour);
      if (disposition === undefined) continue;
      const { name, fileName } = disposition;
      if (isFile(disposition)) files.push({ ...(await store(part.body)), name: fileName! });
      else setField(fields, name, await readSmall(part.body), flavour);
    }
  } catch (error) {
    if (error instanceof MultipartError) throw malformed(flavour);
    throw error;
  }
  return { fields, files };
}

function malformed(flavour: Flavour): UploadError {
  return flavour === "c" ? new UploadError(400, "Bad request.\n", { early: true }) : new UploadError(400, "");
}

function dispositionOf(header: Buffer, flavour: Flavour): Disposition | undefined {
  if (flavour === "go") return parseLikeGo(header);
  const disposition = parseLikeC(header);
  if (disposition === undefined) throw malformed(flavour);
  if (isFile(disposition) && Buffer.byteLength(disposition.fileName!) > LONGEST_NAME_C) {
    throw new UploadError(500, "Internal server error\n", { early: true });
  }
  return disposition;
}

/** A file is what is called "file" and has a name; anything else is a field. */
function isFile({ name, fileName }: Disposition): boolean {
  return name === "file" && fileName !== undefined;
}

/** The C server reads values line by line, and a later line replaces an earlier one; Go takes the first value of a name. */
function setField(fields: Map<string, string>, name: string, value: Buffer, flavour: Flavour): void {
  const text = value.toString("utf8");
  if (flavour === "c") fields.set(name, text.split("\r\n").at(-1)!);
  else if (!fields.has(name)) fields.set(name, text);
}
