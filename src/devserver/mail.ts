/**
 * Mails that announce public links: what one says, who takes it, and how seahub reads a list of addresses. Called by the
 * views that send them; a Mailer is given to the server by whoever starts it.
 */

export interface Mail {
  readonly to: string;
  readonly subject: string;
  /** Address of the link. */
  readonly link: string;
  /** "" when the link has none. */
  readonly password: string;
  readonly message: string;
}

/** Sends one mail; what it throws is a failure of that address. */
export type Mailer = (mail: Mail) => void;

const LOCAL = "[-!#$%&'*+/=?^_`{}|~0-9A-Z]+";
const ADDRESS = new RegExp(`^${LOCAL}(\\.${LOCAL})*@([A-Z0-9]([A-Z0-9-]{0,61}[A-Z0-9])?\\.)+[A-Z]{2,6}\\.?$`, "i");

/** Separated by comma, semicolon or line; each once. */
export function addressList(text: string): string[] {
  const addresses = text.split(/[,;\r\n]/).map((address) => address.replace(/^ +| +$/g, ""));
  return [...new Set(addresses.filter((address) => address !== ""))];
}

export function isAddress(text: string): boolean {
  return ADDRESS.test(text);
}
