/**
 * Seahub's answers: what Django REST renders (compact JSON), what old views dump themselves (spaced JSON with a charset), HTML
 * pages, and the errors. Called by the web API's handlers; rendered to bytes by the router.
 */
import type { Header } from "./exchange.ts";
import { escapeAscii, spacedJson } from "./json-text.ts";

export type ApiContent =
  | { readonly type: "rest"; readonly value: unknown }
  | { readonly type: "dumped"; readonly value: unknown }
  | { readonly type: "html"; readonly text: string }
  | { readonly type: "empty" };

export interface ApiReply {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly content: ApiContent;
}

/** A view that ends early; the router answers with it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly reply: ApiReply;

  constructor(reply: ApiReply) {
    super(`The request is answered with ${reply.status}.`);
    this.reply = reply;
  }
}

export function rest(value: unknown, status = 200, headers: readonly Header[] = []): ApiReply {
  return { status, headers, content: { type: "rest", value } };
}

export function dumped(value: unknown, headers: readonly Header[] = []): ApiReply {
  return { status: 200, headers, content: { type: "dumped", value } };
}

/** `{"error_msg": …}` of a seahub view. */
export function apiError(status: number, message: string): ApiError {
  return new ApiError(rest({ error_msg: message }, status));
}

/** `{"detail": …}` of the REST layer. */
export function detail(status: number, message: string, headers: readonly Header[] = []): ApiError {
  return new ApiError(rest({ detail: message }, status, headers));
}

export const crashPage: ApiReply = html(
  500,
  `<!DOCTYPE html>
<html lang="en">
<head>
    <title>Page unavailable</title>
</head>
<body>
    <h1>Page unavailable</h1>

    <p>Sorry, but the requested page is unavailable due to a server hiccup.</p>

    <p>Our engineers have been notified, so check back later.</p>
</body>
</html>
`,
);

export const notFoundPage: ApiReply = html(
  404,
  `


<!DOCTYPE html>
<html lang="en">
<head>
<title>Private Seafile</title>
<meta http-equiv="Content-type" content="text/html; charset=utf-8" />
</head>
<body>
<p class="error">Sorry, but the requested page could not be found.</p>
</body>
</html>
`,
);

export function html(status: number, text: string, headers: readonly Header[] = []): ApiReply {
  return { status, headers, content: { type: "html", text } };
}

/** A view that crashes, as the real one does in the same place. */
export function crash(): ApiError {
  return new ApiError(crashPage);
}

/** Body text and Content-Type ("" for no body). `indent` is what the client's Accept header asked for; it counts for `rest` only. */
export function render(content: ApiContent, indent: number | undefined): { type: string; text: string } {
  switch (content.type) {
    case "rest":
      return { type: "application/json", text: escapeAscii(JSON.stringify(content.value, null, indent)) };
    case "dumped":
      return { type: "application/json; charset=utf-8", text: escapeAscii(spacedJson(content.value)) };
    case "html":
      return { type: "text/html; charset=utf-8", text: content.text };
    case "empty":
      return { type: "", text: "" };
  }
}
