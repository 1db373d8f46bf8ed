/**
 * Base URLs of servers in one spelling, so that a login is found again however the address was typed. Pure; used by the options
 * and by the credentials. Invariant: a message never repeats the address, which may hold a password.
 */

/** Brings a base URL to one spelling: scheme and host in lower case, no slash at the end. Throws a sentence for anything else. */
export function normalizeServerUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error("is not a URL like https://seafile.example.com");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new Error("must begin with https:// or http://");
  if (url.username !== "" || url.password !== "") throw new Error("must not contain a user name or a password");
  if (url.search !== "" || url.hash !== "") throw new Error("must not contain '?' or '#'");
  return url.origin + url.pathname.replace(/\/+$/, "");
}
