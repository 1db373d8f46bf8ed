/**
 * What a planned failure looks like on the wire when the test gave no body: the answer that origin really gives with that
 * status (proxy page, crash page, throttle, error JSON). Called by the two origins.
 */
import { crashPage, render } from "./api-reply.ts";
import type { Header, WireReply } from "./exchange.ts";
import type { Failure } from "./faults.ts";

const UPLOAD_ERRORS: Readonly<Record<number, string>> = {
  403: "Access token not found.",
  409: "GC Conflict.\n",
  440: "Invalid filename.\n",
  441: "File does not exist.\n",
  442: "File size is too large.\n",
  443: "Out of quota.\n",
};

const API_ERRORS: Readonly<Record<number, string>> = {
  403: "Permission denied.",
  404: "Not found.",
  440: "Library password is needed.",
  443: "Out of quota.",
  447: "The number of files in library exceeds the limit",
  520: "Operation failed.",
};

export function failureReply(origin: "seahub" | "file-server", failure: Failure): WireReply {
  const standard = standardBody(origin, failure.status);
  const given = Object.entries(failure.headers);
  const headers = [["Content-Type", standard.type] as const, ...standard.headers, ...given].filter(
    ([name], index, all) => all.findLastIndex(([other]) => other.toLowerCase() === name.toLowerCase()) === index,
  );
  return { status: failure.status, headers, body: Buffer.from(failure.body ?? standard.text) };
}

function standardBody(
  origin: "seahub" | "file-server",
  status: number,
): { type: string; text: string; headers: Header[] } {
  const reply = (type: string, text: string, headers: Header[] = []) => ({ type, text, headers });
  if (status === 429) {
    const text = JSON.stringify({ detail: "Request was throttled. Expected available in 1 second." });
    return reply("application/json", text, [["Retry-After", "1"]]);
  }
  if (status === 401) return reply("application/json", '{"detail":"Invalid token"}');
  if (status >= 502 && status <= 504) {
    return reply("text/html", `<html>\n<head><title>${status}</title></head>\n<body></body>\n</html>\n`);
  }
  if (origin === "file-server") {
    const message = UPLOAD_ERRORS[status] ?? "Internal error\n";
    return reply("application/json; charset=utf-8", `{"error": "${message}"}`);
  }
  const message = API_ERRORS[status];
  if (message !== undefined) return reply("application/json", JSON.stringify({ error_msg: message }));
  const page = render(crashPage.content, undefined);
  return reply(page.type, page.text);
}
