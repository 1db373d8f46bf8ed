/**
 * Seahub's dealings with the passwords of encrypted libraries: creating them, setting and checking the password, what an info
 * shows. A password that is set unlocks the library for that user only (unlocked-keys.ts). Called by api-libraries.ts.
 */
import { demand, libraryOf } from "./api-common.ts";
import { apiError, rest } from "./api-reply.ts";
import type { ApiRequest } from "./api-request.ts";
import { changedPassword, type EncryptionRecord } from "./encryption.ts";
import type { Library } from "./library.ts";
import type { Services } from "./services.ts";
import type { LibraryOptions } from "./store.ts";

/** ENCRYPTED_LIBRARY_VERSION, as server-info tells it. */
const NEWEST_VERSION = 2;
const UUID = /^[-0-9a-f]{36}$/;

/** What an info of the library has more when it is encrypted. */
export function encryptionFields(encryption: EncryptionRecord | undefined) {
  if (encryption === undefined) return {};
  const { version, salt, magic, randomKey } = encryption;
  return { enc_version: version, salt, magic, random_key: randomKey };
}

/** From the body of a creation: the password, or what a client made of it. */
export function requestedEncryption(request: ApiRequest): LibraryOptions {
  const id = request.data("repo_id") ?? "";
  const password = request.data("passwd") ?? "";
  if (id === "") return password === "" ? {} : { password };
  if (!UUID.test(id)) throw apiError(400, "Repo id must be a valid uuid");
  const version = Number(request.data("enc_version") ?? 0);
  if (version !== NEWEST_VERSION) throw apiError(400, "Invalid enc_version param.");
  const [magic, randomKey] = [request.data("magic") ?? "", request.data("random_key") ?? ""];
  if (magic.length !== 64 || randomKey.length !== 96) throw apiError(520, "Failed to create library.");
  return { prepared: { id, encryption: { version, salt: "", magic, randomKey } } };
}

/** POST api2 .../?op=setpassword: a library that is not encrypted takes any password, and none. */
export function setPassword(library: Library, request: ApiRequest, services: Services) {
  demand("r", request, services, library, "You do not have permission to access this library.");
  if (!library.isEncrypted) return rest("success");
  const password = request.form("password");
  if (password === "") throw apiError(440, "Library password is needed.");
  if (!services.keys.unlock(library, request.user.id, password)) throw apiError(400, "Incorrect password");
  return rest("success");
}

/** POST api2 .../?op=checkpassword&magic=: only the query counts. */
export function checkPassword(library: Library, request: ApiRequest) {
  const magic = request.query("magic") ?? "";
  if (magic === "") throw apiError(441, "Library password magic is needed.");
  if (magic !== library.record.encryption?.magic) throw apiError(500, "SearpcError:Incorrect password");
  return rest("success");
}

/** POST v2.1 .../set-password/ */
export function setPasswordV21(request: ApiRequest, services: Services) {
  const password = request.data("password") ?? "";
  if (password === "") throw apiError(400, "password invalid.");
  const library = libraryOf(request, services);
  if (!library.isEncrypted) throw apiError(400, `Library ${library.id} is not encrypted.`);
  demand("r", request, services, library);
  if (!services.keys.unlock(library, request.user.id, password)) throw apiError(400, "Wrong password");
  return rest({ success: true });
}

/** PUT v2.1 .../set-password/: another password for the same content. Keys that are unlocked stay so. */
export function changePasswordV21(request: ApiRequest, services: Services) {
  if ((request.data("operation") ?? "change-password") !== "change-password") throw apiError(400, "operation invalid.");
  const library = libraryOf(request, services);
  const { encryption } = library.record;
  if (encryption === undefined) throw apiError(400, `Library ${library.id} is not encrypted.`);
  if (library.record.ownerId !== request.user.id) throw apiError(403, "Permission denied.");
  const passwords = { old: request.data("old_password") ?? "", new: request.data("new_password") ?? "" };
  if (passwords.old === "") throw apiError(400, "old_password invalid.");
  if (passwords.new === "") throw apiError(400, "new_password invalid.");
  const changed = changedPassword(library.id, passwords, encryption);
  if (changed === undefined) throw apiError(400, "Wrong old password");
  library.setEncryption(request.user.id, changed);
  return rest({ success: true });
}
