/**
 * Replays one step of a recording against the development server and compares status, recorded headers and body text.
 * Both sides of a comparison come back, aligned by template.ts, so that a difference shows as a diff and not as "false".
 * Called by recordings.test.ts.
 */
import { exchange, multipart, type RawResponse } from "./raw-http.ts";
import {
  type AddedCheck,
  bytesOf,
  type Check,
  CONNECTION_CUT,
  type ContentCheck,
  type Exchange,
  type ExpectedBody,
  type Flavour,
  type ListingCheck,
  type RecordedRequest,
  type RecordedResponse,
} from "./recording.ts";
import { type Stage, TEST_USER } from "./stage.ts";
import { align, alignWithin, fill } from "./template.ts";

export interface Comparison {
  readonly expected: unknown;
  readonly actual: unknown;
}

export class Replay {
  readonly #stage: Stage;
  readonly #flavour: Flavour;
  readonly #seen = new Map<string, ReadonlySet<string>>();

  constructor(stage: Stage, flavour: Flavour) {
    this.#stage = stage;
    this.#flavour = flavour;
  }

  async check(check: Check): Promise<Comparison> {
    if ("request" in check) return this.#exchange(check);
    if ("content" in check) return this.#content(check);
    return "added" in check ? this.#added(check) : this.#listing(check);
  }

  async #exchange(check: Exchange): Promise<Comparison> {
    const expected = this.#expectation(check);
    if (expected === CONNECTION_CUT) return this.#cut(check.request);
    for (let round = 1; round < (check.repeat ?? 1); round++) {
      const comparison = this.#compare(expected, await this.#send(check.request));
      if (JSON.stringify(comparison.expected) !== JSON.stringify(comparison.actual)) return comparison;
    }
    return this.#compare(expected, await this.#send(check.request));
  }

  async #cut(request: RecordedRequest): Promise<Comparison> {
    const actual = await this.#send(request).then(
      ({ status }) => status,
      () => CONNECTION_CUT,
    );
    return { expected: CONNECTION_CUT, actual };
  }

  #expectation({ response, go }: Exchange): RecordedResponse | typeof CONNECTION_CUT {
    if (this.#flavour === "c" || go === undefined) return response;
    if (go === CONNECTION_CUT) return go;
    return { ...response, ...go, headers: { ...response.headers, ...go.headers } };
  }

  #send({ method, url, headers = {}, body, multipart: parts }: RecordedRequest): Promise<RawResponse> {
    const { variables } = this.#stage;
    const filled = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, fill(value, variables)]));
    const target = { method, url: fill(url, variables) };
    if (parts !== undefined) {
      const { contentType, body: encoded } = multipart(parts);
      return exchange({ ...target, headers: { ...filled, "Content-Type": contentType }, body: encoded });
    }
    if (body === undefined) return exchange({ ...target, headers: filled });
    return exchange({ ...target, headers: filled, body: Buffer.from(fill(body, variables)) });
  }

  #compare({ status, headers, body }: RecordedResponse, response: RawResponse): Comparison {
    const compared = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== null);
    const actualHeaders = compared.map(([name, template]) => {
      const value = String(response.headers[name] ?? "(absent)");
      if (template === "{{length}}") return [name, value === String(response.body.length) ? template : value];
      // Node reads header bytes as Latin-1.
      return [name, align(template, Buffer.from(value, "latin1").toString(), this.#stage.variables)];
    });
    const bodies = body === undefined || body === null ? {} : this.#compareBody(body, response.body);
    return {
      expected: { status, headers: Object.fromEntries(compared), body: bodies.expected },
      actual: {
        status: wholeOrCode(status, response.status),
        headers: Object.fromEntries(actualHeaders),
        body: bodies.actual,
      },
    };
  }

  #compareBody(body: ExpectedBody, received: Buffer): Partial<Comparison> {
    const { variables } = this.#stage;
    if (typeof body === "string") return { expected: body, actual: align(body, received.toString(), variables) };
    if ("contains" in body) {
      const actual = body.contains.map((part) => alignWithin(part, received.toString(), variables));
      return { expected: body.contains, actual };
    }
    if (!("startsWith" in body)) return compareBytes(bytesOf(body), received);
    return {
      expected: { startsWith: body.startsWith, length: body.length ?? "any" },
      actual: {
        startsWith: align(body.startsWith, received.toString(), variables, true),
        length: body.length === undefined ? "any" : received.length,
      },
    };
  }

  async #content({ content, library, expected }: ContentCheck): Promise<Comparison> {
    const { server } = this.#stage;
    return compareBytes(
      bytesOf(expected),
      await server.store.readFile(this.#stage.libraryId(library), content),
    ) as Comparison;
  }

  async #listing({ listing, library, only, entries, go }: ListingCheck): Promise<Comparison> {
    const expected = (this.#flavour === "go" ? go : undefined) ?? entries;
    const pattern = new RegExp(only ?? "");
    const listed = (await this.#entries(library, listing)).filter(({ name }) => pattern.test(name));
    const actual = listed.map(({ type, name, size }, index) => {
      const aligned = align(expected[index]?.[1] ?? "", name, this.#stage.variables);
      return size === undefined ? [type, aligned] : [type, aligned, size];
    });
    return { expected, actual };
  }

  async #added({ listing, library, added, go }: AddedCheck): Promise<Comparison> {
    const names = (await this.#entries(library, listing)).map(({ name }) => name);
    const before = this.#seen.get(listing);
    this.#seen.set(listing, new Set(names));
    const expected = (this.#flavour === "go" ? go : undefined) ?? added;
    return { expected, actual: names.filter((name) => !before?.has(name)) };
  }

  async #entries(library: string, path: string): Promise<{ type: string; name: string; size?: number }[]> {
    const { status, body } = await exchange({
      method: "GET",
      url: `${this.#stage.server.url}/api2/repos/${this.#stage.libraryId(library)}/dir/?p=${encodeURIComponent(path)}`,
      headers: { Authorization: `Token ${this.#stage.server.token(TEST_USER)}` },
    });
    if (status !== "200 OK") throw new Error(`No listing of ${path}: ${status} ${body}`);
    return JSON.parse(body.toString()) as { type: string; name: string; size?: number }[];
  }
}

/** Where only the code was recorded, only the code is compared. */
function wholeOrCode(recorded: string, received: string): string {
  return recorded.includes(" ") ? received : received.slice(0, 3);
}

const READABLE = 200;

/** Short contents as text, long ones by length and the first byte that differs. */
function compareBytes(expected: Buffer, actual: Buffer): Comparison {
  if (expected.length <= READABLE && actual.length <= READABLE) {
    return { expected: expected.toString("latin1"), actual: actual.toString("latin1") };
  }
  const differs = expected.findIndex((byte, index) => byte !== actual[index]);
  return {
    expected: { length: expected.length, firstDifference: -1 },
    actual: { length: actual.length, firstDifference: differs },
  };
}
