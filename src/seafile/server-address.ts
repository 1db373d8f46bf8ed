/**
 * Addresses: the base URL a person types, and the links to the file server that Seahub hands out. Invariant: nothing but
 * plain http(s) addresses without credentials leaves this file. Called by http.ts and links.ts.
 */
import { SeafileError } from "./errors.ts";

/** Checks a base URL; trailing slashes are tolerated (see prefixOf). Throws kind "invalid". */
export function parseServer(text: string): URL {
  if (!URL.canParse(text)) throw invalid('it must look like "https://cloud.example.com"');
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw invalid("it must begin with http:// or https://");
  if (url.username !== "" || url.password !== "") throw invalid("it must not hold a user name or a password");
  if (url.search !== "" || url.hash !== "") throw invalid('it must not hold a "?" or a "#"');
  return url;
}

/** The path of a base URL without trailing slashes: "" or "/prefix". */
export function prefixOf(base: URL): string {
  return base.pathname.replace(/\/+$/, "");
}

function invalid(why: string): SeafileError {
  return new SeafileError("invalid", `The address of the server is not usable: ${why}.`);
}

/** From 13.0 on a file link leads to /f/{token}/ of the file server. */
const LINK_PATH = /\/(?:files|upload-api|update-api|f)\/[^/]+(?:\/[^/]*)?$/;

/** Checks a link and, with an override, moves it to the address at which the file server is really reached. */
export function fileServerLink(link: string, override: string | undefined): string {
  const url = URL.canParse(link) ? new URL(link) : undefined;
  const path = url === undefined ? undefined : LINK_PATH.exec(url.pathname)?.[0];
  if (url === undefined || path === undefined || !/^https?:$/.test(url.protocol)) {
    throw new SeafileError("protocol", "The server handed out a link that is not a link to a file server.");
  }
  // The last segment of a download link is decoration, but the Go file server's router refuses a line break in it.
  const clean = path.replace(/%0[AD]/gi, "_");
  if (override !== undefined) {
    const base = parseServer(override);
    return `${base.origin}${prefixOf(base)}${clean}${url.search}`;
  }
  return `${url.origin}${url.pathname.slice(0, -path.length)}${clean}${url.search}`;
}
