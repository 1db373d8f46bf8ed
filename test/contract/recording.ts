/**
 * The shape of test/contract/recordings/*.json: what two real Seafile 11.0.13 servers answered, as ordered scenarios, with
 * the state that the answers need as setup actions. `response` is the C file server's; `go` is where the Go file server
 * differed, and for texts that were not written down then, what its source of the same version says. Texts are templates
 * (template.ts). Left out is what the development server does not serve (encrypted libraries, shared folders, block and sync
 * endpoints, history, trash). Read by recordings.test.ts.
 */
import { readdirSync, readFileSync } from "node:fs";

export type Flavour = "c" | "go";

/** Bytes too long or too binary to write down: a text repeated up to a length, or 0, 1, … 255, 0, 1, … of a length. */
export type Content =
  | string
  | { readonly repeat: string; readonly bytes: number }
  | { readonly counter: number; readonly slice?: readonly [number, number] };

export type Setup =
  | { readonly library: string; readonly owner: string; readonly name?: string; readonly description?: string }
  | { readonly share: string; readonly to: string; readonly permission: "rw" | "r" }
  | { readonly write: string; readonly library: string; readonly content: Content }
  | { readonly mkdir: string; readonly library: string }
  | { readonly remove: string; readonly library: string }
  | { readonly move: string; readonly to: string; readonly library: string }
  | { readonly deleteLibrary: string }
  | { readonly head: string; readonly as: string }
  | { readonly quota: number | null; readonly user: string }
  | { readonly advanceClock: number }
  | { readonly fail: string; readonly status: number }
  | { readonly expireLinks: true }
  /** Sets the expiry of a public link to 2001, as was done in the data base. */
  | { readonly expireLink: string }
  | LinkSetup;

/** Asks Seahub for a link, as the recording had done before, and remembers its token under the name. */
export interface LinkSetup {
  readonly link: string;
  readonly kind: "download" | "upload" | "update";
  readonly library: string;
  readonly path: string;
  readonly reuse?: boolean;
  readonly query?: string;
  readonly as?: string;
}

export interface Part {
  readonly name: string;
  readonly content: Content;
  readonly filename?: string;
  /** What stands after `name="file"; ` verbatim, in place of a file name. */
  readonly disposition?: string;
  readonly encoding?: "latin1";
}

export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly multipart?: readonly Part[];
}

/** A prefix where the recording was cut (with the whole length where that does not vary), parts that it names, else the whole text. */
export type ExpectedBody =
  | Content
  | { readonly startsWith: string; readonly length?: number }
  | { readonly contains: readonly string[] };

export interface RecordedResponse {
  /** Code and reason phrase, or the code alone where the phrase was not recorded. */
  readonly status: string;
  /** Lower-case names; only these are compared. `{{length}}` is the length of the body; null is not compared. */
  readonly headers: Readonly<Record<string, string | null>>;
  /** Absent or null: not compared, and a note says why. */
  readonly body?: ExpectedBody | null;
}

/** In place of an answer. */
export const CONNECTION_CUT = "connection cut";

export interface Exchange {
  readonly title: string;
  readonly note?: string;
  readonly repeat?: number;
  readonly request: RecordedRequest;
  readonly response: RecordedResponse;
  readonly go?: Partial<RecordedResponse> | typeof CONNECTION_CUT;
}

/** kind, name and, for files, size. */
export type ListedEntry = readonly [string, string] | readonly [string, string, number];

/** The listing of a folder then: all of it, or the names that match `only`. */
export interface ListingCheck {
  readonly listing: string;
  readonly library: string;
  readonly only?: string;
  readonly entries: readonly ListedEntry[];
  readonly go?: readonly ListedEntry[];
}

/** The names that came to a folder since it was looked at last. */
export interface AddedCheck {
  readonly listing: string;
  readonly library: string;
  readonly added: readonly string[];
  readonly go?: readonly string[];
}

export interface ContentCheck {
  readonly content: string;
  readonly library: string;
  readonly expected: Content;
}

export type Check = Exchange | ListingCheck | AddedCheck | ContentCheck;
export type Step = Check | { readonly setup: readonly Setup[] };

export interface Scenario {
  readonly section: string;
  readonly server?: { readonly throttle?: { readonly requests: number; readonly perMs: number } };
  readonly setup: readonly Setup[];
  readonly steps: readonly Step[];
}

export function loadScenarios(): Scenario[] {
  const folder = new URL("recordings/", import.meta.url);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Scenario);
}

export function bytesOf(content: Content): Buffer {
  if (typeof content === "string") return Buffer.from(content);
  if ("repeat" in content) return Buffer.alloc(content.bytes, content.repeat);
  const all = Buffer.from(Array.from({ length: content.counter }, (_, index) => index % 256));
  return content.slice ? all.subarray(...content.slice) : all;
}
