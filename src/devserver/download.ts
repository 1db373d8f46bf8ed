/**
 * GET /files/{token}/{name}: the content that the token is pinned to, whole or one range, with the headers that the C and
 * the Go server send. The name in the address decides about type and disposition only. Called by file-server.ts.
 */
import type { Header, WireReply } from "./exchange.ts";
import type { AccessToken } from "./links.ts";
import { quote } from "./paths.ts";
import { parseRange } from "./range.ts";
import type { Services } from "./services.ts";
import { goText } from "./wire-upload.ts";

const TYPES: Readonly<Record<string, string>> = {
  txt: "text/plain; charset=gbk",
  doc: "application/vnd.ms-word",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  ppt: "application/vnd.ms-powerpoint",
  xls: "application/vnd.ms-excel",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  pptx: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  pdf: "application/pdf",
  zip: "application/zip",
  mp3: "audio/mp3",
  mp4: "video/mp4",
  mov: "video/mp4",
  webm: "video/webm",
  ogv: "video/ogg",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  gif: "image/gif",
  svg: "image/svg+xml",
  ico: "image/x-icon",
};

export interface DownloadRequest {
  readonly libraryId: string;
  readonly fileId: string;
  /** Last component of the address, decoded. */
  readonly name: string;
  /** "view": to be shown rather than saved. */
  readonly op: AccessToken["op"];
  readonly header: (name: string) => string | undefined;
}

/** Plain text of the C server (`text` with its newlines), or Go's http.Error. */
export function plainError(
  status: number,
  text: string,
  services: Services,
  headers: readonly Header[] = [],
): WireReply {
  if (services.flavour === "go") {
    const reply = goText(status, text.trimEnd());
    return { ...reply, headers: [...headers, ...reply.headers] };
  }
  return { status, headers: [...headers, ["Content-Type", "text/plain"]], body: Buffer.from(text) };
}

export function download(request: DownloadRequest, services: Services): WireReply {
  const { fileId, header } = request;
  const etag: Header = ["ETag", fileId];
  // Any date will do; the server does not look at it.
  if (header("if-modified-since") !== undefined) return { status: 304, headers: [etag], body: Buffer.alloc(0) };
  const modified = new Date(services.now()).toUTCString();
  const common: Header[] = [etag, ["Last-Modified", modified], ["Cache-Control", "max-age=3600"]];
  const library = services.store.library(request.libraryId);
  if (library === undefined) return plainError(400, "Bad repo id\n\n", services, common);
  const { size } = services.store.fs.file(fileId);
  const range = header("range");
  if (range === undefined) return whole(request, size, common, services);
  if (size === 0) return { status: 200, headers: common, body: Buffer.alloc(0) };
  return partial(request, size, range, common, services);
}

function whole(request: DownloadRequest, size: number, common: readonly Header[], services: Services): WireReply {
  const headers: Header[] = [
    ...common,
    ["Access-Control-Allow-Origin", "*"],
    ["Content-Security-Policy", "sandbox"],
    ["Content-Type", typeOf(request.name)],
    ["Content-Length", String(size)],
    [
      "Content-Disposition",
      `${request.op === "view" ? "inline" : "attachment"};filename*="utf-8' '${quote(request.name)}"`,
    ],
    ["X-Content-Type-Options", "nosniff"],
  ];
  const chunks = services.store.contents.read(request.fileId, 0, size);
  return { status: 200, headers, body: { length: size, chunks } };
}

function partial(
  request: DownloadRequest,
  size: number,
  header: string,
  common: readonly Header[],
  services: Services,
): WireReply {
  const range = parseRange(header, size);
  if (range === undefined) {
    const headers: Header[] = [...common, ["Content-Range", `bytes */${size}`]];
    return services.flavour === "go"
      ? plainError(416, "", services, headers)
      : { status: 416, headers, body: Buffer.alloc(0) };
  }
  const length = range.end - range.start;
  const manner = request.op === "view" ? "inline" : "attachment";
  const disposition =
    services.flavour === "go"
      ? `${manner};filename*="utf-8' '${quote(request.name)}"`
      : `${manner};filename="${Buffer.from(request.name).toString("latin1")}"`;
  const headers: Header[] = [
    ...common,
    ["Accept-Ranges", "bytes"],
    ["Content-Security-Policy", "sandbox"],
    ["Content-Type", typeOf(request.name)],
    ["Content-Length", String(length)],
    ["Content-Range", `bytes ${range.start}-${range.end - 1}/${size}`],
    ["Content-Disposition", disposition],
    ["X-Content-Type-Options", "nosniff"],
  ];
  const chunks = services.store.contents.read(request.fileId, range.start, range.end);
  return { status: 206, headers, body: { length, chunks }, bodyOnHead: services.flavour === "c" };
}

function typeOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return TYPES[name.slice(dot + 1)] ?? "application/octet-stream";
}
