/**
 * The shapes of the server's answers: with schema-sharing.ts the only place that validates them. Unknown keys are tolerated everywhere, because
 * versions and editions add some; a missing or mistyped key that is needed is an error of kind "protocol", never a guess.
 * Called by the endpoint functions.
 */
import { z } from "zod";
import { SeafileError } from "./errors.ts";
import type { CommitId, LibraryId, ObjectId } from "./types.ts";

const objectId = z
  .string()
  .regex(/^[0-9a-f]{40}$/)
  .transform((id) => id as ObjectId);
const size = z.number().int().nonnegative();
export const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");
/** Unix seconds; null and absent mean unknown. */
export const seconds = z
  .number()
  .nullish()
  .transform((value) => Math.floor(value ?? 0));
/** ISO 8601 with any zone, as api/v2.1 answers, to Unix seconds. */
const isoSeconds = z
  .string()
  .transform((value) => Math.floor(Date.parse(value) / 1000))
  .refine((value) => !Number.isNaN(value));

/** 0 and 1 in old versions; "" for no in download-info. */
const flag = z.union([z.boolean(), z.number(), z.string()]).nullish().transform(Boolean);

/** Links, "pong" and "success" are JSON strings. */
export const stringAnswer = z.string();

export const tokenAnswer = z.object({ token: z.string().min(1) });
export const serverInfo = z.object({
  version: z.string(),
  features: z
    .array(z.string())
    .nullish()
    .transform((features) => features ?? []),
  encrypted_library_version: z.number().nullish(),
});
export const accountInfo = z.object({
  email: z.string(),
  name: text,
  contact_email: text,
  login_id: text,
  department: text,
  institution: text,
  is_staff: flag,
  usage: size,
  total: z.number(),
});

export const libraryId = z
  .string()
  .regex(/^[-0-9a-f]{36}$/)
  .transform((id) => id as LibraryId);
export const libraries = z.array(
  z.object({
    type: z.string(),
    id: libraryId,
    name: text,
    owner: text,
    owner_name: text,
    owner_nickname: text,
    owner_contact_email: text,
    group_name: text,
    groupid: z.number().nullish(),
    share_from: text,
    share_from_name: text,
    share_from_contact_email: text,
    mtime: seconds,
    size: size.nullish().transform((value) => value ?? 0),
    encrypted: flag,
    permission: text,
    head_commit_id: text.transform((id) => id as CommitId),
  }),
);
export type LibraryLine = z.output<typeof libraries>[number];

const entry = { id: objectId, name: z.string(), mtime: seconds, permission: z.string().nullish() };
export const listing = z.union([
  z.literal("uptodate"),
  z.array(
    z.discriminatedUnion("type", [
      z.object({ type: z.literal("dir"), ...entry }),
      z.object({ type: z.literal("file"), size, ...entry }),
    ]),
  ),
]);

/** v2.1's listing of a folder link, which tells no ids. */
export const dirents = z.object({
  dirent_list: z.array(
    z.union([
      z.object({ is_dir: z.literal(true), folder_name: z.string(), last_modified: isoSeconds }),
      z.object({ is_dir: z.literal(false), file_name: z.string(), size, last_modified: isoSeconds }),
    ]),
  ),
});

/** The file of a file link. */
export const linkFile = z.object({ size, id: objectId, name: z.string(), mtime: seconds });

export const fileDetail = z.object({ size, ...entry });

/** What v2.1 tells about the folder or file that a change has led to. */
export const changedDir = z.object({ obj_name: z.string(), obj_id: objectId, mtime: isoSeconds });
export const changedFile = z.object({ obj_name: z.string(), obj_id: objectId, size, mtime: isoSeconds });

/** Removing and moving in batches. */
export const success = z.object({ success: z.literal(true) });

export const libraryDetail = z.object({
  size,
  no_quota: z.boolean().nullish(),
  lib_need_decrypt: z.boolean().nullish(),
  status: z.string().nullish(),
});
export type LibraryDetail = z.output<typeof libraryDetail>;
export const libraryHead = z.object({
  id: libraryId,
  name: text,
  mtime: seconds,
  size,
  encrypted: flag,
  permission: text,
  file_count: z.number().nullish(),
  enc_version: z.number().nullish(),
  head_commit_id: text,
  modifier_contact_email: text,
  modifier_name: text,
});
export type LibraryHead = z.output<typeof libraryHead>;
/** Its token is left out: nothing here uses it, and what is not kept is not shown. */
export const downloadInfo = z.object({
  repo_version: z.number().nullish(),
  head_commit_id: text,
  permission: text,
});
export type DownloadInfo = z.output<typeof downloadInfo>;

/** Of an encrypted library, by which its file key is made. */
export const keyMaterial = z.object({
  enc_version: z.number().nullish(),
  salt: z.string().nullish(),
  random_key: z.string().nullish(),
});

export const uploaded = z.array(z.object({ name: z.string(), id: objectId, size })).min(1);

/** A chunk is answered with success, the last one (and any by a server that knows no chunks) as a whole upload. */
export const chunkTaken = z.union([success, uploaded]);
export const uploadedBytes = z.object({ uploadedBytes: size });

/** Reads an object id from a header. */
export function parseObjectId(value: string | undefined, what: string): ObjectId {
  return check(objectId, value, what);
}

/** Parses and validates a JSON answer. */
export function parse<T>(shape: z.ZodType<T>, body: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    const page = /^\s*</.test(body) ? "a web page" : "something that is not JSON";
    throw new SeafileError("protocol", `${what} failed: the server answered with ${page}; is it a Seafile server?`, {
      cause,
    });
  }
  return check(shape, value, what);
}

function check<T>(shape: z.ZodType<T>, value: unknown, what: string): T {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? "the answer" : `"${issue.path.join(".")}"`;
  throw new SeafileError(
    "protocol",
    `${what} failed: the server answered in an unexpected form (${where} is not as it should be).`,
  );
}
