/**
 * The web pages of public links, which is where downloads without an account begin: /f/, /d/, /d/…/files/ and /u/d/.
 * Listed in api-routes.ts. Invariants: a download is a 302 to the file server, and nothing else is; a link that is missing,
 * expired or leads nowhere is told with a page and 200; a link with a password shows nothing before the session has given it.
 */
import { isEncrypted } from "./api-common.ts";
import { fileAt } from "./api-file.ts";
import { ApiError, type ApiReply, crash, html, notFoundPage } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { nameOf } from "./api-share-links.ts";
import { csrfMatches, csrfSecret, masked } from "./csrf.ts";
import type { Header } from "./exchange.ts";
import type { Library } from "./library.ts";
import { contentAddress, cookieOf, fileBelow, folderBelow, isOpen, SESSION_COOKIE } from "./link-access.ts";
import { csrfPage, errorPage, passwordPage, scriptPage } from "./link-pages.ts";
import { basename, normalizeFile } from "./paths.ts";
import { isExpired, type PublicLink, type ShareLink } from "./public-links.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";
import { SESSION_LIFETIME } from "./web-sessions.ts";

const CSRF_COOKIE = "sfcsrftoken";
const CSRF_LIFETIME = 31_449_600;

/** One request to a page of a link that exists, is not expired, and is open to who asks. */
interface Visit {
  readonly request: ApiRequest;
  readonly services: Services;
  readonly link: PublicLink;
  readonly library: Library;
  /** The session cookie, if this request has opened the link. */
  readonly opened: readonly Header[];
  /** Those of a page that has a form token: the cookie with its secret, and `opened`. */
  readonly cookies: readonly Header[];
}

function cookie(name: string, value: string, seconds: number, flags: string, services: Services): Header {
  const expires = new Date(services.now() + seconds * 1000).toUTCString();
  return ["Set-Cookie", `${name}=${value}; expires=${expires}; ${flags}Max-Age=${seconds}; Path=/; SameSite=Lax`];
}

function page(show: (visit: Visit) => ApiReply) {
  return (request: ApiRequest, services: Services): ApiReply => {
    const sent = cookieOf(request, CSRF_COOKIE);
    const isForm = request.method === "POST";
    if (!["GET", "HEAD"].includes(request.method) && !csrfMatches(sent, request.form("csrfmiddlewaretoken"))) {
      return csrfPage;
    }
    const link = services.store.publicLinks.byToken(request.params[0] ?? "");
    if (link === undefined) return errorPage("Link does not exist.");
    if (isExpired(link, services.now())) return errorPage("Link is expired.");
    const secret = csrfSecret(sent);
    const csrf = [VARY, cookie(CSRF_COOKIE, secret, CSRF_LIFETIME, "", services)];
    let opened: Header[] = [];
    if (!isOpen(link, request, services)) {
      const problem = isForm ? wrongPassword(link, request.form("password")) : "";
      if (!isForm || problem !== "") {
        return passwordPage({ action: actionOf(request), token: link.token, csrf: masked(secret), problem }, csrf);
      }
      const id = services.store.sessions.open(cookieOf(request, SESSION_COOKIE), link.token);
      opened = [cookie(SESSION_COOKIE, id, SESSION_LIFETIME, "HttpOnly; ", services)];
    }
    const library = services.store.library(link.libraryId);
    if (library === undefined) return notFoundPage;
    return show({ request, services, link, library, opened, cookies: [...csrf, ...opened] });
  };
}

const VARY: Header = ["Vary", "Cookie, Accept-Language"];

function wrongPassword(link: PublicLink, password: string): string {
  if (password === "") return "Password can't be empty";
  return password === link.password ? "" : "Please enter a correct password.";
}

/** The form goes to the page it is on; of the query only the file is kept. */
function actionOf(request: ApiRequest): string {
  const path = request.query("p");
  return path === undefined || path === "" ? request.path : `${request.path}?p=${path}`;
}

/** The maker of a link must still be allowed what it gives. */
function ownerReads({ link, library, services }: Visit): boolean {
  return !isEncrypted(library) && services.store.permission(link.ownerId, library) !== undefined;
}

/** An upload link at the address of a share link: the real view crashes at it. */
function shareOf({ link }: Visit): ShareLink {
  if (link.kind === "upload") throw crash();
  return link;
}

