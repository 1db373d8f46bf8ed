/**
 * One chunk of an upload or update: put in its place, and with the last byte of the file handed on like a whole upload.
 * Invariants, as observed on 11.0.13: chunks may come in any order and twice, gaps become zeros, only the chunk with the last
 * byte ends the file, whatever is missing, and takes the temporary file with it, even when it is refused.
 * Called by file-server.ts.
 */
import { type ChunkRange, nameOfChunk } from "./content-range.ts";
import { ConnectionLost, type Exchange, type WireReply } from "./exchange.ts";
import type { AccessToken } from "./links.ts";
import type { PartialKey, StagedChunk } from "./partial-files.ts";
import { basename, canonicalDirectory, joinPath } from "./paths.ts";
import type { Services } from "./services.ts";
import { folderOfUpload, storePart, targetOfUpdate, update, upload } from "./upload.ts";
import { readUploadForm, type UploadForm } from "./upload-form.ts";
import { chunkAccepted, UploadError } from "./wire-upload.ts";

export interface ChunkRequest {
  readonly exchange: Exchange;
  readonly op: "upload" | "update";
  readonly token: AccessToken;
  readonly query: URLSearchParams;
  readonly ajax: boolean;
  readonly range: ChunkRange;
}

/** Both servers make a temporary file of the name and a random ending, which must not be longer than 255 bytes. */
const LONGEST_NAME = { c: 249, go: 245 };

/** Throws UploadError, also for what whole uploads are refused for, but that only with the last chunk. */
export async function receiveChunk(request: ChunkRequest, services: Services): Promise<WireReply> {
  const { exchange, range } = request;
  const { partials, flavour } = services;
  const type = exchange.header("content-type");
  const form = await readUploadForm(type, exchange.body(), (part) => partials.stage(part), flavour);
  try {
    const name = nameOfChunk(exchange.header("content-disposition"), flavour);
    const isLast = range.end === range.total - 1;
    if (name === undefined) throw nameless(isLast, exchange, services);
    if (Buffer.byteLength(name) > LONGEST_NAME[flavour]) {
      throw new UploadError(500, flavour === "c" ? "Internal server error\n" : "Internal error.\n");
    }
    const key = keyOf(request, form, name, services);
    const [chunk, second] = form.files;
    if (chunk === undefined) throw new UploadError(400, "No file in multipart form.\n");
    if (second !== undefined) throw new UploadError(400, `More files in one request${flavour === "c" ? ".\n" : ""}`);
    await partials.write(key, range.start, chunk);
    if (!isLast) return chunkAccepted(exchange.header("accept"), flavour);
    return await finish(request, form, basename(name), key, services);
  } finally {
    await Promise.all(form.files.map((chunk) => partials.discard(chunk)));
  }
}

/** C refuses the part; Go fails, and with the last chunk its handler panics, which ends the connection. */
function nameless(isLast: boolean, exchange: Exchange, { flavour }: Services): Error {
  if (flavour === "c") return new UploadError(400, "Bad request.\n", { early: true });
  if (!isLast) return new UploadError(500, "Internal error.\n");
  exchange.cut();
  return new ConnectionLost();
}

/** Uploads collect under folder and header's name; C's updates under the target, Go's under the target's folder and the name. */
function keyOf(
  { op, token }: ChunkRequest,
  form: UploadForm<StagedChunk>,
  name: string,
  services: Services,
): PartialKey {
  const { libraryId } = token;
  if (op === "upload") {
    const folder = folderOfUpload(form, libraryId, services);
    return { libraryId, path: joinPath(canonicalDirectory(folder), name) };
  }
  const { folder, name: target } = targetOfUpdate(form, services);
  return { libraryId, path: joinPath(canonicalDirectory(folder), services.flavour === "c" ? target : name) };
}

async function finish(
  { op, token, query, ajax, range }: ChunkRequest,
  { fields }: UploadForm<StagedChunk>,
  name: string,
  key: PartialKey,
  services: Services,
): Promise<WireReply> {
  const { partials } = services;
  try {
    const stored = await storePart(partials.read(key), token, services);
    const form: UploadForm = { fields, files: [{ name, ...stored }] };
    const whole = { token, query, form, ajax, contentLength: range.total };
    return op === "upload" ? upload(whole, services) : update(whole, services);
  } finally {
    await partials.remove(key);
  }
}
