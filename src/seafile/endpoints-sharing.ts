/**
 * One function per endpoint about stars and about libraries that people share with each other. One request each; no retries, no
 * decisions. Called by stars.ts and sharing.ts.
 */
import type { HttpClient } from "./http.ts";
import { parse, stringAnswer, success } from "./schema.ts";
import { type SharedLine, sharedLibraries, sharedNames, starredFiles, starredItems } from "./schema-sharing.ts";
import type { LibraryId } from "./types.ts";

export interface StarLine {
  readonly repo_id: LibraryId;
  readonly repo_name: string;
  readonly path: string;
  readonly is_dir: boolean;
  readonly mtime?: number | undefined;
  readonly deleted: boolean;
}

const LISTING = "Listing what is starred";

/** GET api2/starredfiles/: files only. */
export async function getStarredFiles(http: HttpClient, signal?: AbortSignal): Promise<readonly StarLine[]> {
  const answer = await http.call({
    side: "seahub",
    what: LISTING,
    method: "GET",
    target: "/api2/starredfiles/",
    signal,
  });
  return parse(starredFiles, answer.body, LISTING);
}

/** GET api/v2.1/starred-items/: folders and libraries, too. Kind "protocol" before 7.0. */
export async function getStarredItems(http: HttpClient, signal?: AbortSignal): Promise<readonly StarLine[]> {
  const target = "/api/v2.1/starred-items/";
  const answer = await http.call({ side: "seahub", what: LISTING, method: "GET", target, signal });
  return parse(starredItems, answer.body, LISTING).starred_item_list;
}

/** POST api2/starredfiles/: success also when it is starred; kind "not-found" for folders. */
export async function postStarredFile(
  http: HttpClient,
  library: LibraryId,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const what = `Starring ${JSON.stringify(path)}`;
  const form = { repo_id: library, p: path };
  const answer = await http.call({ side: "seahub", what, method: "POST", target: "/api2/starredfiles/", form, signal });
  parse(stringAnswer, answer.body, what);
}

/** POST api/v2.1/starred-items/ */
export async function postStarredItem(
  http: HttpClient,
  library: LibraryId,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const what = `Starring ${JSON.stringify(path)}`;
  const form = { repo_id: library, path };
  await http.call({ side: "seahub", what, method: "POST", target: "/api/v2.1/starred-items/", form, signal });
}

/** DELETE api2/starredfiles/: kind "not-found" for folders and for files that are gone. */
export async function deleteStarredFile(
  http: HttpClient,
  library: LibraryId,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const what = `Removing the star of ${JSON.stringify(path)}`;
  const query = { repo_id: library, p: path };
  const target = "/api2/starredfiles/";
  parse(stringAnswer, (await http.call({ side: "seahub", what, method: "DELETE", target, query, signal })).body, what);
}

/** DELETE api/v2.1/starred-items/ */
export async function deleteStarredItem(
  http: HttpClient,
  library: LibraryId,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const what = `Removing the star of ${JSON.stringify(path)}`;
  const query = { repo_id: library, path };
  const target = "/api/v2.1/starred-items/";
  parse(success, (await http.call({ side: "seahub", what, method: "DELETE", target, query, signal })).body, what);
}

/** GET api2/shared-repos/ (what the account shares) or beshared-repos/ (what is shared with it). */
export async function getSharedLibraries(
  http: HttpClient,
  which: "shared" | "beshared",
  signal?: AbortSignal,
): Promise<readonly SharedLine[]> {
  const what = "Listing the shared libraries";
  const answer = await http.call({ side: "seahub", what, method: "GET", target: `/api2/${which}-repos/`, signal });
  return parse(sharedLibraries, answer.body, what);
}

/** GET api/v2.1/shared-repos/: the people behind the internal names. */
export async function getSharedNames(
  http: HttpClient,
  signal?: AbortSignal,
): Promise<readonly { readonly user_email: string; readonly user_name: string; readonly contact_email: string }[]> {
  const what = "Listing whom libraries are shared with";
  const answer = await http.call({ side: "seahub", what, method: "GET", target: "/api/v2.1/shared-repos/", signal });
  return parse(sharedNames, answer.body, what);
}

/** DELETE api2/shared-repos/{id}/: success also when it is not shared so. */
export async function deleteShare(
  http: HttpClient,
  library: LibraryId,
  share: Readonly<Record<string, string>>,
): Promise<void> {
  const what = "Ending the share";
  const target = `/api2/shared-repos/${library}/`;
  const answer = await http.call({ side: "seahub", what, method: "DELETE", target, query: share });
  parse(stringAnswer, answer.body, what);
}

/** DELETE api2/beshared-repos/{id}/ of a library that `from` (an internal name) shares with the account. */
export async function deleteBeshared(http: HttpClient, library: LibraryId, from: string): Promise<void> {
  const what = "Leaving the shared library";
  const target = `/api2/beshared-repos/${library}/`;
  const query = { share_type: "personal", from };
  parse(success, (await http.call({ side: "seahub", what, method: "DELETE", target, query })).body, what);
}
