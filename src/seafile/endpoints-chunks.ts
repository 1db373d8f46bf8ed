/**
 * The requests of an upload in chunks (seafile-server from 7.0 on): how much has arrived, and one chunk. One request each; no
 * retries, no decisions. Invariant: the headers are exactly what both file servers parse, because the Go one takes a chunk whose
 * Content-Range it cannot read for a whole file. Called by library-chunks.ts.
 */
import { fieldsOf, storingTime, type Upload, type Uploaded } from "./endpoints-file-server.ts";
import type { HttpClient } from "./http.ts";
import { type FilePart, multipartBody } from "./multipart.ts";
import { chunkTaken, parse, uploadedBytes } from "./schema.ts";
import type { LibraryId } from "./types.ts";

export interface UploadPlace {
  readonly library: LibraryId;
  /** Absolute. */
  readonly folder: string;
  readonly name: string;
}

/**
 * GET api/v2.1/repos/{id}/file-uploaded-bytes/: the length of the server's temporary file, 0 when there is none. Kind
 * "not-found" when there is no such folder, "protocol" when the server is older.
 */
export async function getUploadedBytes(
  http: HttpClient,
  { library, folder, name }: UploadPlace,
  signal?: AbortSignal,
): Promise<number> {
  const what = `Asking how much of ${JSON.stringify(name)} has arrived`;
  const target = `/api/v2.1/repos/${library}/file-uploaded-bytes/`;
  const query = { parent_dir: folder, file_name: name };
  const answer = await http.call({ side: "seahub", what, method: "GET", target, query, signal });
  return parse(uploadedBytes, answer.body, what).uploadedBytes;
}

export interface Chunk extends Omit<Upload, "files"> {
  readonly name: string;
  /** Offset of the part in the file, whose size is `total`. */
  readonly start: number;
  readonly total: number;
  readonly part: FilePart;
}

/** POST {upload-api}?ret-json=1 with Content-Range: "accepted", or the stored file where the server thinks it has all of it. */
export async function postChunk(
  http: HttpClient,
  link: string,
  chunk: Chunk,
  signal?: AbortSignal,
): Promise<"accepted" | Uploaded> {
  const { name, start, total, part } = chunk;
  const end = start + part.size;
  const what = `Storing ${JSON.stringify(name)}`;
  const answer = await http.call({
    side: "file-server",
    what,
    method: "POST",
    target: link,
    query: { "ret-json": "1" },
    headers: {
      "content-range": `bytes ${start}-${end - 1}/${total}`,
      // Both servers take the name from here and not from the part; %XX is unescaped, and by Go a plus as well.
      "content-disposition": `attachment; filename="${encodeURIComponent(name)}"`,
    },
    body: multipartBody(fieldsOf(chunk), [part]),
    headersTimeoutMs: http.timeouts.uploadHeaders + (end === total ? storingTime(total) : 0),
    signal,
  });
  const taken = parse(chunkTaken, answer.body, what);
  return Array.isArray(taken) ? { ...taken[0]!, now: http.serverNow() } : "accepted";
}
