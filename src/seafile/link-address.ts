/**
 * The address of a public link, as it is sent around: https://SERVER/d/TOKEN/ (a folder), /f/TOKEN/ (a file), /u/d/TOKEN/ (a drop
 * box). Pure. Invariant: whoever knows the token may use the link, so no message repeats the address. Called by link-account.ts and the CLI.
 */
import { createHash } from "node:crypto";
import { normalizeServerUrl } from "../util/server-url.ts";
import { SeafileError } from "./errors.ts";
import type { LibraryId } from "./types.ts";

export interface LinkAddress {
  /** Base URL without a slash at the end. */
  readonly server: string;
  readonly kind: "folder" | "file" | "upload";
  readonly token: string;
  /** Folder below the shared one, absolute in it. */
  readonly path: string;
}

const KINDS = { d: "folder", f: "file", "u/d": "upload" } as const;

/** Throws kind "invalid" for what is not the address of a link. */
export function parseLink(text: string): LinkAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const [, prefix, kind, token] = /^(.*?)\/(u\/d|d|f)\/([0-9A-Za-z_-]+)\/?$/.exec(url?.pathname ?? "") ?? [];
  if (url === undefined || prefix === undefined || kind === undefined || token === undefined) throw notALink();
  let server: string;
  try {
    url.search = "";
    url.hash = "";
    url.pathname = prefix;
    server = normalizeServerUrl(url.href);
  } catch (cause) {
    throw new SeafileError("invalid", `The address of the link ${(cause as Error).message}.`, { cause });
  }
  const below = new URL(text).searchParams.get("p") ?? "/";
  const path = `/${below
    .split("/")
    .filter((name) => name !== "" && name !== "." && name !== "..")
    .join("/")}`;
  return { server, kind: KINDS[kind as keyof typeof KINDS], token, path: kind === "d" ? path : "/" };
}

/** The page of the link, below the server's address. */
export function pageOf({ kind, token }: LinkAddress): string {
  const letters = Object.entries(KINDS).find(([, name]) => name === kind)![0];
  return `/${letters}/${token}/`;
}

/** Stands for the library, whose own id a link does not tell: the same for the same link. */
export function idOf({ server, kind, token }: LinkAddress): LibraryId {
  const hash = createHash("sha256").update(`${server}\n${kind}\n${token}`).digest("hex");
  return hash.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5") as LibraryId;
}

function notALink(): SeafileError {
  return new SeafileError(
    "invalid",
    'This is not the address of a link: it must look like "https://cloud.example.com/d/0123456789/", with /d/, /f/ or /u/d/.',
  );
}