/** `?dl=1` saves, `?raw=1` shows; undefined: neither was asked for. */
function redirect(visit: Visit, path: string, headers: readonly Header[]): ApiReply | undefined {
  const { request, services, library } = visit;
  const saves = request.query("dl") === "1";
  if (!saves && request.query("raw") !== "1") return undefined;
  const link = shareOf(visit);
  if (!link.permissions.can_download) throw new ApiError(notFoundPage);
  // Older servers gave these out for one use.
  const options = saves
    ? { op: "download" as const, oneTime: services.compat < 12 }
    : { op: "view" as const, oneTime: false };
  const location = contentAddress(link, fileAt(library, path)!, options, services);
  return html(302, "", [...headers, ["Location", location]]);
}

function filePage(visit: Visit): ApiReply {
  const { link, library, services, cookies } = visit;
  const path = normalizeFile(link.path);
  if (fileAt(library, path) === undefined) return errorPage("File does not exist", cookies);
  if (!ownerReads(visit)) return errorPage("Permission denied", cookies);
  services.store.publicLinks.countView(link);
  const name = basename(path);
  const data = () => ({
    fileName: name,
    sharedToken: link.token,
    canDownload: shareOf(visit).permissions.can_download,
  });
  return redirect(visit, path, cookies) ?? scriptPage(name, "shared", data(), cookies);
}

function folderPage(visit: Visit): ApiReply {
  const { link, library, services, request, opened, cookies } = visit;
  if (!ownerReads(visit)) return errorPage("Permission denied", opened);
  const asked = request.query("p") ?? "/";
  const path = folderBelow(link, asked);
  for (const folder of [link.path, path]) {
    if (library.directoryId(folder) === undefined || link.kind === "file") {
      return errorPage(`"${folder}" does not exist.`, opened);
    }
  }
  if (/^\/*$/.test(asked)) services.store.publicLinks.countView(link);
  const data = {
    dirName: link.path === "/" ? library.record.name : basename(path.slice(0, -1)),
    path: asked.endsWith("/") ? asked : `${asked}/`,
    token: link.token,
    canDownload: shareOf(visit).permissions.can_download,
  };
  return scriptPage("", "shared", data, cookies);
}

function fileInFolderPage(visit: Visit): ApiReply {
  const { link, library, request, opened, cookies } = visit;
  const asked = request.query("p") ?? "";
  if (asked === "") return html(302, "", [...opened, ["Location", `/d/${link.token}/`]]);
  const path = fileBelow(link, normalizeFile(asked));
  const entry = link.kind === "file" ? undefined : fileAt(library, path);
  if (entry === undefined) return errorPage("File does not exist", opened);
  if (!ownerReads(visit)) return errorPage("Permission denied", opened);
  const data = { fileName: entry.name, sharedToken: link.token, canDownload: shareOf(visit).permissions.can_download };
  return redirect(visit, path, opened) ?? scriptPage(entry.name, "shared", data, cookies);
}

/** Tells where in the library to upload to: nothing else tells it to those without an account. */
function uploadPage(visit: Visit): ApiReply {
  const { link, library, services, opened, cookies } = visit;
  if (isEncrypted(library) || services.store.permission(link.ownerId, library) !== "rw") {
    return errorPage("Permission denied", opened);
  }
  services.store.publicLinks.countView(link);
  const data = {
    dirName: link.path === "/" ? library.record.name : nameOf(link),
    noQuota: services.store.isFull(library, 0),
    token: link.token,
    repoID: library.id,
    path: link.path,
  };
  return scriptPage("", "uploadLink", data, cookies);
}

const kind = (request: ApiRequest) =>
  request.query("dl") === "1" || request.query("raw") === "1" ? "link-download" : "link-page";

/** A page answers GET, and POST when its form comes back. */
function pageRoute(path: string, show: (visit: Visit) => ApiReply): Route {
  const view = page(show);
  return { pattern: route(path), kind, anonymous: "page", views: { GET: view, POST: view } };
}

export const linkPageRoutes: readonly Route[] = [
  pageRoute("/f/{token}/", filePage),
  pageRoute("/d/{token}/", folderPage),
  pageRoute("/d/{token}/files/", fileInFolderPage),
  pageRoute("/u/d/{token}/", uploadPage),
];
