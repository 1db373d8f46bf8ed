/**
 * The second origin: moves bytes by access token, without any login. Finds the endpoint and the token, refuses as the C or
 * the Go server does, and leaves the rest to download.ts, upload.ts and chunk-upload.ts. Called by index.ts for each request there.
 */
import { receiveChunk } from "./chunk-upload.ts";
import { parseContentRange } from "./content-range.ts";
import { download, plainError } from "./download.ts";
import type { Exchange, WireReply } from "./exchange.ts";
import { failureReply } from "./fault-reply.ts";
import type { AccessToken } from "./links.ts";
import type { Services } from "./services.ts";
import { update, upload } from "./upload.ts";
import { readUploadForm } from "./upload-form.ts";
import { goText, preflight, UploadError, uploadError } from "./wire-upload.ts";

const UPLOAD = /^\/(upload|update)-(api|aj)\/([^/]+)\/?$/;
const FILES = /^\/files\/([^/]+)\/([^/]+)$/;

export class FileServer {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  async handle(exchange: Exchange): Promise<void> {
    const url = new URL(exchange.request.url ?? "/", this.#services.fileServerUrl());
    const uploadMatch = UPLOAD.exec(url.pathname);
    const isDownload = url.pathname.startsWith("/files/");
    const kind =
      uploadMatch?.[1] ?? (isDownload ? "download" : url.pathname === "/protocol-version" ? "protocol" : "unknown");
    const failure = await exchange.begin(kind);
    if (failure !== undefined) return exchange.send(failureReply("file-server", failure));
    if (uploadMatch !== null) return exchange.send(await this.#upload(exchange, url, uploadMatch));
    if (kind === "protocol") return exchange.send(text('{"version": 2}'));
    return exchange.send(isDownload ? this.#download(exchange, url) : this.#unknown());
  }

  #unknown(): WireReply {
    return this.#services.flavour === "go" ? goText(404, "404 page not found") : text("");
  }

  #download(exchange: Exchange, url: URL): WireReply {
    const match = FILES.exec(url.pathname);
    if (match === null) {
      return this.#services.flavour === "go"
        ? goText(404, "404 page not found")
        : plainError(400, "Invalid URL\n", this.#services);
    }
    const token = this.#services.links.take(match[1]!);
    if (token === undefined) return plainError(403, "Access token not found\n", this.#services);
    if (token.op !== "download" && token.op !== "view")
      return plainError(403, "Operation does not match access token.\n", this.#services);
    const name = decodeName(match[2]!);
    const header = (field: string) => exchange.header(field);
    return download({ ...token, fileId: token.target, name, header }, this.#services);
  }

  async #upload(exchange: Exchange, url: URL, match: RegExpExecArray): Promise<WireReply> {
    const { flavour, store } = this.#services;
    const [, op, suffix, tokenId] = match as unknown as [string, "upload" | "update", string, string];
    if (exchange.request.method === "OPTIONS") return preflight();
    try {
      const type = exchange.header("content-type");
      const token = this.#uploadToken(tokenId, op, type);
      const range = parseContentRange(exchange.header("content-range"), flavour);
      if (range === "malformed") throw new UploadError(400, "Invalid Seafile-Content-Range", { early: true });
      const [query, ajax] = [url.searchParams, suffix === "aj"];
      if (range !== undefined) {
        return await receiveChunk({ exchange, op, token, query, ajax, range }, this.#services);
      }
      let contentLength = 0;
      const counted = count(exchange.body(), (bytes) => {
        contentLength += bytes;
      });
      const form = await readUploadForm(type, counted, (part) => store.contents.store(part), flavour);
      const request = { token, query, form, ajax, contentLength };
      return op === "upload" ? upload(request, this.#services) : update(request, this.#services);
    } catch (error) {
      if (error instanceof UploadError) return uploadError(error, flavour);
      throw error;
    }
  }

  #uploadToken(id: string, op: "upload" | "update", contentType: string | undefined): AccessToken {
    const { flavour, links } = this.#services;
    const token = links.take(id);
    const dot = flavour === "c" ? "." : "";
    if (token === undefined) throw new UploadError(403, `Access token not found${dot}`, { early: true });
    if (token.op !== op) throw new UploadError(403, "Operation does not match access token.", { early: true });
    if (flavour === "c" && contentType === undefined) {
      throw new UploadError(400, "Wrong boundary in url", { early: true });
    }
    return token;
  }
}

async function* count(source: AsyncIterable<Buffer>, add: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    add(chunk.length);
    yield chunk;
  }
}

function text(body: string): WireReply {
  return { status: 200, headers: [["Content-Type", "text/plain"]], body: Buffer.from(body) };
}

/** Percent-decoded; malformed escapes stay as they are. */
function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
