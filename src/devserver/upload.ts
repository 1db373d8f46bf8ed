/**
 * upload-api and update-api of the file server: the checks in the order in which the C and the Go server make them, then
 * one commit. Invariant: nothing of an upload is visible before its body has arrived as a whole. Called by file-server.ts and
 * chunk-upload.ts.
 */
import type { WireReply } from "./exchange.ts";
import type { StoredFile } from "./file-content.ts";
import { type Library, RpcError } from "./library.ts";
import type { AccessToken } from "./links.ts";
import { ZERO_ID } from "./objects.ts";
import { basename, canonicalDirectory, dirname, isValidName, joinPath } from "./paths.ts";
import type { Services } from "./services.ts";
import { updateFile } from "./update-file.ts";
import type { UploadForm } from "./upload-form.ts";
import { UploadError, updated, uploaded } from "./wire-upload.ts";

export interface UploadRequest {
  readonly token: AccessToken;
  readonly query: URLSearchParams;
  readonly form: UploadForm;
  /** The address ends in -aj. */
  readonly ajax: boolean;
  /** Bytes of the whole request body, multipart overhead included: what the quota is charged with. */
  readonly contentLength: number;
}

function libraryById(id: string, services: Services): Library {
  const library = services.store.library(id);
  if (library === undefined) throw new UploadError(500, "Failed to get repo.\n");
  return library;
}

/** Stores what arrives as the library keeps it; without the key of an encrypted one the bytes go nowhere. */
export async function storePart(
  content: AsyncIterable<Buffer>,
  { libraryId, userId }: AccessToken,
  { store, keys }: Services,
): Promise<StoredFile> {
  const library = store.library(libraryId);
  if (library === undefined || !keys.isLocked(library, userId)) {
    return store.contents.store(content, library && keys.key(library, userId));
  }
  let size = 0;
  for await (const chunk of content) size += chunk.length;
  return { id: ZERO_ID, size };
}

/** After all other checks, where the servers begin to make blocks. */
function demandKey(library: Library, { token }: UploadRequest, { keys, flavour }: Services): void {
  if (!keys.isLocked(library, token.userId)) return;
  if (flavour === "c") throw new UploadError(500, "Internal error\n");
  throw new UploadError(400, "Repo is encrypted. Please provide password to view it.");
}

export function upload(request: UploadRequest, services: Services): WireReply {
  const { form, query } = request;
  const { flavour } = services;
  const library = libraryById(request.token.libraryId, services);
  demandWritable(library, services);
  const replace = replaceFlag(form, query, services);
  const parent = parentDirectory(request, library, services);
  const relative = relativePath(form, flavour);
  for (const file of form.files) demandName(file.name, services);
  demandRoom(library, request, services);
  demandKey(library, request, services);
  // The C server collects the files of a request in a list that grows at its front.
  const files = flavour === "c" ? form.files.toReversed() : form.files;
  const mtime = modifyTime(form, services);
  const names = store(request, library, joinPath(parent, relative), files, replace, mtime);
  const asJson = query.has("ret-json") || (flavour === "go" && form.fields.get("ret-json") === "1");
  const stored = files.map((file, index) => ({ name: names[index]!, id: file.id, size: file.size }));
  return uploaded(stored, { asJson, ajax: request.ajax }, flavour);
}

function store(
  request: UploadRequest,
  library: Library,
  directory: string,
  files: UploadForm["files"],
  replace: boolean,
  mtime: number | undefined,
): string[] {
  const by = request.token.userId;
  try {
    library.makeDirectories(by, directory);
    return library.addFiles(
      by,
      directory,
      files.map((file) => ({ ...file, mtime })),
      replace,
    );
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    if (error.message.startsWith("Too many")) throw new UploadError(400, `${error.message}\n`);
    throw new UploadError(500, "Internal error\n");
  }
}

/** Where the chunks of an upload belong, after the checks that every chunk has to pass. */
export function folderOfUpload(form: UploadForm<object>, libraryId: string, services: Services): string {
  demandWritable(libraryById(libraryId, services), services);
  replaceFlag(form, new URLSearchParams(), services);
  const parent = givenParent(form, services);
  const relative = relativePath(form, services.flavour);
  if (!parent.startsWith("/")) throw new UploadError(400, `Invalid parent dir${services.flavour === "c" ? ".\n" : ""}`);
  return joinPath(parent, relative).normalize("NFC");
}

