/**
 * A visitor of a link's web page: the cookies that Seahub gives, and the password that it asks for once a session (Django:
 * sessionid and sfcsrftoken, a day). Invariants: cookies go to Seahub only; a wrong password is said as such.
 * Called by share-link.ts and upload-link.ts.
 */
import { getLinkPage, postLinkPassword } from "./endpoints-visitor.ts";
import { SeafileError } from "./errors.ts";
import type { HttpClient } from "./http.ts";
import type { HttpAnswer } from "./http-message.ts";
import { type LinkAddress, pageOf } from "./link-address.ts";

export const PASSWORD_NEEDED = "The link needs a password.";
export const PASSWORD_WRONG = "The password of the link is wrong.";

export class LinkSession {
  readonly #http: HttpClient;
  readonly #address: LinkAddress;
  readonly #password: string | undefined;
  readonly #cookies = new Map<string, string>();
  #opening: Promise<void> | undefined;

  constructor(http: HttpClient, address: LinkAddress, password: string | undefined) {
    this.#http = http;
    this.#address = address;
    this.#password = password;
  }

  /** The Cookie header of the session; "" before it was opened. */
  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** The link's web page as this visitor sees it. */
  async page(signal?: AbortSignal): Promise<string> {
    const answer = await getLinkPage(this.#http, pageOf(this.#address), this.cookie, signal);
    this.#keep(answer);
    return answer.body;
  }

  /** Gives the password, in one session for all who ask at once. Rejects with "bad-credentials" when it is wrong or missing. */
  async open(signal?: AbortSignal): Promise<void> {
    if (this.#password === undefined) throw new SeafileError("bad-credentials", PASSWORD_NEEDED);
    this.#opening ??= this.#givePassword(this.#password, signal).finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  async #givePassword(password: string, signal: AbortSignal | undefined): Promise<void> {
    this.#cookies.clear();
    const form = /name="csrfmiddlewaretoken"\s+value="([^"]+)"/.exec(await this.page(signal));
    if (form === null)
      throw new SeafileError("gone", "The link does not ask for a password: it has expired or was removed.");
    const { server, token } = this.#address;
    const page = pageOf(this.#address);
    const sender = { cookie: this.cookie, referer: `${server}${page}` };
    const fields = { password, token, csrfmiddlewaretoken: form[1]! };
    this.#keep(await postLinkPassword(this.#http, page, fields, sender, signal));
    if (!this.#cookies.has("sessionid")) throw new SeafileError("bad-credentials", PASSWORD_WRONG);
  }

  #keep(answer: HttpAnswer): void {
    for (const line of answer.headers("set-cookie")) {
      const [, name, value] = /^([^=;\s]+)=([^;]*)/.exec(line) ?? [];
      if (name !== undefined && value !== undefined) this.#cookies.set(name, value);
    }
  }
}
