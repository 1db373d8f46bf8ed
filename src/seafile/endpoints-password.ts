/**
 * The requests about the password of an encrypted library. One request each; no retries, no decisions. The password is in the
 * body and nowhere else. Called by unlocker.ts.
 */
import type { HttpClient } from "./http.ts";
import type { KeyMaterial } from "./library-key.ts";
import { keyMaterial, parse, stringAnswer } from "./schema.ts";
import type { LibraryId } from "./types.ts";

/**
 * POST api2/repos/{id}/?op=setpassword: the server keeps the key for the account, 3,600 s from now (server/passwd-mgr.c). Kind
 * "wrong-password"; a library that is not encrypted takes any.
 */
export async function postLibraryPassword(
  http: HttpClient,
  library: LibraryId,
  password: string,
  signal?: AbortSignal,
): Promise<void> {
  const what = "Unlocking the library";
  const target = `/api2/repos/${library}/`;
  const query = { op: "setpassword" };
  const answer = await http.call({ side: "seahub", what, method: "POST", target, query, form: { password }, signal });
  parse(stringAnswer, answer.body, what);
}

/** GET api2/repos/{id}/ of an encrypted library; undefined when the server tells too little. */
export async function getKeyMaterial(
  http: HttpClient,
  library: LibraryId,
  signal?: AbortSignal,
): Promise<KeyMaterial | undefined> {
  const what = "Asking for the library's encryption";
  const answer = await http.call({
    side: "seahub",
    what,
    method: "GET",
    target: `/api2/repos/${library}/`,
    signal,
  });
  const { enc_version: version, salt, random_key: randomKey } = parse(keyMaterial, answer.body, what);
  return version == null || randomKey == null ? undefined : { version, salt: salt ?? "", randomKey };
}
