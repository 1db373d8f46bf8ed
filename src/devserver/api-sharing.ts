/**
 * Seahub's views of sharing whole libraries with users and groups: shared-repos (what I share out: list, share, unshare),
 * beshared-repos (what others share with me: list, leave), and v2.1's list of the former. Listed in api-routes.ts.
 * Invariant: users are named by their internal ids; a list of users is shared with all of them or with none.
 */
import { isEncrypted, person } from "./api-common.ts";
import { type ApiReply, apiError, dumped, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import type { GroupShare, Library, Permission } from "./library.ts";
import { type Route, route } from "./router.ts";
import type { Services } from "./services.ts";

/** One way in which a library is shared. */
interface Share {
  readonly library: Library;
  readonly permission: Permission;
  /** The receiver of what I share out, the owner of what is shared with me. */
  readonly userId: string;
  readonly group?: GroupShare;
}

/** An object of seaf-server's RPC with all of its properties. */
function rpcObject({ library, permission, userId, group }: Share) {
  const { head, id, record } = library;
  const description = record.description === "" ? null : record.description;
  const encrypted = isEncrypted(library);
  return {
    ...{ id, name: record.name, desc: description, version: 1, last_modify: head.ctime },
    ...{ size: library.fs.totals(head.rootId).bytes, file_count: 0, last_modifier: head.creatorName },
    ...{ head_cmmt_id: head.id, root: null, status: record.readOnly ? 1 : 0, repo_id: id, repo_name: record.name },
    ...{ repo_desc: description, last_modified: head.ctime, encrypted, magic: null, enc_version: encrypted ? 2 : 0 },
    ...{ random_key: null, salt: null, worktree: null, relay_id: null, last_sync_time: 0, auto_sync: false },
    ...{ worktree_invalid: false, is_virtual: false, origin_repo_id: null, origin_repo_name: null },
    ...{ origin_path: null, is_original_owner: false, virtual_perm: null, store_id: id, is_corrupted: false },
    ...{ repaired: false, share_type: group === undefined ? "personal" : "group", permission, user: userId },
    ...{ group_id: group?.groupId ?? 0, group_name: group?.name ?? null, is_shared: false },
  };
}

/** What a user shares out: with users, then with groups. */
function sharedOut(userId: string, services: Services): Share[] {
  const own = services.store.libraries().filter((library) => library.record.ownerId === userId);
  return [
    ...own.flatMap((library) =>
      Object.entries(library.record.shares).map(([receiver, permission]) => ({
        library,
        permission,
        userId: receiver,
      })),
    ),
    ...own.flatMap((library) =>
      library.record.groupShares.map((group) => ({ library, permission: group.permission, userId, group })),
    ),
  ];
}

/** What is shared with a user: directly, then through groups. */
function sharedWith(userId: string, services: Services): Share[] {
  const others = services.store.libraries().filter((library) => library.record.ownerId !== userId);
  return [
    ...others.flatMap((library) => {
      const permission = library.record.shares[userId];
      return permission === undefined ? [] : [{ library, permission, userId: library.record.ownerId }];
    }),
    ...others.flatMap((library) =>
      library.record.groupShares
        .filter((group) => group.members.includes(userId))
        .map((group) => ({ library, permission: group.permission, userId: library.record.ownerId, group })),
    ),
  ];
}

function listV21(request: ApiRequest, services: Services): ApiReply {
  const shares = sharedOut(request.user.id, services);
  shares.sort((a, b) => Buffer.compare(Buffer.from(a.library.record.name), Buffer.from(b.library.record.name)));
  return rest(shares.map((share) => itemV21(share, services)));
}

function itemV21({ library, permission, userId, group }: Share, services: Services) {
  const modifier = person(library.head.creatorName, services);
  const receiver = person(userId, services);
  return {
    repo_id: library.id,
    repo_name: library.record.name,
    encrypted: isEncrypted(library),
    share_type: group === undefined ? "personal" : "group",
    share_permission: permission,
    share_permission_name: "",
    modifier_email: library.head.creatorName,
    modifier_name: modifier.name,
    modifier_contact_email: modifier.email,
    ...(group === undefined
      ? { user_name: receiver.name, user_email: userId, contact_email: receiver.email }
      : { group_id: group.groupId, group_name: group.name }),
    is_admin: false,
  };
}

const isUserName = (text: string) => /^[^\s@]+@[^\s@]+$/.test(text);

function share(request: ApiRequest, services: Services): ApiReply {
  const permission = request.query("permission") ?? "";
  if (permission !== "rw" && permission !== "r") throw apiError(400, "permission invalid.");
  const library = ownLibrary(request, services, "You do not have permission to share library.");
  const type = request.query("share_type") ?? "";
  if (type === "personal") shareWithUsers(library, permission, request, services);
  else if (type === "group") shareWithGroup(library, permission, request, services);
  else if (type === "public") throw apiError(403, "Failed to share library to public: permission denied.");
  else throw apiError(400, "Share type can only be personal or group or public.");
  return rest("success");
}

function ownLibrary(request: ApiRequest, services: Services, denied: string): Library {
  const library = services.store.library(request.params[0] ?? "");
  if (library === undefined) throw apiError(404, "Library not found.");
  if (library.record.ownerId !== request.user.id) throw apiError(403, denied);
  return library;
}

/** Who has the library already keeps the permission he has. */
function shareWithUsers(library: Library, permission: Permission, request: ApiRequest, services: Services): void {
  const names = [request.query("user"), request.query("users")].flatMap((text) => text?.split(",") ?? []);
  if (names.join("") === "") throw apiError(400, "User or users (comma separated are mandatory) are not provided");
  const users = names.filter((name) => name !== "");
  const rolledBack = (status: number, what: string) => apiError(status, `${what}, sharing rolled back`);
  if (!users.every(isUserName)) throw rolledBack(400, "Some users are not valid");
  const exists = (name: string) => services.store.user(name)?.id === name;
  if (!users.every(exists)) throw rolledBack(400, "Some users are not existent");
  if (users.includes(library.record.ownerId)) throw rolledBack(500, "Internal error occurs");
  for (const user of users) {
    if (library.record.shares[user] === undefined) library.share(user, permission);
  }
}

function shareWithGroup(library: Library, permission: Permission, request: ApiRequest, services: Services): void {
  const id = groupIdOf(request, "Group ID must be integer.");
  const group = findGroup(id, services);
  if (group === undefined) throw apiError(400, "Group does not exist .");
  library.unshareFromGroup(id);
  library.shareToGroup({ ...group, permission });
}

function groupIdOf(request: ApiRequest, message: string): number {
  const text = request.query("group_id") ?? "";
  if (!/^\s*[+-]?\d+\s*$/.test(text)) throw apiError(400, message);
  return Number(text);
}

/** The groups that there are, are those that something is shared with. */
function findGroup(id: number, services: Services): GroupShare | undefined {
  return services.store
    .libraries()
    .flatMap((library) => library.record.groupShares)
    .find((group) => group.groupId === id);
}

/** What was not shared is unshared as well. */
function unshare(request: ApiRequest, services: Services): ApiReply {
  const library = ownLibrary(request, services, "You do not have permission to unshare library.");
  const type = request.query("share_type") ?? "";
  if (type === "") throw apiError(400, "Share type is required.");
  if (type === "personal") {
    const user = request.query("user") ?? "";
    if (user === "") throw apiError(400, "User is required.");
    if (!isUserName(user)) throw apiError(400, "User is not valid");
    library.unshare(user);
  } else if (type === "group") {
    if ((request.query("group_id") ?? "") === "") throw apiError(400, "Group ID is required.");
    library.unshareFromGroup(groupIdOf(request, "Group ID is not valid."));
  } else if (type !== "public") {
    throw apiError(400, "Share type can only be personal or group or public.");
  }
  return rest("success");
}

/** A user leaves what was shared with him; from a group only the owner takes a library (groups here have no staff). */
function leave(request: ApiRequest, services: Services): ApiReply {
  const library = services.store.library(request.params[0] ?? "");
  if (library === undefined) throw apiError(400, "Library does not exist");
  const { ownerId } = library.record;
  const type = request.query("share_type") ?? "";
  if (type === "public") throw apiError(403, "Permission denied");
  const from = request.query("from") ?? "";
  if ((type !== "personal" && type !== "group") || !isUserName(from)) throw apiError(400, "Invalid argument");
  if (type === "personal") {
    if (from === ownerId) library.unshare(request.user.id);
  } else {
    const id = Number(request.query("group_id") ?? Number.NaN);
    if (findGroup(id, services) === undefined) throw apiError(400, "Group does not exist");
    if (ownerId !== request.user.id) throw apiError(403, "Permission denied");
    library.unshareFromGroup(id);
  }
  return rest({ success: true });
}

export const sharingRoutes: readonly Route[] = [
  {
    pattern: route("/api2/shared-repos/"),
    kind: "shared-repos",
    views: { GET: (request, services) => dumped(sharedOut(request.user.id, services).map(rpcObject)) },
  },
  {
    pattern: route("/api2/shared-repos/{id}/"),
    kind: (request) => (request.method === "DELETE" ? "unshare" : "share"),
    views: { PUT: share, DELETE: unshare },
  },
  {
    pattern: route("/api2/beshared-repos/"),
    kind: "beshared-repos",
    views: { GET: (request, services) => dumped(sharedWith(request.user.id, services).map(rpcObject)) },
  },
  { pattern: route("/api2/beshared-repos/{id}/"), kind: "leave", views: { DELETE: leave } },
  { pattern: route("/api/v2.1/shared-repos/"), kind: "shared-repos", views: { GET: listV21 } },
];
