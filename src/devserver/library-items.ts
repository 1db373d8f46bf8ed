/**
 * Libraries and commits as seahub's JSON shows them: one line of each listing, download-info, one line of a history.
 * The key orders are those of the real server. Called by api-libraries.ts.
 */
import { formatSize, isoTime, person, relativeTime } from "./api-common.ts";
import type { GroupShare, Library, Permission } from "./library.ts";
import type { Commit } from "./objects.ts";
import type { Services } from "./services.ts";
import type { UserRecord } from "./state-file.ts";

/** A constant of the server (the id of its old relay). */
const RELAY_ID = "44e8f253849ad910dc142247227c8ece8ec0f971";

/** One way in which a user sees a library; a library that is shared in several ways is listed once for each. */
export type Channel =
  | { readonly type: "mine"; readonly library: Library; readonly permission: Permission }
  | { readonly type: "shared"; readonly library: Library; readonly permission: Permission }
  | { readonly type: "group"; readonly library: Library; readonly permission: Permission; readonly group: GroupShare };

function parts({ library }: Channel, services: Services) {
  const { head, record } = library;
  const [owner, modifier] = [person(record.ownerId, services), person(head.creatorName, services)];
  const { bytes } = library.fs.totals(head.rootId);
  return {
    owners: { owner: record.ownerId, owner_name: owner.name, owner_contact_email: owner.email },
    time: { mtime: head.ctime },
    relative: { mtime_relative: relativeTime(head.ctime, services.now()) },
    modifier: {
      modifier_email: head.creatorName,
      modifier_contact_email: modifier.email,
      modifier_name: modifier.name,
    },
    size: { size: bytes },
    formatted: { size_formatted: formatSize(bytes) },
    head: { head_commit_id: head.id, version: 1 },
    owner,
  };
}

/** One line of GET api2/repos/. */
export function libraryItem(channel: Channel, services: Services): object {
  const { library, permission } = channel;
  const { owners, time, relative, modifier, size, formatted, head, owner } = parts(channel, services);
  const { id, record } = library;
  const { name } = record;
  switch (channel.type) {
    case "mine":
      return {
        ...{ type: "repo", id, ...owners, name, ...time, ...modifier, ...relative, ...size, ...formatted },
        ...{ encrypted: false, permission, virtual: false, root: "", ...head, salt: "" },
      };
    case "shared":
      return {
        ...{ type: "srepo", id, ...owners, name, owner_nickname: owner.name, ...time, ...relative, ...modifier },
        ...{ ...size, ...formatted, encrypted: false, permission, share_type: "personal", root: "", ...head },
        ...{ group_name: "", salt: "", is_admin: false },
      };
    case "group":
      return {
        ...{ type: "grepo", id, name, groupid: channel.group.groupId, group_name: channel.group.name },
        ...{ owner: channel.group.name, ...time, ...relative, ...modifier, ...size, encrypted: false, permission },
        ...{ root: "", ...head, salt: "", share_from: record.ownerId, share_from_name: owner.name },
        share_from_contact_email: owner.email,
      };
  }
}

/** One line of GET v2.1 repos. */
export function libraryItemV21(channel: Channel, starred: boolean, services: Services): object {
  const { library, permission, type } = channel;
  const { head, record } = library;
  const [owner, modifier] = [person(record.ownerId, services), person(head.creatorName, services)];
  const owners = { owner_email: record.ownerId, owner_name: owner.name, owner_contact_email: owner.email };
  const changed = {
    last_modified: isoTime(head.ctime),
    modifier_email: head.creatorName,
    modifier_name: modifier.name,
    modifier_contact_email: modifier.email,
  };
  return {
    type,
    ...(channel.type === "group" ? { group_id: channel.group.groupId, group_name: channel.group.name } : {}),
    repo_id: library.id,
    repo_name: record.name,
    ...(type === "mine" ? { ...owners, ...changed } : { ...changed, ...owners }),
    size: library.fs.totals(head.rootId).bytes,
    encrypted: false,
    permission,
    starred,
    monitored: false,
    status: record.readOnly ? "read-only" : "normal",
    salt: "",
    ...(type === "mine" ? {} : { is_admin: false }),
  };
}

/** What download-info and the creation of a library answer. `token`: the sync token, or "". */
export function downloadInfo(library: Library, user: UserRecord, token: string, services: Services): object {
  const { head, record } = library;
  const { bytes } = library.fs.totals(head.rootId);
  return {
    relay_id: RELAY_ID,
    relay_addr: "127.0.0.1",
    relay_port: "80",
    email: user.id,
    token,
    repo_id: library.id,
    repo_name: record.name,
    repo_desc: record.description,
    repo_size: bytes,
    repo_size_formatted: formatSize(bytes),
    mtime: head.ctime,
    mtime_relative: relativeTime(head.ctime, services.now()),
    encrypted: "",
    enc_version: 0,
    salt: "",
    magic: "",
    random_key: "",
    repo_version: 1,
    head_commit_id: head.id,
    permission: services.store.permission(user.id, library),
  };
}

/** One line of a history. */
export function historyItem(commit: Commit) {
  return {
    id: commit.id,
    creator_name: commit.creatorName,
    creator: "0".repeat(40),
    desc: commit.description,
    ctime: commit.ctime,
    parent_id: commit.parentId,
    second_parent_id: commit.secondParentId,
    repo_id: commit.libraryId,
    root_id: commit.rootId,
    version: 1,
    new_merge: false,
    conflict: false,
    rev_file_id: null,
    rev_file_size: 0,
    rev_renamed_old_path: null,
    device_name: null,
    client_version: null,
    next_start_commit: null,
  };
}
