/**
 * Who sends a request: the Authorization header as seahub's token authentication reads it ("Token" or "Bearer", any case).
 * Called by the router for every route that is not anonymous.
 */
import { detail } from "./api-reply.ts";
import type { UserRecord } from "./state-file.ts";
import type { Store } from "./store.ts";

/** Throws the 401 or 403 that the real server answers with. */
export function authenticate(authorization: string | undefined, store: Store): UserRecord {
  const words = (authorization ?? "").split(/\s+/).filter((word) => word !== "");
  if (!/^(token|bearer)$/i.test(words[0] ?? "")) throw detail(403, "Authentication credentials were not provided.");
  if (words.length === 1) throw detail(401, "Invalid token header. No credentials provided.");
  if (words.length > 2) throw detail(401, "Invalid token header. Token string should not contain spaces.");
  const user = store.userByToken(words[1]!);
  if (user === undefined) throw detail(401, "Invalid token");
  return user;
}
