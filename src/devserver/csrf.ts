/**
 * Django's protection of forms: a secret in a cookie and, in the form, the same secret under a mask that differs each time.
 * Called by the web pages of links.
 */
import { randomInt, timingSafeEqual } from "node:crypto";

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LENGTH = 32;

function randomText(): string {
  return Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join("");
}

/** The secret of a cookie; a new one when there is none or it is malformed. */
export function csrfSecret(cookie: string): string {
  return /^[A-Za-z0-9]{32}$/.test(cookie) ? cookie : randomText();
}

/** What the form carries: 32 letters of mask, then the secret shifted by it. */
export function masked(secret: string): string {
  const mask = randomText();
  return mask + shifted(secret, mask, 1);
}

function shifted(text: string, mask: string, sign: 1 | -1): string {
  const size = LETTERS.length;
  const at = (source: string, index: number) => LETTERS.indexOf(source[index]!);
  return Array.from(text, (_, index) => LETTERS[(at(text, index) + sign * at(mask, index) + size) % size]).join("");
}

/** Whether a form's token (masked, or the secret itself) belongs to the cookie. */
export function csrfMatches(cookie: string, token: string): boolean {
  if (!/^[A-Za-z0-9]{32}$/.test(cookie) || !/^(?:[A-Za-z0-9]{32}){1,2}$/.test(token)) return false;
  const secret = token.length === LENGTH ? token : shifted(token.slice(LENGTH), token.slice(0, LENGTH), -1);
  return timingSafeEqual(Buffer.from(secret), Buffer.from(cookie));
}
