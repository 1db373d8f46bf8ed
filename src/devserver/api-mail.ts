/**
 * Seahub's views that mail a public link to people: send-share-link and send-upload-link. Listed in api-routes.ts.
 * Invariant: without e-mail nothing else of the request is looked at; with it each address succeeds or fails by itself.
 */
import { type ApiReply, apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { linkAddress } from "./api-share-links.ts";
import { addressList, isAddress, type Mail, type Mailer } from "./mail.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

const NOT_CONFIGURED = "Failed to send email, email service is not properly configured, please contact administrator.";
function send(wanted: "share" | "upload") {
  return (request: ApiRequest, services: Services): ApiReply => {
    const { mailer, store } = services;
    if (mailer === undefined) throw apiError(403, NOT_CONFIGURED);
    const addresses = addressList(request.form("email"));
    if (request.form("email") === "") throw apiError(400, "email invalid.");
    const token = request.form("token");
    if (token === "") throw apiError(400, "token invalid.");
    const link = wanted === "share" ? store.publicLinks.shareByToken(token) : store.publicLinks.uploadByToken(token);
    if (link === undefined) throw apiError(404, `token ${token} not found.`);
    if (link.ownerId !== request.user.id) throw apiError(403, "Permission denied.");
    const what = { file: "A file", folder: "A directory", upload: "An upload link" }[link.kind];
    const mail = {
      subject: `${what} is shared to you on Private Seafile`,
      link: linkAddress(link, services),
      password: link.password,
      message: request.form("extra_msg"),
    };
    const problems = addresses.map((to) => [to, attempt(mailer, { ...mail, to })] as const);
    const failed = problems.filter(([, problem]) => problem !== undefined);
    return rest({
      failed: failed.map(([email, error_msg]) => ({ email, error_msg })),
      success: problems.filter(([, problem]) => problem === undefined).map(([email]) => email),
    });
  };
}

/** The message for an address that failed. */
function attempt(mailer: Mailer, mail: Mail): string | undefined {
  if (!isAddress(mail.to)) return "email invalid.";
  try {
    mailer(mail);
    return undefined;
  } catch {
    return "Internal Server Error";
  }
}

export const mailRoutes: readonly Route[] = [
  { pattern: route("/api2/send-share-link/"), kind: "send-link", views: { POST: send("share") } },
  { pattern: route("/api2/send-upload-link/"), kind: "send-link", views: { POST: send("upload") } },
];
