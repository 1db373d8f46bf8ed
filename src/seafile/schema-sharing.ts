/**
 * The shapes of answers about stars, links and shares, as schema.ts. Invariant: the passwords of links, which the server tells their
 * owner in clear text, end here: what leaves is whether there is one.
 */
import { z } from "zod";
import { libraryId, seconds, text } from "./schema.ts";

/** It becomes part of an address. */
const token = z.string().regex(/^[\w-]+$/);
/** ISO 8601, without a zone in old versions, to Unix seconds; "" and absent mean never. */
const moment = text
  .transform((value) => (value === "" ? undefined : Math.floor(Date.parse(value) / 1000)))
  .refine((value) => value === undefined || !Number.isNaN(value));
/** undefined: the server does not say (before 8.0). */
const hasPassword = z
  .string()
  .nullish()
  .transform((value) => (value == null ? undefined : value !== ""));
const no = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);

const link = {
  token,
  link: z.string(),
  repo_id: libraryId,
  repo_name: text,
  path: z.string(),
  view_cnt: z
    .number()
    .nullish()
    .transform((count) => count ?? 0),
  ctime: moment,
  expire_date: moment,
  is_expired: no,
  password: hasPassword,
};

export const uploadLink = z.object(link);
export const shareLink = z.object({
  ...link,
  is_dir: z.boolean(),
  permissions: z
    .object({ can_edit: no, can_download: no, can_upload: no })
    .nullish()
    .transform((given) => given ?? { can_edit: false, can_download: true, can_upload: false }),
});
export type UploadLinkLine = z.output<typeof uploadLink>;
export type ShareLinkLine = z.output<typeof shareLink>;

/** Early 6.x answered with the object itself when there was exactly one. */
const listOf = <Shape extends z.ZodType>(shape: Shape) => z.union([z.array(shape), shape.transform((one) => [one])]);
export const shareLinks = listOf(shareLink);
export const uploadLinks = listOf(uploadLink);

export const uploadAddress = z.object({ upload_link: z.string() });

export const mailed = z.object({
  success: z.array(z.string()),
  failed: z.array(z.object({ email: text, error_msg: text })),
});

/** api2: files only. `repo_id` came with 6.x, before it was `repo` alone. */
export const starredFiles = z.array(
  z
    .object({ repo: libraryId, repo_name: text, path: z.string(), mtime: seconds, dir: no })
    .transform(({ repo, dir, ...rest }) => ({ ...rest, repo_id: repo, is_dir: dir, deleted: false })),
);
/** v2.1: files, folders and libraries, also those that are gone. */
export const starredItems = z.object({
  starred_item_list: z.array(
    z.object({
      repo_id: libraryId,
      repo_name: text,
      path: z.string(),
      mtime: moment,
      is_dir: z.boolean(),
      deleted: no,
    }),
  ),
});

/** Libraries that somebody shares: `user` is whom with, or from whom. */
export const sharedLibraries = z.array(
  z.object({
    repo_id: libraryId,
    repo_name: text,
    share_type: z.string(),
    permission: text,
    user: text,
    group_id: z.number().nullish(),
    group_name: text,
    last_modified: seconds,
    encrypted: z.union([z.boolean(), z.number()]).nullish().transform(Boolean),
  }),
);
export type SharedLine = z.output<typeof sharedLibraries>[number];

/** v2.1 has the names that api2 has not. */
export const sharedNames = z.array(
  z.object({ share_type: z.string(), user_email: text, user_name: text, contact_email: text }),
);
