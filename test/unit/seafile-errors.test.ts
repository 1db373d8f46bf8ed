/** Statuses and bodies that real servers sent, and the kind each becomes. Messages are for people and hold no secret. */
import { describe, expect, it } from "vitest";
import { errorFromAnswer, errorFromTransport, type Kind, SeafileError, type Side } from "../../src/seafile/errors.ts";

const HTML =
  '<!DOCTYPE html>\n<html lang="en">\n<head>\n    <title>Page unavailable</title>\n</head>\n<body></body></html>';

const answer = (side: Side, status: number, body: string, headers: Record<string, string> = {}) =>
  errorFromAnswer({ side, what: 'Storing "x"', status, headers, body });

describe("errorFromAnswer", () => {
  it.each<[Side, number, string, Kind]>([
    ["seahub", 401, '{"detail":"Invalid token"}', "unauthorized"],
    ["seahub", 403, '{"detail":"Authentication credentials were not provided."}', "unauthorized"],
    ["seahub", 403, '{"error_msg":"Permission denied."}', "forbidden"],
    ["seahub", 404, '{"error_msg":"File /nonesuch not found."}', "not-found"],
    ["seahub", 404, HTML, "protocol"],
    ["seahub", 400, '{"error_msg":"Folder name invalid."}', "invalid-name"],
    ["seahub", 400, '{"error_msg":"newname invalid."}', "invalid-name"],
    ["seahub", 400, '{"error_msg":"New name is too long"}', "name-too-long"],
    ["seahub", 400, '{"error_msg":"p invalid."}', "invalid"],
    ["seahub", 400, '{"non_field_errors":["Unable to login with provided credentials."]}', "bad-credentials"],
    ["seahub", 400, '{"password":["This field is required."]}', "bad-credentials"],
    ["seahub", 409, '{"error_msg":"busy"}', "busy"],
    ["seahub", 413, HTML, "too-large"],
    ["seahub", 429, '{"detail":"Request was throttled."}', "throttled"],
    ["seahub", 440, '{"error_msg":"Library password is needed."}', "encrypted"],
    ["seahub", 443, '{"error_msg":"Out of quota."}', "quota"],
    ["seahub", 447, '{"error_msg":"The number of files in library exceeds the limit"}', "too-many-files"],
    ["seahub", 500, HTML, "server"],
    ["seahub", 502, "", "server"],
    ["seahub", 520, '{"error_msg":"Failed to list dir."}', "server"],
    ["seahub", 520, '{"error_msg":"Above quota"}', "quota"],
    ["file-server", 400, "Repo is encrypted. Please provide password to view it.", "encrypted"],
    ["file-server", 400, '{"error": "Parent dir doesn\'t exist.\n"}', "not-found"],
    ["file-server", 400, '{"error": "invalid fileName: x.\n"}\n', "invalid-name"],
    ["file-server", 400, '{"error": "Too many files with same name.\n"}', "exists"],
    ["file-server", 400, '{"error": "Repo status not writable."}', "read-only"],
    ["file-server", 403, '{"error": "Repo status not writable."}', "read-only"],
    ["file-server", 403, "Access token not found\n", "forbidden"],
    ["file-server", 404, "404 page not found\n", "protocol"],
    ["file-server", 409, '{"error": "GC Conflict.\n"}', "busy"],
    ["file-server", 413, HTML, "too-large"],
    ["file-server", 416, "", "protocol"],
    ["file-server", 429, HTML, "throttled"],
    ["file-server", 440, '{"error": "Invalid filename.\n"}', "invalid-name"],
    ["file-server", 441, '{"error": "File does not exist.\n"}', "not-found"],
    ["file-server", 442, '{"error": "File size is too large.\n"}', "too-large"],
    ["file-server", 443, '{"error": "Out of quota.\n"}', "quota"],
    ["file-server", 500, '{"error": "Internal server error\n"}', "server"],
  ])("%s %i %s is %s", (side, status, body, kind) => {
    expect(answer(side, status, body)).toMatchObject({ kind, status });
  });

  it("says in one sentence what failed and what the server said, raw newlines and all", () => {
    expect(answer("file-server", 443, '{"error": "Out of quota.\n"}\n').message).toBe(
      `Storing "x" failed: the quota of the library's owner is used up (Out of quota).`,
    );
    expect(answer("seahub", 500, HTML).message).toBe('Storing "x" failed: the server answered 500 (Page unavailable).');
  });

  it("asks for a one-time code when the header says so", () => {
    const body = '{"non_field_errors":["Two factor auth token is missing."]}';
    expect(answer("seahub", 400, body, { "x-seafile-otp": "required" }).kind).toBe("otp-required");
  });

  it("names the address that a redirect leads to", () => {
    const error = answer("seahub", 301, "", { location: "https://cloud.example.com/seafile/api2/repos/?t=secret" });
    expect(error.kind).toBe("protocol");
    expect(error.message).toContain("https://cloud.example.com/seafile;");
    expect(error.message).not.toContain("secret");
  });

  it("reads Retry-After as seconds, as a date, or from the text", () => {
    expect(answer("seahub", 429, "{}", { "retry-after": "28" }).retryAfterMs).toBe(28_000);
    const soon = new Date(Date.now() + 10_000).toUTCString();
    expect(answer("seahub", 429, "{}", { "retry-after": soon }).retryAfterMs).toBeGreaterThan(5_000);
    const body = '{"detail":"Request was throttled. Expected available in 7 seconds."}';
    expect(answer("seahub", 429, body).retryAfterMs).toBe(7_000);
    expect(answer("seahub", 500, body).retryAfterMs).toBeUndefined();
  });

  it("keeps tokens and links that a server echoes out of the message", () => {
    const token = "0123456789".repeat(4);
    const link = "https://x/seafhttp/upload-api/47fa82a1-a27d-443e-87e0-0c23eb4d1617";
    const { message } = answer("seahub", 500, `boom Token ${token} at ${link}`);
    expect(message).not.toContain(token);
    expect(message).not.toContain("47fa82a1");
  });

  it("knows which refusals changed nothing", () => {
    expect(answer("file-server", 409, "").unapplied).toBe(true);
    expect(answer("seahub", 429, "").unapplied).toBe(true);
    expect(answer("seahub", 502, "").unapplied).toBe(false);
  });
});

describe("errorFromTransport", () => {
  const failure = (code: string) => Object.assign(new Error("x"), { code });

  it.each<[string, Kind, boolean, boolean]>([
    ["ECONNREFUSED", "unreachable", true, true],
    ["ENOTFOUND", "unreachable", true, true],
    ["UND_ERR_CONNECT_TIMEOUT", "timeout", true, true],
    ["UND_ERR_HEADERS_TIMEOUT", "timeout", true, false],
    ["UND_ERR_SOCKET", "unreachable", true, false],
    ["ECONNRESET", "unreachable", true, false],
    ["UND_ERR_DESTROYED", "unreachable", false, false],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "protocol", false, false],
  ])("%s is %s (transient %s, surely unapplied %s)", (code, kind, transient, unapplied) => {
    const error = errorFromTransport("Reading", failure(code), false);
    expect(error).toBeInstanceOf(SeafileError);
    expect(error).toMatchObject({ kind, transient, unapplied });
    expect(error.message).toMatch(/^Reading failed: .*\.$/);
  });

  it("counts a request that was cut before its end as not applied", () => {
    expect(errorFromTransport("Storing", failure("ECONNRESET"), true).unapplied).toBe(true);
  });
});