/** The file that an update is for, with its folder. */
export function targetOfUpdate(
  { fields }: UploadForm<object>,
  { flavour }: Services,
): { folder: string; name: string } {
  const target = fields.get("target_file") ?? "";
  if (target === "") throw new UploadError(400, flavour === "c" ? "No target file.\n" : "No target_file given.\n");
  const path = target.normalize("NFC");
  return { folder: dirname(path), name: basename(path) };
}

export function update(request: UploadRequest, services: Services): WireReply {
  const { form, query, token } = request;
  const { flavour } = services;
  const library = libraryById(request.token.libraryId, services);
  demandWritable(library, services);
  const { folder, name } = targetOfUpdate(form, services);
  const [file, second] = form.files;
  if (file === undefined) throw noFile(flavour);
  if (second !== undefined) {
    throw new UploadError(400, flavour === "c" ? "More than one files uploaded.\n" : "More files in one request.\n");
  }
  demandName(name, services);
  if (library.directoryId(folder) === undefined) throw new UploadError(400, "Parent dir doesn't exist.\n");
  demandRoom(library, request, services);
  demandKey(library, request, services);
  const base = query.get("head") ?? undefined;
  const mtime = modifyTime(form, services);
  updateFile(library, { by: token.userId, path: joinPath(folder, name), file, mtime, base }, services);
  return updated({ name, id: file.id, size: file.size }, request.ajax, flavour);
}

function noFile(flavour: "c" | "go"): UploadError {
  return new UploadError(400, flavour === "c" ? "No file uploaded.\n" : "No file in multipart form.\n");
}

function demandWritable(library: Library, services: Services): void {
  if (!library.record.readOnly) return;
  throw new UploadError(services.flavour === "c" ? 403 : 400, "Repo status not writable.\n");
}

/** C: the form field only, read by atoi. Go: the field or the query, a number. */
function replaceFlag(form: UploadForm<object>, query: URLSearchParams, { flavour }: Services): boolean {
  const field = form.fields.get("replace") ?? "";
  const text = flavour === "go" && field === "" ? (query.get("replace") ?? "") : field;
  const value = flavour === "c" ? Number.parseInt(text, 10) || 0 : text === "" ? 0 : Number(text);
  if (value !== 0 && value !== 1) throw new UploadError(400, "Invalid argument replace.\n");
  return value === 1;
}

/** The parent directory: given, existing, and exactly the one that the link was made for. */
function parentDirectory({ form, token }: UploadRequest, library: Library, services: Services): string {
  const { flavour } = services;
  const parent = givenParent(form, services);
  if (form.files.length === 0) throw noFile(flavour);
  if (parent.includes("//")) {
    if (flavour === "c") throw new UploadError(500, "Internal error\n");
    throw new UploadError(400, "parent_dir contains // sequence.\n");
  }
  const path = canonicalDirectory(parent.normalize("NFC"));
  if (library.directoryId(path) === undefined) throw new UploadError(400, "Parent dir doesn't exist.\n");
  if (path !== canonicalDirectory(token.target)) {
    throw new UploadError(403, flavour === "c" ? "Permission denied." : "Parent dir doesn't match.");
  }
  return path;
}

function givenParent({ fields }: UploadForm<object>, { flavour }: Services): string {
  const parent = fields.get("parent_dir") ?? "";
  if (parent === "") throw new UploadError(400, flavour === "c" ? "Invalid parent dir.\n" : "No parent_dir given.\n");
  return parent;
}

function relativePath(form: UploadForm<object>, flavour: "c" | "go"): string {
  const relative = form.fields.get("relative_path") ?? "";
  if (/^[/\\]/.test(relative)) {
    throw new UploadError(400, flavour === "c" ? "Invalid relative path." : "Invalid relative path");
  }
  if (relative.split("/").includes("..")) {
    throw new UploadError(500, flavour === "c" ? "Internal error\n" : "Internal error.\n");
  }
  return relative;
}

/** The C server takes an empty name, as observed, and stores it. */
function demandName(name: string, { flavour }: Services): void {
  if (isValidName(name) || (name === "" && flavour === "c")) return;
  throw flavour === "c"
    ? new UploadError(440, "Invalid filename.\n")
    : new UploadError(400, `invalid fileName: ${name}.\n`);
}

function demandRoom(library: Library, { contentLength }: UploadRequest, services: Services): void {
  if (services.store.isFull(library, contentLength)) throw new UploadError(443, "Out of quota.\n");
}

/** Unix seconds of `last_modify` (RFC 3339, from 12 on); undefined when absent, not a time, or too old a server. */
function modifyTime({ fields }: UploadForm, { compat }: Services): number | undefined {
  const text = fields.get("last_modify") ?? "";
  if (compat < 12 || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(text)) return undefined;
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000);
}
