/**
 * Seahub's api2 views of dir/shared_items for whole libraries: with whom one is shared, sharing it, changing the permission,
 * unsharing. Listed in api-routes.ts. A folder by itself cannot be shared on this server: it would be a library of its own.
 */
import { libraryOf, person } from "./api-common.ts";
import { type ApiReply, apiError, dumped } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { Library, Permission } from "./library.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

/** The library, if the request is its owner's and about all of it. */
function ownRoot(request: ApiRequest, services: Services): Library {
  const library = libraryOf(request, services);
  const path = request.query("p") ?? "/";
  if (library.directoryId(path) === undefined) throw apiError(404, `Folder ${path} not found.`);
  if (library.record.ownerId !== request.user.id) throw apiError(403, "Permission denied.");
  if (!/^\/*$/.test(path)) throw apiError(520, "The development server does not share folders.");
  return library;
}

function permissionIn(request: ApiRequest): Permission {
  const permission = request.data("permission") ?? "r";
  if (permission !== "r" && permission !== "rw") throw apiError(400, "permission invalid.");
  return permission;
}

function userItem(userId: string, permission: Permission, services: Services) {
  const { name, email } = person(userId, services);
  const avatar = `${services.seahubUrl()}/media/avatars/default.png`;
  const user = { name: userId, nickname: name, contact_email: email, avatar_url: avatar };
  return { share_type: "user", user_info: user, permission, is_admin: false };
}

function list(request: ApiRequest, services: Services): ApiReply {
  const library = ownRoot(request, services);
  const types = (request.query("share_type") ?? "user,group").split(",");
  const { shares, groupShares } = library.record;
  const users = Object.entries(shares).map(([id, permission]) => userItem(id, permission, services));
  const groups = groupShares.map(({ groupId, name, permission }) => {
    return { share_type: "group", group_info: { id: groupId, name }, permission, is_admin: false };
  });
  return dumped([...(types.includes("user") ? users : []), ...(types.includes("group") ? groups : [])]);
}

/** Each user succeeds or fails by himself. */
function share(request: ApiRequest, services: Services): ApiReply {
  const library = ownRoot(request, services);
  const permission = permissionIn(request);
  if (request.data("share_type") !== "user") throw apiError(400, "share_type invalid.");
  const outcomes = request.formAll("username").map((given) => {
    const email = given.trim();
    return { email, error_msg: problemWith(email, library, services) };
  });
  const failed = outcomes.filter(({ error_msg }) => error_msg !== "");
  const shared = outcomes.filter(({ error_msg }) => error_msg === "").map(({ email }) => email);
  for (const userId of shared) library.share(userId, permission);
  return dumped({ failed, success: shared.map((userId) => userItem(userId, permission, services)) });
}

/** Why a library is not shared with a user; "" when it is. */
function problemWith(userName: string, library: Library, services: Services): string {
  if (!/^[^\s@]+@[^\s@]+$/.test(userName)) return "username invalid.";
  if (services.store.user(userName)?.id !== userName) return `User ${userName} not found.`;
  if (userName === library.record.ownerId) return "Library can not be shared to owner.";
  return library.record.shares[userName] === undefined ? "" : `This item has been shared to ${userName}.`;
}

function change(request: ApiRequest, services: Services): ApiReply {
  const library = ownRoot(request, services);
  const permission = permissionIn(request);
  if (request.query("share_type") === "group") {
    const group = library.record.groupShares.find((known) => known.groupId === groupIdOf(request));
    if (group === undefined) throw apiError(400, "Group not found.");
    library.unshareFromGroup(group.groupId);
    library.shareToGroup({ ...group, permission });
  } else {
    const user = userIn(request, services);
    if (library.record.shares[user] !== undefined) library.share(user, permission);
  }
  return dumped({ success: true });
}

function unshare(request: ApiRequest, services: Services): ApiReply {
  const library = ownRoot(request, services);
  if (request.query("share_type") === "group") library.unshareFromGroup(groupIdOf(request));
  else library.unshare(userIn(request, services));
  return dumped({ success: true });
}

function userIn(request: ApiRequest, services: Services): string {
  const name = request.query("username") ?? "";
  if (services.store.user(name)?.id !== name) throw apiError(400, `Email ${name} invalid.`);
  return name;
}

function groupIdOf(request: ApiRequest): number {
  const text = request.query("group_id") ?? "";
  if (!/^\d+$/.test(text)) throw apiError(400, "group_id invalid.");
  return Number(text);
}

export const sharedItemRoutes: readonly Route[] = [
  {
    pattern: route("/api2/repos/{id}/dir/shared_items/"),
    kind: (request) => ({ GET: "shared-items", DELETE: "unshare" })[request.method] ?? "share",
    views: { GET: list, POST: change, PUT: share, DELETE: unshare },
  },
];
